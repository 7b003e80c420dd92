//! Charges and authorisations, and the customer's action that some of them wait for.

use super::{Manner, Verdict};
use crate::sandbox_provider::book::State;
use crate::sandbox_provider::book::entry::{Entry, Ticket};
use crate::sandbox_provider::book::failure::Failure;
use crate::sandbox_provider::book::objects::{Charge, ChargeStatus};
use crate::sandbox_provider::book::refusal::Refusal;
use crate::sandbox_provider::money::Currency;
use crate::sandbox_provider::tokens::{AtCharge, Token};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct ChargeRequest {
    pub(crate) reference: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) token: Token,
    pub(crate) capture: bool,
    pub(crate) return_url: Option<Arc<str>>,
}

pub(crate) fn charge(state: &State, ticket: Ticket, request: ChargeRequest) -> Verdict {
    if let Some(existing) = state.charge(&request.reference) {
        let is_cancelled = existing.status == ChargeStatus::Cancelled;
        let refusal = if is_cancelled { Refusal::ChargeCancelled } else { Refusal::ReferenceInUse };
        return Verdict::refuse(ticket, refusal, Some(existing.index));
    }
    if state.is_taken(&request.reference) {
        return Verdict::refuse(ticket, Refusal::ReferenceInUse, None);
    }
    let attempts = state.attempts(&request.reference);

    let succeeded = if request.capture { ChargeStatus::Succeeded } else { ChargeStatus::Authorized };
    let (status, failure, manner) = match request.token.at_charge() {
        AtCharge::HangOnce if attempts < 1 => return swallow(request, Manner::Hang),
        AtCharge::UnavailableTwice if attempts < 2 => return swallow(request, Manner::Unavailable),
        AtCharge::Succeed | AtCharge::HangOnce | AtCharge::UnavailableTwice => (succeeded, None, Manner::Answer),
        AtCharge::SucceedUnanswered => (succeeded, None, Manner::Hang),
        AtCharge::Fail(failure) => (ChargeStatus::Failed, Some(failure), Manner::Answer),
        AtCharge::Redirect => (ChargeStatus::RequiresAction, None, Manner::Answer),
        AtCharge::Later => (ChargeStatus::Pending, None, Manner::Answer),
    };
    let entry = Entry::Charged {
        ticket,
        reference: request.reference,
        amount: request.amount,
        currency: request.currency,
        token: request.token,
        capture: request.capture,
        return_url: request.return_url,
        status,
        failure,
    };
    Verdict { entry, manner }
}

fn swallow(request: ChargeRequest, manner: Manner) -> Verdict {
    Verdict { entry: Entry::Attempted { reference: request.reference }, manner }
}

/// The customer approves or declines. Doing it again is a no-op; `None` means nothing to record.
pub(crate) fn complete_action(charge: &Charge, approve: bool) -> Result<Option<Entry>, Refusal> {
    let (status, failure) = match (approve, charge.capture) {
        (true, true) => (ChargeStatus::Succeeded, None),
        (true, false) => (ChargeStatus::Authorized, None),
        (false, _) => (ChargeStatus::Failed, Some(Failure::ActionDeclined)),
    };
    match charge.status {
        ChargeStatus::RequiresAction => Ok(Some(Entry::Resolved { charge: charge.index, status, failure })),
        ChargeStatus::Cancelled => Err(Refusal::ChargeCancelled),
        _ if charge.token != Token::RequiresAction => Err(Refusal::ChargeNotWaiting),
        ChargeStatus::Succeeded | ChargeStatus::Authorized if approve => Ok(None),
        ChargeStatus::Succeeded | ChargeStatus::Authorized => Err(Refusal::ChargeNotWaiting),
        ChargeStatus::Failed if !approve => Ok(None),
        ChargeStatus::Failed => Err(Refusal::ChargeFailed),
        ChargeStatus::Pending => Err(Refusal::ChargeNotWaiting),
    }
}
