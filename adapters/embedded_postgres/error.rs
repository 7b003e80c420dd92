//! What can go wrong with the private Postgres, each in words that say what to do about it.

use std::path::PathBuf;

use super::install::HowToInstall;

/// Why the private cluster could not be had. None of these is retried by itself.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("no PostgreSQL server (13 or newer) was found{looked}. {how}", looked = looked_text(.looked_in))]
    NoBinaries { looked_in: Vec<String>, how: HowToInstall },

    #[error(
        "the database in {} was made by PostgreSQL {wanted}, but only {} is installed. {how}, \
         or choose another data directory",
        .data_dir.display(), found.join(", ")
    )]
    VersionMismatch { data_dir: PathBuf, wanted: u32, found: Vec<String>, how: HowToInstall },

    #[error("installing PostgreSQL by `{command}` failed: {detail}")]
    Install { command: String, detail: String },

    #[error(
        "the data directory {} is in use by another program{}; stop that one first, or choose another data directory",
        .data_dir.display(), .owner_pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { data_dir: PathBuf, owner_pid: Option<u32> },

    #[error(
        "PostgreSQL refuses to run as root, and neither of the users `postgres` and `nobody` exists on this system; \
         create one (useradd --system postgres) or start this program as an ordinary user"
    )]
    NoUnprivilegedUser,

    #[error(
        "user `{user}`, as whom PostgreSQL must run, cannot enter {}, and the fallback {} could not be made \
         ({source}); choose a data directory whose parent folders others may enter",
        .data_dir.display(), .fallback.display()
    )]
    NotTraversable { user: String, data_dir: PathBuf, fallback: PathBuf, source: std::io::Error },

    #[error(
        "user `{user}`, to whom the database in {} belongs, can no longer enter that folder; \
         let it pass through (chmod o+x on the folder and its parents)",
        .cluster_dir.display()
    )]
    NoLongerTraversable { user: String, cluster_dir: PathBuf },

    #[error(
        "the database of {} was kept in {}, which is gone; if that is meant, delete {} to begin with an empty one",
        .data_dir.display(), .cluster_dir.display(), .marker.display()
    )]
    Vanished { data_dir: PathBuf, cluster_dir: PathBuf, marker: PathBuf },

    #[error(
        "{} is missing, and without it nobody can log in to the database beside it; \
         restore the file from a backup, or choose another data directory",
        .file.display()
    )]
    PasswordMissing { file: PathBuf },

    #[error("making a new PostgreSQL cluster failed ({program}): {detail}")]
    Initdb { program: String, detail: String },

    #[error("PostgreSQL did not start: {reason}. The end of {}:\n{log_tail}", .log_file.display())]
    DidNotStart { reason: String, log_file: PathBuf, log_tail: String },

    #[error("a PostgreSQL left over in {} (process {pid}) cannot be stopped; stop it by hand", .data_dir.display())]
    StaleWillNotStop { data_dir: PathBuf, pid: i32 },

    #[error("the private PostgreSQL has been stopped")]
    Stopped,

    #[error("PostgreSQL was not ready again after {waited_ms} ms; see {}", .log_file.display())]
    NotReady { waited_ms: u128, log_file: PathBuf },

    #[error("`{0}` is not a database name: 1 to 63 characters of a-z, 0-9 and _, not beginning with a digit")]
    BadDatabaseName(String),

    #[error("{action} failed")]
    Sql {
        action: String,
        #[source]
        source: sqlx::Error,
    },

    #[error("{action} {} failed: {source}", .path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },

    #[error("a background thread ended early: {0}")]
    Thread(String),
}

fn looked_text(places: &[String]) -> String {
    if places.is_empty() { String::new() } else { format!(" (looked in {})", places.join(", ")) }
}

/// Names the file and what was being done to it: an I/O error alone says neither.
pub(super) trait IoContext<T> {
    fn during(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, ClusterError>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn during(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, ClusterError> {
        self.map_err(|source| ClusterError::Io { action, path: path.into(), source })
    }
}
