//! Webhooks of the sandbox provider: verified, then read. Pure.

use commands::ports::WebhookFact;
use commands::ports::channel::{Webhook, WebhookError};
use domain::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::{Capture, Charge, Refund};
use super::disputes::Dispute;
use crate::channels::signature;

/// Lower-case, as headers are looked up.
pub(super) const SIGNATURE_HEADER: &str = "sandbox-signature";

#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

pub(super) fn read(
    signature: Option<&str>,
    body: &[u8],
    secrets: &[String],
    now: Timestamp,
) -> Result<Webhook, WebhookError> {
    if !signature.is_some_and(|header| signature::is_valid(header, body, secrets, now)) {
        return Err(WebhookError::BadSignature);
    }
    let event: Event = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
    let fact = match event.data.object.get("object").and_then(Value::as_str) {
        Some("charge") => charge_fact(object(event.data.object)?),
        Some("capture") => capture_fact(object(event.data.object)?),
        Some("refund") => refund_fact(object(event.data.object)?),
        Some("dispute") => Some(WebhookFact::Dispute(object::<Dispute>(event.data.object)?.into_report(false))),
        _ => None,
    };
    Ok(Webhook { event_id: event.id, event_type: event.r#type, facts: fact.into_iter().collect() })
}

fn object<T: DeserializeOwned>(object: Value) -> Result<T, WebhookError> {
    serde_json::from_value(object).map_err(|_| WebhookError::Malformed)
}

/// What belongs to no payment or pre-auth of ours tells no fact.
fn charge_fact(charge: Charge) -> Option<WebhookFact> {
    if let Ok(pre_auth_id) = charge.reference.parse() {
        return Some(WebhookFact::Authorization { pre_auth_id, answer: charge.into_authorization() });
    }
    Some(WebhookFact::Charge { payment_id: charge.reference.parse().ok()?, answer: charge.into_answer() })
}

fn capture_fact(capture: Capture) -> Option<WebhookFact> {
    Some(WebhookFact::Charge { payment_id: capture.reference.parse().ok()?, answer: capture.into_answer() })
}

fn refund_fact(refund: Refund) -> Option<WebhookFact> {
    let payment = refund.capture_reference.as_ref().unwrap_or(&refund.charge_reference);
    Some(WebhookFact::Refund {
        payment_id: payment.parse().ok(),
        refund_id: refund.reference.parse().ok()?,
        answer: refund.into_answer(),
    })
}
