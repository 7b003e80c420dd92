//! Requests to the server under show, as its merchants and people of finance make them.

use anyhow::{Context, bail};
use serde_json::Value;

pub struct Client {
    http: reqwest::Client,
    base_url: String,
}

impl Client {
    pub fn new(base_url: &str) -> Client {
        Client { http: reqwest::Client::new(), base_url: format!("{base_url}/api/v1") }
    }

    /// A second `dev --payments` on the same data repeats the same keys and is answered as the first time; what the
    /// rules refuse is part of the show.
    pub async fn post(&self, path: &str, secret: &str, key: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base_url);
        let request = self.http.post(&url).bearer_auth(secret).header("Idempotency-Key", key);
        let answer = request.header("Prefer", "wait=5").json(body).send().await;
        let answer = answer.context("the server does not answer")?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        if !status.is_success() && status.as_u16() != 409 && status.as_u16() != 422 {
            bail!("{url} answered {status}: {body}");
        }
        Ok(body)
    }

    /// Has the sandbox pay out now what it owes.
    pub async fn end_day(&self, sandbox_url: &str) -> anyhow::Result<()> {
        let request = self.http.post(format!("{sandbox_url}/payouts/run")).json(&serde_json::json!({}));
        request.send().await.context("the sandbox does not answer")?.error_for_status()?;
        Ok(())
    }

    pub async fn get(&self, path: &str, secret: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base_url);
        let answer = self.http.get(&url).bearer_auth(secret).send().await.context("the server does not answer")?;
        Ok(answer.error_for_status()?.json().await?)
    }
}
