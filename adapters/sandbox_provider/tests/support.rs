//! A running sandbox, a client for it, and a receiver of its webhooks.

use crate::sandbox_provider::{SandboxConfig, SandboxHandle, start};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const WAIT_MAX: Duration = Duration::from_secs(20);
pub(super) const SECRET: &str = "whsec_of_the_tests";

/// A webhook as it came in.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) signature: String,
    pub(super) body: String,
}

impl Received {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
pub(super) struct Inbox {
    received: Mutex<Vec<Received>>,
    /// How many posts are still answered 500.
    refusals: Mutex<usize>,
}

pub(super) struct Sandbox {
    pub(super) folder: TempDir,
    pub(super) handle: Option<SandboxHandle>,
    pub(super) inbox: Arc<Inbox>,
    config: SandboxConfig,
    client: reqwest::Client,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Sandbox {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with short delays; `adjust` changes the rest.
    pub(super) async fn start_with(adjust: impl FnOnce(&mut SandboxConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Arc::new(Inbox::default());
        let mut config = test_config(folder.path());
        config.webhook_url = Some(receive(Arc::clone(&inbox)).await);
        adjust(&mut config);
        let handle = Some(start(config.clone()).await.unwrap());
        Self { folder, handle, inbox, config, client: client() }
    }

    pub(super) async fn restart(&mut self) {
        self.stop().await;
        self.handle = Some(start(self.config.clone()).await.unwrap());
    }

    pub(super) async fn stop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.shutdown().await;
        }
    }

    pub(super) fn journal_path(&self) -> std::path::PathBuf {
        self.folder.path().join("book.ndjson")
    }

    pub(super) fn url(&self) -> String {
        self.handle.as_ref().unwrap().url()
    }

    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url()))
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        reply(self.request(Method::GET, path)).await.unwrap()
    }

    /// Posts with this idempotency key.
    pub(super) async fn post(&self, path: &str, key: &str, body: Value) -> Reply {
        self.try_post(path, key, body).await.unwrap()
    }

    pub(super) async fn try_post(&self, path: &str, key: &str, body: Value) -> reqwest::Result<Reply> {
        reply(self.request(Method::POST, path).header("idempotency-key", key).json(&body)).await
    }

    /// Charges 10.00 USD under a key made of the reference.
    pub(super) async fn charge(&self, reference: &str, token: &str) -> Reply {
        self.post("/charges", &format!("key-{reference}"), charge_body(reference, token)).await
    }

    pub(super) async fn authorize(&self, reference: &str, token: &str) -> Reply {
        let mut body = charge_body(reference, token);
        body["capture"] = json!(false);
        self.post("/charges", &format!("key-{reference}"), body).await
    }

    pub(super) async fn refund(&self, reference: &str, charge: &str, amount: i64) -> Reply {
        let body = json!({ "reference": reference, "charge": charge, "amount": amount });
        self.post("/refunds", &format!("key-{reference}"), body).await
    }

    pub(super) async fn book(&self, reference: &str) -> Vec<Value> {
        let reply = self.get(&format!("/book?reference={reference}")).await;
        reply.body["data"].as_array().unwrap().clone()
    }

    pub(super) async fn kinds(&self, reference: &str) -> Vec<String> {
        let book = self.book(reference).await;
        book.iter().map(|operation| operation["kind"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) async fn charge_status(&self, reference: &str) -> String {
        let reply = self.get(&format!("/charges?reference={reference}")).await;
        reply.body["status"].as_str().unwrap_or("absent").to_owned()
    }

    /// Waits until this many webhooks have come, and gives all of them.
    pub(super) async fn webhooks(&self, count: usize) -> Vec<Received> {
        until(|| async { self.inbox.received.lock().len() >= count }).await;
        self.inbox.received.lock().clone()
    }

    pub(super) async fn webhook_types(&self, count: usize) -> Vec<String> {
        let received = self.webhooks(count).await;
        received.iter().map(|hook| hook.json()["type"].as_str().unwrap().to_owned()).collect()
    }
}

impl Inbox {
    pub(super) fn refuse_next(&self, count: usize) {
        *self.refusals.lock() = count;
    }
}

impl Reply {
    pub(super) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("no error")
    }

    pub(super) fn status_field(&self) -> &str {
        self.body["status"].as_str().unwrap_or("no status")
    }
}

pub(super) fn test_config(data_dir: &Path) -> SandboxConfig {
    SandboxConfig {
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data_dir: data_dir.to_owned(),
        webhook_secret: SECRET.to_owned(),
        hang: Duration::from_millis(100),
        event_delay: Duration::from_millis(50),
        webhook_retry_first: Duration::from_millis(20),
        webhook_retry_max: Duration::from_millis(100),
        ..SandboxConfig::default()
    }
}

pub(super) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(WAIT_MAX).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub(super) fn charge_body(reference: &str, token: &str) -> Value {
    json!({ "reference": reference, "amount": 1000, "currency": "USD", "token": token })
}

async fn reply(request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok(Reply { status, body: answer.json().await? })
}

async fn receive(inbox: Arc<Inbox>) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/webhooks/sandbox", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/webhooks/sandbox", axum::routing::post(take)).with_state(inbox);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

async fn take(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut refusals = inbox.refusals.lock();
    if *refusals > 0 {
        *refusals -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let signature = headers["sandbox-signature"].to_str().unwrap().to_owned();
    let body = String::from_utf8(body.to_vec()).unwrap();
    inbox.received.lock().push(Received { signature, body });
    StatusCode::OK
}

/// Waits for a condition, with a limit.
pub(super) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + WAIT_MAX;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
