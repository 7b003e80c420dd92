//! Makes an order and claims its number for it, in one entry.

use std::sync::Arc;

use domain::order::{Command, Created, Item, Order, stream_id, sum_of};
use domain::order_claim::{self, Holder, OrderClaim};
use domain::{Currency, Decider, MerchantId, OrderId, OrderNo};

use super::{OrderDetails, Orders};
use crate::executor::{CommandError, Issued};
use crate::merchant;
use crate::ports::{
    Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef, StreamState, nth_state,
};

#[derive(Clone)]
pub struct CreateOrder {
    /// A fresh id; a repeat of the command keeps the first one's.
    pub order_id: OrderId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub currency: Currency,
    pub items: Vec<Item>,
    /// Minor units; without it, the sum of the items.
    pub total: Option<i64>,
    pub details: OrderDetails,
}

impl Orders {
    pub async fn create(&self, issued: Issued, create: CreateOrder) -> Result<Receipt, CommandError> {
        let executor = &self.payments.executor;
        let terms = match self.new_terms(&create).await {
            Ok(terms) => terms,
            // What was made once is answered from history, even if it could not be made any more.
            Err(error) => return executor.replay(&issued).await?.ok_or(error),
        };
        let stream = stream_id(terms.merchant_id, &terms.order_no);
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: terms.order_id.to_string(),
            streams: vec![
                StreamRef::new::<Order>(stream.clone(), Expected::Any),
                StreamRef::new::<OrderClaim>(stream, Expected::Any),
            ],
            decide: Arc::new(move |states| match decide(states, &terms) {
                Ok(events) => Decision::Append(events),
                Err(rejection) => Decision::Reject(rejection),
            }),
        };
        executor.execute(request).await
    }

    async fn new_terms(&self, create: &CreateOrder) -> Result<Created, CommandError> {
        let payments = &self.payments;
        let created_at = payments.clock.now();
        let agreed = merchant::terms(&payments.executor, create.merchant_id, created_at).await?;
        let agreed =
            agreed.ok_or_else(|| CommandError::Bug(format!("{} has a key but no terms", create.merchant_id)))?;
        let allowed = agreed.may_begin_new_business().and_then(|()| agreed.may_take(create.currency));
        allowed.map_err(merchant::refused)?;
        let details = serde_json::to_vec(&create.details).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = create.details.subject(create.merchant_id);
        let sealed = payments.vault.seal(&subject, &create.order_id.to_string(), &details).await?;
        // A sum that no amount can hold is refused with the total.
        let sum = i64::try_from(sum_of(&create.items)).unwrap_or(i64::MAX);
        Ok(Created {
            order_id: create.order_id,
            merchant_id: create.merchant_id,
            order_no: create.order_no.clone(),
            currency: create.currency,
            items: create.items.clone(),
            total: create.total.unwrap_or(sum),
            sealed,
            created_at,
        })
    }
}

/// The claim before the order: in a store that appends them one after the other, a stop leaves a number that nobody can
/// use, never an order beside a payment that knows nothing of it.
fn decide(states: &[StreamState], terms: &Created) -> Result<Vec<NewEvent>, RejectionRecord> {
    let created = Order::decide(nth_state::<Order>(states, 0), Command::Create(terms.clone()))?;
    let claim = order_claim::Command::Claim {
        merchant_id: terms.merchant_id,
        order_no: terms.order_no.clone(),
        holder: Holder::Order(terms.order_id),
    };
    let claimed = OrderClaim::decide(nth_state::<OrderClaim>(states, 1), claim)?;

    let claimed = claimed.into_iter().map(|event| NewEvent::of(1, event));
    Ok(claimed.chain(created.into_iter().map(|event| NewEvent::of(0, event))).collect())
}
