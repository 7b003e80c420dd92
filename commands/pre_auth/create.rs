//! Creates a pre-auth and claims its order number, in one entry.

use std::sync::Arc;
use std::time::Duration;

use domain::order::{Order, Payer};
use domain::order_claim::{self, Holder, OrderClaim};
use domain::pre_auth::{Command, Created, PreAuth};
use domain::{ChannelName, Decider, MerchantId, Money, OrderNo, PreAuthId};

use super::{PreAuths, pre_auth_events};
use crate::executor::{CommandError, Issued};
use crate::merchant;
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

impl PreAuths {
    pub async fn create(&self, issued: Issued, create: CreatePreAuth) -> Result<Receipt, CommandError> {
        let executor = &self.payments.executor;
        let terms = match self.new_terms(&create).await {
            Ok(terms) => terms,
            // What was created once is answered from history, even if it could not be created any more.
            Err(error) => return executor.replay(&issued).await?.ok_or(error),
        };
        let claim_stream = order_claim::stream_id(terms.merchant_id, &terms.order_no);
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: terms.pre_auth_id.to_string(),
            streams: vec![
                StreamRef::new::<PreAuth>(terms.pre_auth_id.to_string(), Expected::New),
                StreamRef::new::<OrderClaim>(claim_stream.clone(), Expected::Any),
                StreamRef::new::<Order>(claim_stream, Expected::Any),
            ],
            decide: Arc::new(move |states| match decide(states, terms.clone()) {
                Ok(events) => Decision::Append(events),
                Err(rejection) => Decision::Reject(rejection),
            }),
        };
        executor.execute(request).await
    }

    /// Everything that is fixed when a pre-auth is created.
    async fn new_terms(&self, create: &CreatePreAuth) -> Result<Created, CommandError> {
        let payments = &self.payments;
        let created_at = payments.clock.now();
        let agreed = merchant::terms(&payments.executor, create.merchant_id, created_at).await?;
        let agreed =
            agreed.ok_or_else(|| CommandError::Bug(format!("{} has a key but no terms", create.merchant_id)))?;
        let allowed = agreed.may_begin_new_business().and_then(|()| agreed.may_authorize());
        allowed.and_then(|()| agreed.may_take(create.amount.currency())).map_err(merchant::refused)?;
        let channel = payments.channels.choose(create.channel.as_ref(), create.amount)?;
        let authorizations = channel.authorizations().ok_or_else(|| CommandError::Invalid {
            code: "pre_auth_not_supported_by_channel",
            pointer: "/channel",
            detail: format!("channel {} cannot hold money without taking it", channel.name()),
        })?;
        let details = serde_json::to_vec(&create.details).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = create.details.subject(create.merchant_id);
        let sealed = payments.vault.seal(&subject, &create.pre_auth_id.to_string(), &details).await?;
        let expires_at = created_at.plus(create.expires_in.unwrap_or(EXPIRES_IN));
        Ok(Created {
            pre_auth_id: create.pre_auth_id,
            merchant_id: create.merchant_id,
            order_no: create.order_no.clone(),
            amount: create.amount.minor(),
            currency: create.amount.currency(),
            channel: channel.name().clone(),
            method: create.method.clone(),
            pricing: agreed.pricing,
            expected_channel_fee_rate: channel.expected_fee_rate(),
            multiple_captures: authorizations.takes_several_captures(),
            order_id: None,
            sealed,
            created_at,
            authorize_before: created_at.plus(AUTHORIZE_WITHIN).min(expires_at),
            expires_at,
        })
    }
}

/// The place in the order first, then the pre-auth, then its claim, for the reasons that payments have.
fn decide(states: &[StreamState], terms: Created) -> Result<Vec<NewEvent>, RejectionRecord> {
    let (payer, money) = (Payer::PreAuth(terms.pre_auth_id), (terms.amount, terms.currency));
    let place = order::place(states, 2, payer, &terms.channel, money)?;
    let claim = order_claim::Command::Claim {
        merchant_id: terms.merchant_id,
        order_no: terms.order_no.clone(),
        holder: Holder::PreAuth(terms.pre_auth_id),
    };
    let terms = Created { order_id: place.order_id, ..terms };
    let created = pre_auth_events(states, 0, Some(terms.merchant_id), Command::Create(terms))?;
    let claims = match place.order_id {
        Some(_) => vec![],
        None => OrderClaim::decide(nth_state::<OrderClaim>(states, 1), claim)?,
    };

    let created = created.into_iter().map(|event| NewEvent::of(0, event));
    let claims = claims.into_iter().map(|event| NewEvent::of(1, event));
    Ok(place.events.into_iter().chain(created).chain(claims).collect())
}
