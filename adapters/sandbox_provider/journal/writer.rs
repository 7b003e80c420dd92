//! Group commit. Whatever was queued while the previous write was synced becomes the next write.

use super::{JournalFile, JournalStopped, Line};
use crate::sandbox_provider::book::entry::Entry;
use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;

/// How far the journal is on the disk.
#[derive(Debug, Clone, Copy)]
struct Progress {
    durable: u64,
    stopped: bool,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    last: u64,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    progress: watch::Sender<Progress>,
}

/// The end to append to; cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

/// The thread that owns the file. Dropping it lets the thread write out what is queued and end.
pub(crate) struct WriterThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    pub(crate) fn start(journal: JournalFile) -> io::Result<(Self, WriterThread)> {
        let progress = Progress { durable: journal.sequence, stopped: false };
        let queue = Queue { last: journal.sequence, ..Queue::default() };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            filled: Condvar::new(),
            progress: watch::Sender::new(progress),
        });
        let in_thread = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("sandbox-journal".to_owned());
        let thread = Some(builder.spawn(move || write_batches(&in_thread, journal))?);
        Ok((Self { shared: Arc::clone(&shared) }, WriterThread { shared, thread }))
    }

    /// Queues an entry and tells its sequence; it is not durable yet. Callers append in the order
    /// in which they change the state, so the lines stay in that order.
    pub(crate) fn append(&self, entry: &Entry, at_ms: u64) -> u64 {
        let mut queue = self.shared.queue.lock();
        let sequence = queue.last + 1;
        let mark = queue.bytes.len();
        let line = Line { sequence, at_ms, entry };
        if queue.closed || serde_json::to_writer(&mut queue.bytes, &line).is_err() {
            queue.bytes.truncate(mark);
            queue.closed = true;
            self.shared.progress.send_modify(|progress| progress.stopped = true);
            return u64::MAX;
        }
        queue.bytes.push(b'\n');
        queue.last = sequence;
        drop(queue);
        self.shared.filled.notify_one();
        sequence
    }

    /// Waits until everything up to this sequence is on the disk.
    pub(crate) async fn durable(&self, sequence: u64) -> Result<(), JournalStopped> {
        let mut progress = self.shared.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.stopped || progress.durable >= sequence).await;
        match reached {
            Ok(progress) if progress.durable >= sequence => Ok(()),
            _ => Err(JournalStopped),
        }
    }

    pub(crate) fn durable_now(&self) -> u64 {
        self.shared.progress.borrow().durable
    }

    /// Resolves when more has become durable than `seen`.
    pub(crate) async fn beyond(&self, seen: u64) -> Result<(), JournalStopped> {
        self.durable(seen.saturating_add(1)).await
    }
}

impl WriterThread {
    /// Writes out what is queued and closes the file. Blocks for one sync.
    pub(crate) fn close(mut self) {
        self.hang_up();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }

    fn hang_up(&self) {
        self.shared.queue.lock().closed = true;
        self.shared.filled.notify_one();
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.hang_up();
    }
}

fn write_batches(shared: &Shared, mut journal: JournalFile) {
    let mut batch = Vec::new();
    loop {
        let last = {
            let mut queue = shared.queue.lock();
            while queue.bytes.is_empty() && !queue.closed {
                shared.filled.wait(&mut queue);
            }
            if queue.bytes.is_empty() {
                break;
            }
            batch.clear();
            std::mem::swap(&mut batch, &mut queue.bytes);
            queue.last
        };
        let written = journal.file.write_all(&batch).and_then(|()| journal.file.sync_data());
        if let Err(error) = written {
            tracing::error!(journal.path = %journal.path.display(), %error, "the journal cannot be written");
            shared.queue.lock().closed = true;
            break;
        }
        shared.progress.send_modify(|progress| progress.durable = last);
    }
    shared.progress.send_modify(|progress| progress.stopped = true);
}
