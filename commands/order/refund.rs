//! Refunds an order: asks the newest of its payments first, then the one before, until the amount is reached. All parts
//! are asked for in one entry, so nothing can stop in the middle; each is a refund like any other from there on.

use std::sync::Arc;

use domain::order::{Order, OrderRejection, Record, RefundPart, stream_id};
use domain::payment::{self, Payment, RequestRefund};
use domain::{Decider, MerchantId, OrderNo, PaymentId, RefundId, Sealed, Timestamp, order};

use super::Orders;
use crate::executor::{CommandError, Issued};
use crate::merchant::standing::CHANGES_MAX;
use crate::ports::{
    Category, Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef, StreamState, nth_state,
    state_of,
};

#[derive(Clone)]
pub struct RefundOrder {
    /// A fresh id that those of the parts are derived from; a repeat of the command keeps the first one's.
    pub refund_id: RefundId,
    /// The merchant who asks.
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    /// Minor units; without it, all that is left.
    pub amount: Option<i64>,
    pub reason: Option<String>,
}

/// A refund ready to be decided on one version of the order.
struct Draft {
    refund_id: RefundId,
    amount: Option<i64>,
    /// The payments that brought money, newest first, and the reason sealed for each.
    payments: Vec<(PaymentId, Option<Sealed>)>,
    /// What the merchant's own money and credit limit can cover, in minor units.
    cover: i128,
    at: Timestamp,
}

impl Orders {
    pub async fn refund(&self, issued: Issued, refund: RefundOrder) -> Result<Receipt, CommandError> {
        if let Some(receipt) = self.payments.executor.replay(&issued).await? {
            return Ok(receipt);
        }
        for _ in 0..CHANGES_MAX {
            let stream = stream_id(refund.merchant_id, &refund.order_no);
            let order = self.load(refund.merchant_id, &refund.order_no).await?;
            let answered = match state_of::<Order>(&order).record() {
                None => self.refuse_unknown(issued.clone(), stream).await,
                Some(record) => {
                    let draft = self.refund_draft(&refund, record, order.version).await?;
                    self.payments.executor.execute(draft.request(issued.clone(), stream, order.version)).await
                }
            };
            match answered {
                Err(CommandError::Conflict) => {}
                answered => return answered,
            }
        }
        Err(CommandError::Conflict)
    }

    /// The newest event of an order that was paid stands behind the money that came for it.
    async fn refund_draft(&self, refund: &RefundOrder, order: &Record, version: u64) -> Result<Draft, CommandError> {
        let stream = Category::of::<Order>().stream(stream_id(refund.merchant_id, &refund.order_no));
        let cover = self.payments.cover(refund.merchant_id, order.terms.currency, (stream, version)).await?;
        let mut payments = vec![];
        for money in order.moneys.iter().rev() {
            payments.push((money.payment_id, self.sealed_reason(money.payment_id, refund.reason.as_deref()).await?));
        }
        let at = self.payments.clock.now();
        Ok(Draft { refund_id: refund.refund_id, amount: refund.amount, payments, cover, at })
    }

    async fn sealed_reason(&self, payment: PaymentId, reason: Option<&str>) -> Result<Option<Sealed>, CommandError> {
        let Some(reason) = reason else { return Ok(None) };
        let stream = self.payments.load(payment).await?;
        match state_of::<Payment>(&stream).record() {
            Some(record) => self.payments.seal_text(&record.terms, reason).await,
            None => Ok(None),
        }
    }
}

impl Draft {
    fn request(self, issued: Issued, stream: String, version: u64) -> Request {
        let payment = |id: &PaymentId| StreamRef::new::<Payment>(id.to_string(), Expected::Any);
        let order = StreamRef::new::<Order>(stream.clone(), Expected::Exactly(version));
        Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: stream,
            streams: std::iter::once(order).chain(self.payments.iter().map(|(id, _)| payment(id))).collect(),
            decide: Arc::new(move |states| match self.decide(states) {
                Ok(events) => Decision::Append(events),
                Err(rejection) => Decision::Reject(rejection),
            }),
        }
    }

    /// The payments before the order: in a store that appends them one after the other, a stop leaves refunds that the
    /// order does not name, never a name without its refund.
    fn decide(&self, states: &[StreamState]) -> Result<Vec<NewEvent>, RejectionRecord> {
        let (mut parts, mut events) = (vec![], vec![]);
        for (index, part) in self.spread(states)? {
            let request = RequestRefund {
                refund_id: part.refund_id,
                amount: Some(part.amount),
                reason: self.payments[index - 1].1.clone(),
                cover: self.cover - parts.iter().map(|part: &RefundPart| i128::from(part.amount)).sum::<i128>(),
                at: self.at,
            };
            let state = nth_state::<Payment>(states, index);
            let requested = Payment::decide(state, payment::Command::RequestRefund(request))?;
            events.extend(requested.into_iter().map(|event| NewEvent::of(index, event)));
            parts.push(part);
        }
        let command = order::Command::RequestRefund { parts, at: self.at };
        let requested = Order::decide(nth_state::<Order>(states, 0), command)?;

        Ok(events.into_iter().chain(requested.into_iter().map(|event| NewEvent::of(0, event))).collect())
    }

    /// What each payment is to send back, with the place of its stream.
    fn spread(&self, states: &[StreamState]) -> Result<Vec<(usize, RefundPart)>, OrderRejection> {
        let refundable = |index: usize| {
            let capture = nth_state::<Payment>(states, index).record().and_then(|record| record.capture());
            capture.map_or(0, |capture| capture.refundable())
        };
        let all: i64 = (1..=self.payments.len()).map(refundable).sum();
        let mut left = self.amount.unwrap_or(all);
        if all == 0 {
            return Err(OrderRejection::NothingToRefund);
        }
        if left > all {
            return Err(OrderRejection::RefundExceedsPaid);
        }
        let mut parts = vec![];
        for (index, (payment_id, _)) in (1..).zip(&self.payments) {
            let amount = left.min(refundable(index));
            if amount > 0 {
                let refund_id = RefundId::of_part(self.refund_id, *payment_id);
                parts.push((index, RefundPart { payment_id: *payment_id, refund_id, amount }));
            }
            left -= amount;
        }
        Ok(parts)
    }
}
