//! Asks for a capture: the pre-auth's request, the payment that it becomes and that payment's part of the merchant's
//! limits, in one entry.

use std::sync::Arc;

use domain::payment::{self, Payment, PaymentRejection};
use domain::pre_auth::{Command, Created, Event, PreAuth, RequestCapture};
use domain::{Decider, MerchantId, Money, PaymentId, PreAuthId, Sealed, Timestamp};

use super::{PreAuths, pre_auth_events};
use crate::channels::expresses;
use crate::executor::{CommandError, Issued};
use crate::merchant::standing::{self, Standing};
use crate::payment::{PaymentDetails, limits};
use crate::ports::{
    Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef, StreamState, nth_state, state_of,
};

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

/// A capture ready to be decided. Without sealed details there is no such pre-auth for this merchant.
#[derive(Clone)]
struct Draft {
    capture: CapturePreAuth,
    sealed: Option<Sealed>,
    at: Timestamp,
}

/// The capture's own streams, in their order.
const PRE_AUTH: usize = 0;
const PAYMENT: usize = 1;
const LIMITS: usize = 2;

impl PreAuths {
    pub async fn capture(&self, issued: Issued, capture: CapturePreAuth) -> Result<Receipt, CommandError> {
        let (executor, merchant_id) = (&self.payments.executor, capture.merchant_id);
        if let Some(receipt) = executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let pre_auth = StreamRef::new::<PreAuth>(capture.pre_auth_id.to_string(), Expected::Any);
        let draft = match self.draft_capture(capture).await {
            Ok(draft) => draft,
            Err(error) => return executor.refuse(issued, pre_auth, error).await,
        };
        let request = |standing| draft.clone().request(issued.clone(), standing);
        standing::execute(executor, merchant_id, draft.at, request).await
    }

    async fn draft_capture(&self, capture: CapturePreAuth) -> Result<Draft, CommandError> {
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
        Ok(Draft { capture, sealed, at: self.payments.clock.now() })
    }

    /// The channel must be able to express the part, too. What is no amount at all the pre-auth refuses by itself.
    fn check_amount(&self, terms: &Created, amount: Option<i64>) -> Result<(), CommandError> {
        let amount = amount.filter(|amount| *amount > 0).and_then(|amount| Money::new(amount, terms.currency).ok());
        let Some(amount) = amount else { return Ok(()) };
        let name = &terms.channel;
        let channel = self.payments.channels.get(name);
        let channel = channel.ok_or_else(|| CommandError::Unavailable(format!("channel {name} is not configured")))?;
        expresses(channel.as_ref(), amount)
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

impl Draft {
    fn request(self, issued: Issued, standing: Standing) -> Request {
        let capture = &self.capture;
        Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: capture.pre_auth_id.to_string(),
            streams: standing.behind([
                StreamRef::new::<PreAuth>(capture.pre_auth_id.to_string(), Expected::Any),
                StreamRef::new::<Payment>(capture.payment_id.to_string(), Expected::New),
                limits::stream_of_day(capture.merchant_id, standing.day()),
            ]),
            decide: Arc::new(move |states| match self.decide(states, &standing) {
                Ok(events) => Decision::Append(events),
                Err(rejection) => Decision::Reject(rejection),
            }),
        }
    }

    /// The reservation before the pre-auth, as payments have it, and the pre-auth before its payment: in a store that
    /// appends them one after the other, what was asked for and not created is held in flight, and the channel is never
    /// called for it. A merchant that was suspended meanwhile may still take what is held for it.
    fn decide(&self, states: &[StreamState], standing: &Standing) -> Result<Vec<NewEvent>, RejectionRecord> {
        let capture = &self.capture;
        let command = Command::RequestCapture(RequestCapture {
            payment_id: capture.payment_id,
            amount: capture.amount,
            is_final: capture.is_final,
            at: self.at,
        });
        let requested = pre_auth_events(states, PRE_AUTH, Some(capture.merchant_id), command)?;
        let terms = nth_state::<PreAuth>(states, PRE_AUTH).record().map(|record| &record.terms);
        let (reserved, created) = match (terms, &self.sealed, requested.first()) {
            (Some(terms), Some(sealed), Some(Event::CaptureRequested(asked))) => {
                let created = payment_terms(terms, asked.payment_id, asked.amount, sealed.clone(), self.at);
                let in_force = standing.in_force(states);
                let reserved = limits::reserved(states, LIMITS, (standing, &in_force), &created)?;
                let limit = reserved.iter().find_map(|event| event.reservation());
                let create = payment::Command::Create(payment::Created { limit, ..created });
                (reserved, Payment::decide(nth_state::<Payment>(states, PAYMENT), create)?)
            }
            (_, None, Some(_)) => return Err(PaymentRejection::NotFound.into()),
            _ => (vec![], vec![]),
        };

        let reserved = reserved.into_iter().map(|event| NewEvent::of(LIMITS, event));
        let requested = requested.into_iter().map(|event| NewEvent::of(PRE_AUTH, event));
        let created = created.into_iter().map(|event| NewEvent::of(PAYMENT, event));
        Ok(reserved.chain(requested).chain(created).collect())
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
        country: terms.country,
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
