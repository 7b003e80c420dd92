//! One go at one step: what was seen, how long it may insist, and under which id, in whose name and in answer to what
//! it records what it learned.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use commands::ports::{Receipt, SagaId, state_of};
use commands::{Issued, trace};
use domain::{Decider, Timestamp};

use crate::process::{Seen, Trouble};
use crate::step::Due;

/// An intent this old may have been called for before, longer ago than a channel remembers keys: ask first.
pub const FRESH: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub struct Attempt<'a> {
    pub seen: &'a Seen,
    pub due: &'a Due,
    /// How often the step was tried in vain before.
    pub attempts: u32,
    pub now: Timestamp,
    /// The waits between asking again after a lost answer.
    pub quick_rounds: &'a ExponentialBuilder,
}

impl Attempt<'_> {
    pub fn saga(&self) -> &SagaId {
        &self.seen.saga
    }

    /// # Panics
    /// If `D` is not the aggregate of the process's category.
    pub fn state<D: Decider>(&self) -> &D::State {
        state_of::<D>(&self.seen.stream)
    }

    /// Asks `again`, quickly and a few times, while the answer is unknown. Who was here in vain before asks once.
    pub async fn insist<A, F: Future<Output = A>>(
        &self,
        first: A,
        is_unknown: fn(&A) -> bool,
        again: impl Fn() -> F,
    ) -> A {
        let mut answer = first;
        for wait in self.quick_rounds.build() {
            if self.attempts > 0 || !is_unknown(&answer) {
                break;
            }
            tokio::time::sleep(wait).await;
            answer = again().await;
        }
        answer
    }

    /// The command that records `outcome` of the step. Its id is made of what was seen and what was learned: the same
    /// thing learned on the same version is one command, whoever records it and however often; the same answer on a
    /// later version is a new one, so that a state that comes back (unknown, required, unknown) is recorded again.
    pub fn issued(&self, outcome: &str) -> Issued {
        let Seen { saga, category, stream, cause } = self.seen;
        let purpose = format!("{saga}@{}:{}:{outcome}", stream.version, self.due.step.name);
        let correlation = cause.as_ref().map_or(&saga.stream_id, |cause| &cause.correlation_id);
        let mut issued = Issued::internally(&format!("saga:{}", saga.kind), &purpose, correlation);
        issued.metadata.causation_id = Some(format!("{}/{}@{}", category.name, saga.stream_id, stream.version));
        let inherited = || cause.as_ref().and_then(|cause| cause.traceparent.clone());
        issued.metadata.traceparent = trace::current_traceparent().or_else(inherited);
        issued
    }
}

/// What the ledger said no to does not pass by itself.
pub fn accepted(receipt: Receipt) -> Result<(), Trouble> {
    match receipt.rejection {
        None => Ok(()),
        Some(rejection) => Err(Trouble::Parked(format!("{}: {}", rejection.code, rejection.detail))),
    }
}
