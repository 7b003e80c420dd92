//! What a call becomes: always one entry, refusals and no-ops included, and how it is answered.
//! Pure functions of the state and the request.

mod cancel;
mod capture;
mod charge;
mod dispute;
mod refund;

pub(crate) use cancel::cancel;
pub(crate) use capture::{CaptureRequest, capture};
pub(crate) use charge::{ChargeRequest, charge, complete_action};
pub(crate) use dispute::{accept_dispute, submit_evidence};
pub(crate) use refund::{RefundRequest, refund};

use super::entry::{Entry, Ticket};
use super::refusal::Refusal;

/// How the caller learns of the entry once it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Answer,
    /// The connection is held, then dropped.
    Hang,
    Unavailable,
}

#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) entry: Entry,
    pub(crate) manner: Manner,
}

impl Verdict {
    fn answer(entry: Entry) -> Self {
        Self { entry, manner: Manner::Answer }
    }

    fn refuse(ticket: Ticket, refusal: Refusal, charge: Option<usize>) -> Self {
        Self::answer(Entry::Refused { ticket, refusal, charge })
    }
}
