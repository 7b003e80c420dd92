//! The appender: one task that turns whatever has queued while the previous commit ran into one commit.
//!
//! ```text
//! queue ──▶ fast path: decide on the known head, one statement ──stored──▶ answers
//!             │ contended, lost or refused                          ▲
//!             └──▶ locked path: lock, catch up, decide again, store ┘
//!                    └ lost: connect again, and again the locked path, until it is known
//! ```
//!
//! Nobody is answered before the outcome of the command's batch is known. The known head and the remembered states
//! change only when a batch is known to be stored or the log was read under the lock, so a batch whose answer is
//! missing can never be built upon.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::ports::{Clock, Receipt, Request, StoreError, StreamId};
use rand::Rng;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::append::{Lock, append};
use super::cache::{RecentReceipts, StateCache};
use super::connection::{Link, Setback, backoff};
use super::locked::{self, News};
use super::needed::{Needed, Trust};
use super::{PostgresOptions, follow};
use crate::event_store::batch::{self, Basis, Batch, Head};

/// How often a batch is tried again because others were first, before its callers are told to come again.
const CONTENTIONS_MAX: u32 = 20;

/// A command in the queue, and where its answer goes.
pub(super) struct Queued {
    request: Request,
    answer: oneshot::Sender<Result<Receipt, StoreError>>,
    /// Version and position of the receipt that was last sent to the database and may have been stored.
    sent: Option<(u64, u64)>,
}

impl Queued {
    pub(super) fn new(request: Request, answer: oneshot::Sender<Result<Receipt, StoreError>>) -> Queued {
        Queued { request, answer, sent: None }
    }

    /// Nobody waits for it, and it cannot have been stored.
    fn is_abandoned(&self) -> bool {
        self.sent.is_none() && self.answer.is_closed()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Path {
    Fast,
    Locked,
}

impl Path {
    fn name(self) -> &'static str {
        match self {
            Path::Fast => "fast",
            Path::Locked => "locked",
        }
    }
}

pub(super) struct Appender {
    queue: mpsc::Receiver<Queued>,
    link: Link,
    /// `None` until the log was read for the first time.
    known: Option<Head>,
    states: Arc<StateCache>,
    receipts: RecentReceipts,
    head: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    batch_max: usize,
    attempt_within: Duration,
}

impl Appender {
    pub(super) fn new(
        queue: mpsc::Receiver<Queued>,
        connecting: &PgConnectOptions,
        states: Arc<StateCache>,
        head: watch::Sender<u64>,
        clock: Arc<dyn Clock>,
        options: &PostgresOptions,
    ) -> Appender {
        Appender {
            queue,
            link: Link::new(connecting),
            known: None,
            states,
            receipts: RecentReceipts::new(options.recent_receipts_max),
            head,
            clock,
            batch_max: options.batch_max,
            attempt_within: options.attempt_within,
        }
    }

    /// Until the store is dropped and the queue is empty.
    pub(super) async fn run(mut self) {
        let mut arrived = Vec::new();
        while self.queue.recv_many(&mut arrived, self.batch_max).await > 0 {
            arrived.retain(|queued| !queued.is_abandoned());
            if !arrived.is_empty() {
                self.store(std::mem::take(&mut arrived)).await;
            }
        }
        self.link.close().await;
    }

    /// Stores the batch, or finds out why not, and answers all of it.
    async fn store(&mut self, batch: Vec<Queued>) {
        metrics::histogram!("append_batch_size").record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        let mut parts = vec![(Path::Fast, batch)];
        while let Some((path, part)) = parts.pop() {
            if let Some(unstorable) = self.store_part(path, part).await {
                // One command of many is at fault: each on its own, in their order.
                parts.extend(unstorable.into_iter().rev().map(|queued| (Path::Locked, vec![queued])));
            }
        }
    }

