//! Refunds of PaymentIntents.
//!
//! Why a repeat is safe: before each refund the intent's refunds are read, a list that is up to date at once, and one
//! with our id in its metadata is the answer. So a refund is found also after Stripe has forgotten its key; and for
//! two calls that meet, the key is still there. A server error that Stripe has stored under the key stands for a day:
//! no other key is tried, because the refund behind it may still come to light, and nothing but the amount would stop
//! a second one.

use commands::ports::{RefundAnswer, RefundOrder};
use domain::payment::Failure;

use super::StripeChannel;
use super::answers::refund_answer;
use super::api::ApiError;
use super::currencies::to_stripe;
use super::objects::{REFUND_ID, Refund, metadata};

/// An intent with more than 10,000 refunds is not ours.
const PAGES_MAX: usize = 100;

impl StripeChannel {
    pub(super) async fn start_refund(&self, order: &RefundOrder) -> RefundAnswer {
        if let Err(error) = self.api.admit("create_refund") {
            return error.unknown_refund();
        }
        match self.find_by_metadata(order).await {
            Ok(None) => {}
            Ok(Some(refund)) => return refund_answer(&refund),
            Err(error) => return error.unknown_refund(),
        }
        let value = match to_stripe(order.amount) {
            Ok(value) => value.to_string(),
            Err(refusal) => return RefundAnswer::Failed { failure: Failure::from(&refusal) },
        };
        let form = [
            ("payment_intent", order.charge_reference.as_str()),
            ("amount", &value),
            ("metadata[refund_id]", &order.refund_id.to_string()),
            ("metadata[payment_id]", &order.payment_id.to_string()),
        ];
        match self.api.create_refund(&order.key, &form).await {
            Ok(refund) => refund_answer(&refund),
            Err(error) => self.after_refusal(order, &error).await,
        }
    }

    pub(super) async fn look_up_refund(&self, order: &RefundOrder) -> RefundAnswer {
        let found = match &order.channel_reference {
            Some(id) => self.api.refund(id).await.map(Some),
            None => self.find_by_metadata(order).await,
        };
        match found {
            Ok(Some(refund)) => refund_answer(&refund),
            Ok(None) => RefundAnswer::NotFound,
            Err(error) => error.unknown_refund(),
        }
    }

    /// Stripe may say "already refunded" because another call of ours has just done it.
    async fn after_refusal(&self, order: &RefundOrder, error: &ApiError) -> RefundAnswer {
        let Some(failure) = error.refusal() else {
            return error.unknown_refund();
        };
        match self.find_by_metadata(order).await {
            Ok(Some(refund)) => refund_answer(&refund),
            Ok(None) => RefundAnswer::Failed { failure },
            Err(error) => error.unknown_refund(),
        }
    }

    async fn find_by_metadata(&self, order: &RefundOrder) -> Result<Option<Refund>, ApiError> {
        let refund_id = order.refund_id.to_string();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.api.refunds(&order.charge_reference, after.as_deref()).await?;
            after = page.data.last().map(|refund| refund.id.clone());
            let has_more = page.has_more && after.is_some();
            let ours = page.data.into_iter().find(|refund| metadata(&refund.metadata, REFUND_ID) == Some(&refund_id));
            if ours.is_some() || !has_more {
                return Ok(ours);
            }
        }
        Ok(None)
    }
}
