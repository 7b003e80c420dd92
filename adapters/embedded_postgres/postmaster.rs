//! Starting the server process: its settings, and waiting until it accepts connections. Keeping it alive is
//! `supervisor`'s part.

use std::io::{Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::binaries::Binaries;
use super::error::{ClusterError, IoContext};
use super::folder::Folder;
use super::processes::{POLL_INTERVAL, PidFile, end_leftovers};
use super::supervisor::Shared;

/// Recovery from a crash replays up to `max_wal_size`; on a slow disk that takes minutes.
const START_PATIENCE: Duration = Duration::from_secs(300);

/// Below the ports which systems give to outgoing connections, so that ours is still free after a crash.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// `sun_path` of the tightest system (macOS, 104 with its end) less `/.s.PGSQL.65535`.
const SOCKET_DIR_BYTES_MAX: usize = 103 - 15;

/// What the server is told at every start. Nothing of it is kept in the cluster's own files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub durable: bool,
    pub max_connections: u16,
    pub shared_buffers_mb: u32,
}

/// Everything needed to start the server, again and again.
#[derive(Clone)]
pub(super) struct Launch {
    pub folder: Folder,
    pub binaries: Binaries,
    pub settings: Settings,
    pub port: u16,
}

impl Launch {
    /// Starts the postmaster and waits until it accepts connections. It is published in `shared` as soon as it lives,
    /// so that a stop need not wait for a long recovery.
    pub fn start(&self, shared: &Shared) -> Result<Child, ClusterError> {
        end_leftovers(&self.folder.pg_data())?;
        self.folder.clear_sockets();
        let (log, log_start) = self.folder.open_log()?;
        let program = self.binaries.postgres();
        let errors = log.try_clone().during("opening", self.folder.log_file())?;
        let mut command = self.command();
        let mut child = command.stdout(log).stderr(errors).spawn().during("starting", program)?;
        shared.publish(child.id());
        match self.wait_ready(&mut child, log_start) {
            Ok(()) => Ok(child),
            Err(error) => {
                // It may live still, if it was given up for being slow.
                let _ = child.kill();
                let _ = child.wait();
                shared.withdraw();
                Err(error)
            }
        }
    }

    fn wait_ready(&self, child: &mut Child, log_start: u64) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START_PATIENCE;
        let pg_data = self.folder.pg_data();
        loop {
            if let Some(status) = child.try_wait().during("waiting for", self.binaries.postgres())? {
                return Err(self.did_not_start(&format!("it ended with {status}"), log_start));
            }
            let ready =
                PidFile::read(&pg_data).is_some_and(|file| file.ready && u32::try_from(file.pid) == Ok(child.id()));
            if ready {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let reason = format!("not ready after {} s", START_PATIENCE.as_secs());
                return Err(self.did_not_start(&reason, log_start));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn did_not_start(&self, reason: &str, log_start: u64) -> ClusterError {
        let log_file = self.folder.log_file();
        ClusterError::DidNotStart { reason: reason.to_owned(), log_tail: tail(&log_file, log_start), log_file }
    }

    fn command(&self) -> Command {
        let mut command = self.folder.run_as.command(self.binaries.postgres());
        command.arg("-D").arg(self.folder.pg_data());
        for (name, value) in self.parameters() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let Settings { durable, max_connections, shared_buffers_mb } = self.settings;
        let on_off = |on: bool| if on { "on" } else { "off" }.to_owned();
        vec![
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.socket_dir().unwrap_or_default()),
            ("max_connections", max_connections.to_string()),
            ("shared_buffers", format!("{shared_buffers_mb}MB")),
            ("fsync", on_off(durable)),
            ("full_page_writes", on_off(durable)),
            ("synchronous_commit", on_off(durable)),
            // Fewer checkpoints under load; a crash replays at most this much.
            ("max_wal_size", "2GB".to_owned()),
            ("checkpoint_timeout", "15min".to_owned()),
            // Our statements are short; compiling them costs more than it saves.
            ("jit", "off".to_owned()),
            ("log_timezone", "UTC".to_owned()),
            ("timezone", "UTC".to_owned()),
            ("logging_collector", "off".to_owned()),
            ("log_destination", "stderr".to_owned()),
            ("log_checkpoints", "off".to_owned()),
            ("cluster_name", "payledger".to_owned()),
        ]
    }

    /// The folder of the socket, if its path is short enough and free of what the setting would take for a list.
    pub fn socket_dir(&self) -> Option<String> {
        let path = self.folder.socket_dir();
        let text = path.to_str()?;
        let fits = text.len() <= SOCKET_DIR_BYTES_MAX && !text.contains([',', '"', ' ']);
        fits.then(|| text.to_owned())
    }
}

/// The port of last time if it is free, so that an address once noted stays right; else any free one.
pub(super) fn choose_port(last: Option<u16>) -> Option<u16> {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let random = std::iter::repeat_with(|| rand::random_range(PORTS)).take(100);
    last.into_iter().chain(random).find(is_free)
}

/// Whether a start failed only because another program took the port in between.
pub(super) fn lost_the_port(error: &ClusterError) -> bool {
    matches!(error, ClusterError::DidNotStart { log_tail, .. } if log_tail.contains("Address already in use"))
}

/// The end of what the log has gained since `start`, in bytes.
fn tail(log_file: &Path, start: u64) -> String {
    const BYTES_MAX: u64 = 4_096;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log_file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(length.saturating_sub(BYTES_MAX))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_or_else(
        |error| format!("(unreadable: {error})"),
        |bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned(),
    )
}
