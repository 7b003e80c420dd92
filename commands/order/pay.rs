//! Pays an order: creates a payment for what is asked, or for all that is left of the total.

use std::time::Duration;

use domain::order::{Order, Record, stream_id};
use domain::{ChannelName, MerchantId, Money, OrderNo, PaymentId};

use super::Orders;
use crate::executor::{CommandError, Issued};
use crate::merchant::standing::CHANGES_MAX;
use crate::payment::{CreatePayment, PaymentDetails};
use crate::ports::{Expected, Receipt, state_of};

#[derive(Clone)]
pub struct PayOrder {
    /// A fresh id; a repeat of the command keeps the first one's.
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    /// Minor units; without it, what is left of the order's total.
    pub amount: Option<i64>,
    pub method: String,
    pub channel: Option<ChannelName>,
    pub details: PaymentDetails,
    pub expires_in: Option<Duration>,
}

impl Orders {
    /// The payment as [`crate::payment::Payments::create`] makes it. Without an amount it is decided on the very version
    /// of the order that the rest was read from.
    pub async fn pay(&self, issued: Issued, pay: PayOrder) -> Result<Receipt, CommandError> {
        if let Some(receipt) = self.payments.executor.replay(&issued).await? {
            return Ok(receipt);
        }
        for _ in 0..CHANGES_MAX {
            let order = self.load(pay.merchant_id, &pay.order_no).await?;
            let answered = match state_of::<Order>(&order).record() {
                None => self.refuse_unknown(issued.clone(), stream_id(pay.merchant_id, &pay.order_no)).await,
                Some(record) => {
                    let create = payment_of(&pay, record)?;
                    let expected = pay.amount.map_or(Expected::Exactly(order.version), |_| Expected::Any);
                    self.payments.create_unless_changed(issued.clone(), create, expected).await
                }
            };
            match answered {
                Err(CommandError::Conflict) => {}
                answered => return answered,
            }
        }
        Err(CommandError::Conflict)
    }
}

/// Where nothing is left, the order itself refuses whatever is asked.
fn payment_of(pay: &PayOrder, record: &Record) -> Result<CreatePayment, CommandError> {
    let rest = if record.left() > 0 { record.left() } else { record.terms.total };
    let amount = Money::new(pay.amount.unwrap_or(rest), record.terms.currency);
    Ok(CreatePayment {
        payment_id: pay.payment_id,
        merchant_id: pay.merchant_id,
        order_no: pay.order_no.clone(),
        amount: amount.map_err(|error| CommandError::Invalid {
            code: "invalid_amount",
            pointer: "/amount",
            detail: error.to_string(),
        })?,
        method: pay.method.clone(),
        channel: pay.channel.clone(),
        details: pay.details.clone(),
        expires_in: pay.expires_in,
    })
}
