//! What merchants do: payments with refunds, cancels and disputes, pre-auths in parts, withdrawals. Every deal is drawn
//! from the seed; it waits for its own outcome where the next step needs it, and for nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::Merchant;
use super::client::Client;

const TOKENS: [&str; 12] = [
    "tok_success",
    "tok_success",
    "tok_declined",
    "tok_async",
    "tok_requires_action",
    "tok_error_then_success",
    "tok_timeout_charged",
    "tok_timeout_uncharged",
    "tok_duplicate_webhooks",
    "tok_webhook_lost",
    "tok_refund_fails",
    "tok_refund_fails_late",
];
const HOLDING_TOKENS: [&str; 5] =
    ["tok_success", "tok_success", "tok_declined", "tok_timeout_charged", "tok_error_then_success"];
const DISPUTED_TOKENS: [&str; 4] = ["tok_dispute", "tok_dispute", "tok_dispute_won", "tok_dispute_lost"];
const EVIDENCE: [&str; 2] = ["winning_evidence", "losing_evidence"];

const IBAN: &str = "DE89370400440532013000";
/// The sandbox bank does what the name says.
const HOLDERS: [&str; 5] = ["Shop", "Shop", "Shop return", "Shop short return", "Shop reject"];
/// Minor units: less is not worth a withdrawal.
const WITHDRAWN_AT_LEAST: i64 = 300;

pub struct Trader<'a> {
    pub client: &'a Client,
    pub merchant: &'a Merchant,
    pub number: usize,
    pub random: StdRng,
}

/// One deal: whose it is, and the beginning of its keys.
struct Deal<'a> {
    client: &'a Client,
    merchant: &'a Merchant,
    name: String,
    currency: &'static str,
    amount: i64,
}

impl Trader<'_> {
    /// One deal after the other.
    pub async fn trade(mut self, stop: &AtomicBool) {
        for deal in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            self.deal(deal).await;
        }
    }

    async fn deal(&mut self, deal: usize) {
        let (client, merchant, random) = (self.client, self.merchant, &mut self.random);
        let currency = drawn(merchant.currencies, random);
        let name = format!("deal-{}-{deal}", self.number);
        let deal = Deal { client, merchant, name, currency, amount: random.random_range(1_000..20_000) };
        match random.random_range(0..10) {
            0..5 => {
                let (token, refunds) = (drawn(&TOKENS, random), [0, 0, 1, 2][random.random_range(0..4)]);
                // A payment that succeeds after its cancel is refunded again and again, and these never are.
                let cancelled = random.random_ratio(1, 6) && !token.starts_with("tok_refund_fails");
                deal.pay(token, refunds, cancelled).await;
            }
            5..7 if merchant.has_pre_auths => {
                let parts = random.random_range(0..4);
                deal.hold(drawn(&HOLDING_TOKENS, random), parts, random.random_ratio(1, 2)).await;
            }
            5..8 => deal.dispute(drawn(&DISPUTED_TOKENS, random), random.random_range(0..3)).await,
            _ => deal.withdraw(drawn(&HOLDERS, random), random.random_ratio(1, 6)).await,
        }
    }
}

fn drawn(of: &[&'static str], random: &mut StdRng) -> &'static str {
    of[random.random_range(0..of.len())]
}

impl Deal<'_> {
    async fn post(&self, path: &str, step: &str, body: &Value) -> Value {
        self.client.post(&self.merchant.secret, path, &format!("{}-{step}", self.name), body).await
    }

    async fn get_until(&self, path: &str, end: impl Fn(&Value) -> bool) -> Value {
        self.client.get_until(&self.merchant.secret, path, end).await
    }

    fn order(&self, token: &str) -> Value {
        json!({"order_no": self.name, "amount": self.amount, "currency": self.currency,
               "payment_method": {"type": "card", "token": token}})
    }

    /// The payment as it ends, or none where it was refused.
    async fn paid(&self, token: &str, cancelled: bool) -> Option<Value> {
        let asked = self.post("/payments", "pay", &self.order(token)).await;
        let path = format!("/payments/{}", asked["id"].as_str()?);
        if cancelled {
            self.post(&format!("{path}/cancel"), "cancel", &json!({})).await;
        }
        let payment = self.get_until(&path, |payment| payment["status"] != "processing").await;
        if payment["status"] != "requires_action" {
            return Some(payment);
        }
        self.post(&format!("{path}/cancel"), "away", &json!({})).await;
        Some(self.get_until(&path, |payment| payment["status"] != "requires_action").await)
    }

    async fn pay(&self, token: &str, refunds: i64, cancelled: bool) {
        let Some(payment) = self.paid(token, cancelled).await else { return };
        if payment["status"] == "succeeded" {
            for part in 0..refunds {
                let body = json!({"payment_id": payment["id"], "amount": self.amount / (refunds + part)});
                self.post("/refunds", &format!("refund-{part}"), &body).await;
            }
        }
    }

    /// Captures in so many parts; what is left then is given back.
    async fn hold(&self, token: &str, parts: i64, ends_by_capture: bool) {
        let asked = self.post("/pre-auths", "hold", &self.order(token)).await;
        let Some(id) = asked["id"].as_str() else { return };
        let path = format!("/pre-auths/{id}");
        let held = self.get_until(&path, |held| held["status"] != "processing").await;
        if held["status"] != "authorized" {
            return;
        }
        for part in 0..parts {
            let is_final = ends_by_capture && part + 1 == parts;
            let body = json!({"amount": self.amount / 4, "final": is_final});
            self.post(&format!("{path}/capture"), &format!("capture-{part}"), &body).await;
        }
        if !ends_by_capture || parts == 0 {
            self.post(&format!("{path}/cancel"), "cancel", &json!({})).await;
        }
    }

    async fn dispute(&self, token: &str, answer: usize) {
        let paid = self.paid(token, false).await;
        if token != "tok_dispute" || paid.is_none_or(|payment| payment["status"] != "succeeded") {
            return;
        }
        let found = format!("/disputes?order_no={}", self.name);
        let opened = self.get_until(&found, |list| !list["data"][0].is_null()).await;
        let path = format!("/disputes/{}", opened["data"][0]["id"].as_str().unwrap());
        match EVIDENCE.get(answer) {
            Some(text) => self.post(&format!("{path}/evidence"), "answer", &json!({"text": text})).await,
            None => self.post(&format!("{path}/accept"), "answer", &json!({})).await,
        };
    }

    async fn withdraw(&self, holder: &str, cancelled: bool) {
        let balances = self.client.get(&self.merchant.secret, "/balances").await;
        let mine = balances["balances"].as_array().unwrap().iter().find(|one| one["currency"] == self.currency);
        let available = mine.and_then(|balance| balance["available"].as_i64()).unwrap_or_default();
        if available / 3 < WITHDRAWN_AT_LEAST {
            return;
        }
        let account = json!({"iban": IBAN, "name": holder});
        let body = json!({"amount": available / 3, "currency": self.currency, "bank_account": account});
        let asked = self.post("/withdrawals", "withdraw", &body).await;
        if let (Some(id), true) = (asked["id"].as_str(), cancelled) {
            self.post(&format!("/withdrawals/{id}/cancel"), "stop", &json!({})).await;
        }
    }
}
