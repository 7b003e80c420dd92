//! Bounded load over HTTP: clients that create payments and repeat a request with its key until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

/// What the clients' payments do at the sandbox, in turn.
const TOKENS: [&str; 8] = [
    "tok_success",
    "tok_success",
    "tok_declined",
    "tok_async",
    "tok_error_then_success",
    "tok_duplicate_webhooks",
    "tok_webhook_lost",
    "tok_timeout_charged",
];

/// A request is given up after this, and the test with it: long enough for a database that recovers on a busy disk.
const ANSWERED_WITHIN: Duration = Duration::from_secs(240);

#[derive(Clone)]
pub struct Load {
    /// `http://127.0.0.1:8080/api/v1`
    pub base_url: String,
    pub secret: String,
    pub stop: Arc<AtomicBool>,
    pub answered: Arc<AtomicU64>,
}

/// A payment that the server acknowledged.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub key: String,
    pub request: Value,
    pub status: u16,
    pub body: String,
}

impl Load {
    pub fn new(base_url: String, secret: String) -> Load {
        Load { base_url, secret, stop: Arc::default(), answered: Arc::default() }
    }

    /// Runs `clients` at once until stopped; each sends one payment after the other.
    pub async fn run(&self, clients: usize) -> Vec<Acknowledged> {
        let running: Vec<_> = (0..clients)
            .map(|client| {
                let load = self.clone();
                tokio::spawn(async move { load.client(client).await })
            })
            .collect();
        let mut acknowledged = vec![];
        for client in running {
            acknowledged.extend(client.await.expect("a client does not panic"));
        }
        acknowledged
    }

    async fn client(&self, client: usize) -> Vec<Acknowledged> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client can be built");
        let mut acknowledged = vec![];
        let mut number = 0_usize;
        while !self.stop.load(Ordering::Relaxed) {
            let key = format!("load-{client}-{number}");
            let request = json!({
                "order_no": format!("L-{client}-{number}"),
                "amount": 1_000 + number,
                "currency": "USD",
                "payment_method": {"type": "card", "token": TOKENS[(client + number) % TOKENS.len()]},
            });
            let (status, body) = self.until_answered(&http, &key, &request).await;
            self.answered.fetch_add(1, Ordering::Relaxed);
            acknowledged.push(Acknowledged { key, request, status, body });
            number += 1;
        }
        acknowledged
    }

    /// Sends the same request with the same key until it is answered with something final.
    pub async fn until_answered(&self, http: &reqwest::Client, key: &str, request: &Value) -> (u16, String) {
        let started = Instant::now();
        loop {
            let sent = http
                .post(format!("{}/payments", self.base_url))
                .bearer_auth(&self.secret)
                .header("Idempotency-Key", key)
                .json(request)
                .send()
                .await;
            if let Ok(answer) = sent {
                let status = answer.status();
                let in_flight = status == StatusCode::CONFLICT;
                let again = in_flight || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                if let Ok(body) = answer.text().await
                    && !again
                {
                    return (status.as_u16(), body);
                }
            }
            assert!(started.elapsed() < ANSWERED_WITHIN, "{key} was not answered within {ANSWERED_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
