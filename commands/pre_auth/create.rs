//! Creates a pre-auth and claims its order number, in one entry.

use std::sync::Arc;
use std::time::Duration;

use domain::merchant_limits;
use domain::order::{Order, Payer};
use domain::order_claim::{self, Holder, OrderClaim};
use domain::pre_auth::{Command, Created, PreAuth};
use domain::pricing::Pricing;
use domain::{ChannelName, Decider, MerchantId, Money, OrderNo, PreAuthId, Sealed, Timestamp};
use rust_decimal::Decimal;

use super::{PreAuths, pre_auth_events};
use crate::executor::{CommandError, Issued};
use crate::merchant::standing::{self, Standing};
use crate::order;
use crate::payment::{EXPIRES_IN as AUTHORIZE_WITHIN, PaymentDetails};
use crate::ports::{
    Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef, StreamState, nth_state,
};

/// How long the money is held unless the merchant or the channel says otherwise.
pub const EXPIRES_IN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Clone)]
pub struct CreatePreAuth {
    /// A fresh id; a repeat of the command keeps the first one's.
    pub pre_auth_id: PreAuthId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub amount: Money,
    pub method: String,
    pub channel: Option<ChannelName>,
    pub details: PaymentDetails,
    pub expires_in: Option<Duration>,
}

/// A pre-auth ready to be decided on the newest state of everything that it depends on.
#[derive(Clone)]
struct Draft {
    create: CreatePreAuth,
    channel: ChannelName,
    expected_channel_fee_rate: Decimal,
    multiple_captures: bool,
    sealed: Sealed,
    created_at: Timestamp,
}

/// The pre-auth's own streams, in their order.
const PRE_AUTH: usize = 0;
const CLAIM: usize = 1;
const ORDER: usize = 2;

impl PreAuths {
    pub async fn create(&self, issued: Issued, create: CreatePreAuth) -> Result<Receipt, CommandError> {
        let (executor, merchant_id) = (&self.payments.executor, create.merchant_id);
        let pre_auth = StreamRef::new::<PreAuth>(create.pre_auth_id.to_string(), Expected::New);
        let draft = match self.draft(create).await {
            Ok(draft) => draft,
            Err(error) => return executor.refuse(issued, pre_auth, error).await,
        };
        let request = |standing| draft.clone().request(issued.clone(), standing);
        standing::execute(executor, merchant_id, draft.created_at, request).await
    }

    /// Everything that is fixed when a pre-auth is created, but for what its merchant's terms decide.
    async fn draft(&self, create: CreatePreAuth) -> Result<Draft, CommandError> {
        let payments = &self.payments;
        let channel = payments.channels.choose(create.channel.as_ref(), create.amount)?;
        let authorizations = channel.authorizations().ok_or_else(|| {
            let detail = format!("channel {} cannot hold money without taking it", channel.name());
            CommandError::ruled_out("pre_auth_not_supported_by_channel", "/channel", detail)
        })?;
        let details = serde_json::to_vec(&create.details).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = create.details.subject(create.merchant_id);
        let sealed = payments.vault.seal(&subject, &create.pre_auth_id.to_string(), &details).await?;
        Ok(Draft {
            channel: channel.name().clone(),
            expected_channel_fee_rate: channel.expected_fee_rate(),
            multiple_captures: authorizations.takes_several_captures(),
            sealed,
            created_at: payments.clock.now(),
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
            object: create.pre_auth_id.to_string(),
            streams: standing.behind([
                StreamRef::new::<PreAuth>(create.pre_auth_id.to_string(), Expected::New),
                StreamRef::new::<OrderClaim>(order_no.clone(), Expected::Any),
                StreamRef::new::<Order>(order_no, Expected::Any),
            ]),
            decide: Arc::new(move |states| match self.decide(states, &standing) {
                Ok(events) => Decision::Append(events),
                Err(rejection) => Decision::Reject(rejection),
            }),
        }
    }

    /// The place in the order first, then the pre-auth, then its claim, for the reasons that payments have. Holding money uses up nothing of a day or a
    /// month, its captures do; but no more is held than one payment may be.
    fn decide(&self, states: &[StreamState], standing: &Standing) -> Result<Vec<NewEvent>, RejectionRecord> {
        let in_force = standing.in_force(states);
        in_force.may_begin_new_business()?;
        in_force.may_authorize()?;
        in_force.may_take(self.create.amount.currency())?;
        merchant_limits::fits_one_payment(standing.in_usd(states, self.create.amount)?, &in_force.limits)?;
        let terms = self.terms(in_force.pricing);
        let (payer, money) = (Payer::PreAuth(terms.pre_auth_id), (terms.amount, terms.currency));
        let place = order::place(states, ORDER, payer, &terms.channel, money)?;
        let terms = Created { order_id: place.order_id, ..terms };
        let claim = order_claim::Command::Claim {
            merchant_id: terms.merchant_id,
            order_no: terms.order_no.clone(),
            holder: Holder::PreAuth(terms.pre_auth_id),
        };
        let created = pre_auth_events(states, PRE_AUTH, Some(terms.merchant_id), Command::Create(terms))?;
        let claimed = match place.order_id {
            Some(_) => vec![],
            None => OrderClaim::decide(nth_state::<OrderClaim>(states, CLAIM), claim)?,
        };

        let created = created.into_iter().map(|event| NewEvent::of(PRE_AUTH, event));
        Ok(place
            .events
            .into_iter()
            .chain(created)
            .chain(claimed.into_iter().map(|event| NewEvent::of(CLAIM, event)))
            .collect())
    }

    fn terms(&self, pricing: Pricing) -> Created {
        let (create, created_at) = (&self.create, self.created_at);
        let expires_at = created_at.plus(create.expires_in.unwrap_or(EXPIRES_IN));
        Created {
            pre_auth_id: create.pre_auth_id,
            merchant_id: create.merchant_id,
            order_no: create.order_no.clone(),
            amount: create.amount.minor(),
            currency: create.amount.currency(),
            channel: self.channel.clone(),
            method: create.method.clone(),
            country: create.details.country(),
            pricing,
            expected_channel_fee_rate: self.expected_channel_fee_rate,
            multiple_captures: self.multiple_captures,
            order_id: None,
            sealed: self.sealed.clone(),
            created_at,
            authorize_before: created_at.plus(AUTHORIZE_WITHIN).min(expires_at),
            expires_at,
        }
    }
}
