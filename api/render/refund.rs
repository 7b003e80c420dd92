//! The refund object, a function of its payment's history alone.

use commands::CommandError;
use commands::payment::Payments;
use domain::payment::{Record, Refund};
use domain::{PaymentId, RefundId, Sealed, Timestamp};
use projections::StatusText;
use projections::refunds::RefundRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::Failure;

/// A refund. Amounts in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct RefundObject {
    #[schema(example = "re_01k9zc6n3qv0r8s5x2b7j4w9ed")]
    pub id: String,
    /// Always `refund`.
    #[schema(example = "refund")]
    pub object: &'static str,
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub payment_id: String,
    #[schema(example = 2_500)]
    pub amount: i64,
    #[schema(example = "USD")]
    pub currency: String,
    /// `pending`, `succeeded` or `failed`.
    #[schema(example = "pending")]
    pub status: &'static str,
    pub reason: Option<String>,
    pub failure: Option<Failure>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:45:00.123456Z")]
    pub created_at: Timestamp,
}

/// The refund's object; `None` if the payment has no such refund.
pub async fn object(
    payments: &Payments,
    record: &Record,
    refund_id: RefundId,
) -> Result<Option<RefundObject>, CommandError> {
    match record.capture().and_then(|capture| capture.refund(refund_id)) {
        Some(refund) => Ok(Some(of_refund(payments, record, refund).await?)),
        None => Ok(None),
    }
}

async fn of_refund(payments: &Payments, record: &Record, refund: &Refund) -> Result<RefundObject, CommandError> {
    let payment_id = record.terms.payment_id;
    Ok(RefundObject {
        id: refund.refund_id.to_string(),
        object: "refund",
        payment_id: payment_id.to_string(),
        amount: refund.amount,
        currency: record.terms.currency.to_string(),
        status: refund.status.as_str(),
        reason: open(payments, payment_id, refund.reason.as_ref()).await?,
        failure: refund.status.failure().map(Failure::from),
        created_at: refund.requested_at,
    })
}

/// The object of a row of the read model: the same as of the payment's stream.
pub async fn of_row(payments: &Payments, row: RefundRow) -> Result<RefundObject, CommandError> {
    Ok(RefundObject {
        id: row.refund_id.to_string(),
        object: "refund",
        payment_id: row.payment_id.to_string(),
        amount: row.amount,
        currency: row.currency.to_string(),
        status: row.status.as_str(),
        reason: open(payments, row.payment_id, row.reason.as_ref()).await?,
        failure: row.failure.as_ref().map(Failure::from),
        created_at: row.created_at,
    })
}

/// Free text sealed for a payment; none once its subject was erased.
async fn open(
    payments: &Payments,
    payment_id: PaymentId,
    sealed: Option<&Sealed>,
) -> Result<Option<String>, CommandError> {
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let text = payments.vault.open(&payment_id.to_string(), sealed).await?;
    Ok(text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
