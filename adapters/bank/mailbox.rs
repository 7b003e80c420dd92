//! Folders of messages: a file appears whole or not at all, survives a crash once it is there, and is moved by one
//! rename. Everything blocks; callers hand it to a thread for that.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// A message that lies in a folder.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) content: Vec<u8>,
    /// How long it has lain there.
    pub(super) age: Duration,
}

impl Letter {
    /// Of the content, in hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        digest_of(&self.content)
    }

    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.content).ok()
    }
}

/// A draft that is older than this belongs to a writer that died.
const DRAFT_ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// Writes a file that is durable, and seen by others only when it is whole.
pub(super) fn put(folder: &Path, name: &str, content: &str) -> io::Result<()> {
    remove_abandoned_drafts(folder)?;
    let draft = folder.join(format!(".{name}.{}.draft", uuid::Uuid::new_v4().simple()));
    let mut file = File::create(&draft)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// The messages of a folder, oldest first. One that somebody takes meanwhile is left out.
pub(super) fn letters(folder: &Path) -> io::Result<Vec<Letter>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with('.') || !name.to_ascii_lowercase().ends_with(".xml") {
            continue;
        }
        let Some(content) = unless_gone(fs::read(&path))? else { continue };
        let Some(modified) = unless_gone(fs::metadata(&path).and_then(|metadata| metadata.modified()))? else {
            continue;
        };
        let age = modified.elapsed().unwrap_or_default();
        found.push((modified, Letter { path, name, content, age }));
    }
    found.sort_by(|(first, a), (second, b)| (first, &a.name).cmp(&(second, &b.name)));
    Ok(found.into_iter().map(|(_, letter)| letter).collect())
}

/// Moves a message; one that is gone was moved by somebody else.
pub(super) fn move_to(from: &Path, folder: &Path, name: &str) -> io::Result<()> {
    unless_gone(fs::rename(from, folder.join(name)))?;
    File::open(folder)?.sync_all()
}

/// Moves the message `name` of `inbox` as `folder/as_name` if it still has the content of this digest. Somebody else may
/// have moved it since it was read, and another message may have come under its name: that one stays in the inbox, under
/// a name that nobody else knows.
pub(super) fn put_away(inbox: &Path, name: &str, digest: &str, folder: &Path, as_name: &str) -> io::Result<()> {
    let taken = inbox.join(format!("{}.{}", uuid::Uuid::new_v4().simple(), original(name)));
    if unless_gone(fs::rename(inbox.join(name), &taken))?.is_none() {
        return Ok(());
    }
    match unless_gone(fs::read(&taken))? {
        Some(content) if digest_of(&content) == digest => move_to(&taken, folder, as_name),
        _ => Ok(()),
    }
}

/// The name that the message came under, without those that it was taken under.
fn original(name: &str) -> &str {
    match name.split_once('.') {
        Some((taken, rest)) if uuid::Uuid::try_parse(taken).is_ok() && rest.contains('.') => rest,
        _ => name,
    }
}

fn remove_abandoned_drafts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with('.') || !name.ends_with(".draft") {
            continue;
        }
        let Some(modified) = unless_gone(fs::metadata(&path).and_then(|metadata| metadata.modified()))? else {
            continue;
        };
        if modified.elapsed().unwrap_or_default() > DRAFT_ABANDONED_AFTER {
            remove(&path)?;
        }
    }
    Ok(())
}

/// SHA-256 in hexadecimal digits.
fn digest_of(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    unless_gone(fs::remove_file(path)).map(drop)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
