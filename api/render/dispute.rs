//! The dispute object, a function of the dispute's history alone.

use commands::CommandError;
use commands::dispute::Disputes;
use domain::Timestamp;
use domain::dispute::{Answer, Record};
use serde::Serialize;
use utoipa::ToSchema;

/// A dispute. Amounts in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Dispute)]
pub struct DisputeObject {
    #[schema(example = "dp_01k9zc6n3qv0r8s5x2b7j4w9ed")]
    pub id: String,
    /// Always `dispute`.
    #[schema(example = "dispute")]
    pub object: &'static str,
    pub merchant_id: String,
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub payment_id: String,
    #[schema(example = "A-1001")]
    pub order_no: String,
    #[schema(example = 10_000)]
    pub amount: i64,
    #[schema(example = "USD")]
    pub currency: String,
    /// `inquiry`, `inquiry_closed`, `needs_response`, `under_review`, `accepted`, `won`, `partly_won` or `lost`.
    #[schema(example = "needs_response")]
    pub status: &'static str,
    /// The channel's code of why.
    #[schema(example = "fraudulent")]
    pub reason: String,
    #[schema(example = "sandbox")]
    pub channel: String,
    /// The channel's own id of the dispute.
    pub channel_reference: String,
    pub evidence: Option<Evidence>,
    /// When the channel stops taking evidence.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub evidence_due_by: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub accepted_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:45:00.123456Z")]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:45:00.123456Z")]
    pub updated_at: Timestamp,
    /// How many events the dispute has.
    #[schema(example = 1)]
    pub version: u64,
}

/// What the merchant answered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = DisputeEvidence)]
pub struct Evidence {
    /// `null` once the customer was erased.
    pub text: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: Timestamp,
    /// The channel has it.
    pub sent: bool,
}

/// The object of a dispute as of its `version`-th event, which was recorded at `updated_at`.
pub async fn of_record(
    disputes: &Disputes,
    record: &Record,
    version: u64,
    updated_at: Timestamp,
) -> Result<DisputeObject, CommandError> {
    let terms = &record.terms;
    let (evidence, accepted_at) = match &record.answer {
        Answer::None => (None, None),
        Answer::Evidence { evidence, submitted_at, sent } => {
            let text = disputes.open_evidence(record, evidence).await?;
            (Some(Evidence { text, submitted_at: *submitted_at, sent: *sent }), None)
        }
        Answer::Accepted { accepted_at, .. } => (None, Some(*accepted_at)),
    };
    Ok(DisputeObject {
        id: terms.dispute_id.to_string(),
        object: "dispute",
        merchant_id: terms.merchant_id.to_string(),
        payment_id: terms.payment_id.to_string(),
        order_no: terms.order_no.to_string(),
        amount: record.amount,
        currency: terms.currency.to_string(),
        status: record.status().as_str(),
        reason: terms.reason.clone(),
        channel: terms.channel.to_string(),
        channel_reference: terms.channel_reference.clone(),
        evidence,
        evidence_due_by: record.evidence_due_by,
        accepted_at,
        created_at: terms.opened_at,
        updated_at,
        version,
    })
}
