//! Writes batches of events into one generation, each and its checkpoint in one transaction. An event that cannot be
//! applied parks its stream and nothing else, or where the order of the whole log counts, all that is behind it waits.
//! Knows no read model.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use commands::ports::RecordedEvent;
use futures::FutureExt;
use sqlx::{PgPool, Postgres, Transaction};

use crate::checkpoint::{Checkpoint, Lease};
use crate::database::begin;
use crate::feeder::Interrupted;
use crate::parking::{self, Additions, PARKED_MAX, Parked, ParkedStream};
use crate::poison::poison;
use crate::{ApplyError, Order, Projection};

/// The checkpoint decides what survives a crash of Postgres, so a batch need not wait for the disk. A process that
/// is paused in the middle of a batch must not keep its rows locked from its successor.
pub(crate) const BEGIN: &str =
    "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// Where batches go, and who may write them.
pub(crate) struct Writer<'a> {
    pub(crate) pool: &'a PgPool,
    pub(crate) projection: &'a dyn Projection,
    pub(crate) lease: &'a Lease,
    /// A transaction that takes longer is given up.
    pub(crate) within: Duration,
}

/// Events of the projection's categories between two positions of the log.
pub(crate) struct Batch<'a> {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) caught_up: bool,
    pub(crate) events: Vec<&'a RecordedEvent>,
}

/// The first event of a batch that cannot be applied, by its index, and why.
struct Culprit {
    index: usize,
    error: String,
}

impl Batch<'_> {
    /// Leaves the rest of the log for later; an error if nothing is left.
    fn end_before(&mut self, culprit: &Culprit) -> Result<(), Interrupted> {
        let position = self.events.get(culprit.index).map_or(self.to, |event| event.position);
        if position <= self.from + 1 {
            return Err(Interrupted::StandsStill { position, error: culprit.error.clone() });
        }
        self.events.truncate(culprit.index);
        (self.to, self.caught_up) = (position - 1, false);
        Ok(())
    }
}

impl Writer<'_> {
    /// Writes a batch; what cannot be applied is parked instead. Where it may not be, the batch is written up to there.
    pub(crate) async fn write(&self, mut batch: Batch<'_>, parked: &mut Parked) -> Result<Checkpoint, Interrupted> {
        let mut additions = parked.hold_back(&mut batch.events);
        loop {
            if parked.len() + additions.parked().len() > PARKED_MAX {
                return Err(Interrupted::TooManyParked);
            }
            match self.limited(self.commit(&batch, &additions)).await {
                Ok(checkpoint) => {
                    self.alert(&additions);
                    parked.add(&additions);
                    return Ok(checkpoint);
                }
                Err(Interrupted::Apply(error)) => {
                    let culprit = self.find_culprit(&batch.events, error).await?;
                    if self.projection.order() == Order::OfLog {
                        batch.end_before(&culprit)?;
                        continue;
                    }
                    additions.park(&mut batch.events, culprit.index, culprit.error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn commit(&self, batch: &Batch<'_>, additions: &Additions) -> Result<Checkpoint, Interrupted> {
        let mut transaction = begin(self.pool, BEGIN).await?;
        self.apply(&mut transaction, &batch.events).await?;
        additions.store(&mut transaction, self.lease.generation).await?;
        let checkpoint = self.lease.advance(&mut transaction, batch.from, batch.to, batch.caught_up).await??;
        transaction.commit().await?;
        Ok(checkpoint)
    }

    /// Folds events into the generation's tables, within the caller's transaction.
    pub(crate) async fn apply(
        &self,
        transaction: &mut Transaction<'static, Postgres>,
        events: &[&RecordedEvent],
    ) -> Result<(), ApplyError> {
        if events.is_empty() {
            return Ok(());
        }
        self.lease.generation.enter(transaction).await?;
        let applied = AssertUnwindSafe(self.projection.apply(transaction, events)).catch_unwind().await;
        applied.unwrap_or(Err(ApplyError::Panicked))
    }

    /// Tries again what waits of a stream, up to `position`, in the transaction that also says what still waits.
    pub(crate) async fn retry(
        &self,
        stream: &ParkedStream,
        waiting: &[&RecordedEvent],
        position: u64,
    ) -> Result<(), Interrupted> {
        let culprit = match self.limited(self.attempt(waiting)).await {
            Ok(()) => None,
            Err(Interrupted::Apply(error)) => Some(self.find_culprit(waiting, error).await?),
            Err(error) => return Err(error),
        };
        let applicable = culprit.as_ref().map_or(waiting.len(), |culprit| culprit.index);
        let (applied, still_waiting) = waiting.split_at(applicable);
        let committed = async {
            let mut transaction = begin(self.pool, BEGIN).await?;
            self.apply(&mut transaction, applied).await?;
            let generation = self.lease.generation;
            match (culprit, still_waiting.first()) {
                (Some(culprit), Some(first)) => {
                    let number = still_waiting.len().try_into().unwrap_or(u64::MAX);
                    parking::park(&mut transaction, generation, first, &culprit.error, number).await?;
                }
                _ => parking::release(&mut transaction, generation, stream).await?,
            }
            self.lease.advance(&mut transaction, position, position, true).await??;
            Ok(transaction.commit().await?)
        };
        self.limited(committed).await
    }

    /// The event itself, if the error names it; else the end of the shortest beginning of the batch that is refused.
    async fn find_culprit(&self, events: &[&RecordedEvent], error: ApplyError) -> Result<Culprit, Interrupted> {
        let (mut error, mut applicable, mut refused) = (error, 0, events.len());
        loop {
            let Some(reason) = poison(&error) else { return Err(error.into()) };
            let named = error.position().and_then(|named| events.iter().position(|event| event.position == named));
            if let Some(index) = named {
                return Ok(Culprit { index, error: reason });
            }
            loop {
                if refused - applicable <= 1 {
                    return Ok(Culprit { index: refused.saturating_sub(1), error: reason });
                }
                let middle = applicable + (refused - applicable) / 2;
                match self.limited(self.attempt(&events[..middle])).await {
                    Ok(()) => applicable = middle,
                    Err(Interrupted::Apply(again)) => {
                        (error, refused) = (again, middle);
                        break;
                    }
                    Err(other) => return Err(other),
                }
            }
        }
    }

    /// Folds events and forgets it.
    async fn attempt(&self, events: &[&RecordedEvent]) -> Result<(), Interrupted> {
        let mut transaction = begin(self.pool, BEGIN).await?;
        self.apply(&mut transaction, events).await?;
        transaction.rollback().await?;
        Ok(())
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, Interrupted>>) -> Result<T, Interrupted> {
        tokio::time::timeout(self.within, work).await.unwrap_or(Err(Interrupted::TooSlow))
    }

    fn alert(&self, additions: &Additions) {
        for (event, error) in additions.parked() {
            tracing::error!(
                projection = self.lease.generation.name,
                projection.generation = self.lease.generation.number,
                stream = %event.stream,
                event.position,
                event.event_type,
                error,
                "a stream is parked: its events wait until they are retried"
            );
        }
    }
}
