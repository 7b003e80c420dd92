//! The commands: payments, orders, refunds, cancels, pre-auths and withdrawals in a mixture, at the rate of the plan
//! however long the answers take; and finance, who settles and approves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::Run;
use super::known::{Acknowledged, Kind, Object};
use super::line::Of;
use super::stage::text;

const TOKENS: [&str; 16] = [
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_success",
    "tok_declined",
    "tok_requires_action",
    "tok_async",
    "tok_duplicate_webhooks",
    "tok_refund_fails",
    "tok_dispute",
];
const CURRENCIES: [&str; 3] = ["USD", "USD", "EUR"];
const SETTLE_EVERY: Duration = Duration::from_secs(3);

/// Commands that somebody has taken upon himself to send.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// One command after the other, each at its moment; who is late does not wait.
pub(super) async fn write(run: Arc<Run>, number: usize) {
    let mut random = StdRng::seed_from_u64(run.plan.seed.wrapping_add(number as u64));
    while run.goes_on() {
        let ticket = TAKEN.fetch_add(1, Ordering::Relaxed);
        let due = Duration::from_secs_f64(ticket as f64 / f64::from(run.plan.commands_per_second));
        tokio::time::sleep(due.saturating_sub(run.began.elapsed())).await;
        let merchant = random.random_range(0..run.stage.merchants.len());
        Writer { run: &run, merchant, ticket }.send_any(&mut random).await;
    }
}

struct Writer<'a> {
    run: &'a Run,
    merchant: usize,
    ticket: u64,
}

impl Writer<'_> {
    async fn send_any(&self, random: &mut StdRng) {
        let known = &self.run.known;
        match random.random_range(0..100) {
            0..12 => self.make_order(random).await,
            12..20 => match known.unpaid_orders.take(random) {
                Some(order) => self.pay_order(&order).await,
                None => self.make_order(random).await,
            },
            20..34 => match known.refundable.take(random) {
                Some(payment) => self.refund(&payment, random).await,
                None => self.pay(random).await,
            },
            34..40 => self.hold(random).await,
            40..47 => match known.capturable.take(random) {
                Some(held) => self.end_hold(&held, random).await,
                None => self.pay(random).await,
            },
            47..50 => match known.made.pool(Kind::Payment).any(random) {
                Some(payment) => self.cancel(&payment).await,
                None => self.pay(random).await,
            },
            50..52 => self.withdraw(random).await,
            _ => self.pay(random).await,
        }
    }

    async fn send(&self, merchant: usize, path: &str, body: &Value) -> Option<(u16, Option<u64>, Value)> {
        let answer = self.run.line.command(path, &self.run.stage.merchants[merchant].secret, body).await?;
        Some((answer.status, answer.position, answer.body))
    }

    /// Sends a command that makes an object, and hands what was acknowledged to the followers.
    async fn make(&self, kind: Kind, merchant: usize, path: &str, body: &Value) -> Option<Object> {
        let (status, position, body) = self.send(merchant, path, body).await?;
        if status != 201 {
            return None;
        }
        let object = Object { id: text(&body[kind.name()]), merchant };
        let Some(position) = position else {
            self.run.line.faults.note(format!("{path} told no position"));
            return None;
        };
        if matches!(kind, Kind::Payment | Kind::PreAuth) {
            self.run.known.unfinished.lock().push_back((kind, object.clone(), 1));
        }
        self.run.known.acknowledge(Acknowledged { kind, object: object.clone(), position, body });
        Some(object)
    }

    fn bought(&self, random: &mut StdRng) -> Value {
        let token = TOKENS[random.random_range(0..TOKENS.len())];
        json!({"order_no": format!("L-{}", self.ticket), "amount": random.random_range(1_000..20_000),
               "currency": CURRENCIES[random.random_range(0..CURRENCIES.len())],
               "payment_method": {"type": "card", "token": token}})
    }

    async fn pay(&self, random: &mut StdRng) {
        self.make(Kind::Payment, self.merchant, "/payments", &self.bought(random)).await;
    }

    async fn make_order(&self, random: &mut StdRng) {
        let items = json!([{"name": "Teapot", "quantity": 2, "unit_amount": random.random_range(500..5_000)}]);
        let body = json!({"order_no": format!("O-{}", self.ticket), "currency": "USD", "items": items});
        if let Some(order) = self.make(Kind::Order, self.merchant, "/orders", &body).await {
            self.run.known.unpaid_orders.add(order);
        }
    }

    async fn pay_order(&self, order: &Object) {
        let body = json!({"payment_method": {"type": "card", "token": "tok_success"}});
        self.make(Kind::Payment, order.merchant, &format!("/orders/{}/pay", order.id), &body).await;
    }

    async fn refund(&self, payment: &Object, random: &mut StdRng) {
        let body = json!({"payment_id": payment.id, "amount": random.random_range(100..900)});
        self.make(Kind::Refund, payment.merchant, "/refunds", &body).await;
    }

    async fn hold(&self, random: &mut StdRng) {
        let mut body = self.bought(random);
        body["payment_method"]["token"] = json!("tok_success");
        self.make(Kind::PreAuth, self.merchant, "/pre-auths", &body).await;
    }

    async fn end_hold(&self, held: &Object, random: &mut StdRng) {
        let path = format!("/pre-auths/{}", held.id);
        match random.random_range(0..3) {
            0 => self.send(held.merchant, &format!("{path}/cancel"), &json!({})).await,
            1 => self.send(held.merchant, &format!("{path}/capture"), &json!({"amount": 500})).await,
            _ => self.send(held.merchant, &format!("{path}/capture"), &json!({"final": true})).await,
        };
    }

    async fn cancel(&self, payment: &Object) {
        self.send(payment.merchant, &format!("/payments/{}/cancel", payment.id), &json!({})).await;
    }

    async fn withdraw(&self, random: &mut StdRng) {
        let account = json!({"iban": "DE89370400440532013000", "name": "Shop"});
        let body = json!({"amount": random.random_range(300..600), "currency": "USD", "bank_account": account});
        self.make(Kind::Withdrawal, self.merchant, "/withdrawals", &body).await;
    }
}

/// Settles what was earned and approves what waits for it.
pub(super) async fn finance(run: Arc<Run>) {
    let (line, [one, two]) = (&run.line, &run.stage.finance);
    while run.goes_on() {
        if let Some(closed) = line.command("/settlements/run", one, &json!({})).await {
            for batch in closed.body["data"].as_array().into_iter().flatten() {
                if batch["needs_approval"] == true {
                    line.command(&format!("/settlements/{}/approve", text(&batch["id"])), two, &json!({})).await;
                }
            }
        }
        for person in [one, two] {
            let waiting = line.get("/withdrawals", "/withdrawals?status=requested", person, Of::default()).await;
            for withdrawal in waiting.iter().flat_map(|answer| answer.body["data"].as_array().into_iter().flatten()) {
                line.command(&format!("/withdrawals/{}/approve", text(&withdrawal["id"])), person, &json!({})).await;
            }
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
}
