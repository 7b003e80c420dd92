//! As whom the server's programs run: ourselves, or an unprivileged user when we are root, because Postgres refuses
//! root. Builds their commands with a clean environment, and finds out what that user may enter.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{User, geteuid};

use super::error::ClusterError;

pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// The user of the server's processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunAs {
    Ourselves,
    Other { name: String, uid: u32, gid: u32 },
}

impl RunAs {
    /// `postgres` where it exists (the package makes it), else `nobody`; ourselves when we are not root.
    pub fn choose() -> Result<Self, ClusterError> {
        if !is_root() {
            return Ok(Self::Ourselves);
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self::Other { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() })
            .ok_or(ClusterError::NoUnprivilegedUser)
    }

    pub fn name(&self) -> String {
        match self {
            Self::Ourselves => "this user".to_owned(),
            Self::Other { name, .. } => name.clone(),
        }
    }

    /// A command in a process group of its own (Ctrl-C on the terminal is for us; we pass it on in our own time), with
    /// none of the caller's `PG*` variables, which would redirect it, and with messages in English, which we read.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("PG") {
                command.env_remove(key);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null()).process_group(0);
        if let Self::Other { uid, gid, .. } = self {
            // Setting the uid as root also drops root's supplementary groups.
            command.uid(*uid).gid(*gid).env("HOME", "/");
        }
        command
    }

    /// Hands a file or folder over to the user.
    pub fn give(&self, path: &Path) -> std::io::Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { uid, gid, .. } => std::os::unix::fs::chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Whether the user can enter the folder. It is tried, not computed: access lists and mounts have their say too.
    pub fn can_enter(&self, folder: &Path) -> bool {
        match self {
            Self::Ourselves => true,
            Self::Other { .. } => self
                .command("/bin/sh")
                .args(["-c", "cd -- \"$1\" 2>/dev/null", "sh"])
                .arg(folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
        }
    }
}
