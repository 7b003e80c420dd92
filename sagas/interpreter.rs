//! Does what a saga has due: asks its process for the next step, has it performed, and goes on until nothing is due
//! now. Keeps no state of its own: killed anywhere, the next look at the saga's stream goes on from there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::ExponentialBuilder;
use commands::calls::{self, Caller};
use commands::ports::agenda::{ClaimedSaga, Settlement};
use commands::ports::{Category, ChannelCallLog, Clock, EventStore, Metadata, SagaId, SagaState, StoreError};
use commands::{CommandError, trace};
use domain::Timestamp;
use tracing::Instrument;

use crate::attempt::Attempt;
use crate::process::{Learned, Process, Processes, Seen, Trouble};
use crate::step::{Due, Step};

/// How long one go at a step insists before it comes back later.
#[derive(Debug, Clone)]
pub struct Patience {
    /// The waits between asking again after a lost answer.
    pub quick_rounds: ExponentialBuilder,
    /// Our own store or vault was not available: nobody tries before this.
    pub postpone: Duration,
    /// What a person must look at is tried again all the same.
    pub park: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            quick_rounds: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(200))
                .with_max_delay(Duration::from_secs(2))
                .with_max_times(4)
                .with_jitter(),
            postpone: Duration::from_secs(2),
            park: Duration::from_secs(60 * 60),
        }
    }
}

#[derive(Clone)]
pub struct Interpreter {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    processes: Processes,
    calls: Arc<dyn ChannelCallLog>,
    patience: Patience,
}

/// How a pump ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Pumped {
    /// The event that ends the saga was recorded just now; whoever follows the log strikes it off the agenda.
    ToItsEnd,
    Settled(Settlement),
}

impl Interpreter {
    pub fn new(
        store: Arc<dyn EventStore>,
        clock: Arc<dyn Clock>,
        processes: Processes,
        calls: Arc<dyn ChannelCallLog>,
        patience: Patience,
    ) -> Interpreter {
        Interpreter { store, clock, processes, calls, patience }
    }

    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Does one saga's steps until none is due now, and says when to come back.
    pub async fn pump(&self, claimed: &ClaimedSaga) -> Pumped {
        let mut attempts = claimed.attempts;
        let mut tried: Option<(Step, Learned)> = None;
        loop {
            let (seen, due) = match self.look(claimed).await {
                Ok(Some(found)) => found,
                Ok(None) if tried.is_some() => return Pumped::ToItsEnd,
                Ok(None) => return Pumped::Settled(Settlement::Finished),
                Err(trouble) => return self.troubled(&claimed.saga, attempts, trouble),
            };
            match tried.take() {
                Some((step, learned)) if step == due.step => {
                    return self.come_back(&claimed.saga, &due, attempts.saturating_add(1), learned.error);
                }
                Some(_) => {
                    attempts = 0;
                    if !due.is_at_once() {
                        return self.come_back(&claimed.saga, &due, 0, None);
                    }
                }
                None if due.not_before.is_some() && !claimed.by_hand => {
                    return self.come_back(&claimed.saga, &due, attempts, None);
                }
                None => {}
            }
            match self.perform(&seen, &due, attempts).await {
                Ok(learned) => tried = Some((due.step, learned)),
                Err(trouble) => return self.troubled(&claimed.saga, attempts, trouble),
            }
        }
    }

    /// The stream now and what this saga has due on it; `None` once it is finished.
    pub async fn look(&self, claimed: &ClaimedSaga) -> Result<Option<(Seen, Due)>, Trouble> {
        let saga = &claimed.saga;
        let process = self.process(saga)?;
        let category = process.category();
        let stream = self.store.load(category, &saga.stream_id).await.map_err(CommandError::from)?;
        if stream.version == 0 {
            return Err(Trouble::Unavailable(format!("{} cannot be seen yet", saga.stream_id)));
        }
        let Some(due) = process.due(saga, &stream, self.now())? else {
            return Ok(None);
        };
        let cause = match &claimed.metadata {
            Some(metadata) => Some(metadata.clone()),
            None => self.cause(category, &saga.stream_id, stream.version).await?,
        };
        Ok(Some((Seen { saga: saga.clone(), category, stream, cause }, due)))
    }

