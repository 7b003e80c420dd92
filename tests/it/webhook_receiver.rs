//! A listener that keeps the webhooks posted to it, so that a test can give them to a channel to read.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use commands::ports::Channel;
use commands::ports::channel::{Webhook, WebhookError};
use domain::Timestamp;
use parking_lot::Mutex;
use test_support::wait::until;

pub struct WebhookReceiver {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl WebhookReceiver {
    pub async fn start() -> WebhookReceiver {
        let received = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/", axum::routing::post(keep)).with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, router).await });
        WebhookReceiver { url, received }
    }

    /// The first webhook of this type about this object of ours.
    pub async fn one(&self, event_type: &str, reference: &str) -> Received {
        let (event_type, reference) = (format!("\"{event_type}\""), format!("\"{reference}\""));
        let find = || async {
            let received = self.received.lock();
            let text = |webhook: &&Received| String::from_utf8_lossy(&webhook.body).into_owned();
            let matches = |text: String| text.contains(&event_type) && text.contains(&reference);
            received.iter().find(|webhook| matches(text(webhook))).cloned()
        };
        until(&format!("webhook {event_type} about {reference}"), Duration::from_secs(20), find).await
    }
}

async fn keep(State(received): State<Arc<Mutex<Vec<Received>>>>, headers: HeaderMap, body: Bytes) {
    received.lock().push(Received { headers, body });
}

impl Received {
    pub fn read_by(&self, channel: &dyn Channel, now: Timestamp) -> Result<Webhook, WebhookError> {
        let header = |name: &str| Some(self.headers.get(name)?.to_str().ok()?.to_owned());
        channel.read_webhook(&header, &self.body, now)
    }
}
