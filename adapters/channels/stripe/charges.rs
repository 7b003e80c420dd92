//! A charge is a PaymentIntent in two steps: created, which moves no money, then confirmed, which moves it once.
//!
//! Why every call is safe to repeat: creating again under the same key gives the same intent, and one intent, however
//! often and under whatever key it is confirmed, takes the money once. So an unknown outcome is resolved by learning
//! the intent's id (by creating it again) and reading it; and cancelling an intent by its id kills it for good,
//! whatever is still on its way: a late confirmation of a cancelled intent is refused.
//!
//! Stripe may forget a key 24 hours after its first use. Older payments are therefore searched by their metadata
//! first; the search lags by a minute, in outages by an hour, so whatever it misses is recent, and its key still holds.
//! What remains: a search that lags by more than 24 hours could hide an intent of an older payment.

use std::time::Duration;

use commands::ports::ChannelAnswer;
use domain::payment::Failure;
use domain::{Money, Timestamp};
use url::Url;

use super::StripeChannel;
use super::answers::{self, capture_answer, charge_answer};
use super::api::{ApiError, EXPAND_FEE};
use super::currencies::to_stripe;
use super::objects::{IntentStatus, PaymentIntent, metadata};
use super::order::{IntentOrder, Purpose};

/// Stripe keeps keys for at least 24 hours: <https://docs.stripe.com/api/idempotent_requests>.
const KEY_HOLDS_FOR: Duration = Duration::from_secs(23 * 3600);

impl StripeChannel {
    pub(super) async fn start_charge(&self, order: &IntentOrder<'_>) -> ChannelAnswer {
        if let Err(error) = self.api.admit("create_intent") {
            return error.unknown_charge();
        }
        match self.locate(order).await {
            Ok(intent) if intent.status == IntentStatus::RequiresConfirmation => self.confirm(order, intent).await,
            Ok(intent) => self.tell(order, &intent).await,
            Err(error) => match error.refusal() {
                Some(failure) => ChannelAnswer::Declined { channel_reference: None, failure },
                None => error.unknown_charge(),
            },
        }
    }

    /// Where no reference is known this may create the intent that it asks for. Unconfirmed, that changes nothing: it
    /// is the one that the charge itself would use.
    pub(super) async fn look_up_charge(&self, order: &IntentOrder<'_>) -> ChannelAnswer {
        match self.locate(order).await {
            Ok(intent) => self.tell(order, &intent).await,
            // Stripe will not even create it, so there is none.
            Err(error) if error.refusal().is_some() && order.channel_reference.is_none() => ChannelAnswer::NotFound,
            Err(error) => error.unknown_charge(),
        }
    }

    pub(super) async fn cancel_charge(&self, order: &IntentOrder<'_>, key: &str) -> ChannelAnswer {
        match self.locate(order).await {
            Ok(intent) => self.cancel(&intent, key).await,
            Err(error) if error.refusal().is_some() && order.channel_reference.is_none() => ChannelAnswer::Voided,
            Err(error) => error.unknown_charge(),
        }
    }

    /// Takes `amount` of what an intent holds; Stripe releases the rest.
    pub(super) async fn capture_intent(&self, channel_reference: &str, amount: Money, key: &str) -> ChannelAnswer {
        let value = match to_stripe(amount) {
            Ok(value) => value.to_string(),
            Err(refusal) => {
                return ChannelAnswer::Declined { channel_reference: None, failure: Failure::from(&refusal) };
            }
        };
        let form = [("amount_to_capture", value.as_str()), EXPAND_FEE];
        let moved = self.api.move_intent("capture_intent", (channel_reference, "capture"), key, &form).await;
        let error = match moved {
            Ok(intent) => return capture_answer(&intent, amount),
            Err(error) => error,
        };
        match self.api.intent(channel_reference).await {
            Ok(intent) if intent.status == IntentStatus::RequiresCapture => match error.refusal() {
                Some(failure) => {
                    ChannelAnswer::Declined { channel_reference: Some(channel_reference.to_owned()), failure }
                }
                None => error.unknown_charge(),
            },
            Ok(intent) => capture_answer(&intent, amount),
            Err(_) => error.unknown_charge(),
        }
    }

    /// The order's intent as it is now.
    async fn locate(&self, order: &IntentOrder<'_>) -> Result<PaymentIntent, ApiError> {
        if let Some(reference) = order.channel_reference {
            return self.api.intent(reference).await;
        }
        // Without the erased token the form would be another one, and the key of no use.
        let key_is_of_use = self.key_holds(&order.purpose) && !order.token.is_empty();
        if !key_is_of_use && let Some(id) = self.search(&order.purpose).await? {
            return self.api.intent(&id).await;
        }
        let (intent, replayed) = self.create(order).await?;
        if replayed { self.api.intent(&intent.id).await } else { Ok(intent) }
    }

