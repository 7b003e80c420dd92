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

mod capture;
mod process;
#[cfg(test)]
pub(crate) mod tests;

use domain::payment::{Charge, Phase, Record};
use domain::{PaymentId, Timestamp};

pub use process::PaymentProcess;
pub(crate) use process::{channel_of, record};

use crate::schedule::Schedule;
use crate::step::{Due, Step};

/// Call the channel for the money.
pub const CHARGE: Step = Step::new("charge", Schedule::AT_ONCE);
/// The answer to the charge was lost: ask.
pub const FIND_OUT_CHARGE: Step = Step::new("find_out_charge", Schedule::OUTCOME_UNKNOWN);
/// The channel works on the charge: ask whether it is done.
pub const AWAIT_CHANNEL: Step = Step::new("await_channel", Schedule::CHANNEL_WORKS);
/// The customer must act: ask whether it is done.
pub const AWAIT_CUSTOMER: Step = Step::new("await_customer", Schedule::CUSTOMER_ACTS);
/// The payment's time is over: say so.
pub const EXPIRE: Step = Step::new("expire", Schedule::AT_ONCE);
/// The payment is no longer wanted: make sure that it cannot succeed, or learn that it has.
pub const VOID_CHARGE: Step = Step::new("void_charge", Schedule::AT_ONCE);

/// The charge's idempotency key at the channel. Never derived from the attempt.
pub fn charge_key(payment_id: PaymentId) -> String {
    format!("{payment_id}:charge")
}

/// The key of a capture of held money.
pub fn capture_key(payment_id: PaymentId) -> String {
    format!("{payment_id}:capture")
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
    // A capture of held money ends when the channel says so, and by no clock of ours.
    let expires_at = record.terms.pre_auth_id.is_none().then_some(record.terms.expires_at);
    let step = match &open.charge {
        _ if !wanted => VOID_CHARGE,
        _ if expires_at.is_some_and(|expires_at| now >= expires_at) => EXPIRE,
        Charge::Due => CHARGE,
        Charge::OutcomeUnknown { .. } => FIND_OUT_CHARGE,
        Charge::Accepted => AWAIT_CHANNEL,
        Charge::ActionRequired(_) => AWAIT_CUSTOMER,
    };
    let deadline = expires_at.filter(|_| wanted && step != EXPIRE);
    Some(Due { deadline, ..Due::now(step) })
}
