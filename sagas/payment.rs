//! The saga of a payment's charge: what its stream says is due next, and under which keys the channel knows it. Pure.
//!
//! ```text
//! charge ──answer──▶ recorded, finished
//!   │ lost             ▲
//!   ├──▶ find out ─────┤       expiry, cancellation
//!   ├──▶ await channel ┤  any ──────────────────────▶ void ──▶ recorded: voided, or captured
//!   └──▶ await customer┘                                       and then refunded by its own saga
//! ```
//!
//! Why the races are safe: the charge has one key for ever, so a second call is a repeat; a void leaves a tombstone
//! under it, so a charge that arrives late cannot take effect; and what a channel tells is decided on the newest
//! state, where old news is no event.

#[cfg(test)]
pub(crate) mod tests;

use commands::ports::SagaId;
use domain::payment::{Charge, Phase, Record};
use domain::{PaymentId, Timestamp};

use crate::step::{Due, Step};

/// The charge's idempotency key at the channel. Never derived from the attempt.
pub fn charge_key(payment_id: PaymentId) -> String {
    format!("{payment_id}:charge")
}

/// The void's own key: under the charge's, a channel would take it for a repeat.
pub fn void_key(payment_id: PaymentId) -> String {
    format!("{payment_id}:undo-charge")
}

pub fn next_step(record: &Record, now: Timestamp) -> Option<Due> {
    let Phase::Open(open) = &record.phase else {
        return None;
    };
    let wanted = open.cancellation.is_none();
    let step = match &open.charge {
        _ if !wanted => Step::VoidCharge,
        _ if now >= record.terms.expires_at => Step::Expire,
        Charge::Due => Step::Charge,
        Charge::OutcomeUnknown { .. } => Step::FindOutCharge,
        Charge::Accepted => Step::AwaitChannel,
        Charge::ActionRequired(_) => Step::AwaitCustomer,
    };
    let deadline = (wanted && step != Step::Expire).then_some(record.terms.expires_at);
    Some(Due { saga: SagaId::Payment(record.payment_id()), step, deadline, not_before: None, tried_before: 0 })
}
