//! The saga of one dispute: what its stream says is due next, and under which keys the channel knows it. Pure.
//!
//! ```text
//! opened ──▶ await verdict ──▶ recorded, finished
//!               │   ▲
//! answered ──▶ send evidence | send acceptance
//! ```
//!
//! Verdicts take months and their webhooks may be lost, so the channel is asked, ever more rarely. An answer of the
//! merchant has one key for ever; an acceptance goes before evidence that is no longer of use.

mod process;
#[cfg(test)]
mod tests;

pub use commands::dispute::{acceptance_key, evidence_key};
use domain::dispute::{Answer, Record};

pub use process::DisputeProcess;

use crate::schedule::Schedule;
use crate::step::{Due, Step};

/// Hand in the merchant's evidence.
pub const SEND_EVIDENCE: Step = Step::new("send_evidence", Schedule::AT_ONCE);
/// Tell the channel that the merchant gives the money up.
pub const SEND_ACCEPTANCE: Step = Step::new("send_acceptance", Schedule::AT_ONCE);
/// The channel decides: ask whether it has.
pub const AWAIT_VERDICT: Step = Step::new("await_verdict", Schedule::VERDICT);

pub fn next_step(record: &Record) -> Option<Due> {
    if !record.is_open() {
        return None;
    }
    Some(Due::now(match record.due() {
        Some(Answer::Accepted { .. }) => SEND_ACCEPTANCE,
        Some(_) => SEND_EVIDENCE,
        None => AWAIT_VERDICT,
    }))
}
