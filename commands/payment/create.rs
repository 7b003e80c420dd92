//! Creates a payment, claims its order number and reserves its part of the merchant's limits, in one entry.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use domain::merchant::{InForce, Merchant, Record};
use domain::merchant_limits::{Event, LimitRejection, MerchantLimits, Reserve};
use domain::order::{Order, Payer};
use domain::order_claim::{self, Holder, OrderClaim};
use domain::payment::{Command, Created, Payment};
use domain::pricing::Pricing;
use domain::rates::{self, Rates};
use domain::tier::Tier;
use domain::{ChannelName, Decider, MerchantId, Money, OrderNo, PaymentId};
use rust_decimal::Decimal;

use super::{PaymentDetails, Payments, limits, payment_events};
use crate::executor::{CommandError, Issued};
use crate::ports::{
    Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef, StreamState, nth_state, state_of,
};
use crate::{merchant, order};

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
struct Draft {
    /// As far as it is known before: pricing and reservation are decided.
    terms: Created,
    /// The merchant as of `version`, which it must still have when the payment is decided.
    merchant: Record,
    version: u64,
    /// The merchant's local day.
    day: NaiveDate,
    /// The version of the order that the amount was taken from.
    order: Expected,
}

/// How often a merchant's agreement may change while one payment of it is being created.
pub(crate) const CHANGES_MAX: usize = 5;

/// The streams that a payment is decided on, in their order.
const PAYMENT: usize = 0;
const CLAIM: usize = 1;
const LIMITS: usize = 2;
const TIER: usize = 4;
const RATES: usize = 5;
const ORDER: usize = 6;

impl Payments {
    pub async fn create(&self, issued: Issued, create: CreatePayment) -> Result<Receipt, CommandError> {
        for _ in 0..CHANGES_MAX {
            match self.create_unless_changed(issued.clone(), &create, Expected::Any).await {
                Err(CommandError::Conflict) => {}
                answered => return answered,
            }
        }
        Err(CommandError::Conflict)
    }

    /// A conflict if the merchant's agreement has changed since it was read, or the order has another version.
    pub(crate) async fn create_unless_changed(
        &self,
        issued: Issued,
        create: &CreatePayment,
        order: Expected,
    ) -> Result<Receipt, CommandError> {
        match self.draft(create, order).await {
            Ok(draft) => self.executor.execute(draft.request(issued)).await,
            // What was created once is answered from history, even if it could not be created any more.
            Err(error) => self.executor.replay(&issued).await?.ok_or(error),
        }
    }

    /// Everything that is fixed when a payment is created, but for what is decided then.
    async fn draft(&self, create: &CreatePayment, order: Expected) -> Result<Draft, CommandError> {
        let channel = self.channels.choose(create.channel.as_ref(), create.amount)?;
        let stream = merchant::load(&self.executor, create.merchant_id).await?;
        let merchant = state_of::<Merchant>(&stream).record().cloned();
        let merchant =
            merchant.ok_or_else(|| CommandError::Bug(format!("{} has a key but no terms", create.merchant_id)))?;
        let details = serde_json::to_vec(&create.details).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = create.details.subject(create.merchant_id);
        let sealed = self.vault.seal(&subject, &create.payment_id.to_string(), &details).await?;
        let created_at = self.clock.now();
        let terms = Created {
            payment_id: create.payment_id,
            merchant_id: create.merchant_id,
            order_no: create.order_no.clone(),
            amount: create.amount.minor(),
            currency: create.amount.currency(),
            channel: channel.name().clone(),
            method: create.method.clone(),
            pricing: Pricing {
                model: merchant.agreement.pricing_model,
                markup_rate: Decimal::ZERO,
                refund_fee_policy: merchant.agreement.refund_fee_policy,
            },
            expected_channel_fee_rate: channel.expected_fee_rate(),
            limit: None,
            sealed,
            order_id: None,
            pre_auth_id: None,
            created_at,
            expires_at: created_at.plus(create.expires_in.unwrap_or(EXPIRES_IN)),
        };
        Ok(Draft { day: merchant.local_day(created_at), terms, version: stream.version, merchant, order })
    }
}

impl Draft {
    fn request(self, issued: Issued) -> Request {
        let (terms, at) = (&self.terms, self.terms.created_at);
        let order_no = order_claim::stream_id(terms.merchant_id, &terms.order_no);
        let tier = self.merchant.tier_at(at);
        Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: terms.payment_id.to_string(),
            streams: vec![
                StreamRef::new::<Payment>(terms.payment_id.to_string(), Expected::New),
                StreamRef::new::<OrderClaim>(order_no.clone(), Expected::Any),
                limits::stream_of_day(terms.merchant_id, self.day),
                StreamRef::new::<Merchant>(terms.merchant_id.to_string(), Expected::Exactly(self.version)),
                StreamRef::new::<Tier>(tier.as_str(), Expected::Any),
                StreamRef::new::<Rates>(rates::STREAM, Expected::Any),
                StreamRef::new::<Order>(order_no, self.order),
            ],
            decide: Arc::new(move |states| match self.decide(states) {
                Ok(events) => Decision::Append(events),
                Err(rejection) => Decision::Reject(rejection),
            }),
        }
    }

    /// The reservation and the place in the order before the payment, and the payment before its claim. In a store that
    /// appends them one after the other, a stop leaves a reservation or a place too many, never one too few; and a payment
    /// whose claim failed is never charged, because the claim is asked first. An order that was made holds the claim itself.
    fn decide(&self, states: &[StreamState]) -> Result<Vec<NewEvent>, RejectionRecord> {
        let tier = nth_state::<Tier>(states, TIER).in_force(self.terms.created_at);
        let in_force = InForce::of(&self.merchant, tier.expect("every tier is defined before anything is served"));
        in_force.may_begin_new_business()?;
        in_force.may_take(self.terms.currency)?;
        let (payer, money) = (Payer::Payment(self.terms.payment_id), (self.terms.amount, self.terms.currency));
        let place = order::place(states, ORDER, payer, &self.terms.channel, money)?;
        let reserved = self.reserve(states, &in_force)?;
        let terms = Created {
            pricing: in_force.pricing,
            limit: reserved.iter().find_map(|event| event.reservation()),
            order_id: place.order_id,
            ..self.terms.clone()
        };
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

    fn reserve(&self, states: &[StreamState], in_force: &InForce) -> Result<Vec<Event>, LimitRejection> {
        let terms = &self.terms;
        // What is no amount of money is the payment's own to refuse.
        let Ok(amount) = Money::new(terms.amount, terms.currency) else { return Ok(vec![]) };
        let in_usd = nth_state::<Rates>(states, RATES).in_usd(amount, self.day);
        let reserve = Reserve {
            merchant_id: terms.merchant_id,
            payment_id: terms.payment_id,
            day: self.day,
            amount: terms.amount,
            currency: terms.currency,
            in_usd: in_usd.ok_or(LimitRejection::RateMissing)?,
            limits: in_force.limits,
        };
        let state = nth_state::<MerchantLimits>(states, LIMITS);
        MerchantLimits::decide(state, domain::merchant_limits::Command::Reserve(reserve))
    }
}
