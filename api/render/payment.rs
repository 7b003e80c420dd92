//! The payment object, a function of the payment's history alone: so a repeat of a command gets the same bytes.

use std::collections::BTreeMap;

use commands::CommandError;
use commands::payment::Payments;
use commands::ports::StreamState;
use domain::payment::{Capture, Charge, Open, Payment, Phase, Record};
use domain::{Timestamp, payment};
use projections::payments::PaymentRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::Failure;

/// A payment. Amounts in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentObject {
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub id: String,
    /// Always `payment`.
    #[schema(example = "payment")]
    pub object: &'static str,
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    pub merchant_id: String,
    #[schema(example = "A-1001")]
    pub order_no: String,
    #[schema(example = 10_000)]
    pub amount: i64,
    #[schema(example = "USD")]
    pub currency: String,
    /// `processing`, `requires_action`, `succeeded`, `failed`, `cancelled` or `expired`.
    #[schema(example = "succeeded")]
    pub status: &'static str,
    /// `unknown` while the channel's answer is not known; the payment is `processing` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_outcome: Option<&'static str>,
    #[schema(example = "sandbox")]
    pub channel: String,
    /// The channel's own id of the charge.
    pub channel_reference: Option<String>,
    #[schema(example = 10_000)]
    pub amount_captured: i64,
    pub amount_refunded: i64,
    pub amount_disputed: i64,
    pub fees: Fees,
    pub failure: Option<Failure>,
    pub next_action: Option<NextAction>,
    pub pre_auth_id: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:30:00.123456Z")]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:30:00.323456Z")]
    pub updated_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T10:00:00.123456Z")]
    pub expires_at: Timestamp,
    /// How many events the payment has.
    #[schema(example = 2)]
    pub version: u64,
}

/// What the payment cost the merchant, what refunds gave back taken off. Minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct Fees {
    /// The channel's fee that is passed on; `null` with blended pricing, where the markup is the whole price.
    #[schema(example = 100)]
    pub channel: Option<i64>,
    #[schema(example = 30)]
    pub markup: i64,
    #[schema(example = 130)]
    pub total: i64,
}

/// What the customer must do before the payment can go on.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NextAction {
    /// Always `redirect`.
    #[serde(rename = "type")]
    #[schema(example = "redirect")]
    pub kind: &'static str,
    pub url: String,
}

/// The object of a payment's folded stream; `None` if there is no such payment.
pub async fn object(payments: &Payments, stream: &StreamState) -> Result<Option<PaymentObject>, CommandError> {
    match stream.of::<Payment>().and_then(payment::State::record) {
        Some(record) => Ok(Some(of_record(payments, record, stream.version, stream.updated_at).await?)),
        None => Ok(None),
    }
}

/// The object of a row of the read model.
pub async fn of_row(payments: &Payments, row: &PaymentRow) -> Result<PaymentObject, CommandError> {
    let record = row.state.record();
    let record = record.ok_or_else(|| CommandError::Bug("a row of a payment that was never created".to_owned()))?;
    of_record(payments, record, row.version, row.updated_at).await
}

/// The object of a payment as of its `version`-th event, which was recorded at `updated_at`.
pub async fn of_record(
    payments: &Payments,
    record: &Record,
    version: u64,
    updated_at: Timestamp,
) -> Result<PaymentObject, CommandError> {
    let terms = &record.terms;
    let details = payments.details(terms).await?.unwrap_or_default();
    let capture = record.capture();
    Ok(PaymentObject {
        id: terms.payment_id.to_string(),
        object: "payment",
        merchant_id: terms.merchant_id.to_string(),
        order_no: terms.order_no.to_string(),
        amount: terms.amount,
        currency: terms.currency.to_string(),
        status: record.status().as_str(),
        channel_outcome: channel_outcome(&record.phase),
        channel: terms.channel.to_string(),
        channel_reference: record.channel_reference.clone(),
        amount_captured: capture.map_or(0, |capture| capture.amount),
        amount_refunded: capture.map_or(0, Capture::amount_refunded),
        amount_disputed: capture.map_or(0, Capture::amount_disputed),
        fees: record.fees().into(),
        failure: match &record.phase {
            Phase::Failed(failure) => Some(Failure::from(failure)),
            _ => None,
        },
        next_action: next_action(payments, record).await?,
        pre_auth_id: terms.pre_auth_id.map(|id| id.to_string()),
        description: details.description,
        metadata: details.metadata.unwrap_or_default(),
        created_at: terms.created_at,
        updated_at,
        expires_at: terms.expires_at,
        version,
    })
}

fn channel_outcome(phase: &Phase) -> Option<&'static str> {
    match phase {
        Phase::Open(Open { charge: Charge::OutcomeUnknown { .. }, .. }) => Some("unknown"),
        _ => None,
    }
}

impl From<payment::Fees> for Fees {
    fn from(fees: payment::Fees) -> Fees {
        Fees { channel: fees.channel, markup: fees.markup, total: fees.total() }
    }
}

async fn next_action(payments: &Payments, record: &Record) -> Result<Option<NextAction>, CommandError> {
    let Some(sealed) = record.next_action() else {
        return Ok(None);
    };
    let url = payments.open_text(&record.terms, sealed).await?;
    Ok(url.map(|url| NextAction { kind: "redirect", url }))
}
