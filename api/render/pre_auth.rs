//! The pre-auth object, a function of the pre-auth's history alone: so a repeat of a command gets the same bytes.

use std::collections::BTreeMap;

use commands::CommandError;
use commands::ports::StreamState;
use commands::pre_auth::PreAuths;
use domain::Timestamp;
use domain::pre_auth::{Authorization, Hold, Open, Phase, PreAuth, Record, State};
use projections::pre_auths::PreAuthRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::Failure;
use super::payment::NextAction;

/// Money held on a customer's method. Amounts in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PreAuth)]
pub struct PreAuthObject {
    #[schema(example = "pa_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub id: String,
    /// Always `pre_auth`.
    #[schema(example = "pre_auth")]
    pub object: &'static str,
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    pub merchant_id: String,
    #[schema(example = "A-1001")]
    pub order_no: String,
    #[schema(example = 10_000)]
    pub amount: i64,
    #[schema(example = "USD")]
    pub currency: String,
    /// `processing`, `requires_action`, `authorized`, `partially_captured`, `captured`, `cancelled`, `expired` or
    /// `failed`.
    #[schema(example = "partially_captured")]
    pub status: &'static str,
    /// `unknown` while the channel's answer is not known; the pre-auth is `processing` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_outcome: Option<&'static str>,
    #[schema(example = "sandbox")]
    pub channel: String,
    /// The channel's own id of the authorisation.
    pub channel_reference: Option<String>,
    #[schema(example = 10_000)]
    pub amount_authorized: i64,
    /// What captures have taken.
    #[schema(example = 4_000)]
    pub amount_captured: i64,
    /// What a new capture may take: not captured, not in flight, not released.
    #[schema(example = 6_000)]
    pub amount_capturable: i64,
    /// What was given back.
    pub amount_released: i64,
    /// The payments that captures have become, oldest first, whatever came of them.
    #[schema(example = json!(["pay_01k9zc4x8me1wbn7t5c1vq0d2r"]))]
    pub captures: Vec<String>,
    pub failure: Option<Failure>,
    pub next_action: Option<NextAction>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:30:00.123456Z")]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:30:00.323456Z")]
    pub updated_at: Timestamp,
    /// Until then it can be captured: the channel may let go of the money sooner than was asked for.
    #[schema(value_type = String, format = DateTime, example = "2026-11-27T09:30:00.123456Z")]
    pub expires_at: Timestamp,
    /// How many events the pre-auth has.
    #[schema(example = 2)]
    pub version: u64,
}

/// The object of a pre-auth's folded stream; `None` if there is no such pre-auth.
pub async fn object(pre_auths: &PreAuths, stream: &StreamState) -> Result<Option<PreAuthObject>, CommandError> {
    match stream.of::<PreAuth>().and_then(State::record) {
        Some(record) => Ok(Some(of_record(pre_auths, record, stream.version, stream.updated_at).await?)),
        None => Ok(None),
    }
}

/// The object of a row of the read model.
pub async fn of_row(pre_auths: &PreAuths, row: &PreAuthRow) -> Result<PreAuthObject, CommandError> {
    let record = row.state.record();
    let record = record.ok_or_else(|| CommandError::Bug("a row of a pre-auth that was never created".to_owned()))?;
    of_record(pre_auths, record, row.version, row.updated_at).await
}

/// The object of a pre-auth as of its `version`-th event, which was recorded at `updated_at`.
pub async fn of_record(
    pre_auths: &PreAuths,
    record: &Record,
    version: u64,
    updated_at: Timestamp,
) -> Result<PreAuthObject, CommandError> {
    let terms = &record.terms;
    let details = pre_auths.details(terms).await?.unwrap_or_default();
    let hold = record.hold();
    let amount = |of: fn(&Hold) -> i64| hold.map_or(0, of);
    let captures = hold.into_iter().flat_map(|hold| &hold.captures);
    Ok(PreAuthObject {
        id: terms.pre_auth_id.to_string(),
        object: "pre_auth",
        merchant_id: terms.merchant_id.to_string(),
        order_no: terms.order_no.to_string(),
        amount: terms.amount,
        currency: terms.currency.to_string(),
        status: record.status().as_str(),
        channel_outcome: channel_outcome(&record.phase),
        channel: terms.channel.to_string(),
        channel_reference: record.channel_reference.clone(),
        amount_authorized: amount(|hold| hold.amount),
        amount_captured: amount(Hold::captured),
        amount_capturable: amount(Hold::rest),
        amount_released: amount(Hold::released),
        captures: captures.map(|capture| capture.payment_id.to_string()).collect(),
        failure: match &record.phase {
            Phase::Failed(failure) => Some(Failure::from(failure)),
            _ => None,
        },
        next_action: next_action(pre_auths, record).await?,
        description: details.description,
        metadata: details.metadata.unwrap_or_default(),
        created_at: terms.created_at,
        updated_at,
        expires_at: hold.map_or(terms.expires_at, |hold| hold.expires_at),
        version,
    })
}

fn channel_outcome(phase: &Phase) -> Option<&'static str> {
    match phase {
        Phase::Open(Open { authorization: Authorization::OutcomeUnknown { .. }, .. }) => Some("unknown"),
        _ => None,
    }
}

async fn next_action(pre_auths: &PreAuths, record: &Record) -> Result<Option<NextAction>, CommandError> {
    let Some(sealed) = record.next_action() else {
        return Ok(None);
    };
    let url = pre_auths.open_text(&record.terms, sealed).await?;
    Ok(url.map(|url| NextAction { kind: "redirect", url }))
}
