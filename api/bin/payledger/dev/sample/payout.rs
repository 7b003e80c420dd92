//! A merchant has part of what was settled paid out; finance approves most of it, with a second person where the amount
//! asks for one, and one account is no longer there when the money comes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;

/// How long the released batches are waited for; those of slower tiers are released on another day.
const RELEASED_WITHIN: Duration = Duration::from_secs(3);
const ASK_EVERY: Duration = Duration::from_millis(100);
const IBAN: &str = "DE89370400440532013000";

/// By the balance's place among the merchant's balances: who gets the money. The sandbox bank sends back what goes to
/// `Return`.
const BENEFICIARIES: [&str; 3] = ["Sample GmbH", "Sample Return GmbH", "Sample Holding GmbH"];

pub async fn play(client: &Client, number: usize, merchant: &str, one: &str, two: &str) -> anyhow::Result<()> {
    for (index, balance) in released(client, merchant).await?.iter().enumerate() {
        let amount = balance["available"].as_i64().unwrap_or_default() / 3;
        if amount == 0 || balance["receivable"] != 0 {
            continue;
        }
        let name = BENEFICIARIES[index % BENEFICIARIES.len()];
        let request = json!({
            "amount": amount, "currency": balance["currency"], "bank_account": {"iban": IBAN, "name": name},
        });
        let key = format!("sample-withdrawal-{number}-{index}");
        let withdrawal = client.post("/withdrawals", merchant, &key, &request).await?;
        let Some(id) = withdrawal["id"].as_str() else { continue };
        if index % BENEFICIARIES.len() == 2 {
            client.post(&format!("/withdrawals/{id}/reject"), one, &key, &json!({})).await?;
            continue;
        }
        let approve = format!("/withdrawals/{id}/approve");
        let approved = client.post(&approve, one, &key, &json!({})).await?;
        if approved["approvals_left"].as_i64().unwrap_or_default() > 0 {
            client.post(&approve, two, &key, &json!({})).await?;
        }
    }
    Ok(())
}

/// The merchant's balances once its batches that are due now are released.
async fn released(client: &Client, merchant: &str) -> anyhow::Result<Vec<Value>> {
    let started = Instant::now();
    loop {
        let answer = client.get("/balances", merchant).await?;
        let balances = answer["balances"].as_array().cloned().unwrap_or_default();
        let waiting = balances.iter().any(|balance| balance["available"] == 0);
        if !waiting || started.elapsed() > RELEASED_WITHIN {
            return Ok(balances);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
