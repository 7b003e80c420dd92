//! Stripe's webhooks: verified, then read into facts about our payments and refunds. Pure.
//! Source: <https://docs.stripe.com/webhooks>, <https://docs.stripe.com/api/events/types>.

use commands::ports::channel::{Webhook, WebhookError};
use commands::ports::{AuthorizationAnswer, ChannelAnswer, WebhookFact};
use domain::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::answers::{charge_answer, refund_answer};
use super::disputes;
use super::objects::{Charge, IntentStatus, PAYMENT_ID, PRE_AUTH_ID, PaymentIntent, REFUND_ID, Refund, metadata};
use crate::channels::signature;

/// Lower-case, as headers are looked up.
pub(super) const SIGNATURE_HEADER: &str = "stripe-signature";

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

pub(super) fn verify(
    signature: Option<&str>,
    body: &[u8],
    secrets: &[String],
    now: Timestamp,
) -> Result<(), WebhookError> {
    let valid = signature.is_some_and(|header| signature::is_valid(header, body, secrets, now));
    if valid { Ok(()) } else { Err(WebhookError::BadSignature) }
}

/// `page` as in `charge_answer`. Objects without our ids in their metadata are somebody else's: no fact.
pub(super) fn read(body: &[u8], page: Option<&Url>) -> Result<Webhook, WebhookError> {
    let event: Event = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
    let facts = match event.r#type.as_str() {
        "payment_intent.succeeded"
        | "payment_intent.payment_failed"
        | "payment_intent.canceled"
        | "payment_intent.requires_action"
        | "payment_intent.processing"
        | "payment_intent.amount_capturable_updated" => {
            let intent = object(event.data.object)?;
            authorization_fact(&intent).or_else(|| charge_fact(&intent, page)).into_iter().collect()
        }
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            refund_fact(&object(event.data.object)?).into_iter().collect()
        }
        "charge.refunded" => {
            let charge: Charge = object(event.data.object)?;
            charge.refunds.iter().flat_map(|refunds| &refunds.data).filter_map(refund_fact).collect()
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => {
            disputes::report(&object(event.data.object)?, false).map(WebhookFact::Dispute).into_iter().collect()
        }
        _ => vec![],
    };
    Ok(Webhook { event_id: event.id, event_type: event.r#type, facts })
}

fn object<T: DeserializeOwned>(object: Value) -> Result<T, WebhookError> {
    serde_json::from_value(object).map_err(|_| WebhookError::Malformed)
}

/// A webhook shows the intent as it was then, and webhooks come late and out of order. What is only a step on the way
/// is told where it adds something: an action without an address adds nothing. A failed attempt is no decline yet,
/// because the intent can still be paid; it is told as news about which the channel is to be asked, which closes it.
fn charge_fact(intent: &PaymentIntent, page: Option<&Url>) -> Option<WebhookFact> {
    let payment_id = metadata(&intent.metadata, PAYMENT_ID)?.parse().ok()?;
    let answer = match (charge_answer(intent, page), intent.status) {
        (ChannelAnswer::Declined { .. }, IntentStatus::RequiresPaymentMethod) => {
            ChannelAnswer::Accepted { channel_reference: intent.id.clone() }
        }
        (ChannelAnswer::Accepted { .. }, IntentStatus::RequiresAction)
        | (ChannelAnswer::NotFound | ChannelAnswer::Unknown { .. }, _) => return None,
        (answer, _) => answer,
    };
    Some(WebhookFact::Charge { payment_id, answer })
}

/// What it says of money held is told as news about which Stripe is to be asked: only the answer to that tells how long
/// it is held. What became of a capture is asked for under the capture's own payment.
fn authorization_fact(intent: &PaymentIntent) -> Option<WebhookFact> {
    let pre_auth_id = metadata(&intent.metadata, PRE_AUTH_ID)?.parse().ok()?;
    let answer = match intent.status {
        IntentStatus::Canceled => AuthorizationAnswer::Released,
        IntentStatus::Succeeded | IntentStatus::Other | IntentStatus::RequiresConfirmation => return None,
        IntentStatus::RequiresCapture
        | IntentStatus::Processing
        | IntentStatus::RequiresAction
        | IntentStatus::RequiresPaymentMethod => AuthorizationAnswer::Accepted { channel_reference: intent.id.clone() },
    };
    Some(WebhookFact::Authorization { pre_auth_id, answer })
}

fn refund_fact(refund: &Refund) -> Option<WebhookFact> {
    Some(WebhookFact::Refund {
        payment_id: metadata(&refund.metadata, PAYMENT_ID).and_then(|id| id.parse().ok()),
        refund_id: metadata(&refund.metadata, REFUND_ID)?.parse().ok()?,
        answer: refund_answer(refund),
    })
}