    /// Does one step once. Doing it again, here or on another node, changes nothing.
    pub async fn perform(&self, seen: &Seen, due: &Due, attempts: u32) -> Result<Learned, Trouble> {
        let process = self.process(&seen.saga)?;
        let (kind, step) = (process.kind(), due.step.name);
        let started = Instant::now();
        let span = tracing::info_span!(
            "saga.step",
            saga.kind = kind,
            saga.id = %seen.saga,
            saga.stream = seen.saga.stream_id,
            saga.step = step,
            attempt = attempts,
        );
        trace::set_parent(&span, seen.cause.as_ref().and_then(|cause| cause.traceparent.as_deref()));
        let quick_rounds = &self.patience.quick_rounds;
        let attempt = Attempt { seen, due, attempts, now: self.now(), quick_rounds };
        let performing = process.perform(&attempt).instrument(span);
        let performed = calls::noted(self.caller(seen, due, attempts), performing).await;
        let outcome = match &performed {
            Ok(learned) => learned.outcome,
            Err(Trouble::Unavailable(_)) => "unavailable",
            Err(Trouble::Parked(_)) => "parked",
        };
        metrics::counter!("saga_step_total", "saga" => kind, "step" => step, "outcome" => outcome).increment(1);
        metrics::histogram!("saga_step_duration_seconds", "saga" => kind, "step" => step).record(started.elapsed());
        performed
    }

    fn caller(&self, seen: &Seen, due: &Due, attempts: u32) -> Caller {
        Caller {
            log: self.calls.clone(),
            clock: self.clock.clone(),
            stream_id: seen.saga.stream_id.clone(),
            step: due.step.name,
            attempt: attempts.saturating_add(1),
        }
    }

    /// A newer program on the same agenda may have sagas that this one knows nothing of: they are left to it.
    fn process(&self, saga: &SagaId) -> Result<&dyn Process, Trouble> {
        let process = self.processes.of_kind(&saga.kind);
        process.ok_or_else(|| Trouble::Unavailable(format!("this program has no saga of the kind {}", saga.kind)))
    }

    /// The metadata of the stream's newest event. One that cannot be read costs the trace, not the step.
    async fn cause(&self, category: Category, id: &str, version: u64) -> Result<Option<Metadata>, Trouble> {
        match self.store.read_stream(&category.stream(id), version.saturating_sub(1), 1).await {
            Ok(events) => Ok(events.first().and_then(|event| event.metadata().ok())),
            Err(StoreError::Unavailable(reason)) => Err(Trouble::Unavailable(reason)),
            Err(_) => Ok(None),
        }
    }

    fn come_back(&self, saga: &SagaId, due: &Due, attempts: u32, error: Option<String>) -> Pumped {
        let state = if due.alerts(attempts) { SagaState::Stuck } else { SagaState::Waiting };
        if state == SagaState::Stuck {
            let reason = error.as_deref().unwrap_or("no outcome yet");
            alert(saga, attempts, reason);
        }
        Pumped::Settled(Settlement::ComeBack { state, due_at: due.at(self.now(), attempts), attempts, error })
    }

    fn troubled(&self, saga: &SagaId, attempts: u32, trouble: Trouble) -> Pumped {
        match trouble {
            Trouble::Unavailable(error) => {
                tracing::warn!(saga.id = %saga, attempt = attempts, error, "a saga waits for our own side");
                Pumped::Settled(Settlement::Postponed { until: self.now().plus(self.patience.postpone), error })
            }
            Trouble::Parked(error) => {
                let attempts = attempts.saturating_add(1);
                alert(saga, attempts, &error);
                let due_at = self.now().plus(self.patience.park);
                let error = Some(error);
                Pumped::Settled(Settlement::ComeBack { state: SagaState::Stuck, due_at, attempts, error })
            }
        }
    }
}

fn alert(saga: &SagaId, attempts: u32, reason: &str) {
    tracing::error!(
        saga.kind = %saga.kind, saga.id = %saga, saga.stream = saga.stream_id, attempt = attempts, reason,
        "a saga is stuck: a person should look"
    );
}
