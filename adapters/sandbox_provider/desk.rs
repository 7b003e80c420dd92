//! The edge between the pure book and the world: one lock under which calls are decided in order,
//! the journal behind it, the clock. Every answer waits until all it could have seen is durable.

use super::book::decide::{Manner, Verdict};
use super::book::entry::{Entry, Ticket};
use super::book::outbox::Webhook;
use super::book::{Answer, State, jobs};
use super::config::SandboxConfig;
use super::journal::{Journal, JournalError, JournalStopped, WriterThread, read_journal};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

const FORMAT: u32 = 1;
/// Due jobs that are fired under one hold of the lock.
const JOBS_AT_ONCE: usize = 256;

pub(super) struct Desk {
    inner: Mutex<Inner>,
    journal: Journal,
    /// A job was scheduled that may be due before those known so far.
    pub(super) scheduled: Notify,
}

struct Inner {
    state: State,
    sequence: u64,
    last_ms: u64,
    /// When the current simulated day began.
    day_began_ms: u64,
}

/// How a call ended, once that is durable.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Answer),
    Hang,
    Unavailable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeskError {
    /// The idempotency key was used for something else.
    KeyReused,
    Stopped,
}

impl From<JournalStopped> for DeskError {
    fn from(_: JournalStopped) -> Self {
        Self::Stopped
    }
}

impl Desk {
    /// Replays the journal and starts its writer.
    pub(super) fn open(config: &SandboxConfig) -> Result<(Self, WriterThread), JournalError> {
        let mut state = State::new(millis(config.event_delay));
        let (mut last_ms, mut day_began_ms) = (0, None);
        let file = read_journal(&config.data_dir, |line| {
            last_ms = line.at_ms;
            if day_began_ms.is_none() || matches!(line.entry, Entry::PaidOut { .. }) {
                day_began_ms = Some(line.at_ms);
            }
            state.apply(&line.entry, line.at_ms);
        })?;
        let (path, sequence) = (file.path.clone(), file.sequence);
        let started = Journal::start(file);
        let (journal, writer) = started.map_err(|source| JournalError::Io { path, source })?;
        let day_began_ms = day_began_ms.unwrap_or_else(now_ms);
        let inner = Mutex::new(Inner { state, sequence, last_ms, day_began_ms });
        let desk = Self { inner, journal, scheduled: Notify::new() };
        desk.write_header(config.webhook_url.is_some());
        Ok((desk, writer))
    }

    fn write_header(&self, webhooks_on: bool) {
        let mut inner = self.inner.lock();
        if inner.sequence == 0 {
            let instance = format!("{:08x}", rand::random::<u32>()).into();
            self.record(&mut inner, &Entry::Opened { format: FORMAT, instance });
        }
        if inner.state.webhooks_on != webhooks_on {
            self.record(&mut inner, &Entry::WebhooksSet { on: webhooks_on });
        }
    }

    /// Decides a call under its idempotency key. The effect is there as soon as this is polled,
    /// whether or not the caller waits for the answer.
    pub(super) async fn perform(
        &self,
        ticket: Ticket,
        decide: impl FnOnce(&State, Ticket) -> Verdict,
    ) -> Result<Outcome, DeskError> {
        let (sequence, outcome) = self.decide(ticket, decide);
        self.journal.durable(sequence).await?;
        outcome
    }

    fn decide(
        &self,
        ticket: Ticket,
        decide: impl FnOnce(&State, Ticket) -> Verdict,
    ) -> (u64, Result<Outcome, DeskError>) {
        let mut inner = self.inner.lock();
        if let Some(kept) = inner.state.kept(&ticket) {
            let is_same = kept.fingerprint == ticket.fingerprint;
            let answer = is_same.then(|| Outcome::Answered(kept.answer.clone()));
            return (inner.sequence, answer.ok_or(DeskError::KeyReused));
        }
        let Verdict { entry, manner } = decide(&inner.state, ticket.clone());
        self.record(&mut inner, &entry);
        let outcome = match (manner, inner.state.kept(&ticket)) {
            (Manner::Hang, _) => Outcome::Hang,
            (Manner::Answer, Some(kept)) => Outcome::Answered(kept.answer.clone()),
            (Manner::Unavailable, _) | (Manner::Answer, None) => Outcome::Unavailable,
        };
        (inner.sequence, Ok(outcome))
    }

    /// Records what was decided without an idempotency key: a customer's click, a payout.
    pub(super) async fn act<R>(&self, act: impl FnOnce(&State) -> (Vec<Entry>, R)) -> Result<R, JournalStopped> {
        let (sequence, result) = {
            let mut inner = self.inner.lock();
            let (entries, result) = act(&inner.state);
            entries.iter().for_each(|entry| self.record(&mut inner, entry));
            (inner.sequence, result)
        };
        self.journal.durable(sequence).await?;
        Ok(result)
    }

    /// Reads the book, and answers once all that was read is durable.
    pub(super) async fn read<R>(&self, read: impl FnOnce(&State) -> R) -> Result<R, JournalStopped> {
        let (sequence, result) = {
            let inner = self.inner.lock();
            (inner.sequence, read(&inner.state))
        };
        self.journal.durable(sequence).await?;
        Ok(result)
    }

    /// Fires what is due and tells how long to sleep until the next job, if there is one.
    pub(super) fn fire_due_jobs(&self) -> Option<Duration> {
        let mut inner = self.inner.lock();
        let now_ms = now_ms();
        for _ in 0..JOBS_AT_ONCE {
            match inner.state.jobs.first().copied() {
                Some((due_ms, job)) if due_ms <= now_ms => {
                    inner.state.jobs.pop_first();
                    if let Some(entry) = jobs::fire(&inner.state, job) {
                        self.record(&mut inner, &entry);
                    }
                }
                next => return next.map(|(due_ms, _)| Duration::from_millis(due_ms - now_ms)),
            }
        }
        Some(Duration::ZERO)
    }

    /// Undelivered webhooks after this event number, all of them durable.
    pub(super) async fn webhooks_after(&self, event: u64, limit: usize) -> Result<Vec<Webhook>, JournalStopped> {
        let read = |state: &State| state.outbox.range(event + 1..).take(limit).map(|(_, hook)| hook.clone()).collect();
        self.read(read).await
    }

    /// Not waited for: if it is lost in a crash, the webhook is merely posted again.
    pub(super) fn webhook_done(&self, event: u64) {
        self.record(&mut self.inner.lock(), &Entry::WebhookDone { event });
    }

    pub(super) fn until_payout(&self, day: Duration) -> Duration {
        let due_ms = self.inner.lock().day_began_ms.saturating_add(millis(day));
        Duration::from_millis(due_ms.saturating_sub(now_ms()))
    }

    pub(super) fn begin_day(&self) {
        self.inner.lock().day_began_ms = now_ms();
    }

    pub(super) fn instance(&self) -> Arc<str> {
        Arc::clone(&self.inner.lock().state.instance)
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    fn record(&self, inner: &mut Inner, entry: &Entry) {
        // Time never goes back along the journal.
        inner.last_ms = inner.last_ms.max(now_ms());
        let first_job = inner.state.jobs.first().copied();
        inner.sequence = self.journal.append(entry, inner.last_ms);
        inner.state.apply(entry, inner.last_ms);
        if inner.state.jobs.first().copied() != first_job {
            self.scheduled.notify_one();
        }
    }
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// For what is shared between the server's tasks.
pub(super) type SharedDesk = Arc<Desk>;
