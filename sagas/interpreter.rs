//! Does what a saga has due: calls the channel, records what it said, and goes on until nothing is due now.
//! Keeps no state of its own: killed anywhere, the next look at the payment's stream goes on from there.

mod charge;
mod recording;
mod refund;

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use commands::payment::Payments;
use commands::ports::agenda::{ClaimedSaga, Settlement};
use commands::ports::{Metadata, SagaId, SagaState};
use commands::{CommandError, trace};
use domain::Timestamp;
use domain::payment::{Payment, Record};
use tracing::Instrument;

use crate::step::{Due, Step, next_step};

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
    payments: Payments,
    patience: Patience,
}

/// A payment as a step was found due on it, and the event that this goes back to.
#[derive(Debug, Clone)]
pub struct Seen {
    pub record: Record,
    pub version: u64,
    pub cause: Option<Metadata>,
}

/// What a step came to: a word for the metrics, and why it was in vain if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    pub outcome: &'static str,
    pub error: Option<String>,
}

/// How a pump ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Pumped {
    /// The event that ends the saga was recorded just now; whoever follows the log strikes it off the agenda.
    ToItsEnd,
    Settled(Settlement),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody's fault and nobody's business: it passes.
    #[error("{0}")]
    Unavailable(String),
    /// It does not pass by itself.
    #[error("{0}")]
    Parked(String),
}

impl From<CommandError> for Trouble {
    fn from(error: CommandError) -> Self {
        match &error {
            CommandError::Unavailable(_) | CommandError::Conflict | CommandError::InFlight => {
                Trouble::Unavailable(error.to_string())
            }
            CommandError::Invalid { .. } | CommandError::KeyReused | CommandError::Bug(_) => {
                Trouble::Parked(error.to_string())
            }
        }
    }
}

impl Interpreter {
    pub fn new(payments: Payments, patience: Patience) -> Interpreter {
        Interpreter { payments, patience }
    }

    pub fn payments(&self) -> &Payments {
        &self.payments
    }

    pub fn now(&self) -> Timestamp {
        self.payments.clock.now()
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
                Err(trouble) => return self.troubled(claimed.saga, attempts, trouble),
            };
            match tried.take() {
                Some((step, learned)) if step == due.step => {
                    return self.come_back(&due, attempts.saturating_add(1), learned.error);
                }
                Some(_) => {
                    attempts = 0;
                    if !due.is_at_once() {
                        return self.come_back(&due, 0, None);
                    }
                }
                None if due.not_before.is_some() => return self.come_back(&due, attempts, None),
                None => {}
            }
            match self.perform(&seen, &due, attempts).await {
                Ok(learned) => tried = Some((due.step, learned)),
                Err(trouble) => return self.troubled(claimed.saga, attempts, trouble),
            }
        }
    }

    /// The payment now and what this saga has due on it; `None` once it is finished.
    pub async fn look(&self, claimed: &ClaimedSaga) -> Result<Option<(Seen, Due)>, Trouble> {
        let payment_id = claimed.saga.payment_id();
        let stream = self.payments.load(payment_id).await?;
        let record = stream.of::<Payment>().and_then(|state| state.record());
        let record = record.ok_or_else(|| Trouble::Unavailable(format!("{payment_id} cannot be seen yet")))?;
        let Some(due) = next_step(record, claimed.saga, self.now()) else {
            return Ok(None);
        };
        let cause = match &claimed.metadata {
            Some(metadata) => Some(metadata.clone()),
            None => self.cause(payment_id, stream.version).await?,
        };
        Ok(Some((Seen { record: record.clone(), version: stream.version, cause }, due)))
    }

    /// Does one step once. Doing it again, here or on another node, changes nothing.
    pub async fn perform(&self, seen: &Seen, due: &Due, attempts: u32) -> Result<Learned, Trouble> {
        let started = Instant::now();
        let span = tracing::info_span!(
            "saga.step",
            payment.id = %seen.record.payment_id(),
            saga.kind = due.saga.kind(),
            saga.id = %due.saga,
            saga.step = due.step.as_str(),
            attempt = attempts,
        );
        trace::set_parent(&span, seen.cause.as_ref().and_then(|cause| cause.traceparent.as_deref()));
        let performed = async {
            match due.saga {
                SagaId::Payment(_) => self.perform_charge(seen, due, attempts).await,
                SagaId::Refund(_, refund_id) => self.perform_refund(seen, due, refund_id, attempts).await,
            }
        };
        let performed = performed.instrument(span).await;
        let outcome = match &performed {
            Ok(learned) => learned.outcome,
            Err(Trouble::Unavailable(_)) => "unavailable",
            Err(Trouble::Parked(_)) => "parked",
        };
        let (saga, step) = (due.saga.kind(), due.step.as_str());
        metrics::counter!("saga_step_total", "saga" => saga, "step" => step, "outcome" => outcome).increment(1);
        metrics::histogram!("saga_step_duration_seconds", "saga" => saga, "step" => step).record(started.elapsed());
        performed
    }

    /// Asks `again`, quickly and a few times, while the answer is unknown. Who was here in vain before asks once.
    async fn insist<A, F: Future<Output = A>>(
        &self,
        first: A,
        attempts: u32,
        is_unknown: fn(&A) -> bool,
        again: impl Fn() -> F,
    ) -> A {
        let mut answer = first;
        for wait in self.patience.quick_rounds.build() {
            if attempts > 0 || !is_unknown(&answer) {
                break;
            }
            tokio::time::sleep(wait).await;
            answer = again().await;
        }
        answer
    }

    fn come_back(&self, due: &Due, attempts: u32, error: Option<String>) -> Pumped {
        let state = if due.alerts(attempts) { SagaState::Stuck } else { SagaState::Waiting };
        if state == SagaState::Stuck {
            let reason = error.as_deref().unwrap_or("no outcome yet");
            alert(due.saga, attempts, reason);
        }
        Pumped::Settled(Settlement::ComeBack { state, due_at: due.at(self.now(), attempts), attempts, error })
    }

    fn troubled(&self, saga: SagaId, attempts: u32, trouble: Trouble) -> Pumped {
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

fn alert(saga: SagaId, attempts: u32, reason: &str) {
    tracing::error!(
        payment.id = %saga.payment_id(), saga.id = %saga, attempt = attempts, reason,
        "a saga is stuck: a person should look"
    );
}