    /// Gives back a batch of which the database refuses some command.
    async fn store_part(&mut self, mut path: Path, mut part: Vec<Queued>) -> Option<Vec<Queued>> {
        let (mut contentions, mut unknown, mut waits) = (0, false, backoff());
        loop {
            match self.attempt(path, &mut part).await {
                Ok(stored) => {
                    self.settle(part, stored);
                    return None;
                }
                Err(Setback::Contended) if contentions == CONTENTIONS_MAX => {
                    fail(part, &StoreError::Unavailable("too many others append at once".to_owned()));
                    return None;
                }
                Err(Setback::Contended) => {
                    contentions += 1;
                    if !unknown {
                        part.iter_mut().for_each(|queued| queued.sent = None);
                    }
                    if path == Path::Locked {
                        let jitter = rand::rng().random_range(0..10);
                        tokio::time::sleep(Duration::from_millis(jitter)).await;
                    }
                }
                Err(Setback::Unstorable(_)) if part.len() > 1 => return Some(part),
                Err(Setback::Unstorable(reason)) => {
                    fail(part, &StoreError::Corrupt(reason));
                    return None;
                }
                Err(Setback::Refused(reason)) if !unknown => {
                    tracing::warn!(reason, "the database refused a batch");
                    fail(part, &StoreError::Unavailable(reason));
                    return None;
                }
                Err(Setback::Refused(reason) | Setback::Lost(reason)) => {
                    tracing::warn!(reason, commands = part.len(), "the answer to an append is missing");
                    metrics::counter!("append_answers_lost_total").increment(1);
                    unknown |= part.iter().any(|queued| queued.sent.is_some());
                    tokio::time::sleep(waits.next().unwrap_or(Duration::from_secs(1))).await;
                    part.retain(|queued| !queued.is_abandoned());
                    if part.is_empty() {
                        return None;
                    }
                }
            }
            path = Path::Locked;
        }
    }

    async fn attempt(&mut self, path: Path, part: &mut [Queued]) -> Result<Batch, Setback> {
        let started = Instant::now();
        let within = self.attempt_within;
        let attempt = async {
            match path {
                Path::Fast => self.on_fast_path(part).await,
                Path::Locked => self.on_locked_path(part).await,
            }
        };
        let result = tokio::time::timeout(within, attempt).await;
        metrics::histogram!("append_duration_seconds", "path" => path.name()).record(started.elapsed().as_secs_f64());
        result.unwrap_or_else(|_| Err(Setback::Lost(format!("no answer within {within:?}"))))
    }

    async fn on_fast_path(&mut self, part: &mut [Queued]) -> Result<Batch, Setback> {
        let mut connection = self.link.take().await?;
        let result = self.store_on_known_head(&mut connection, part).await;
        self.link.put_back(connection, &result);
        result
    }

    async fn store_on_known_head(
        &mut self,
        connection: &mut PgConnection,
        part: &mut [Queued],
    ) -> Result<Batch, Setback> {
        let head = match self.known {
            Some(head) => head,
            None => *self.known.insert(locked::newest(connection).await?),
        };
        let recent = part.iter().filter_map(|queued| self.receipts.get(queued.request.command_id()));
        let known = recent.map(|receipt| (receipt.command_id, receipt)).collect();
        let (batch, fresh) = self.decide(connection, part, head, known, Trust::NewStreams).await?;
        if batch.commands.is_empty() && batch.unrecorded.is_empty() {
            return Ok(batch);
        }
        send(connection, Lock::NotHeld, part, (head, batch, &fresh)).await
    }

    async fn on_locked_path(&mut self, part: &mut [Queued]) -> Result<Batch, Setback> {
        let mut connection = self.link.take().await?;
        let mut transaction = connection.begin().await?;
        let result = match self.store_under_lock(&mut transaction, part).await {
            Ok(batch) => transaction.commit().await.map(|()| batch).map_err(Setback::from),
            // At once: a transaction that is merely dropped keeps the lock until the connection is used again.
            Err(setback) => transaction.rollback().await.map_err(Setback::from).and(Err(setback)),
        };
        self.link.put_back(connection, &result);
        result
    }

