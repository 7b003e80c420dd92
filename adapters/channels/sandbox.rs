//! The sandbox channel: a client of the sandbox provider's HTTP API. It knows the provider's JSON, nothing of its inside.

mod answers;
mod authorizations;
mod disputes;
mod payouts;
#[cfg(test)]
mod tests;
mod webhook;

use std::time::Duration;

use async_trait::async_trait;
use commands::ports::channel::{Channel, PayoutsAnswer, StatementAnswer, Webhook, WebhookError};
use commands::ports::{
    Authorizations, ChannelAnswer, ChargeOrder, DisputeAnswer, DisputeOrder, DisputeReport, RefundAnswer, RefundOrder,
};
use domain::{ChannelName, Money, Timestamp};
use reqwest::RequestBuilder;
use rust_decimal::Decimal;
use serde_json::json;
use url::Url;

use self::answers::{charge_answer, refund_answer, void_answer};
use self::payouts::{payouts_answer, statement_page};
use super::http::{ChannelSetupError, HttpChannel, TIMEOUT_DEFAULT, address, base_address};

/// Lines of a statement asked for at once.
const STATEMENT_PAGE: u64 = 500;
/// The provider takes 1.0 % of each capture.
const FEE_RATE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

#[derive(Clone)]
pub struct SandboxChannelConfig {
    /// `http://127.0.0.1:8090`.
    pub url: String,
    /// The key of the provider's webhook signatures; several while it is being replaced.
    pub webhook_secrets: Vec<String>,
    pub timeout: Duration,
}

impl SandboxChannelConfig {
    pub fn new(url: impl Into<String>, webhook_secret: impl Into<String>) -> SandboxChannelConfig {
        SandboxChannelConfig { url: url.into(), webhook_secrets: vec![webhook_secret.into()], timeout: TIMEOUT_DEFAULT }
    }
}

pub struct SandboxChannel {
    http: HttpChannel,
    base: Url,
    webhook_secrets: Vec<String>,
}

impl SandboxChannel {
    pub fn new(config: SandboxChannelConfig) -> Result<SandboxChannel, ChannelSetupError> {
        let name: ChannelName = "sandbox".parse().expect("the name has only lower-case letters");
        Ok(SandboxChannel {
            http: HttpChannel::new(name, config.timeout)?,
            base: base_address(&config.url)?,
            webhook_secrets: config.webhook_secrets,
        })
    }

    fn post(&self, segments: &[&str], key: &str) -> RequestBuilder {
        self.http.client().post(address(&self.base, segments)).header("Idempotency-Key", key)
    }

    fn get(&self, collection: &str, reference: &str) -> RequestBuilder {
        self.http.client().get(address(&self.base, &[collection])).query(&[("reference", reference)])
    }
}

/// Our ids are the provider's references, so everything can be asked for by what we know from the start, and a cancel
/// leaves a tombstone under the payment's id: a charge that arrives after it is refused.
#[async_trait]
impl Channel for SandboxChannel {
    fn name(&self) -> &ChannelName {
        self.http.name()
    }

    fn expected_fee_rate(&self) -> Decimal {
        FEE_RATE
    }

    /// Every currency in the ledger's own minor units.
    fn accepts(&self, amount: Money) -> Result<(), String> {
        if amount.minor() > 0 { Ok(()) } else { Err("the sandbox charges at least one minor unit".to_owned()) }
    }

    async fn charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        if let Err(silence) = self.http.admit("charge") {
            return charge_answer(Err(silence));
        }
        let mut body = json!({
            "reference": order.payment_id,
            "amount": order.amount.minor(),
            "currency": order.amount.currency(),
            "token": order.token,
        });
        if let Some(url) = &order.return_url {
            body["return_url"] = json!(url);
        }
        charge_answer(self.http.call("charge", self.post(&["charges"], &order.key).json(&body)).await)
    }

    async fn find_charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        charge_answer(self.http.call("find_charge", self.get("charges", &order.payment_id.to_string())).await)
    }

    async fn void_charge(&self, order: &ChargeOrder, key: &str) -> ChannelAnswer {
        let target = order.payment_id.to_string();
        void_answer(self.http.call("void_charge", self.post(&["charges", &target, "cancel"], key)).await)
    }

    async fn refund(&self, order: &RefundOrder) -> RefundAnswer {
        if let Err(silence) = self.http.admit("refund") {
            return refund_answer(Err(silence));
        }
        let body = json!({
            "reference": order.refund_id,
            "charge": order.charge_reference,
            "amount": order.amount.minor(),
        });
        match self.http.call("refund", self.post(&["refunds"], &order.key).json(&body)).await {
            // It was made before under another key; what became of it can be asked.
            Ok(answer) if answers::is_reference_in_use(&answer) => self.find_refund(order).await,
            result => refund_answer(result),
        }
    }

    async fn find_refund(&self, order: &RefundOrder) -> RefundAnswer {
        refund_answer(self.http.call("find_refund", self.get("refunds", &order.refund_id.to_string())).await)
    }

    async fn find_dispute(&self, channel_reference: &str) -> DisputeAnswer {
        self.look_up_dispute(channel_reference).await
    }

    async fn disputes_since(&self, since: Timestamp) -> Result<Vec<DisputeReport>, String> {
        self.list_disputes(since).await
    }

    async fn submit_evidence(&self, order: &DisputeOrder, text: &str) -> DisputeAnswer {
        self.answer_dispute(order, "evidence", &json!({ "text": text })).await
    }

    async fn accept_dispute(&self, order: &DisputeOrder) -> DisputeAnswer {
        self.answer_dispute(order, "accept", &json!({})).await
    }

    fn authorizations(&self) -> Option<&dyn Authorizations> {
        Some(self)
    }

    async fn payouts(&self, page: Option<&str>) -> PayoutsAnswer {
        let request =
            self.http.client().get(address(&self.base, &["payouts"])).query(&[("after", page.unwrap_or("0"))]);
        payouts_answer(self.http.call("payouts", request).await)
    }

    async fn payout_statement(&self, payout: &str) -> StatementAnswer {
        let address = address(&self.base, &["payouts", payout, "statement"]);
        let (mut lines, mut after) = (vec![], Some(0));
        while let Some(begin) = after {
            let query = [("after", begin), ("limit", STATEMENT_PAGE)];
            let request = self.http.client().get(address.clone()).query(&query);
            match statement_page(self.http.call("payout_statement", request).await) {
                Ok((page, next)) => {
                    lines.extend(page);
                    after = next;
                }
                Err(reason) => return StatementAnswer::Unknown { reason },
            }
        }
        StatementAnswer::Lines(lines)
    }

    fn read_webhook(
        &self,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        webhook::read(header(webhook::SIGNATURE_HEADER).as_deref(), body, &self.webhook_secrets, now)
    }
}
