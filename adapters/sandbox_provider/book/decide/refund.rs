//! Refunds of a charge or of one of its captures, never above what was captured and not disputed.

use super::Verdict;
use crate::sandbox_provider::book::State;
use crate::sandbox_provider::book::entry::{Entry, Ticket};
use crate::sandbox_provider::book::failure::Failure;
use crate::sandbox_provider::book::refusal::Refusal;
use crate::sandbox_provider::tokens::AtRefund;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct RefundRequest {
    pub(crate) reference: Arc<str>,
    /// Reference or id of a charge or of a capture.
    pub(crate) target: String,
    /// All that is left, if it is not given.
    pub(crate) amount: Option<i64>,
}

pub(crate) fn refund(state: &State, ticket: Ticket, request: RefundRequest) -> Verdict {
    let capture = match state.charge(&request.target) {
        Some(_) => None,
        None => state.capture(&request.target),
    };
    let charge = match capture {
        Some(capture) => state.charges.get(capture.charge),
        None => state.charge(&request.target),
    };
    let Some(charge) = charge else {
        return Verdict::refuse(ticket, Refusal::ChargeNotFound, None);
    };
    let index = charge.index;
    if state.is_taken(&request.reference) {
        return Verdict::refuse(ticket, Refusal::ReferenceInUse, Some(index));
    }
    if charge.captured == 0 {
        return Verdict::refuse(ticket, Refusal::ChargeNotCaptured, Some(index));
    }
    let (left, disputed) = match capture {
        Some(part) => (part.refundable().min(charge.refundable()), part.disputed),
        None => (charge.refundable(), charge.disputed),
    };
    let amount = request.amount.unwrap_or(left);
    if amount > left || amount == 0 {
        let is_disputed = disputed > 0 && amount <= left + disputed;
        let refusal = if is_disputed { Refusal::ChargeDisputed } else { Refusal::AmountTooLarge };
        return Verdict::refuse(ticket, refusal, Some(index));
    }

    let fails = charge.token.at_refund() == AtRefund::Fail;
    Verdict::answer(Entry::Refunded {
        ticket,
        charge: index,
        capture: capture.map(|capture| capture.index),
        reference: request.reference,
        amount,
        failure: fails.then_some(Failure::RefundRejected),
    })
}
