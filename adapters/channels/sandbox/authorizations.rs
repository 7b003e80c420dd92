//! Authorisations at the sandbox provider: charges that are not captured, taken in parts under our payments' ids.

use async_trait::async_trait;
use commands::ports::{AuthorizationAnswer, AuthorizationOrder, Authorizations, CaptureOrder, ChannelAnswer};
use serde_json::json;

use super::SandboxChannel;
use super::answers::{authorization_answer, capture_answer, is_reference_in_use};

#[async_trait]
impl Authorizations for SandboxChannel {
    fn takes_several_captures(&self) -> bool {
        true
    }

    async fn authorize(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        if let Err(silence) = self.http.admit("authorize") {
            return authorization_answer(Err(silence));
        }
        let mut body = json!({
            "reference": order.pre_auth_id,
            "amount": order.amount.minor(),
            "currency": order.amount.currency(),
            "token": order.token,
            "capture": false,
        });
        if let Some(url) = &order.return_url {
            body["return_url"] = json!(url);
        }
        authorization_answer(self.http.call("authorize", self.post(&["charges"], &order.key).json(&body)).await)
    }

    async fn find_authorization(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        let request = self.get("charges", &order.pre_auth_id.to_string());
        authorization_answer(self.http.call("find_authorization", request).await)
    }

    /// What was captured before stays; an authorisation that never came leaves a tombstone.
    async fn release(&self, order: &AuthorizationOrder, key: &str) -> AuthorizationAnswer {
        let target = order.pre_auth_id.to_string();
        let request = self.post(&["charges", &target, "cancel"], key);
        match authorization_answer(self.http.call("release", request).await) {
            end @ (AuthorizationAnswer::Released
            | AuthorizationAnswer::Declined { .. }
            | AuthorizationAnswer::Unknown { .. }) => end,
            other => {
                AuthorizationAnswer::Unknown { reason: format!("the channel answered a release with {}", other.kind()) }
            }
        }
    }

    async fn capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        if let Err(silence) = self.http.admit("capture") {
            return capture_answer(Err(silence));
        }
        let body = json!({ "reference": order.payment_id, "amount": order.amount.minor() });
        let request = self.post(&["charges", &order.pre_auth_id.to_string(), "capture"], &order.key).json(&body);
        match self.http.call("capture", request).await {
            // It was made before under another key; what became of it can be asked.
            Ok(answer) if is_reference_in_use(&answer) => self.find_capture(order).await,
            result => capture_answer(result),
        }
    }

    async fn find_capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        capture_answer(self.http.call("find_capture", self.get("captures", &order.payment_id.to_string())).await)
    }
}
