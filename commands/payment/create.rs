//! Creates a payment and claims its order number, in one entry.

use std::sync::Arc;
use std::time::Duration;

use domain::order_claim::{self, Holder, OrderClaim};
use domain::payment::{Command, Created, Payment};
use domain::{ChannelName, Decider, MerchantId, Money, OrderNo, PaymentId};

use super::{PaymentDetails, Payments, payment_events};
use crate::executor::{CommandError, Issued};
use crate::merchant;
use crate::ports::{Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state};

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

impl Payments {
    pub async fn create(&self, issued: Issued, create: CreatePayment) -> Result<Receipt, CommandError> {
        let terms = match self.terms(&create).await {
            Ok(terms) => terms,
            // What was created once is answered from history, even if it could not be created any more.
            Err(error) => return self.executor.replay(&issued).await?.ok_or(error),
        };
        let payment_id = terms.payment_id;
        let claim_stream = order_claim::stream_id(terms.merchant_id, &terms.order_no);
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: payment_id.to_string(),
            streams: vec![
                StreamRef::new::<Payment>(payment_id.to_string(), Expected::New),
                StreamRef::new::<OrderClaim>(claim_stream, Expected::Any),
            ],
            decide: Arc::new(move |states| decide(states, &terms)),
        };
        self.executor.execute(request).await
    }

    /// Everything that is fixed when a payment is created.
    async fn terms(&self, create: &CreatePayment) -> Result<Created, CommandError> {
        let channel = self.channels.choose(create.channel.as_ref(), create.amount)?;
        let agreed = merchant::terms(&self.executor, create.merchant_id).await?;
        let agreed =
            agreed.ok_or_else(|| CommandError::Bug(format!("{} has a key but no terms", create.merchant_id)))?;
        let details = serde_json::to_vec(&create.details).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = create.details.subject(create.merchant_id);
        let sealed = self.vault.seal(&subject, &create.payment_id.to_string(), &details).await?;
        let created_at = self.clock.now();
        Ok(Created {
            payment_id: create.payment_id,
            merchant_id: create.merchant_id,
            order_no: create.order_no.clone(),
            amount: create.amount.minor(),
            currency: create.amount.currency(),
            channel: channel.name().clone(),
            method: create.method.clone(),
            pricing: agreed.pricing(),
            expected_channel_fee_rate: channel.expected_fee_rate(),
            sealed,
            pre_auth_id: None,
            created_at,
            expires_at: created_at.plus(create.expires_in.unwrap_or(EXPIRES_IN)),
        })
    }
}

/// The payment before its claim: in a store that appends them one after the other, a payment whose claim failed is
/// never charged, because the claim is asked first.
fn decide(states: &[StreamState], terms: &Created) -> Decision {
    let payment = match payment_events(states, Some(terms.merchant_id), Command::Create(terms.clone())) {
        Ok(events) => events,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    let claim = order_claim::Command::Claim {
        merchant_id: terms.merchant_id,
        order_no: terms.order_no.clone(),
        holder: Holder::Payment(terms.payment_id),
    };
    match OrderClaim::decide(nth_state::<OrderClaim>(states, 1), claim) {
        Ok(claims) => {
            let claims = claims.into_iter().map(|event| NewEvent::of(1, event));
            Decision::Append(payment.into_iter().map(|event| NewEvent::of(0, event)).chain(claims).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}
