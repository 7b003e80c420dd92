//! A private Postgres under a data directory, for `dev` and for the tests: found or installed, made, started, kept
//! alive, and stopped with the program. It knows nothing of what is stored in it; production brings its own server.
//!
//! ```text
//! start ── binaries (found, or installed) ── folder (lock, password, place) ── initdb (first time)
//!       └─ end_leftovers (of a killed owner) ── postmaster ── supervisor: dies? start again; stop? end
//! ```

mod binaries;
mod error;
mod folder;
mod initdb;
mod install;
mod postmaster;
mod processes;
mod run_as;
mod supervisor;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};

pub use error::ClusterError;
use folder::OwnerLock;
pub use install::HowToInstall;
use postmaster::{Launch, Settings, choose_port, lost_the_port};
use supervisor::Shared;

/// How the cluster is found, made and tuned.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Made if missing. All of it belongs to one program at a time.
    pub data_dir: PathBuf,
    /// Whether the package `postgresql` may be installed where we are root on a Debian-like system.
    pub install: bool,
    /// `fsync` and its kin. Off only where losing everything in a power cut is fine: tests of pure logic.
    pub durable: bool,
    pub max_connections: u16,
    pub shared_buffers_mb: u32,
    /// Told, in a sentence, before something happens that a person should know of. Prints to stderr by default.
    pub notice: fn(&str),
}

impl ClusterOptions {
    /// Durable, installing if need be, tuned lightly.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            install: true,
            durable: true,
            max_connections: 200,
            shared_buffers_mb: 256,
            notice: |text| eprintln!("{text}"),
        }
    }
}

/// A running private cluster. Dropping it stops the server, waiting until it has; `stop` does so without blocking.
pub struct Cluster {
    launch: Launch,
    shared: Arc<Shared>,
    lock: parking_lot::Mutex<Option<OwnerLock>>,
}

/// Brings the cluster of the data directory up: a new one within a few seconds, an existing one within one, longer
/// after a crash. Whatever a killed owner left running there is stopped and taken over; a living owner is respected.
pub async fn start(options: ClusterOptions) -> Result<Cluster, ClusterError> {
    blocking(move || start_blocking(&options)).await?
}

fn start_blocking(options: &ClusterOptions) -> Result<Cluster, ClusterError> {
    let began = Instant::now();
    // The binaries come first: installing them also makes the user as whom they run.
    let any = binaries::find(&options.data_dir, None, options.install, options.notice)?;
    let (folder, lock) = folder::open(&options.data_dir, options.notice)?;
    let binaries = match folder.version() {
        Some(version) => binaries::find(&options.data_dir, Some(version), false, options.notice)?,
        None => any,
    };
    if folder.version().is_none() {
        initdb::create(&folder, &binaries, options.durable)?;
    }
    let mut launch = Launch {
        port: 0,
        settings: Settings {
            durable: options.durable,
            max_connections: options.max_connections,
            shared_buffers_mb: options.shared_buffers_mb,
        },
        folder,
        binaries,
    };
    let shared = Arc::new(Shared::default());
    let child = start_on_free_port(&mut launch, &shared)?;
    supervisor::supervise(launch.clone(), shared.clone(), child)
        .map_err(|error| ClusterError::Thread(error.to_string()))?;
    tracing::info!(
        postgres.port = launch.port,
        postgres.version = launch.binaries.major,
        postgres.data_dir = %launch.folder.cluster.display(),
        duration_ms = began.elapsed().as_millis(),
        "the private PostgreSQL is ready"
    );
    Ok(Cluster { launch, shared, lock: parking_lot::Mutex::new(Some(lock)) })
}

/// A port may be lost between being found free and being bound; then another is taken.
fn start_on_free_port(launch: &mut Launch, shared: &Shared) -> Result<std::process::Child, ClusterError> {
    // A leftover of our own is ended first, since it holds the port which we want to keep.
    processes::end_leftovers(&launch.folder.pg_data())?;
    let mut last = launch.folder.last_port();
    for attempt in 1.. {
        launch.port = choose_port(last.take()).unwrap_or_default();
        match launch.start(shared) {
            Err(error) if attempt < 5 && lost_the_port(&error) => {}
            Err(error) => return Err(error),
            Ok(child) => {
                launch.folder.remember_port(launch.port);
                return Ok(child);
            }
        }
    }
    unreachable!("the loop above returns")
}

