//! The durable book: an append-only file of one JSON line per entry. Lines are queued in the order
//! of their sequence; one writer thread writes whatever has gathered and syncs it once (group
//! commit). It knows nothing of what the entries mean.

mod file;
mod writer;

pub(super) use file::{JournalFile, Line, read_journal};
pub(super) use writer::{Journal, WriterThread};

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the journal {path} is in use by another process")]
    Locked { path: PathBuf },
    #[error("the journal {path} is damaged at line {line}: {reason}")]
    Damaged { path: PathBuf, line: u64, reason: String },
}

/// The disk has refused a write. Nothing is answered any more: what is in memory may be ahead of
/// what a restart would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub(super) struct JournalStopped;
