//! Authorisations are PaymentIntents with manual capture. Stripe takes one capture of each and gives back the rest; its
//! multicapture needs an agreement per account and is not used, so a second capture is refused here and not there.
//! Source: <https://docs.stripe.com/payments/place-a-hold-on-a-payment-method>.

use async_trait::async_trait;
use commands::ports::{AuthorizationAnswer, AuthorizationOrder, Authorizations, CaptureOrder, ChannelAnswer};

use super::StripeChannel;
use super::answers::{authorized, capture_answer};
use super::order::IntentOrder;

#[async_trait]
impl Authorizations for StripeChannel {
    fn takes_several_captures(&self) -> bool {
        false
    }

    async fn authorize(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        let told = self.start_charge(&IntentOrder::from(order)).await;
        self.authorization(told).await
    }

    async fn find_authorization(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        let told = self.look_up_charge(&IntentOrder::from(order)).await;
        self.authorization(told).await
    }

    async fn release(&self, order: &AuthorizationOrder, key: &str) -> AuthorizationAnswer {
        match self.cancel_charge(&IntentOrder::from(order), key).await {
            // A captured intent has given back its rest by itself.
            ChannelAnswer::Voided | ChannelAnswer::Captured { .. } => AuthorizationAnswer::Released,
            ChannelAnswer::Unknown { reason } => AuthorizationAnswer::Unknown { reason },
            other => AuthorizationAnswer::Unknown { reason: format!("a release was answered with {other:?}") },
        }
    }

    async fn capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        if let Err(error) = self.api.admit("capture_intent") {
            return error.unknown_charge();
        }
        self.capture_intent(&order.authorization_reference, order.amount, &order.key).await
    }

    /// There is one capture at most, so what the intent has received is this one's.
    async fn find_capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        match self.api.intent(&order.authorization_reference).await {
            Ok(intent) => capture_answer(&intent, order.amount),
            Err(error) => error.unknown_charge(),
        }
    }
}

impl StripeChannel {
    /// That an intent holds money, and how long, stands in the intent itself: it is read once more for that.
    async fn authorization(&self, told: ChannelAnswer) -> AuthorizationAnswer {
        match told {
            ChannelAnswer::Accepted { channel_reference } => match self.api.intent(&channel_reference).await {
                Ok(intent) => authorized(&intent),
                Err(error) => AuthorizationAnswer::Unknown { reason: error.reason() },
            },
            ChannelAnswer::ActionRequired { channel_reference, url } => {
                AuthorizationAnswer::ActionRequired { channel_reference, url }
            }
            ChannelAnswer::Declined { channel_reference, failure } => {
                AuthorizationAnswer::Declined { channel_reference, failure }
            }
            ChannelAnswer::Captured { .. } | ChannelAnswer::Voided => AuthorizationAnswer::Released,
            ChannelAnswer::NotFound => AuthorizationAnswer::NotFound,
            ChannelAnswer::Unknown { reason } => AuthorizationAnswer::Unknown { reason },
        }
    }
}
