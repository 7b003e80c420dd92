//! Asks for a capture: the pre-auth's request and the payment that it becomes, in one entry.

use std::sync::Arc;

use domain::payment::{self, Payment, PaymentRejection};
use domain::pre_auth::{Command, Created, Event, PreAuth, RequestCapture};
use domain::{Decider, MerchantId, Money, PaymentId, PreAuthId, Sealed, Timestamp};

use super::{PreAuths, pre_auth_events};
use crate::executor::{CommandError, Issued};
use crate::payment::PaymentDetails;
use crate::ports::{Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state, state_of};

#[derive(Clone)]
pub struct CapturePreAuth {
    pub pre_auth_id: PreAuthId,
    /// A fresh id of the payment; a repeat of the command keeps the first one's.
    pub payment_id: PaymentId,
    /// The merchant who asks.
    pub merchant_id: MerchantId,
    /// Minor units; without it, what is left.
    pub amount: Option<i64>,
    pub is_final: bool,
}

impl PreAuths {
    pub async fn capture(&self, issued: Issued, capture: CapturePreAuth) -> Result<Receipt, CommandError> {
        let executor = &self.payments.executor;
        if let Some(receipt) = executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let stream = self.load(capture.pre_auth_id).await?;
        let record = state_of::<PreAuth>(&stream).record();
        let own = record.filter(|record| record.terms.merchant_id == capture.merchant_id);
        let sealed = match own {
            Some(record) => {
                let rest = record.hold().map(|hold| hold.rest());
                self.check_amount(&record.terms, capture.amount.or(rest))?;
                Some(self.sealed_for_capture(&record.terms, capture.payment_id).await?)
            }
            None => None,
        };
        let at = self.payments.clock.now();
        // The pre-auth before its payment: in a store that appends them one after the other, what was asked for and
        // not created is held in flight, and the channel is never called for it.
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: capture.pre_auth_id.to_string(),
            streams: vec![
                StreamRef::new::<PreAuth>(capture.pre_auth_id.to_string(), Expected::Any),
                StreamRef::new::<Payment>(capture.payment_id.to_string(), Expected::New),
            ],
            decide: Arc::new(move |states| decide(states, &capture, sealed.as_ref(), at)),
        };
        executor.execute(request).await
    }

    /// The channel must be able to express the part, too. What is no amount at all the pre-auth refuses by itself.
    fn check_amount(&self, terms: &Created, amount: Option<i64>) -> Result<(), CommandError> {
        let amount = amount.filter(|amount| *amount > 0).and_then(|amount| Money::new(amount, terms.currency).ok());
        match amount {
            Some(amount) => self.payments.channels.choose(Some(&terms.channel), amount).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The payment's own copy of the details, under the customer's key. It has no token: nothing is charged any more.
    async fn sealed_for_capture(&self, terms: &Created, payment_id: PaymentId) -> Result<Sealed, CommandError> {
        let vault = &self.payments.vault;
        let details = PaymentDetails { token: String::new(), ..self.details(terms).await?.unwrap_or_default() };
        let text = serde_json::to_vec(&details).map_err(|error| CommandError::Bug(error.to_string()))?;
        match vault.seal_beside(&terms.sealed, &payment_id.to_string(), &text).await? {
            Some(sealed) => Ok(sealed),
            // The customer was erased: there is nothing left to tell of them.
            None => {
                let subject = PaymentDetails::default().subject(terms.merchant_id);
                let nothing = serde_json::to_vec(&PaymentDetails::default());
                let nothing = nothing.map_err(|error| CommandError::Bug(error.to_string()))?;
                Ok(vault.seal(&subject, &payment_id.to_string(), &nothing).await?)
            }
        }
    }
}

fn decide(states: &[StreamState], capture: &CapturePreAuth, sealed: Option<&Sealed>, at: Timestamp) -> Decision {
    let command = Command::RequestCapture(RequestCapture {
        payment_id: capture.payment_id,
        amount: capture.amount,
        is_final: capture.is_final,
        at,
    });
    let requested = match pre_auth_events(states, 0, Some(capture.merchant_id), command) {
        Ok(events) => events,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    let terms = nth_state::<PreAuth>(states, 0).record().map(|record| &record.terms);
    let created = match (terms, sealed, requested.first()) {
        (Some(terms), Some(sealed), Some(Event::CaptureRequested(asked))) => {
            let created = payment_terms(terms, asked.payment_id, asked.amount, sealed.clone(), at);
            Payment::decide(nth_state::<Payment>(states, 1), payment::Command::Create(created))
        }
        (_, None, Some(_)) => Err(PaymentRejection::NotFound),
        _ => Ok(vec![]),
    };
    match created {
        Ok(created) => {
            let created = created.into_iter().map(|event| NewEvent::of(1, event));
            Decision::Append(requested.into_iter().map(|event| NewEvent::of(0, event)).chain(created).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}

/// What the capture is as a payment. It has the pre-auth's prices, so that what was agreed when the money was held stays.
fn payment_terms(
    terms: &Created,
    payment_id: PaymentId,
    amount: i64,
    sealed: Sealed,
    created_at: Timestamp,
) -> payment::Created {
    payment::Created {
        payment_id,
        merchant_id: terms.merchant_id,
        order_no: terms.order_no.clone(),
        amount,
        currency: terms.currency,
        channel: terms.channel.clone(),
        method: terms.method.clone(),
        pricing: terms.pricing,
        expected_channel_fee_rate: terms.expected_channel_fee_rate,
        limit: None,
        order_id: terms.order_id,
        sealed,
        pre_auth_id: Some(terms.pre_auth_id),
        created_at,
        expires_at: terms.expires_at,
    }
}
