//! The merchant's side of a dispute: accepting it, or answering with evidence.

use super::Verdict;
use crate::sandbox_provider::book::State;
use crate::sandbox_provider::book::entry::{Entry, Ticket};
use crate::sandbox_provider::book::objects::{Dispute, DisputeStatus};
use crate::sandbox_provider::book::refusal::Refusal;
use std::sync::Arc;

pub(crate) fn accept_dispute(state: &State, ticket: Ticket, id: &str) -> Verdict {
    match open_dispute(state, id) {
        Ok(dispute) => {
            let entry = Entry::DisputeClosed { ticket: Some(ticket), dispute: dispute.index, won: false };
            Verdict::answer(entry)
        }
        Err((refusal, charge)) => Verdict::refuse(ticket, refusal, charge),
    }
}

/// `winning_evidence` and `losing_evidence` in the text bring about that verdict.
pub(crate) fn submit_evidence(state: &State, ticket: Ticket, id: &str, text: &str) -> Verdict {
    match open_dispute(state, id) {
        Ok(dispute) => {
            let won = match (text.contains("winning_evidence"), text.contains("losing_evidence")) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            };
            Verdict::answer(Entry::EvidenceSubmitted { ticket, dispute: dispute.index, won })
        }
        Err((refusal, charge)) => Verdict::refuse(ticket, refusal, charge),
    }
}

fn open_dispute<'a>(state: &'a State, id: &str) -> Result<&'a Arc<Dispute>, (Refusal, Option<usize>)> {
    let dispute = state.dispute(id).ok_or((Refusal::DisputeNotFound, None))?;
    match dispute.status {
        DisputeStatus::Opened => Ok(dispute),
        DisputeStatus::Won | DisputeStatus::Lost => Err((Refusal::DisputeClosed, Some(dispute.charge))),
    }
}
