//! The saga of a pre-auth: what its stream says is due next, and under which keys the channel knows it. Pure. Each
//! capture is a payment and has that payment's saga.
//!
//! ```text
//! authorize ──answer──▶ held ───expiry───▶ closed ──captures answered──▶ release ──▶ finished
//!   │ lost               ▲  └─final capture, cancel─┘
//!   ├──▶ find out ───────┤
//!   ├──▶ await channel ──┤   cancelled or too late: release ──▶ recorded: nothing is held
//!   └──▶ await customer ─┘
//! ```
//!
//! Why the races are safe: the authorisation has one key for ever; releasing leaves a tombstone under it, so one that
//! arrives late holds nothing; and the hold is released only once no capture is in flight, so none finds it gone.

mod process;
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::pre_auth::{Authorization, Hold, Open, Phase, Record};
use domain::{PreAuthId, Timestamp};

pub use process::PreAuthProcess;
pub(crate) use process::authorizations_of;

use crate::schedule::Schedule;
use crate::step::{Due, Step};

/// Call the channel to hold the money.
pub const AUTHORIZE: Step = Step::new("authorize", Schedule::AT_ONCE);
/// The answer to that was lost: ask.
pub const FIND_OUT_AUTHORIZATION: Step = Step::new("find_out_authorization", Schedule::OUTCOME_UNKNOWN);
/// The channel works on it: ask whether it is done.
pub const AWAIT_CHANNEL: Step = Step::new("await_channel", Schedule::CHANNEL_WORKS);
/// The customer must act: ask whether it is done.
pub const AWAIT_CUSTOMER: Step = Step::new("await_customer", Schedule::CUSTOMER_ACTS);
/// Its time is over: say so.
pub const EXPIRE: Step = Step::new("expire", Schedule::AT_ONCE);
/// Captures are in flight: what becomes of them wakes this saga, which looks again now and then all the same.
pub const AWAIT_CAPTURES: Step = Step::new("await_captures", Schedule::AT_ONCE);
/// Nothing more is wanted of the money: make sure that the channel holds none.
pub const RELEASE: Step = Step::new("release", Schedule::AT_ONCE);

const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);

/// The authorisation's idempotency key at the channel. Never derived from the attempt.
pub fn authorize_key(pre_auth_id: PreAuthId) -> String {
    format!("{pre_auth_id}:authorize")
}

/// The release's own key: under the authorisation's, a channel would take it for a repeat.
pub fn release_key(pre_auth_id: PreAuthId) -> String {
    format!("{pre_auth_id}:undo-authorize")
}

pub fn next_step(record: &Record, now: Timestamp) -> Option<Due> {
    match &record.phase {
        Phase::Open(open) => Some(of_open(record, open, now)),
        Phase::Authorized(hold) => of_held(hold, now),
        Phase::Failed(_) | Phase::Cancelled | Phase::Expired => None,
    }
}

fn of_open(record: &Record, open: &Open, now: Timestamp) -> Due {
    let until = record.terms.authorize_before;
    let step = match &open.authorization {
        _ if open.cancellation.is_some() => return Due::now(RELEASE),
        _ if now >= until => return Due::now(EXPIRE),
        Authorization::Due => AUTHORIZE,
        Authorization::OutcomeUnknown { .. } => FIND_OUT_AUTHORIZATION,
        Authorization::Accepted => AWAIT_CHANNEL,
        Authorization::ActionRequired(_) => AWAIT_CUSTOMER,
    };
    Due { deadline: Some(until), ..Due::now(step) }
}

fn of_held(hold: &Hold, now: Timestamp) -> Option<Due> {
    if hold.is_open() {
        let not_before = (now < hold.expires_at).then_some(hold.expires_at);
        return Some(Due { not_before, ..Due::now(EXPIRE) });
    }
    if hold.in_flight() > 0 {
        return Some(Due { not_before: Some(now.plus(LOOK_AGAIN_AFTER)), ..Due::now(AWAIT_CAPTURES) });
    }
    hold.is_to_be_released().then(|| Due::now(RELEASE))
}