    /// Ids carry the time at which they were made; one that does not counts as old.
    fn key_holds(&self, purpose: &Purpose) -> bool {
        let Some(made_at) = purpose.uuid.get_timestamp() else {
            return false;
        };
        let (seconds, _) = made_at.to_unix();
        let made_at = Timestamp::default().plus(Duration::from_secs(seconds));
        self.clock.now().since(made_at) < KEY_HOLDS_FOR
    }

    async fn search(&self, purpose: &Purpose) -> Result<Option<String>, ApiError> {
        let found = self.api.search_intents(purpose.key, &purpose.id).await?.data;
        let ours = || found.iter().filter(|intent| metadata(&intent.metadata, purpose.key) == Some(&purpose.id));
        let unused = [IntentStatus::RequiresConfirmation, IntentStatus::Canceled];
        let used = ours().find(|intent| !unused.contains(&intent.status));
        Ok(used.or_else(|| ours().next()).map(|intent| intent.id.clone()))
    }

    /// The same order always sends the same form, or Stripe would take the key for a mistake.
    async fn create(&self, order: &IntentOrder<'_>) -> Result<(PaymentIntent, bool), ApiError> {
        let value = to_stripe(order.amount).map_err(ApiError::Inexpressible)?.to_string();
        let form = [
            ("amount", value.as_str()),
            ("currency", &order.amount.currency().code().to_ascii_lowercase()),
            ("payment_method", order.token),
            ("payment_method_types[]", order.method),
            ("capture_method", order.capture.as_str()),
            (&format!("metadata[{}]", order.purpose.key), &order.purpose.id),
        ];
        self.api.create_intent(&format!("{}:create", order.key), &form).await
    }

    async fn confirm(&self, order: &IntentOrder<'_>, intent: PaymentIntent) -> ChannelAnswer {
        let mut form = vec![EXPAND_FEE];
        form.extend(order.return_url.map(|url| ("return_url", url)));
        let key = format!("{}:confirm", order.key);
        let error = match self.api.move_intent("confirm_intent", (&intent.id, "confirm"), &key, &form).await {
            Ok(intent) => return self.tell(order, &intent).await,
            Err(error) => error,
        };
        if let Some(failure) = error.decline() {
            return self.give_up(order, &intent, failure).await;
        }
        // Refused for its state, or lost: the intent itself knows what has become of it.
        match (self.api.intent(&intent.id).await, error.refusal()) {
            (Ok(now), Some(failure)) if now.status == IntentStatus::RequiresConfirmation => {
                self.give_up(order, &now, failure).await
            }
            (Ok(now), _) if now.status != IntentStatus::RequiresConfirmation => self.tell(order, &now).await,
            _ => error.unknown_charge(),
        }
    }

    /// A declined intent waits for another payment method, and whoever has its client secret could still pay it. So it
    /// is closed before the decline is told.
    async fn tell(&self, order: &IntentOrder<'_>, intent: &PaymentIntent) -> ChannelAnswer {
        match self.answer(order, intent) {
            ChannelAnswer::Declined { failure, .. } if intent.status != IntentStatus::Canceled => {
                self.give_up(order, intent, failure).await
            }
            answer => answer,
        }
    }

    /// Cancels what cannot succeed any more as it is, so that the decline is final.
    async fn give_up(&self, order: &IntentOrder<'_>, intent: &PaymentIntent, failure: Failure) -> ChannelAnswer {
        match self.cancel(intent, &format!("{}:give-up", order.key)).await {
            ChannelAnswer::Voided => ChannelAnswer::Declined { channel_reference: Some(intent.id.clone()), failure },
            answer => answer,
        }
    }

    async fn cancel(&self, intent: &PaymentIntent, key: &str) -> ChannelAnswer {
        let moved = match intent.status {
            IntentStatus::Canceled | IntentStatus::Succeeded => Ok(intent.clone()),
            _ => self.api.move_intent("cancel_intent", (&intent.id, "cancel"), key, &[EXPAND_FEE]).await,
        };
        let (now, reason) = match moved {
            Ok(intent) => (Ok(intent), "the PaymentIntent is neither cancelled nor captured".to_owned()),
            Err(error) => (self.api.intent(&intent.id).await, error.reason()),
        };
        match now {
            Ok(intent) if intent.status == IntentStatus::Canceled => ChannelAnswer::Voided,
            Ok(intent) if intent.status == IntentStatus::Succeeded => charge_answer(&intent, None),
            _ => ChannelAnswer::Unknown { reason },
        }
    }

    /// Money is booked from an intent only if the intent says itself that it is this payment's.
    fn answer(&self, order: &IntentOrder<'_>, intent: &PaymentIntent) -> ChannelAnswer {
        let is_ours = metadata(&intent.metadata, order.purpose.key) == Some(&order.purpose.id)
            && answers::currency(&intent.currency) == Some(order.amount.currency());
        if !is_ours {
            return ChannelAnswer::Unknown { reason: "the PaymentIntent was made for something else".to_owned() };
        }
        let return_url = order.return_url.and_then(|url| Url::parse(url).ok());
        charge_answer(intent, return_url.as_ref().or(self.authentication_page.as_ref()))
    }
}
