//! Clients who do not give up: a command is repeated with its key, at one node after the other, until it is answered.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use test_support::wait;

use super::PATIENCE;

/// A node that was killed may leave its clients waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub struct Client {
    http: reqwest::Client,
    nodes: Vec<String>,
    turn: AtomicUsize,
    /// How many commands were sent again.
    repeats: AtomicU64,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

/// A command that was answered.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    secret: String,
    pub path: String,
    key: String,
    request: Value,
    pub status: u16,
    body: String,
}

impl Acknowledged {
    pub fn answer(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Client {
    pub fn of(ports: &[u16]) -> Client {
        let nodes = ports.iter().map(|port| format!("http://127.0.0.1:{port}/api/v1")).collect();
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().unwrap();
        let (turn, repeats, acknowledged) = (AtomicUsize::new(0), AtomicU64::new(0), Mutex::new(vec![]));
        Client { http, nodes, turn, repeats, acknowledged }
    }

    /// To the next node.
    fn request(&self, method: Method, path: &str, secret: &str) -> RequestBuilder {
        let node = &self.nodes[self.turn.fetch_add(1, Ordering::Relaxed) % self.nodes.len()];
        self.http.request(method, format!("{node}{path}")).bearer_auth(secret)
    }

    /// The answer, whatever it says; what was refused is an answer too.
    pub async fn post(&self, secret: &str, path: &str, key: &str, request: &Value) -> Value {
        let (secret, key, request) = (secret.to_owned(), key.to_owned(), request.clone());
        let acknowledged = Acknowledged { secret, path: path.to_owned(), key, request, status: 0, body: String::new() };
        let (status, body, _) = self.until_answered(&acknowledged).await;
        let acknowledged = Acknowledged { status, body, ..acknowledged };
        let answer = acknowledged.answer();
        self.acknowledged.lock().push(acknowledged);
        answer
    }

    /// Status, body, and whether it was known already.
    async fn until_answered(&self, command: &Acknowledged) -> (u16, String, bool) {
        let mut tries = 0;
        let mut ask = async || {
            tries += 1;
            let sent =
                self.request(Method::POST, &command.path, &command.secret).header("Idempotency-Key", &command.key);
            let answer = sent.json(&command.request).send().await.ok()?;
            let (status, is_repeat) = (answer.status(), answer.headers().contains_key("idempotency-hit"));
            let body = answer.text().await.ok()?;
            (!is_to_be_repeated(status, &body)).then_some((status.as_u16(), body, is_repeat))
        };
        let answer = until_some(&command.path, &mut ask).await;
        self.repeats.fetch_add(tries - 1, Ordering::Relaxed);
        answer
    }

    pub async fn patch(&self, secret: &str, path: &str, body: &Value) {
        let key = format!("patch-{path}");
        let mut ask = async || {
            let request = self.request(Method::PATCH, path, secret).header("Idempotency-Key", &key).json(body);
            request.send().await.ok().filter(|answer| answer.status().is_success()).map(drop)
        };
        until_some(path, &mut ask).await;
    }

    pub async fn get(&self, secret: &str, path: &str) -> Value {
        let mut ask = async || {
            let answer = self.request(Method::GET, path, secret).send().await.ok()?;
            if answer.status().is_success() { answer.json().await.ok() } else { None }
        };
        until_some(path, &mut ask).await
    }

    /// Asks until `end` accepts the answer.
    pub async fn get_until(&self, secret: &str, path: &str, end: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let mut ask = async || {
            last = self.get(secret, path).await;
            end(&last).then(|| last.clone())
        };
        until_some(path, &mut ask).await
    }

    /// Every row of a list.
    pub async fn list(&self, secret: &str, path: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (vec![], String::new());
        let sign = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(secret, &format!("{path}{sign}limit=100{cursor}")).await;
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    /// Waits until so many more commands were answered, or nobody gives any more.
    pub async fn progress(&self, more: usize, stop: &AtomicBool) {
        let goal = self.acknowledged.lock().len() + more;
        wait::until("the business goes on", PATIENCE, || async {
            (self.acknowledged.lock().len() >= goal || stop.load(Ordering::Relaxed)).then_some(())
        })
        .await;
    }

    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().clone()
    }

    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// What a command did is its answer for ever, at either node.
    pub async fn assert_answered_alike(&self, command: &Acknowledged) {
        for _ in &self.nodes {
            let (status, body, is_repeat) = self.until_answered(command).await;
            assert_eq!((status, &body), (command.status, &command.body), "{} {}", command.path, command.key);
            assert!(is_repeat, "{} {} was done again", command.path, command.key);
        }
    }
}

/// The first still runs, perhaps on a node that is dead; or nobody could do it just now.
fn is_to_be_repeated(status: StatusCode, body: &str) -> bool {
    let in_flight = status == StatusCode::CONFLICT && body.contains("idempotency_key_in_flight");
    in_flight || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

async fn until_some<T>(what: &str, ask: &mut impl AsyncFnMut() -> Option<T>) -> T {
    let started = std::time::Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