impl Cluster {
    /// The address of a database over TCP, with the password: it is a secret.
    pub fn url(&self, database: &str) -> String {
        let (user, password) = (initdb::SUPERUSER, &self.launch.folder.password);
        let port = self.launch.port;
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The address over the Unix socket, which costs less per message; none where its path would be too long.
    pub fn socket_url(&self, database: &str) -> Option<String> {
        let folder: String = url::form_urlencoded::byte_serialize(self.launch.socket_dir()?.as_bytes()).collect();
        Some(format!("{}&host={folder}", self.url(database)))
    }

    pub fn port(&self) -> u16 {
        self.launch.port
    }

    /// The major version of the server.
    pub fn version(&self) -> u32 {
        self.launch.binaries.major
    }

    /// Where the cluster's files are: the data directory, or the folder which its `location` names.
    pub fn folder(&self) -> &Path {
        &self.launch.folder.cluster
    }

    pub fn log_file(&self) -> PathBuf {
        self.launch.folder.log_file()
    }

    /// The living postmaster; none in the moment between its death and its restart, and after a stop.
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.shared.pid()
    }

    /// How often the postmaster died and was started again.
    pub fn restarts(&self) -> u64 {
        self.shared.restarts()
    }

    /// Waits until the server accepts connections.
    pub async fn wait_ready(&self, patience: Duration) -> Result<(), ClusterError> {
        self.wait_restarted(None, patience).await
    }

    /// Waits until a postmaster other than `instead_of` accepts connections: what to call after killing that one.
    pub async fn wait_restarted(&self, instead_of: Option<u32>, patience: Duration) -> Result<(), ClusterError> {
        let began = Instant::now();
        let shared = self.shared.clone();
        if blocking(move || shared.wait_ready(instead_of, patience)).await? {
            Ok(())
        } else if self.shared.is_stopped() {
            Err(ClusterError::Stopped)
        } else {
            Err(ClusterError::NotReady { waited_ms: began.elapsed().as_millis(), log_file: self.log_file() })
        }
    }

    /// Makes a database, unless it exists; says whether it was made.
    pub async fn create_database(&self, name: &str) -> Result<bool, ClusterError> {
        let made = self.execute(name, format!("CREATE DATABASE {name}")).await;
        match made {
            Err(ClusterError::Sql { source, .. }) if is_duplicate_database(&source) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    /// Deletes a database if it exists, disconnecting whoever uses it.
    pub async fn drop_database(&self, name: &str) -> Result<(), ClusterError> {
        self.execute(name, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
    }

    async fn execute(&self, database: &str, sql: String) -> Result<(), ClusterError> {
        check_database_name(database)?;
        let run = async {
            let mut connection = PgConnection::connect(&self.url("postgres")).await?;
            connection.execute(sql.as_str()).await?;
            connection.close().await
        };
        run.await.map_err(|source| ClusterError::Sql { action: sql.clone(), source })
    }

    /// Stops the server cleanly (a checkpoint, so that the next start is quick) and gives the directory free.
    pub async fn stop(&self) -> Result<(), ClusterError> {
        let shared = self.shared.clone();
        blocking(move || shared.stop()).await?;
        self.lock.lock().take();
        Ok(())
    }

    /// Stops the server and deletes its data.
    pub async fn destroy(self) -> Result<(), ClusterError> {
        let shared = self.shared.clone();
        blocking(move || shared.stop()).await?;
        self.launch.folder.delete()
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("folder", &self.folder())
            .field("port", &self.port())
            .field("postmaster_pid", &self.postmaster_pid())
            .finish_non_exhaustive()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// Names go into statements unquoted, so they are what needs no quotes.
fn check_database_name(name: &str) -> Result<(), ClusterError> {
    let fits = (1..=63).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits { Ok(()) } else { Err(ClusterError::BadDatabaseName(name.to_owned())) }
}

fn is_duplicate_database(error: &sqlx::Error) -> bool {
    const DUPLICATE_DATABASE: &str = "42P04";
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(DUPLICATE_DATABASE))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ClusterError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ClusterError::Thread(error.to_string()))
}
