//! The data directory on disk: who owns it, where the cluster's files lie, the password, the port of last time.
//!
//! `{data_dir}/owner.lock`  held by the one program that uses the directory
//! `{data_dir}/password`    the superuser's, mode 0600, readable by us alone
//! `{data_dir}/location`    only if the cluster had to be kept elsewhere: its folder
//! `{cluster}/data`         what `initdb` made; `{cluster}/postgres.log`, `{cluster}/socket/`, `{cluster}/port`

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::{ClusterError, IoContext};
use super::run_as::{RunAs, is_root};

/// Where a cluster goes whose data directory the server's user cannot enter, such as one below `/root`.
const FALLBACK_PARENT: &str = "/var/lib/payledger";

/// The log is set aside at start when it has grown beyond this.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Held as long as a program uses the data directory; the kernel lets go of it when that program dies in any way.
pub(super) struct OwnerLock(File);

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child of ours that has forked and not yet executed.
        let _ = self.0.unlock();
    }
}

/// A data directory that is ours, with everything that is known of it before the server runs.
/// It holds the password, hence no `Debug`.
#[derive(Clone)]
pub(super) struct Folder {
    pub data_dir: PathBuf,
    pub cluster: PathBuf,
    pub password: String,
    pub run_as: RunAs,
}

impl Folder {
    pub fn pg_data(&self) -> PathBuf {
        self.cluster.join("data")
    }

    pub fn log_file(&self) -> PathBuf {
        self.cluster.join("postgres.log")
    }

    pub fn socket_dir(&self) -> PathBuf {
        self.cluster.join("socket")
    }

    fn port_file(&self) -> PathBuf {
        self.cluster.join("port")
    }

    /// The major version that made the cluster; none while there is no cluster yet.
    pub fn version(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.pg_data().join("PG_VERSION")).ok()?;
        text.trim().parse().ok()
    }

    pub fn last_port(&self) -> Option<u16> {
        std::fs::read_to_string(self.port_file()).ok()?.trim().parse().ok()
    }

    /// A convenience only: without it the next start takes another port.
    pub fn remember_port(&self, port: u16) {
        let _ = std::fs::write(self.port_file(), port.to_string());
    }

    /// Opens the log for appending and says how long it is already.
    pub fn open_log(&self) -> Result<(File, u64), ClusterError> {
        let path = self.log_file();
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
            let _ = std::fs::rename(&path, path.with_extension("log.1"));
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).during("opening", &path)?;
        let length = file.metadata().during("reading", &path)?.len();
        Ok((file, length))
    }

    /// Deletes the sockets of servers that are gone: a lock beside each names a pid, and the next server refuses as long
    /// as any process has that number. Only to be called when nothing runs on the cluster.
    pub fn clear_sockets(&self) {
        for entry in std::fs::read_dir(self.socket_dir()).into_iter().flatten().flatten() {
            let _ = std::fs::remove_file(entry.path());
        }
    }

    /// Deletes the cluster and what belongs to it. The data directory itself stays, empty but for the lock.
    pub fn delete(&self) -> Result<(), ClusterError> {
        let pg_data = self.pg_data();
        std::fs::remove_dir_all(&pg_data).during("deleting", pg_data)?;
        let _ = std::fs::remove_dir_all(self.socket_dir());
        for file in [self.log_file(), self.port_file()] {
            let _ = std::fs::remove_file(file);
        }
        if self.cluster != self.data_dir {
            std::fs::remove_dir_all(&self.cluster).during("deleting", &self.cluster)?;
        }
        for name in ["password", "location"] {
            let _ = std::fs::remove_file(self.data_dir.join(name));
        }
        Ok(())
    }
}

/// Takes the directory into possession: makes it where it is missing, locks it, and reads or makes what it holds.
pub(super) fn open(data_dir: &Path, notice: fn(&str)) -> Result<(Folder, OwnerLock), ClusterError> {
    make_enterable(data_dir).during("creating", data_dir)?;
    let data_dir = data_dir.canonicalize().during("finding", data_dir)?;
    let lock = take_lock(&data_dir)?;
    let (cluster, run_as) = locate(&data_dir, notice)?;
    let password = password(&data_dir, cluster.join("data").exists())?;
    let folder = Folder { data_dir, cluster, password, run_as };
    make_socket_dir(&folder)?;
    Ok((folder, lock))
}

