//! What Stripe's objects mean for a charge or a refund of ours. Pure.
//! Source: <https://docs.stripe.com/payments/paymentintents/lifecycle>, <https://docs.stripe.com/refunds>.

use std::time::Duration;

use commands::ports::{AuthorizationAnswer, ChannelAnswer, RefundAnswer};
use domain::payment::Failure;
use domain::{Currency, Money, Timestamp};
use url::Url;

use super::currencies::from_stripe;
use super::objects::{Expandable, IntentStatus, PaymentIntent, Refund};

/// `page`: where the customer authenticates if Stripe names no place for it.
pub(super) fn charge_answer(intent: &PaymentIntent, page: Option<&Url>) -> ChannelAnswer {
    let channel_reference = intent.id.clone();
    match intent.status {
        IntentStatus::Succeeded => captured(intent),
        IntentStatus::RequiresAction => match action_url(intent, page) {
            Some(url) => ChannelAnswer::ActionRequired { channel_reference, url },
            None => ChannelAnswer::Accepted { channel_reference },
        },
        IntentStatus::Processing | IntentStatus::RequiresCapture => ChannelAnswer::Accepted { channel_reference },
        IntentStatus::Canceled | IntentStatus::RequiresPaymentMethod => {
            match (&intent.last_payment_error, intent.status) {
                (Some(error), _) => {
                    ChannelAnswer::Declined { channel_reference: Some(channel_reference), failure: error.decline() }
                }
                (None, IntentStatus::Canceled) => ChannelAnswer::Voided,
                (None, _) => unknown("the PaymentIntent has no payment method"),
            }
        }
        // The intent is there, and nobody has confirmed it: for us the charge has not reached Stripe.
        IntentStatus::RequiresConfirmation => ChannelAnswer::NotFound,
        IntentStatus::Other => unknown("the PaymentIntent has a status that is not known here"),
    }
}

/// What a capture of `amount` has come to. Before it, and without one, the intent still holds the money.
pub(super) fn capture_answer(intent: &PaymentIntent, amount: Money) -> ChannelAnswer {
    match intent.status {
        // Servers of the protocol that do not tell what was received took what they were asked for.
        IntentStatus::Succeeded if intent.amount_received.is_none() => match captured(intent) {
            ChannelAnswer::Captured { channel_reference, fee, .. } => {
                ChannelAnswer::Captured { channel_reference, amount: amount.minor(), fee }
            }
            other => other,
        },
        IntentStatus::RequiresCapture => ChannelAnswer::NotFound,
        _ => charge_answer(intent, None),
    }
}

/// Money that an intent with manual capture holds.
pub(super) fn authorized(intent: &PaymentIntent) -> AuthorizationAnswer {
    let channel_reference = intent.id.clone();
    let held = currency(&intent.currency).and_then(|currency| from_stripe(intent.amount, currency));
    match (intent.status, held) {
        (IntentStatus::RequiresCapture, Some(amount)) => {
            AuthorizationAnswer::Authorized { channel_reference, amount, capture_before: capture_before(intent) }
        }
        (IntentStatus::RequiresCapture, None) => {
            AuthorizationAnswer::Unknown { reason: "the PaymentIntent holds no whole number of minor units".to_owned() }
        }
        (IntentStatus::Succeeded | IntentStatus::Canceled, _) => AuthorizationAnswer::Released,
        _ => AuthorizationAnswer::Accepted { channel_reference },
    }
}

fn capture_before(intent: &PaymentIntent) -> Option<Timestamp> {
    let details = intent.latest_charge.as_ref()?.object()?.payment_method_details.as_ref()?;
    let seconds = u64::try_from(details.card.as_ref()?.capture_before?).ok()?;
    Some(Timestamp::default().plus(Duration::from_secs(seconds)))
}

fn captured(intent: &PaymentIntent) -> ChannelAnswer {
    let Some(currency) = currency(&intent.currency) else {
        return unknown("the PaymentIntent has a currency that is not known here");
    };
    match from_stripe(intent.amount_received.unwrap_or(intent.amount), currency) {
        Some(amount) => {
            ChannelAnswer::Captured { channel_reference: intent.id.clone(), amount, fee: fee(intent, currency) }
        }
        None => unknown("the captured amount is no whole number of minor units"),
    }
}

/// The fee in the charge's minor units, where Stripe told it in the charge's own currency. Otherwise it stays an
/// estimate until the statements are reconciled.
fn fee(intent: &PaymentIntent, currency: Currency) -> Option<i64> {
    let charge = intent.latest_charge.as_ref()?.object()?;
    let transaction = charge.balance_transaction.as_ref().and_then(Expandable::object)?;
    (transaction.currency == intent.currency).then(|| from_stripe(transaction.fee, currency)).flatten()
}

pub(super) fn currency(code: &str) -> Option<Currency> {
    code.to_ascii_uppercase().parse().ok()
}

fn action_url(intent: &PaymentIntent, page: Option<&Url>) -> Option<String> {
    let redirect = intent.next_action.as_ref().and_then(|action| action.redirect_to_url.as_ref());
    if let Some(url) = redirect.and_then(|redirect| redirect.url.clone()) {
        return Some(url);
    }
    let mut page = page?.clone();
    page.query_pairs_mut()
        .append_pair("payment_intent", &intent.id)
        .append_pair("payment_intent_client_secret", intent.client_secret.as_deref()?);
    Some(page.into())
}

/// Stripe keeps its fee when a charge is refunded.
pub(super) fn refund_answer(refund: &Refund) -> RefundAnswer {
    let channel_reference = refund.id.clone();
    match refund.status.as_deref() {
        Some("succeeded") => RefundAnswer::Succeeded { channel_reference, fee_returned: 0 },
        Some("pending" | "requires_action") => RefundAnswer::Accepted { channel_reference },
        Some("failed" | "canceled") => RefundAnswer::Failed { failure: refund_failure(refund) },
        _ => RefundAnswer::Unknown { reason: "the refund has a status that is not known here".to_owned() },
    }
}

fn refund_failure(refund: &Refund) -> Failure {
    Failure::new("refund_failed", refund.failure_reason.as_deref())
}

fn unknown(reason: &str) -> ChannelAnswer {
    ChannelAnswer::Unknown { reason: reason.to_owned() }
}
