//! Makes an order and claims its number for it, in one entry.

use std::sync::Arc;

use domain::order::{Command, Created, Item, Order, stream_id, sum_of};
use domain::order_claim::{self, Holder, OrderClaim};
use domain::{Currency, Decider, MerchantId, OrderId, OrderNo};

use super::{OrderDetails, Orders};
use crate::executor::{CommandError, Issued};
use crate::merchant::standing::{self, Standing};
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
        let terms = self.new_terms(create).await?;
        let request = |standing| request(issued.clone(), terms.clone(), standing);
        standing::execute(&self.payments.executor, terms.merchant_id, terms.created_at, request).await
    }

    async fn new_terms(&self, create: CreateOrder) -> Result<Created, CommandError> {
        let payments = &self.payments;
        let details = serde_json::to_vec(&create.details).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = create.details.subject(create.merchant_id);
        let sealed = payments.vault.seal(&subject, &create.order_id.to_string(), &details).await?;
        // A sum that no amount can hold is refused with the total.
        let sum = i64::try_from(sum_of(&create.items)).unwrap_or(i64::MAX);
        Ok(Created {
            order_id: create.order_id,
            merchant_id: create.merchant_id,
            order_no: create.order_no,
            currency: create.currency,
            items: create.items,
            total: create.total.unwrap_or(sum),
            sealed,
            created_at: payments.clock.now(),
        })
    }
}

fn request(issued: Issued, terms: Created, standing: Standing) -> Request {
    let stream = stream_id(terms.merchant_id, &terms.order_no);
    Request {
        metadata: issued.metadata,
        fingerprint: issued.fingerprint,
        object: terms.order_id.to_string(),
        streams: standing.behind([
            StreamRef::new::<Order>(stream.clone(), Expected::Any),
            StreamRef::new::<OrderClaim>(stream, Expected::Any),
        ]),
        decide: Arc::new(move |states| match decide(states, &terms, &standing) {
            Ok(events) => Decision::Append(events),
            Err(rejection) => Decision::Reject(rejection),
        }),
    }
}

/// The claim before the order: in a store that appends them one after the other, a stop leaves a number that nobody can
/// use, never an order beside a payment that knows nothing of it.
fn decide(states: &[StreamState], terms: &Created, standing: &Standing) -> Result<Vec<NewEvent>, RejectionRecord> {
    let in_force = standing.in_force(states);
    in_force.may_begin_new_business()?;
    in_force.may_take(terms.currency)?;
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
