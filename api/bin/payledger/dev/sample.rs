//! `dev --payments N`: plays sample payments through the real path, the same ones each time.

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Payments under way at the same time.
const AT_ONCE: usize = 16;

/// What a sample payment does, how often out of a hundred, and how its order is named.
const TOKENS: [(&str, u32); 8] = [
    ("tok_success", 78),
    ("tok_declined", 6),
    ("tok_insufficient_funds", 4),
    ("tok_expired_card", 2),
    ("tok_requires_action", 3),
    ("tok_async", 3),
    ("tok_error_then_success", 2),
    ("tok_duplicate_webhooks", 2),
];

/// Currencies with the smallest and largest amount in minor units.
const CURRENCIES: [(&str, i64, i64); 4] =
    [("USD", 500, 250_000), ("EUR", 500, 180_000), ("JPY", 300, 400_000), ("KWD", 1_000, 90_000)];

pub async fn play(base_url: &str, secret: &str, payments: u32) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(2026);
    let samples: Vec<Sample> = (0..payments).map(|number| Sample::draw(number, &mut random)).collect();
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} eta {eta}")?;
    let progress = ProgressBar::new(u64::from(payments)).with_style(style).with_message("sample payments");
    let client = reqwest::Client::new();
    stream::iter(samples)
        .map(|sample| {
            let (client, progress) = (&client, &progress);
            async move {
                sample.play(client, base_url, secret).await?;
                progress.inc(1);
                anyhow::Ok(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    progress.finish();
    Ok(())
}

struct Sample {
    number: u32,
    token: &'static str,
    currency: &'static str,
    amount: i64,
    /// The part to refund, in minor units.
    refund: Option<i64>,
}

impl Sample {
    fn draw(number: u32, random: &mut StdRng) -> Sample {
        let mut left = random.random_range(0..TOKENS.iter().map(|(_, weight)| weight).sum::<u32>());
        let drawn = TOKENS.iter().find(|(_, weight)| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here
        });
        let (currency, least, most) = CURRENCIES[random.random_range(0..CURRENCIES.len())];
        let amount = random.random_range(least..=most);
        let refund = random.random_ratio(1, 12).then(|| random.random_range(1..=amount));
        Sample { number, token: drawn.map_or("tok_success", |(token, _)| token), currency, amount, refund }
    }

    async fn play(&self, client: &reqwest::Client, base_url: &str, secret: &str) -> anyhow::Result<()> {
        let request = json!({
            "order_no": format!("SAMPLE-{:05}", self.number),
            "amount": self.amount,
            "currency": self.currency,
            "payment_method": {"type": "card", "token": self.token},
            "customer": {"email": format!("customer{}@example.com", self.number % 50), "name": "A Customer"},
            "description": format!("Sample order {}", self.number),
        });
        let key = format!("sample-{}", self.number);
        let payment = post(client, &format!("{base_url}/api/v1/payments"), secret, &key, &request).await?;
        let (Some(refund), Some("succeeded")) = (self.refund, payment["status"].as_str()) else {
            return Ok(());
        };
        let request = json!({"payment_id": payment["id"], "amount": refund, "reason": "sample refund"});
        post(client, &format!("{base_url}/api/v1/refunds"), secret, &format!("{key}-refund"), &request).await?;
        Ok(())
    }
}

async fn post(client: &reqwest::Client, url: &str, secret: &str, key: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = client
        .post(url)
        .bearer_auth(secret)
        .header("Idempotency-Key", key)
        .header("Prefer", "wait=5")
        .json(body)
        .send()
        .await
        .context("the server does not answer")?;
    let status = answer.status();
    let body: Value = answer.json().await?;
    // A second `dev --payments` on the same data repeats the same keys and is answered as the first time.
    if !status.is_success() && status.as_u16() != 409 && status.as_u16() != 422 {
        bail!("{url} answered {status}: {body}");
    }
    Ok(body)
}
