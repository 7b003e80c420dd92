//! One deal of a merchant with a customer: a payment that may be refunded or disputed, a pre-auth that is captured in
//! parts or given back, or an order.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::client::Client;
use super::order;

/// What a sample payment does, and how often out of a hundred.
const TOKENS: [(&str, u32); 12] = [
    ("tok_success", 72),
    ("tok_declined", 6),
    ("tok_insufficient_funds", 4),
    ("tok_expired_card", 2),
    ("tok_requires_action", 3),
    ("tok_async", 3),
    ("tok_error_then_success", 2),
    ("tok_duplicate_webhooks", 2),
    ("tok_refund_fails", 2),
    ("tok_dispute", 1),
    ("tok_dispute_won", 1),
    ("tok_dispute_lost", 2),
];

/// A currency with the smallest and largest amount in minor units.
type Prices = (&'static str, i64, i64);

/// What each merchant of the credentials sells in, in their order, and how often out of a hundred.
const SHOPS: [(u32, &[Prices]); 4] = [
    (40, &[("USD", 500, 250_000), ("EUR", 500, 180_000), ("JPY", 300, 400_000), ("KWD", 1_000, 90_000)]),
    (20, &[("EUR", 300, 9_000)]),
    (20, &[("JPY", 300, 60_000), ("USD", 400, 20_000)]),
    (20, &[("KWD", 1_000, 60_000), ("USD", 500, 90_000)]),
];

/// The merchants whose tier has pre-auths.
const WITH_PRE_AUTHS: [usize; 2] = [0, 3];

pub struct Deal {
    number: u32,
    merchant: usize,
    token: &'static str,
    currency: &'static str,
    amount: i64,
    kind: Kind,
}

enum Kind {
    /// With the part to refund, in minor units.
    Payment { refund: Option<i64> },
    /// With the parts to capture; whatever is left is given back.
    PreAuth { captures: Vec<i64> },
    /// With the part that is paid first.
    Order { first: i64 },
}

/// The index of what was drawn, by weight.
fn weighted(weights: impl Iterator<Item = u32> + Clone, random: &mut StdRng) -> usize {
    let mut left = random.random_range(0..weights.clone().sum::<u32>());
    let mut weights = weights;
    let drawn = weights.position(|weight| {
        let here = left < weight;
        left = left.saturating_sub(weight);
        here
    });
    drawn.unwrap_or_default()
}

impl Deal {
    pub fn draw(number: u32, random: &mut StdRng) -> Deal {
        let merchant = weighted(SHOPS.iter().map(|(weight, _)| *weight), random);
        let prices = SHOPS[merchant].1;
        let (currency, least, most) = prices[random.random_range(0..prices.len())];
        let amount = random.random_range(least..=most);
        let token = TOKENS[weighted(TOKENS.iter().map(|(_, weight)| *weight), random)].0;
        let refund = random.random_ratio(1, 12).then(|| random.random_range(1..=amount));
        let first = random.random_range(1..=amount);
        if WITH_PRE_AUTHS.contains(&merchant) && random.random_ratio(1, 10) {
            let captures = [vec![], vec![first], vec![first, amount - first]][random.random_range(0..3)].clone();
            return Deal { number, merchant, token: "tok_success", currency, amount, kind: Kind::PreAuth { captures } };
        }
        let is_order = number % order::EVERY == order::EVERY - 1;
        let kind = if is_order { Kind::Order { first } } else { Kind::Payment { refund } };
        Deal { number, merchant, token, currency, amount, kind }
    }

    /// Which of the merchants it is.
    pub fn merchant(&self) -> usize {
        self.merchant
    }

    pub async fn play(&self, client: &Client, secret: &str) -> anyhow::Result<()> {
        let request = json!({
            "order_no": format!("SAMPLE-{:05}", self.number),
            "amount": self.amount,
            "currency": self.currency,
            "payment_method": {"type": "card", "token": self.token},
            "customer": {"email": format!("customer{}@example.com", self.number % 50), "name": "A Customer"},
            "description": format!("Sample order {}", self.number),
        });
        let key = format!("sample-{}", self.number);
        match &self.kind {
            Kind::Payment { refund } => {
                let payment = client.post("/payments", secret, &key, &request).await?;
                self.refund(client, secret, &payment, *refund).await
            }
            Kind::PreAuth { captures } => {
                let pre_auth = client.post("/pre-auths", secret, &key, &request).await?;
                self.capture(client, secret, &pre_auth, captures).await
            }
            Kind::Order { first } => {
                let (number, currency, amount, token) = (self.number, self.currency, self.amount, self.token);
                order::Sample { number, currency, amount, first: *first, token }.play(client, secret).await
            }
        }
    }

    async fn refund(&self, client: &Client, secret: &str, payment: &Value, refund: Option<i64>) -> anyhow::Result<()> {
        if let (Some(refund), Some("succeeded")) = (refund, payment["status"].as_str()) {
            let request = json!({"payment_id": payment["id"], "amount": refund, "reason": "sample refund"});
            client.post("/refunds", secret, &format!("sample-{}-refund", self.number), &request).await?;
        }
        Ok(())
    }

    async fn capture(&self, client: &Client, secret: &str, pre_auth: &Value, parts: &[i64]) -> anyhow::Result<()> {
        let Some(id) = pre_auth["id"].as_str() else { return Ok(()) };
        for (index, amount) in parts.iter().filter(|amount| **amount > 0).enumerate() {
            let key = format!("sample-{}-capture-{index}", self.number);
            client.post(&format!("/pre-auths/{id}/capture"), secret, &key, &json!({"amount": amount})).await?;
        }
        if parts.is_empty() {
            let key = format!("sample-{}-cancel", self.number);
            client.post(&format!("/pre-auths/{id}/cancel"), secret, &key, &json!({})).await?;
        }
        Ok(())
    }
}
