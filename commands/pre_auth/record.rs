//! Records what a channel said about an authorisation, whoever heard it, and carries the outcome of a capture's payment
//! to its pre-auth.

use domain::order_claim::{self, Holder, OrderClaim};
use domain::pre_auth::{AuthorizationOutcome, CaptureOutcome, Command, Event, PreAuth, PreAuthRejection};
use domain::{Decider, PaymentId, PreAuthId, Timestamp, payment};

use super::{PreAuths, pre_auth_events};
use crate::executor::{CommandError, Issued};
use crate::ports::{AuthorizationAnswer, NewEvent, Receipt, StreamState, nth_state};

impl PreAuths {
    pub async fn record_authorization(
        &self,
        issued: Issued,
        pre_auth_id: PreAuthId,
        answer: AuthorizationAnswer,
    ) -> Result<Receipt, CommandError> {
        let terms = self.terms(pre_auth_id).await?;
        let terms = terms.ok_or_else(|| CommandError::Bug(format!("the channel was asked for {pre_auth_id}")))?;
        let outcome = match answer {
            AuthorizationAnswer::Authorized { channel_reference, amount, capture_before } => {
                AuthorizationOutcome::Authorized { channel_reference, amount, capture_before }
            }
            AuthorizationAnswer::ActionRequired { channel_reference, url } => {
                let vault = &self.payments.vault;
                match vault.seal_beside(&terms.sealed, &pre_auth_id.to_string(), url.as_bytes()).await? {
                    Some(action) => AuthorizationOutcome::ActionRequired { channel_reference, action },
                    // Nobody may be shown the page of a customer who was erased.
                    None => AuthorizationOutcome::Accepted { channel_reference },
                }
            }
            AuthorizationAnswer::Accepted { channel_reference } => AuthorizationOutcome::Accepted { channel_reference },
            AuthorizationAnswer::Declined { channel_reference, failure } => {
                AuthorizationOutcome::Declined { channel_reference, failure }
            }
            AuthorizationAnswer::Released => AuthorizationOutcome::Released,
            AuthorizationAnswer::NotFound | AuthorizationAnswer::Unknown { .. } => AuthorizationOutcome::Unknown,
        };
        let command = Command::RecordAuthorization { outcome, at: self.payments.clock.now() };
        self.decide(issued, pre_auth_id, None, command).await
    }
}

/// What a payment's events mean for the pre-auth that it is a capture of, where they mean anything.
pub(crate) fn capture_events(
    states: &[StreamState],
    pre_auth: usize,
    payment_id: PaymentId,
    decided: &[payment::Event],
    at: Timestamp,
) -> Result<Vec<Event>, PreAuthRejection> {
    let outcome = decided.iter().find_map(|event| match event {
        payment::Event::Captured(captured) => Some(CaptureOutcome::Succeeded { amount: captured.amount }),
        payment::Event::Failed(_) | payment::Event::Cancelled { .. } | payment::Event::Expired { .. } => {
            Some(CaptureOutcome::Failed)
        }
        _ => None,
    });
    match outcome {
        Some(outcome) => pre_auth_events(states, pre_auth, None, Command::RecordCapture { payment_id, outcome, at }),
        None => Ok(vec![]),
    }
}

/// What the pre-auth's captures may still bring behind these events, in minor units.
pub(crate) fn open_amount(states: &[StreamState], pre_auth: usize, events: &[Event]) -> i64 {
    let after = events.iter().fold(nth_state::<PreAuth>(states, pre_auth).clone(), PreAuth::evolve);
    after.record().map_or(0, |record| record.open_amount())
}

/// The release of the order's number, where these events end the pre-auth without a capture. `states` holds the pre-auth
/// and the claim at these places.
pub(crate) fn freed_claim(
    states: &[StreamState],
    (pre_auth, claim): (usize, usize),
    events: &[Event],
) -> Vec<NewEvent> {
    let before = nth_state::<PreAuth>(states, pre_auth);
    let after = events.iter().fold(before.clone(), PreAuth::evolve);
    let ended = |state: &domain::pre_auth::State| state.record().is_some_and(|record| record.ended_without_capture());
    let Some(record) = after.record().filter(|_| ended(&after) && !ended(before)) else {
        return vec![];
    };
    let release = order_claim::Command::Release { holder: Holder::PreAuth(record.terms.pre_auth_id) };
    let released = OrderClaim::decide(nth_state::<OrderClaim>(states, claim), release).unwrap_or_default();
    released.into_iter().map(|event| NewEvent::of(claim, event)).collect()
}
