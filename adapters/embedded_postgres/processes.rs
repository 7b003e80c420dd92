//! The server's processes as the operating system sees them: which live, which belong to a cluster, and ending those
//! that a dead program left behind. Only processes that are proven to belong to the cluster are ever signalled.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::{ClusterError, IoContext};

/// How often a condition of the operating system is looked at again, where it offers nothing to wait on.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The shutdown that disconnects clients and checkpoints, then the one that does neither, then none at all; with how
/// long each is given.
pub(super) const STOP_STEPS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(30)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// What a postmaster writes into `postmaster.pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub pid: i32,
    /// It accepts connections.
    pub ready: bool,
}

impl PidFile {
    pub fn read(pg_data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(pg_data.join("postmaster.pid")).ok()?)
    }

    /// Line 1 is the pid, line 8 the state: `starting`, `ready`, `standby` or `stopping`, padded.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let ready = lines.nth(6).is_some_and(|state| state.trim() == "ready");
        Some(Self { pid, ready })
    }
}

/// Ends whatever still runs on the data directory from a program that is gone, so that a new postmaster may start.
/// The caller holds the owner's lock: nobody else can be starting one.
pub(super) fn end_leftovers(pg_data: &Path) -> Result<(), ClusterError> {
    let Some(file) = PidFile::read(pg_data) else {
        return Ok(());
    };
    if belongs_to(file.pid, pg_data) {
        tracing::info!(postgres.pid = file.pid, "a PostgreSQL left over from an earlier run is stopped and taken over");
        end(file.pid, pg_data, &STOP_STEPS)?;
    }
    // The children of a killed postmaster leave by themselves unless they are busy; a new one must not start before.
    let brief = [
        (None, Duration::from_secs(1)),
        (Some(Signal::SIGQUIT), Duration::from_secs(2)),
        (Some(Signal::SIGKILL), Duration::from_secs(2)),
    ];
    for (signal, patience) in brief {
        let children = all_of(pg_data);
        if let Some(signal) = signal {
            for &pid in &children {
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
        wait_until(patience, || all_of(pg_data).is_empty());
    }
    if let Some(&pid) = all_of(pg_data).first() {
        return Err(ClusterError::StaleWillNotStop { data_dir: pg_data.to_owned(), pid });
    }
    // Postgres believes any living process of that number to be its predecessor; in a container numbers repeat soon.
    let path = pg_data.join("postmaster.pid");
    if PidFile::read(pg_data).is_some() && kill(Pid::from_raw(file.pid), None).is_ok() {
        std::fs::remove_file(&path).during("deleting", &path)?;
    }
    Ok(())
}

fn end(pid: i32, pg_data: &Path, steps: &[(Signal, Duration)]) -> Result<(), ClusterError> {
    for &(signal, patience) in steps {
        let _ = kill(Pid::from_raw(pid), signal);
        if wait_until(patience, || !belongs_to(pid, pg_data)) {
            return Ok(());
        }
    }
    Err(ClusterError::StaleWillNotStop { data_dir: pg_data.to_owned(), pid })
}

/// Looks at the condition until it holds; false when it did not within the time.
pub(super) fn wait_until(patience: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Whether the process lives and is a Postgres of this data directory: every one of them works in that folder.
#[cfg(target_os = "linux")]
fn belongs_to(pid: i32, pg_data: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    // A zombie has neither of the two links.
    let program_is_postgres = std::fs::read_link(process.join("exe")).is_ok_and(|program| {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("postgres")
    });
    program_is_postgres && std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == pg_data)
}

#[cfg(target_os = "linux")]
fn all_of(pg_data: &Path) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| belongs_to(pid, pg_data))
        .collect()
}

/// Elsewhere `ps` tells the arguments; we start the postmaster with its data directory among them.
#[cfg(not(target_os = "linux"))]
fn belongs_to(pid: i32, pg_data: &Path) -> bool {
    std::process::Command::new("ps").args(["-o", "stat=,args=", "-p", &pid.to_string()]).output().is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text.trim();
        !text.starts_with('Z') && text.contains("postgres") && text.contains(&*pg_data.to_string_lossy())
    })
}

/// Elsewhere the children of a dead postmaster cannot be told from others; the new one refuses and is tried again.
#[cfg(not(target_os = "linux"))]
fn all_of(_pg_data: &Path) -> Vec<i32> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::{PidFile, belongs_to};

    #[test]
    fn reads_what_a_postmaster_writes() {
        let text = "4711\n/data\n1700000000\n5433\n/socket\n127.0.0.1\n 123 4\nready   \n";
        let ready = PidFile { pid: 4711, ready: true };
        assert_eq!(PidFile::parse(text), Some(ready.clone()));
        assert_eq!(PidFile::parse("4711\n/data\n"), Some(PidFile { ready: false, ..ready }));
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn a_process_that_is_not_postgres_never_belongs() {
        let here = std::env::current_dir().expect("a working directory");
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert!(!belongs_to(own, &here));
    }
}