/// Creates the folder and its missing parents. As root, those that are made here (no others) may be passed through by
/// the server's user; otherwise they are nobody else's business.
fn make_enterable(data_dir: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> =
        data_dir.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    let mode = if is_root() { 0o711 } else { 0o700 };
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(folder) {
            // The umask may have taken the bit away again.
            Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode))?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn take_lock(data_dir: &Path) -> Result<OwnerLock, ClusterError> {
    let path = data_dir.join("owner.lock");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .during("opening", &path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            return Err(ClusterError::InUse { data_dir: data_dir.to_owned(), owner_pid: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(source).during("locking", &path),
    }
    file.set_len(0).during("writing", &path)?;
    writeln!(file, "{}", std::process::id()).during("writing", &path)?;
    Ok(OwnerLock(file))
}

/// Where the cluster is or shall be, and whose it is: an existing one stays where it is and keeps its owner.
fn locate(data_dir: &Path, notice: fn(&str)) -> Result<(PathBuf, RunAs), ClusterError> {
    let marker = data_dir.join("location");
    let cluster = match std::fs::read_to_string(&marker) {
        Ok(text) => {
            let cluster = PathBuf::from(text.trim_end_matches('\n'));
            if !cluster.is_dir() {
                return Err(ClusterError::Vanished { data_dir: data_dir.to_owned(), cluster_dir: cluster, marker });
            }
            cluster
        }
        Err(_) => data_dir.to_owned(),
    };
    if let Ok(meta) = std::fs::metadata(cluster.join("data")) {
        let run_as = owner(meta.uid(), meta.gid())?;
        if !run_as.can_enter(&cluster) {
            return Err(ClusterError::NoLongerTraversable { user: run_as.name(), cluster_dir: cluster });
        }
        return Ok((cluster, run_as));
    }
    let run_as = RunAs::choose()?;
    if run_as.can_enter(&cluster) {
        return Ok((cluster, run_as));
    }
    let fallback = make_fallback(data_dir, &run_as)?;
    write_durably(&marker, 0o600, &format!("{}\n", fallback.display()))?;
    notice(&format!(
        "PostgreSQL must not run as root, and user `{}` cannot enter {}: its database is kept in {}",
        run_as.name(),
        data_dir.display(),
        fallback.display()
    ));
    Ok((fallback, run_as))
}

/// As root, the user to whom an existing cluster belongs.
fn owner(uid: u32, gid: u32) -> Result<RunAs, ClusterError> {
    if !is_root() || uid == 0 {
        return RunAs::choose();
    }
    Ok(RunAs::Other {
        name: nix::unistd::User::from_uid(uid.into()).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name),
        uid,
        gid,
    })
}

/// A new folder of its own that the server's user can enter, with a note of whose it is.
fn make_fallback(data_dir: &Path, run_as: &RunAs) -> Result<PathBuf, ClusterError> {
    let folder = Path::new(FALLBACK_PARENT).join(format!("postgres-{:016x}", rand::random::<u64>()));
    let made = make_enterable(&folder)
        .and_then(|()| std::fs::write(folder.join("belongs-to"), data_dir.as_os_str().as_encoded_bytes()))
        .and_then(|()| {
            if run_as.can_enter(&folder) {
                Ok(())
            } else {
                let _ = std::fs::remove_dir_all(&folder);
                Err(std::io::ErrorKind::PermissionDenied.into())
            }
        });
    match made {
        Ok(()) => Ok(folder),
        Err(source) => Err(ClusterError::NotTraversable {
            user: run_as.name(),
            data_dir: data_dir.to_owned(),
            fallback: folder,
            source,
        }),
    }
}

/// Reads the password, or makes one where there is no cluster yet that it would have to fit.
fn password(data_dir: &Path, cluster_exists: bool) -> Result<String, ClusterError> {
    let path = data_dir.join("password");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).during("reading", &path),
        _ if cluster_exists => Err(ClusterError::PasswordMissing { file: path }),
        _ => {
            let password = hex::encode(rand::random::<[u8; 24]>());
            write_durably(&path, 0o600, &format!("{password}\n"))?;
            Ok(password)
        }
    }
}

fn make_socket_dir(folder: &Folder) -> Result<(), ClusterError> {
    let socket_dir = folder.socket_dir();
    if socket_dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&socket_dir)
        .and_then(|()| folder.run_as.give(&socket_dir))
        .during("creating", &socket_dir)
}

/// Writes a file such that after a power cut it is there whole or not at all.
pub(super) fn write_durably(path: &Path, mode: u32, text: &str) -> Result<(), ClusterError> {
    let temporary = path.with_extension("new");
    let write = || {
        let _ = std::fs::remove_file(&temporary);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_folder(path.parent().unwrap_or(Path::new("/")))
    };
    write().during("writing", path)
}

/// Makes renames inside the folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
