//! `dev --payments N`: plays a month's mix of business through the real path, the same each time: four merchants of four
//! tiers, payments, refunds, disputes, pre-auths and orders, then a settlement and what the merchants have paid out.

mod client;
mod deal;
mod order;
mod payout;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use super::credentials::Credentials;
use client::Client;
use deal::Deal;

/// Deals under way at the same time.
const AT_ONCE: usize = 16;

pub async fn play(credentials: &Credentials, payments: u32) -> anyhow::Result<()> {
    let client = Client::new(&credentials.base_url);
    let secrets = credentials.merchants();
    let mut random = StdRng::seed_from_u64(2026);
    let deals: Vec<Deal> = (0..payments).map(|number| Deal::draw(number, &mut random)).collect();
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} eta {eta}")?;
    let progress = ProgressBar::new(u64::from(payments)).with_style(style).with_message("sample payments");
    stream::iter(deals)
        .map(|deal| {
            let (client, secrets, progress) = (&client, &secrets, &progress);
            async move {
                deal.play(client, secrets[deal.merchant()]).await?;
                progress.inc(1);
                anyhow::Ok(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    progress.finish();
    collect(&client, credentials).await?;
    settle(&client, credentials).await?;
    for (number, secret) in secrets.iter().enumerate() {
        payout::play(&client, number, secret, &credentials.finance.secret, &credentials.finance2.secret).await?;
    }
    Ok(())
}

/// The channel's day ends: it pays out what it owes, and that is taken in.
async fn collect(client: &Client, credentials: &Credentials) -> anyhow::Result<()> {
    client.end_day(&credentials.sandbox_url).await?;
    client.post("/ledger/payouts/collect", &credentials.finance.secret, "sample-payouts", &json!({})).await?;
    Ok(())
}

/// One person of finance settles, another approves what is large enough to need it.
async fn settle(client: &Client, credentials: &Credentials) -> anyhow::Result<()> {
    let run = client.post("/settlements/run", &credentials.finance.secret, "sample-settlement", &json!({})).await?;
    for settlement in run["data"].as_array().into_iter().flatten() {
        if let (Some(id), Some(true)) = (settlement["id"].as_str(), settlement["needs_approval"].as_bool()) {
            let approve = format!("/settlements/{id}/approve");
            client.post(&approve, &credentials.finance2.secret, &format!("sample-{id}"), &json!({})).await?;
        }
    }
    Ok(())
}
