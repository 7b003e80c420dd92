//! Creates a payment, claims its order number and reserves its part of the merchant's limits, in one entry.

use std::sync::Arc;
use std::time::Duration;

use domain::order::{Order, Payer};
use domain::order_claim::{self, Holder, OrderClaim};
use domain::payment::{Command, Created, Payment};
use domain::pricing::Pricing;
use domain::{ChannelName, Decider, MerchantId, Money, OrderNo, PaymentId, Sealed, Timestamp};
use rust_decimal::Decimal;

use super::{PaymentDetails, Payments, limits, payment_events};
use crate::executor::{CommandError, Issued};
use crate::merchant::standing::{self, Standing};
use crate::order;
use crate::ports::{
    Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef, StreamState, nth_state,
};

/// A payment that has no outcome by then is expired.
pub const EXPIRES_IN: Duration = Duration::from_secs(30 * 60);

#[derive(Clone)]
pub struct CreatePayment {
    /// A fresh id; a repeat of the command keeps the first one's.
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub amount: Money,
    pub method: String,
    pub channel: Option<ChannelName>,
    pub details: PaymentDetails,
    pub expires_in: Option<Duration>,
}

/// A payment ready to be decided on the newest state of everything that it depends on.
#[derive(Clone)]
struct Draft {
    create: CreatePayment,
    channel: ChannelName,
    expected_channel_fee_rate: Decimal,
    sealed: Sealed,
    created_at: Timestamp,
    /// The version of the order that the amount was taken from.
    order: Expected,
}

/// The payment's own streams, in their order.
const PAYMENT: usize = 0;
const CLAIM: usize = 1;
const LIMITS: usize = 2;
const ORDER: usize = 3;

impl Payments {
    pub async fn create(&self, issued: Issued, create: CreatePayment) -> Result<Receipt, CommandError> {
        let merchant_id = create.merchant_id;
        let payment = StreamRef::new::<Payment>(create.payment_id.to_string(), Expected::New);
        let draft = match self.draft(create, Expected::Any).await {
            Ok(draft) => draft,
            Err(error) => return self.executor.refuse(issued, payment, error).await,
        };
        let request = |standing| draft.clone().request(issued.clone(), standing);
        standing::execute(&self.executor, merchant_id, draft.created_at, request).await
    }

    /// [`Self::create`] on one version of the order: a conflict if it has another one by now, or if the merchant's
    /// agreement has changed.
    pub(crate) async fn create_unless_changed(
        &self,
        issued: Issued,
        create: CreatePayment,
        order: Expected,
    ) -> Result<Receipt, CommandError> {
        let merchant_id = create.merchant_id;
        let payment = StreamRef::new::<Payment>(create.payment_id.to_string(), Expected::New);
        let draft = match self.draft(create, order).await {
            Ok(draft) => draft,
            Err(error) => return self.executor.refuse(issued, payment, error).await,
        };
        let request = |standing| draft.clone().request(issued.clone(), standing);
        standing::execute_once(&self.executor, merchant_id, draft.created_at, request).await
    }

    /// Everything that is fixed when a payment is created, but for what its merchant's terms decide.
    async fn draft(&self, create: CreatePayment, order: Expected) -> Result<Draft, CommandError> {
        let channel = self.channels.choose(create.channel.as_ref(), create.amount)?;
        let details = serde_json::to_vec(&create.details).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = create.details.subject(create.merchant_id);
        let sealed = self.vault.seal(&subject, &create.payment_id.to_string(), &details).await?;
        Ok(Draft {
            channel: channel.name().clone(),
            expected_channel_fee_rate: channel.expected_fee_rate(),
            sealed,
            created_at: self.clock.now(),
            order,
            create,
        })
    }
}

impl Draft {
    fn request(self, issued: Issued, standing: Standing) -> Request {
        let create = &self.create;
        let order_no = order_claim::stream_id(create.merchant_id, &create.order_no);
        Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: create.payment_id.to_string(),
            streams: standing.behind([
                StreamRef::new::<Payment>(create.payment_id.to_string(), Expected::New),
                StreamRef::new::<OrderClaim>(order_no.clone(), Expected::Any),
                limits::stream_of_day(create.merchant_id, standing.day()),
                StreamRef::new::<Order>(order_no, self.order),
            ]),
            decide: Arc::new(move |states| match self.decide(states, &standing) {
                Ok(events) => Decision::Append(events),
                Err(rejection) => Decision::Reject(rejection),
            }),
        }
    }

    /// The reservation and the place in the order before the payment, and the payment before its claim. In a store that
    /// appends them one after the other, a stop leaves a reservation or a place too many, never one too few; and a payment
    /// whose claim failed is never charged, because the claim is asked first. An order that was made holds the claim itself.
    fn decide(&self, states: &[StreamState], standing: &Standing) -> Result<Vec<NewEvent>, RejectionRecord> {
        let in_force = standing.in_force(states);
        in_force.may_begin_new_business()?;
        in_force.may_take(self.create.amount.currency())?;
        let terms = self.terms(in_force.pricing);
        let (payer, money) = (Payer::Payment(terms.payment_id), (terms.amount, terms.currency));
        let place = order::place(states, ORDER, payer, &terms.channel, money)?;
        let reserved = limits::reserved(states, LIMITS, (standing, &in_force), &terms)?;
        let limit = reserved.iter().find_map(|event| event.reservation());
        let terms = Created { limit, order_id: place.order_id, ..terms };
        let claim = order_claim::Command::Claim {
            merchant_id: terms.merchant_id,
            order_no: terms.order_no.clone(),
            holder: Holder::Payment(terms.payment_id),
        };
        let payment = payment_events(states, Some(terms.merchant_id), Command::Create(terms))?;
        let claimed = match place.order_id {
            Some(_) => vec![],
            None => OrderClaim::decide(nth_state::<OrderClaim>(states, CLAIM), claim)?,
        };

        let reserved = reserved.into_iter().map(|event| NewEvent::of(LIMITS, event)).chain(place.events);
        let payment = payment.into_iter().map(|event| NewEvent::of(PAYMENT, event));
        Ok(reserved.chain(payment).chain(claimed.into_iter().map(|event| NewEvent::of(CLAIM, event))).collect())
    }

    fn terms(&self, pricing: Pricing) -> Created {
        let create = &self.create;
        Created {
            payment_id: create.payment_id,
            merchant_id: create.merchant_id,
            order_no: create.order_no.clone(),
            amount: create.amount.minor(),
            currency: create.amount.currency(),
            channel: self.channel.clone(),
            method: create.method.clone(),
            country: create.details.country(),
            pricing,
            expected_channel_fee_rate: self.expected_channel_fee_rate,
            limit: None,
            sealed: self.sealed.clone(),
            order_id: None,
            pre_auth_id: None,
            created_at: self.created_at,
            expires_at: self.created_at.plus(create.expires_in.unwrap_or(EXPIRES_IN)),
        }
    }
}
