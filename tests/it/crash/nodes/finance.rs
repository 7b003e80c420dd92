//! What the people of finance and operations do all day: settle, approve, reject, and ask for jobs.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::client::Client;

/// Those that touch money or the channel.
const JOBS: [&str; 4] = ["close_settlements", "collect_payouts", "expire_overdue_payments", "find_missed_disputes"];

pub struct Finance {
    pub one: String,
    pub two: String,
    pub operator: String,
    pub sandbox_url: String,
}

impl Finance {
    pub async fn work(&self, client: &Client, stop: &AtomicBool) {
        for round in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            self.settle(client, &format!("round-{round}")).await;
            self.decide_withdrawals(client).await;
            client.progress(10, stop).await;
            if round % 8 == 7 {
                self.pay_out(client, &format!("round-{round}")).await;
            }
        }
    }

    /// Closes what has been earned; the other person lets go of what needs it.
    pub async fn settle(&self, client: &Client, name: &str) {
        let run = client.post(&self.one, "/settlements/run", name, &json!({})).await;
        for closed in run["data"].as_array().unwrap() {
            let id = closed["id"].as_str().unwrap();
            if closed["needs_approval"] == true {
                if is_one_of(id, 3) {
                    let hold = format!("/settlements/{id}/hold");
                    client.post(&self.one, &hold, &format!("hold-{id}"), &json!({})).await;
                }
                let approve = format!("/settlements/{id}/approve");
                client.post(&self.two, &approve, &format!("approve-{id}"), &json!({})).await;
            }
        }
    }

    /// Answers how many there were to decide.
    pub async fn decide_withdrawals(&self, client: &Client) -> usize {
        let asked = client.list(&self.one, "/withdrawals?status=requested").await;
        for withdrawal in &asked {
            let id = withdrawal["id"].as_str().unwrap();
            if is_one_of(id, 8) {
                let reject = format!("/withdrawals/{id}/reject");
                client.post(&self.one, &reject, &format!("reject-{id}"), &json!({"reason": "not today"})).await;
                continue;
            }
            let approve = format!("/withdrawals/{id}/approve");
            let approved = client.post(&self.one, &approve, &format!("approve-{id}"), &json!({})).await;
            if approved["approvals_left"].as_i64().is_some_and(|left| left > 0) {
                client.post(&self.two, &approve, &format!("approve-{id}"), &json!({})).await;
            }
        }
        asked.len()
    }

    /// The channel pays out, and it is asked what it has paid.
    pub async fn pay_out(&self, client: &Client, name: &str) {
        let pay_out = format!("{}/payouts/run", self.sandbox_url);
        let paid = reqwest::Client::new().post(pay_out).json(&json!({})).send().await.unwrap();
        assert!(paid.status().is_success());
        client.post(&self.one, "/ledger/payouts/collect", &format!("collect-{name}"), &json!({})).await;
    }

    pub async fn ask_for_jobs(&self, client: &Client, name: &str) {
        for job in JOBS {
            let asked: Value =
                client.post(&self.operator, &format!("/jobs/{job}/run"), &format!("{job}-{name}"), &json!({})).await;
            assert_eq!(asked["object"], "job_run", "{asked}");
        }
    }
}

/// Picks one object in so many, the same ones whenever it is asked.
fn is_one_of(id: &str, many: u32) -> bool {
    id.bytes().map(u32::from).sum::<u32>().is_multiple_of(many)
}
