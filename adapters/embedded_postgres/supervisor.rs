//! Keeps the postmaster alive: a thread waits for it, starts it again when it dies, and ends with it on demand. A
//! thread, not a task, because the cluster outlives any one async runtime and must stop without one.

use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::{Condvar, Mutex};

use super::postmaster::Launch;
use super::processes::STOP_STEPS;

/// Between failing attempts to start again: doubled each time up to the second.
const RESTART_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

#[derive(Debug, Default)]
struct State {
    /// The living postmaster, ready or not.
    pid: Option<i32>,
    ready: bool,
    stopping: bool,
    /// The supervisor has ended; nothing starts any more.
    ended: bool,
    restarts: u64,
}

/// What the supervisor and the handle of the cluster tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub fn publish(&self, pid: u32) {
        let mut state = self.state.lock();
        state.pid = i32::try_from(pid).ok();
        if let (true, Some(pid)) = (state.stopping, state.pid) {
            // A stop came while there was no process to tell.
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        self.changed.notify_all();
    }

    pub fn withdraw(&self) {
        let mut state = self.state.lock();
        state.pid = None;
        state.ready = false;
        self.changed.notify_all();
    }

    fn mark_ready(&self) {
        self.state.lock().ready = true;
        self.changed.notify_all();
    }

    pub fn pid(&self) -> Option<u32> {
        self.state.lock().pid.and_then(|pid| u32::try_from(pid).ok())
    }

    pub fn restarts(&self) -> u64 {
        self.state.lock().restarts
    }

    pub fn is_stopped(&self) -> bool {
        let state = self.state.lock();
        state.stopping || state.ended
    }

    /// Blocks until a postmaster other than `instead_of` accepts connections; false after `patience` or a stop.
    pub fn wait_ready(&self, instead_of: Option<u32>, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        loop {
            let pid = state.pid.and_then(|pid| u32::try_from(pid).ok());
            if state.ready && pid.is_some() && (instead_of.is_none() || pid != instead_of) {
                return true;
            }
            if state.stopping || state.ended {
                return false;
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
    }

    /// Blocks until the postmaster is gone and the supervisor with it. Harmless when repeated.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        self.changed.notify_all();
        for (signal, patience) in STOP_STEPS {
            if let Some(pid) = state.pid {
                // Under the lock, and the pid is withdrawn first thing after the process is reaped: it is its own.
                let _ = kill(Pid::from_raw(pid), signal);
            }
            let deadline = Instant::now() + patience;
            while !state.ended {
                if self.changed.wait_until(&mut state, deadline).timed_out() {
                    break;
                }
            }
        }
    }
}

/// Starts the thread. It ends after `Shared::stop`.
pub(super) fn supervise(launch: Launch, shared: Arc<Shared>, first: Child) -> std::io::Result<()> {
    shared.mark_ready();
    std::thread::Builder::new()
        .name("postgres".to_owned())
        .spawn(move || {
            let mut child = Some(first);
            while let Some(mut running) = child {
                let status = running.wait();
                shared.withdraw();
                if !shared.is_stopped() {
                    tracing::warn!(
                        postgres.exit = ?status,
                        "PostgreSQL ended unexpectedly and is started again"
                    );
                }
                child = start_again(&launch, &shared);
            }
            shared.state.lock().ended = true;
            shared.changed.notify_all();
        })
        .map(drop)
}

/// Tries until it runs; none once a stop is wanted.
fn start_again(launch: &Launch, shared: &Shared) -> Option<Child> {
    let (mut pause, pause_max) = RESTART_PAUSE;
    while !shared.is_stopped() {
        match launch.start(shared) {
            Ok(child) => {
                shared.state.lock().restarts += 1;
                shared.mark_ready();
                return Some(child);
            }
            Err(error) => {
                if !shared.is_stopped() {
                    tracing::warn!(%error, "PostgreSQL did not start again");
                }
                let mut state = shared.state.lock();
                if !state.stopping {
                    let _ = shared.changed.wait_for(&mut state, pause);
                }
                pause = (pause * 2).min(pause_max);
            }
        }
    }
    None
}
