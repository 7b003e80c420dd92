//! Opening and replaying the journal file. A torn last line, the trace of a crash in the middle of
//! a write, was never acknowledged and is cut off; damage before that stops the start.

use super::JournalError;
use crate::sandbox_provider::book::entry::Entry;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "book.ndjson";

#[derive(Serialize, Deserialize)]
pub(crate) struct Line<E = Entry> {
    #[serde(rename = "s")]
    pub(crate) sequence: u64,
    #[serde(rename = "t")]
    pub(crate) at_ms: u64,
    #[serde(rename = "e")]
    pub(crate) entry: E,
}

/// The open file, positioned at its end, locked against other processes until it is dropped.
pub(crate) struct JournalFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) sequence: u64,
}

/// Opens or makes the journal and hands every entry to `replay`, oldest first.
pub(crate) fn read_journal(data_dir: &Path, mut replay: impl FnMut(Line)) -> Result<JournalFile, JournalError> {
    let path = data_dir.join(FILE_NAME);
    let failed = |source| JournalError::Io { path: path.clone(), source };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(JournalError::Locked { path: path.clone() }),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // The name of a new file is durable only once its folder is.
    File::open(data_dir).and_then(|folder| folder.sync_all()).map_err(failed)?;

    let (whole_bytes, sequence) = replay_lines(&path, &file, &mut replay)?;
    if file.metadata().map_err(failed)?.len() > whole_bytes {
        tracing::warn!(journal.path = %path.display(), journal.bytes = whole_bytes, "cut a torn last line off the journal");
        file.set_len(whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    file.seek(SeekFrom::Start(whole_bytes)).map_err(failed)?;
    Ok(JournalFile { file, path, sequence })
}

/// Bytes of the whole lines, and the last sequence.
fn replay_lines(path: &Path, file: &File, replay: &mut impl FnMut(Line)) -> Result<(u64, u64), JournalError> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut whole_bytes, mut sequence) = (0_u64, 0_u64);
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = reader.read_until(b'\n', &mut text).map_err(|source| io_error(path, source))?;
        if read == 0 || !text.ends_with(b"\n") {
            return Ok((whole_bytes, sequence));
        }
        let damaged = |reason: String| JournalError::Damaged { path: path.to_owned(), line: sequence + 1, reason };
        match serde_json::from_slice::<Line>(&text) {
            Ok(line) if line.sequence == sequence + 1 => replay(line),
            Ok(line) => {
                return Err(damaged(format!("sequence {} is out of order", line.sequence)));
            }
            Err(error) => {
                // The last line may be torn in its middle, where the disk wrote its end first.
                let is_last = reader.fill_buf().map_err(|source| io_error(path, source))?.is_empty();
                return if is_last { Ok((whole_bytes, sequence)) } else { Err(damaged(error.to_string())) };
            }
        }
        sequence += 1;
        whole_bytes += u64::try_from(read).unwrap_or(u64::MAX);
    }
}

fn io_error(path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), source }
}
