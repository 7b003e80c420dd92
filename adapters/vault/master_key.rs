//! The master key: 32 bytes that never stand in the database, from a file or an environment variable.
//! Nothing is sealed under it directly: each purpose has a key derived from it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::cipher;

/// Holds the master key as 64 hexadecimal digits, where no file is named.
pub const ENVIRONMENT_VARIABLE: &str = "PAYLEDGER_MASTER_KEY";

#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key must be 64 hexadecimal digits (32 bytes)")]
    Malformed,
    #[error("the master key file {path} cannot be used: {error}")]
    File { path: String, error: std::io::Error },
    #[error("no randomness for a new master key")]
    NoRandomness,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    pub fn from_bytes(bytes: [u8; 32]) -> MasterKey {
        MasterKey(Zeroizing::new(bytes))
    }

    /// 64 hexadecimal digits; white space around them is ignored.
    pub fn from_text(text: &str) -> Result<MasterKey, MasterKeyError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut()).map_err(|_| MasterKeyError::Malformed)?;
        Ok(MasterKey(bytes))
    }

    pub fn read_file(path: &Path) -> Result<MasterKey, MasterKeyError> {
        let text = std::fs::read_to_string(path).map_err(|error| file_error(path, error))?;
        MasterKey::from_text(&Zeroizing::new(text))
    }

    /// Reads the file, or creates it with a new key, readable by its owner alone. It is on the disk when this returns:
    /// a key that was used and then lost would take everything sealed with it.
    pub fn read_or_create_file(path: &Path) -> Result<MasterKey, MasterKeyError> {
        match MasterKey::read_file(path) {
            Err(MasterKeyError::File { error, .. }) if error.kind() == ErrorKind::NotFound => {}
            read => return read,
        }
        let key = MasterKey(cipher::draw_key().map_err(|_| MasterKeyError::NoRandomness)?);
        match key.publish(path) {
            // Another process was faster: its key is the one.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => MasterKey::read_file(path),
            Err(error) => Err(file_error(path, error)),
            Ok(()) => Ok(key),
        }
    }

    /// Written beside and linked into place, so that the file is never seen half written, nor ever replaced.
    fn publish(&self, path: &Path) -> std::io::Result<()> {
        let draft = path.with_extension(format!("{}.draft", uuid::Uuid::new_v4()));
        let digits = Zeroizing::new(hex::encode(self.0.as_slice()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(digits.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft)?;
        linked?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }

    /// The key for one purpose: HMAC-SHA256(master, purpose). Knowing one tells nothing about another.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_slice()).expect("HMAC takes keys of any length");
        mac.update(b"payledger/1/");
        mac.update(purpose.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

fn file_error(path: &Path, error: std::io::Error) -> MasterKeyError {
    MasterKeyError::File { path: path.display().to_string(), error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_created_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| MasterKey::read_or_create_file(&path))).collect();
            threads.into_iter().map(|thread| *thread.join().unwrap().unwrap().derive("test")).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a draft was left behind");
    }

    #[test]
    fn a_malformed_key_is_refused_and_never_repeated_in_the_message() {
        for text in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            let error = MasterKey::from_text(text).unwrap_err().to_string();
            assert_eq!(error, "the master key must be 64 hexadecimal digits (32 bytes)");
        }
        let key = MasterKey::from_text(&format!(" {}\n", "0f".repeat(32))).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
        assert_ne!(key.derive("a"), key.derive("b"));
    }
}
