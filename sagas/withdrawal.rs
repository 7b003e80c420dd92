//! The saga of a withdrawal on its way through the bank: what its stream says is due next. Pure.
//!
//! ```text
//! approved ──cooled off──▶ start sending ──▶ send ──▶ await the bank ──▶ paid or failed, finished
//! ```
//!
//! Why the races are safe: once sending has started nobody can stop the withdrawal any more, so no instruction goes out
//! for money that was given back; the instruction is the same file under the same ids in each repeat, which the bank
//! takes once; and what the bank tells is decided on the newest state, where old news is no event.

mod process;
#[cfg(test)]
mod tests;

use domain::Timestamp;
use domain::withdrawal::{Phase, Record};

pub use process::WithdrawalProcess;

use crate::schedule::Schedule;
use crate::step::{Due, Step};

/// Make sure that nobody stops it any more.
pub const START_SENDING: Step = Step::new("start_sending", Schedule::AT_ONCE);
/// Hand the instruction to the bank.
pub const SEND: Step = Step::new("send", Schedule::AT_ONCE);
/// The bank works on it: look what it has told.
pub const AWAIT_BANK: Step = Step::new("await_bank", Schedule::BANK_WORKS);

pub fn next_step(record: &Record, now: Timestamp) -> Option<Due> {
    match record.phase {
        Phase::Approved { send_not_before } => {
            let not_before = (now < send_not_before).then_some(send_not_before);
            Some(Due { not_before, ..Due::now(START_SENDING) })
        }
        Phase::Sending { .. } => Some(Due::now(SEND)),
        Phase::Sent { .. } => Some(Due::now(AWAIT_BANK)),
        Phase::Requested
        | Phase::Paid { .. }
        | Phase::Failed(_)
        | Phase::Returned { .. }
        | Phase::Rejected { .. }
        | Phase::Cancelled => None,
    }
}
