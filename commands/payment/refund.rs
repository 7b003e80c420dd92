//! Asks for a refund, once the books say that the merchant can bear it.

use domain::payment::{Command, Payment, Record, Refund, RequestRefund};
use domain::{Currency, MerchantId, Money, PaymentId, RefundId};

use super::Payments;
use crate::executor::{CommandError, Issued};
use crate::ports::{Category, Receipt, RefundOrder, StreamId, state_of};
use crate::{merchant, rates};

#[derive(Clone)]
pub struct RefundPayment {
    /// A fresh id; a repeat of the command keeps the first one's.
    pub refund_id: RefundId,
    pub payment_id: PaymentId,
    /// The merchant who asks.
    pub merchant_id: MerchantId,
    /// Minor units; without it, the rest.
    pub amount: Option<i64>,
    pub reason: Option<String>,
}

/// The refund's idempotency key at the channel. Never derived from the attempt.
pub fn refund_key(refund_id: RefundId) -> String {
    format!("{refund_id}:refund")
}

/// A refund as it goes to the channel.
pub fn refund_order(record: &Record, refund: &Refund) -> Result<RefundOrder, CommandError> {
    let bug = |what: &str| CommandError::Bug(format!("{} has a capture {what}", record.payment_id()));
    let charge_reference = record.channel_reference.clone();
    Ok(RefundOrder {
        key: refund_key(refund.refund_id),
        payment_id: record.payment_id(),
        refund_id: refund.refund_id,
        amount: Money::new(refund.amount, record.terms.currency).map_err(|_| bug("with a refund of no amount"))?,
        charge_reference: charge_reference.ok_or_else(|| bug("without a reference"))?,
        channel_reference: refund.channel_reference.clone(),
    })
}

impl Payments {
    /// A reason given for a customer who was erased is not kept.
    pub async fn request_refund(&self, issued: Issued, refund: RefundPayment) -> Result<Receipt, CommandError> {
        if let Some(receipt) = self.executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let payment = self.load(refund.payment_id).await?;
        let record = state_of::<Payment>(&payment).record();
        let terms = record.map(|record| &record.terms).filter(|terms| terms.merchant_id == refund.merchant_id);
        let (cover, reason) = match (terms, &refund.reason) {
            (None, _) => (0, None),
            (Some(terms), reason) => {
                let reason = match reason {
                    Some(reason) => self.seal_text(terms, reason).await?,
                    None => None,
                };
                let stream = Category::of::<Payment>().stream(refund.payment_id.to_string());
                (self.cover(terms.merchant_id, terms.currency, (stream, payment.version)).await?, reason)
            }
        };
        let command = Command::RequestRefund(RequestRefund {
            refund_id: refund.refund_id,
            amount: refund.amount,
            reason,
            cover,
            at: self.clock.now(),
        });
        let object = refund.refund_id.to_string();
        self.decide_on_payment(issued, refund.payment_id, object, Some(refund.merchant_id), command).await
    }

    /// What the merchant's money and its credit limit cover, in minor units, with all money counted in that had come
    /// when the stream got this version.
    pub(crate) async fn cover(
        &self,
        merchant_id: MerchantId,
        currency: Currency,
        (stream, version): (StreamId, u64),
    ) -> Result<i128, CommandError> {
        let newest = self.executor.store().read_stream(&stream, version.saturating_sub(1), 1).await?;
        let position = newest.first().map_or(0, |event| event.position);
        let net = self.funds.net_balance(merchant_id, currency, position).await;
        let net = net.map_err(|error| CommandError::Unavailable(error.to_string()))?;
        let now = self.clock.now();
        let Some(merchant) = merchant::find(&self.executor, merchant_id).await? else { return Ok(net) };
        let terms = merchant::in_force(&self.executor, &merchant, now).await?;
        let rates = rates::load(&self.executor).await?;
        let credit_limit = rates.from_usd(terms.credit_limit, currency, merchant.local_day(now));
        Ok(net + i128::from(credit_limit.unwrap_or(0)))
    }
}
