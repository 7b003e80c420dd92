//! Under which id, in whose name and in answer to what a step records what it learned.

use commands::ports::{Category, Metadata, Receipt, StoreError};
use commands::{Issued, trace};
use domain::PaymentId;
use domain::payment::Payment;

use super::{Interpreter, Seen, Trouble};
use crate::step::Due;

impl Interpreter {
    /// The metadata of the payment's newest event. One that cannot be read costs the trace, not the step.
    pub(super) async fn cause(&self, payment_id: PaymentId, version: u64) -> Result<Option<Metadata>, Trouble> {
        let stream = Category::of::<Payment>().stream(payment_id.to_string());
        let newest = self.payments().executor.store().read_stream(&stream, version.saturating_sub(1), 1).await;
        match newest {
            Ok(events) => Ok(events.first().and_then(|event| event.metadata().ok())),
            Err(StoreError::Unavailable(reason)) => Err(Trouble::Unavailable(reason)),
            Err(_) => Ok(None),
        }
    }
}

/// The command that records `outcome` of a step. Its id is made of what was seen and what was learned: the same thing
/// learned on the same version is one command, whoever records it and however often; the same answer on a later
/// version is a new one, so that a state that comes back (unknown, required, unknown) is recorded again.
pub(super) fn issued(seen: &Seen, due: &Due, outcome: &str) -> Issued {
    let payment_id = seen.record.payment_id();
    let purpose = format!("{}@{}:{}:{outcome}", due.saga, seen.version, due.step.as_str());
    let correlation = seen.cause.as_ref().map_or_else(|| payment_id.to_string(), |cause| cause.correlation_id.clone());
    let mut issued = Issued::internally(&format!("saga:{}", due.saga.kind()), &purpose, &correlation);
    issued.metadata.causation_id = Some(format!("payment/{payment_id}@{}", seen.version));
    let inherited = || seen.cause.as_ref().and_then(|cause| cause.traceparent.clone());
    issued.metadata.traceparent = trace::current_traceparent().or_else(inherited);
    issued
}

/// What the ledger said no to does not pass by itself.
pub(super) fn accepted(receipt: Receipt) -> Result<(), Trouble> {
    match receipt.rejection {
        None => Ok(()),
        Some(rejection) => Err(Trouble::Parked(format!("{}: {}", rejection.code, rejection.detail))),
    }
}