    async fn store_under_lock(
        &mut self,
        transaction: &mut PgConnection,
        part: &mut [Queued],
    ) -> Result<Batch, Setback> {
        locked::lock(transaction).await?;
        let head = locked::newest(transaction).await?;
        match locked::news(transaction, self.known, &head).await? {
            News::Nothing => {}
            News::Changed(streams) => self.states.forget(&streams),
            News::Everything => {
                self.states.clear();
                self.receipts.clear();
            }
        }
        self.known = Some(head);
        let command_ids: Vec<Uuid> = part.iter().map(|queued| queued.request.command_id()).collect();
        let known = locked::receipts(transaction, &command_ids).await?;
        let (batch, fresh) = self.decide(transaction, part, head, known, Trust::Nothing).await?;
        if batch.commands.is_empty() {
            return Ok(batch);
        }
        send(transaction, Lock::Held, part, (head, batch, &fresh)).await
    }

    /// The batch as it stands on `head`, and the streams that are empty only if their commands are right.
    async fn decide(
        &self,
        connection: &mut PgConnection,
        part: &[Queued],
        head: Head,
        known: HashMap<Uuid, Receipt>,
        trust: Trust,
    ) -> Result<(Batch, Vec<StreamId>), Setback> {
        let requests = || part.iter().map(|queued| &queued.request);
        let needed = Needed::of(requests(), &known, &self.states, trust);
        let (streams, mut fresh) = needed.load(connection).await?;
        let batch = batch::decide(requests(), Basis { head, now: self.clock.now(), known, streams });
        // What the batch appends to is guarded by the uniqueness of its first version.
        fresh.retain(|stream| matches!(batch.streams.get(stream), Some(Ok(state)) if state.version == 0));
        Ok((batch, fresh))
    }

    /// The batch is stored: remember it, and tell everybody.
    fn settle(&mut self, part: Vec<Queued>, stored: Batch) {
        self.known = Some(stored.head);
        let read = stored.streams.into_iter().filter_map(|(stream, state)| Some((stream, state.ok()?)));
        self.states.put_all(read.filter(|(_, state)| state.version > 0));
        for command in stored.commands {
            self.receipts.put(command.receipt);
        }
        follow::move_to(&self.head, stored.head.position);
        for (queued, answer) in part.into_iter().zip(stored.answers) {
            let answer = answer.map(|receipt| first_answer(receipt, queued.sent));
            count(&answer);
            // The caller may have given up; the command counts all the same.
            let _ = queued.answer.send(answer);
        }
    }
}

async fn send(
    connection: &mut PgConnection,
    holding: Lock,
    part: &mut [Queued],
    (known, batch, fresh): (Head, Batch, &[StreamId]),
) -> Result<Batch, Setback> {
    for (queued, answer) in part.iter_mut().zip(&batch.answers) {
        let first = answer.as_ref().ok().filter(|receipt| !receipt.replayed);
        queued.sent = first.map(|receipt| (receipt.version, receipt.position));
    }
    let stored = append(connection, holding, &known, &batch, fresh).await?;
    if stored { Ok(batch) } else { Err(Setback::Contended) }
}

/// A stored receipt that is the very one we sent, and lost the answer to, is no repeat.
fn first_answer(receipt: Receipt, sent: Option<(u64, u64)>) -> Receipt {
    let replayed = receipt.replayed && sent != Some((receipt.version, receipt.position));
    Receipt { replayed, ..receipt }
}

fn fail(part: Vec<Queued>, error: &StoreError) {
    for queued in part {
        // The caller may have given up.
        let _ = queued.answer.send(Err(error.clone()));
    }
}

fn count(answer: &Result<Receipt, StoreError>) {
    let outcome = match answer {
        Ok(receipt) if receipt.replayed => "replayed",
        Ok(receipt) if receipt.rejection.is_some() => "rejected",
        Ok(_) => "accepted",
        Err(StoreError::Conflict { .. }) => "conflict",
        Err(_) => "failed",
    };
    metrics::counter!("append_commands_total", "outcome" => outcome).increment(1);
}
