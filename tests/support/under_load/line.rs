//! HTTP to the nodes, in turn. Every answer is held against what holds for all of them: it comes, in time and without
//! a fault of the server, and no later query of a route speaks for an older position than an earlier one did.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use uuid::Uuid;

use super::stage::Stage;

/// What nobody has answered by then has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A read model that is fed late on a busy machine is waited for.
const PATIENT: &str = "wait=30";
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// More say nothing new.
const FAULTS_MAX: usize = 30;

#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<String>>);

impl Faults {
    pub(super) fn note(&self, fault: String) {
        let mut faults = self.0.lock();
        if faults.len() < FAULTS_MAX {
            faults.push(fault);
        }
    }

    pub(super) fn are_many(&self) -> bool {
        self.0.lock().len() >= FAULTS_MAX
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// A good answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) position: Option<u64>,
    pub(super) body: Value,
}

/// How fresh, and of when.
#[derive(Clone, Copy, Default)]
pub(super) struct Of {
    pub(super) at_least: Option<u64>,
    pub(super) as_of: Option<u64>,
}

pub(super) struct Line {
    http: reqwest::Client,
    nodes: Vec<String>,
    turn: AtomicUsize,
    pub(super) faults: Faults,
    /// By route the newest position that a query of it has spoken for.
    newest: Mutex<HashMap<String, u64>>,
    queries: Mutex<Vec<Duration>>,
    commands: Mutex<Vec<Duration>>,
    refusals: Mutex<BTreeMap<String, u64>>,
    number: AtomicU64,
}

impl Line {
    pub(super) fn to(stage: &Stage) -> Line {
        Line {
            http: reqwest::Client::builder().timeout(ANSWER_WITHIN).build().expect("a client can be built"),
            nodes: stage.base_urls.clone(),
            turn: AtomicUsize::new(0),
            faults: Faults::default(),
            newest: Mutex::default(),
            queries: Mutex::default(),
            commands: Mutex::default(),
            refusals: Mutex::default(),
            number: AtomicU64::new(0),
        }
    }

    fn request(&self, method: Method, path: &str, secret: &str) -> RequestBuilder {
        let node = &self.nodes[self.turn.fetch_add(1, Ordering::Relaxed) % self.nodes.len()];
        self.http.request(method, format!("{node}{path}")).bearer_auth(secret)
    }

    /// A query of `route`, which is one read model's answer or one combination of them.
    pub(super) async fn get(&self, route: &str, path: &str, secret: &str, of: Of) -> Option<Answer> {
        let path = match of.as_of {
            Some(as_of) => format!("{path}{}as_of={}", sign(path), token(as_of)),
            None => path.to_owned(),
        };
        self.ask(route, &path, self.request(Method::GET, &path, secret), of).await
    }

    /// A query that names many objects.
    pub(super) async fn batch(&self, path: &str, secret: &str, body: &Value, of: Of) -> Option<Answer> {
        let request = self.request(Method::POST, path, secret).header("Idempotency-Key", Uuid::now_v7().to_string());
        self.ask(path, path, request.json(body), of).await
    }

    async fn ask(&self, route: &str, path: &str, request: RequestBuilder, of: Of) -> Option<Answer> {
        let request = match of.at_least {
            Some(position) => request.header("Ledger-Min-Position", token(position)).header("Prefer", PATIENT),
            None => request,
        };
        let earlier = self.newest.lock().get(route).copied().unwrap_or_default();
        let began = Instant::now();
        let answer = self.read(path, request.send().await).await?;
        self.queries.lock().push(began.elapsed());
        if answer.status != 200 {
            self.faults.note(format!("{path} answered {}: {}", answer.status, answer.body));
            return None;
        }
        if let (Some(position), None) = (answer.position, of.as_of) {
            if position < earlier {
                self.faults.note(format!("{path} went back to position {position} from {earlier}"));
            }
            if of.at_least.is_some_and(|least| position < least) {
                self.faults.note(format!("{path} speaks for {position}, asked for {:?}", of.at_least));
            }
            let mut newest = self.newest.lock();
            let known = newest.entry(route.to_owned()).or_default();
            *known = (*known).max(position);
        }
        Some(answer)
    }

    /// A command under a key of its own, sent once. Nothing if it failed; a refusal by a rule is an answer.
    pub(super) async fn command(&self, path: &str, secret: &str, body: &Value) -> Option<Answer> {
        let key = format!("load-{}", self.number.fetch_add(1, Ordering::Relaxed));
        let began = Instant::now();
        let answer = self.post(path, secret, &key, body).await?;
        self.commands.lock().push(began.elapsed());
        Some(answer)
    }

    pub(super) async fn post(&self, path: &str, secret: &str, key: &str, body: &Value) -> Option<Answer> {
        let request = self.request(Method::POST, path, secret).header("Idempotency-Key", key).json(body);
        let answer = self.read(path, request.send().await).await?;
        match answer.status {
            200..=202 => {}
            404 | 409 | 422 => *self.refusals.lock().entry(super::stage::text(&answer.body["code"])).or_default() += 1,
            status => {
                self.faults.note(format!("POST {path} answered {status}: {}", answer.body));
                return None;
            }
        }
        Some(answer)
    }

    pub(super) async fn upload(&self, path: &str, secret: &str, file: &'static str) -> Value {
        let request = self.request(Method::POST, path, secret).header("Idempotency-Key", "upload").body(file);
        self.read(path, request.send().await).await.map(|answer| answer.body).unwrap_or_default()
    }

    pub(super) async fn get_json(&self, path: &str, secret: &str) -> Value {
        self.get(path, path, secret, Of::default()).await.map(|answer| answer.body).unwrap_or_default()
    }

    async fn read(&self, path: &str, sent: reqwest::Result<Response>) -> Option<Answer> {
        let read = async {
            let answer = sent?;
            let status = answer.status().as_u16();
            let position = answer.headers().get("ledger-position").map(|token| position_of(token.as_bytes()));
            reqwest::Result::Ok((status, position, answer.text().await?))
        };
        match read.await {
            Ok((status, position, body)) => {
                Some(Answer { status, position, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) })
            }
            Err(error) => {
                self.faults.note(format!("{path}: {error:?}"));
                None
            }
        }
    }

    pub(super) fn commands(&self) -> u64 {
        self.commands.lock().len() as u64
    }

    pub(super) fn queries(&self) -> u64 {
        self.queries.lock().len() as u64
    }

    pub(super) fn in_words(&self) -> Vec<String> {
        let refused: Vec<String> =
            self.refusals.lock().iter().map(|(code, times)| format!("{code} {times} times")).collect();
        vec![
            format!("a command took {}", quantiles(&mut self.commands.lock())),
            format!("a query took {}", quantiles(&mut self.queries.lock())),
            format!("refused by a rule: {}", refused.join(", ")),
        ]
    }
}

fn quantiles(took: &mut [Duration]) -> String {
    took.sort();
    let at = |share: usize| took.get(took.len().saturating_sub(1) * share / 1_000).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, p99.9 {:?}, at most {:?}", at(500), at(990), at(999), at(1_000))
}

pub(super) fn sign(path: &str) -> char {
    if path.contains('?') { '&' } else { '?' }
}

fn token(position: u64) -> String {
    api::position::token(position)
}

fn position_of(token: &[u8]) -> u64 {
    let token = std::str::from_utf8(token).ok().and_then(api::position::read_token);
    token.expect("the server's own tokens can be read")
}
