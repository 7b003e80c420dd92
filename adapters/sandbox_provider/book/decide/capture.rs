//! Captures of an authorised charge: partial, repeated, until the last.

use super::Verdict;
use crate::sandbox_provider::book::State;
use crate::sandbox_provider::book::entry::{Entry, Ticket};
use crate::sandbox_provider::book::objects::ChargeStatus;
use crate::sandbox_provider::book::refusal::Refusal;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct CaptureRequest {
    pub(crate) target: String,
    pub(crate) reference: Arc<str>,
    /// All that is left, if it is not given.
    pub(crate) amount: Option<i64>,
    /// No capture follows: what is left is released.
    pub(crate) is_final: bool,
}

pub(crate) fn capture(state: &State, ticket: Ticket, request: CaptureRequest) -> Verdict {
    let Some(charge) = state.charge(&request.target) else {
        return Verdict::refuse(ticket, Refusal::ChargeNotFound, None);
    };
    let index = charge.index;
    if let Some(existing) = state.charge(&request.reference) {
        let is_tombstone = existing.status == ChargeStatus::Cancelled && existing.index != index;
        let refusal = if is_tombstone { Refusal::ChargeCancelled } else { Refusal::ReferenceInUse };
        return Verdict::refuse(ticket, refusal, Some(existing.index));
    }
    if state.is_taken(&request.reference) {
        return Verdict::refuse(ticket, Refusal::ReferenceInUse, Some(index));
    }
    let amount = request.amount.unwrap_or(charge.capturable());
    let refusal = match charge.status {
        ChargeStatus::Authorized if amount > charge.capturable() => Some(Refusal::AmountTooLarge),
        ChargeStatus::Authorized => None,
        ChargeStatus::Cancelled => Some(Refusal::ChargeCancelled),
        ChargeStatus::Succeeded => Some(Refusal::ChargeCaptured),
        ChargeStatus::Failed => Some(Refusal::ChargeFailed),
        ChargeStatus::Pending | ChargeStatus::RequiresAction => Some(Refusal::ChargeNotAuthorized),
    };
    if let Some(refusal) = refusal {
        return Verdict::refuse(ticket, refusal, Some(index));
    }

    let last = request.is_final || amount == charge.capturable();
    Verdict::answer(Entry::Captured { ticket, charge: index, reference: request.reference, amount, last })
}
