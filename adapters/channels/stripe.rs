//! The Stripe channel: PaymentIntents, refunds and webhooks over Stripe's HTTP API, as its public documentation has
//! them. It knows Stripe's objects and currencies, nothing of the ledger's states.

mod answers;
mod api;
mod authorizations;
mod charges;
mod currencies;
mod disputes;
mod objects;
mod order;
mod refunds;
#[cfg(test)]
mod tests;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::channel::{Channel, Webhook, WebhookError};
use commands::ports::{
    Authorizations, ChannelAnswer, ChargeOrder, Clock, DisputeAnswer, DisputeOrder, DisputeReport, RefundAnswer,
    RefundOrder,
};
use domain::{ChannelName, Money, Timestamp};
use rust_decimal::Decimal;
use url::Url;

use self::api::Api;
use self::order::IntentOrder;
use super::http::{ChannelSetupError, base_address};

/// What a capture is expected to cost until Stripe tells its fee: 2.9 %.
const FEE_RATE: Decimal = Decimal::from_parts(29, 0, 0, false, 3);
/// Behind a confirmation stand the card networks; Stripe answers most within a few seconds.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct StripeConfig {
    /// `https://api.stripe.com`, or a server that speaks its protocol.
    pub url: String,
    /// `sk_...`, a bearer secret.
    pub secret_key: String,
    /// `whsec_...` of the webhook endpoint; two while it is being rolled.
    pub webhook_secrets: Vec<String>,
    pub timeout: Duration,
    /// A page that runs Stripe.js for customers who must authenticate where Stripe offers no redirect. It is called
    /// with the parameters that Stripe itself appends to a return address. The order's own return address comes first.
    pub authentication_page: Option<String>,
}

impl StripeConfig {
    pub fn new(secret_key: impl Into<String>, webhook_secret: impl Into<String>) -> StripeConfig {
        StripeConfig {
            url: "https://api.stripe.com".to_owned(),
            secret_key: secret_key.into(),
            webhook_secrets: vec![webhook_secret.into()],
            timeout: TIMEOUT_DEFAULT,
            authentication_page: None,
        }
    }
}

impl fmt::Debug for StripeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeConfig").field("url", &self.url).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

pub struct StripeChannel {
    api: Api,
    clock: Arc<dyn Clock>,
    webhook_secrets: Vec<String>,
    authentication_page: Option<Url>,
}

impl StripeChannel {
    pub fn new(config: StripeConfig, clock: Arc<dyn Clock>) -> Result<StripeChannel, ChannelSetupError> {
        let name: ChannelName = "stripe".parse().expect("the name has only lower-case letters");
        let authentication_page = config.authentication_page.as_deref().map(base_address).transpose()?;
        Ok(StripeChannel {
            api: Api::new(name, &config)?,
            clock,
            webhook_secrets: config.webhook_secrets,
            authentication_page,
        })
    }
}

#[async_trait]
impl Channel for StripeChannel {
    fn name(&self) -> &ChannelName {
        self.api.name()
    }

    fn expected_fee_rate(&self) -> Decimal {
        FEE_RATE
    }

    fn accepts(&self, amount: Money) -> Result<(), String> {
        currencies::check_charge(amount).map_err(|refusal| refusal.to_string())
    }

    async fn charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        self.start_charge(&IntentOrder::from(order)).await
    }

    async fn find_charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        self.look_up_charge(&IntentOrder::from(order)).await
    }

    async fn void_charge(&self, order: &ChargeOrder, key: &str) -> ChannelAnswer {
        self.cancel_charge(&IntentOrder::from(order), key).await
    }

    async fn refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.start_refund(order).await
    }

    async fn find_refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.look_up_refund(order).await
    }

    async fn find_dispute(&self, channel_reference: &str) -> DisputeAnswer {
        self.look_up_dispute(channel_reference).await
    }

    async fn disputes_since(&self, since: Timestamp) -> Result<Vec<DisputeReport>, String> {
        self.list_disputes(since).await
    }

    async fn submit_evidence(&self, order: &DisputeOrder, text: &str) -> DisputeAnswer {
        self.send_evidence(order, text).await
    }

    async fn accept_dispute(&self, order: &DisputeOrder) -> DisputeAnswer {
        self.close_dispute(order).await
    }

    fn authorizations(&self) -> Option<&dyn Authorizations> {
        Some(self)
    }

    fn read_webhook(
        &self,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        let signature = header(webhook::SIGNATURE_HEADER);
        webhook::verify(signature.as_deref(), body, &self.webhook_secrets, now)?;
        webhook::read(body, self.authentication_page.as_ref())
    }
}
