//! What Stripe does and localstripe does not, put in front of it: idempotency keys and the search by metadata, as
//! Stripe documents them. And faults: answers that are lost, calls that are lost, server errors that are kept.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

const KEY: &str = "idempotency-key";

pub struct Front {
    pub base_url: String,
    stripe: Arc<Stripe>,
}

struct Stripe {
    upstream: String,
    http: reqwest::Client,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// `None` while the first call with the key runs.
    kept: HashMap<String, Option<Kept>>,
    faults: Vec<(&'static str, Fault)>,
}

#[derive(Clone)]
struct Kept {
    request: Bytes,
    status: StatusCode,
    body: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before the call takes effect.
    CutBefore,
    /// The call takes effect and the connection breaks inside the answer.
    CutAfter,
    /// A 500 without effect, kept under the key.
    ErrorBefore,
    /// A 500 although it took effect, kept under the key.
    ErrorAfter,
}

impl Front {
    pub async fn before(upstream: &str) -> Front {
        let (http, book) = (reqwest::Client::builder().no_proxy().build().unwrap(), Mutex::default());
        let stripe = Arc::new(Stripe { upstream: upstream.to_owned(), http, book });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(serve).with_state(Arc::clone(&stripe));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Front { base_url, stripe }
    }

    /// The next such call, written as `POST /v1/payment_intents/:id/confirm`, suffers this.
    pub fn plan(&self, call: &'static str, fault: Fault) {
        self.stripe.book.lock().faults.push((call, fault));
    }

    /// As if a day had gone by.
    pub fn forget_keys(&self) {
        self.stripe.book.lock().kept.clear();
    }

    pub fn has_faults_left(&self) -> bool {
        !self.stripe.book.lock().faults.is_empty()
    }
}

async fn serve(State(stripe): State<Arc<Stripe>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let fault = stripe.next_fault(&parts.method, &path);
    if fault == Some(Fault::CutBefore) {
        return cut();
    }
    let key = parts.headers.get(KEY).map(|key| key.to_str().unwrap().to_owned());
    if let Some(answer) = key.as_ref().and_then(|key| stripe.begin(key, &body)) {
        return answer;
    }
    let (status, answer) = match fault {
        Some(Fault::ErrorBefore) => server_error(),
        _ if path == "/v1/payment_intents/search" => stripe.search(&parts.headers, parts.uri.query()).await,
        _ => {
            let target = parts.uri.path_and_query().unwrap().as_str();
            stripe.forward(parts.method, target, &parts.headers, body.clone()).await
        }
    };
    let (status, answer) = if fault == Some(Fault::ErrorAfter) { server_error() } else { (status, answer) };
    if let Some(key) = key {
        stripe.finish(&key, Kept { request: body, status, body: answer.clone() });
    }
    if fault == Some(Fault::CutAfter) { cut() } else { (status, answer).into_response() }
}

fn server_error() -> (StatusCode, Bytes) {
    let body = json!({ "error": { "type": "api_error", "message": "An error on our end." } });
    (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from(body.to_string()))
}

/// The head of an answer whose body never comes.
fn cut() -> Response {
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Response::new(Body::from_stream(broken))
}

impl Stripe {
    fn next_fault(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut book = self.book.lock();
        let is_id = |part: &str| part.starts_with("pi_") || part.starts_with("re_");
        let parts: Vec<&str> = path.split('/').map(|part| if is_id(part) { ":id" } else { part }).collect();
        let now = format!("{method} {}", parts.join("/"));
        let index = book.faults.iter().position(|(call, _)| *call == now)?;
        Some(book.faults.remove(index).1)
    }

    /// The answer for a key seen before: the first one again, or that the call does not fit the first.
    fn begin(&self, key: &str, request: &Bytes) -> Option<Response> {
        let refused = |status, kind: &str, code: &str| {
            (status, Json(json!({ "error": { "type": kind, "code": code, "message": "the key" } }))).into_response()
        };
        let mut book = self.book.lock();
        match book.kept.get(key) {
            Some(Some(kept)) if kept.request == *request => {
                Some((kept.status, [("idempotent-replayed", "true")], kept.body.clone()).into_response())
            }
            Some(Some(_)) => Some(refused(StatusCode::BAD_REQUEST, "idempotency_error", "")),
            Some(None) => Some(refused(StatusCode::CONFLICT, "invalid_request_error", "idempotency_key_in_use")),
            None => {
                book.kept.insert(key.to_owned(), None);
                None
            }
        }
    }

    /// What failed validation is not kept.
    fn finish(&self, key: &str, kept: Kept) {
        let is_kept = kept.status.is_success() || kept.status.is_server_error() || kept.status.as_u16() == 402;
        let mut book = self.book.lock();
        if is_kept {
            book.kept.insert(key.to_owned(), Some(kept));
        } else {
            book.kept.remove(key);
        }
    }

    async fn forward(&self, method: Method, target: &str, headers: &HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
        let mut request = self.http.request(method, format!("{}{target}", self.upstream)).body(body);
        for name in ["authorization", "content-type"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let response = request.send().await.unwrap();
        (response.status(), response.bytes().await.unwrap())
    }

    /// `metadata['<name>']:'<value>'`, the one form that is used.
    async fn search(&self, headers: &HeaderMap, query: Option<&str>) -> (StatusCode, Bytes) {
        let url = reqwest::Url::parse(&format!("http://search/?{}", query.unwrap())).unwrap();
        let query = url.query_pairs().find(|(name, _)| name == "query").unwrap().1.into_owned();
        let [_, name, _, value, _] = query.split('\'').collect::<Vec<_>>()[..] else { panic!("{query}") };
        let all = "/v1/payment_intents?limit=100";
        let (status, body) = self.forward(Method::GET, all, headers, Bytes::new()).await;
        let mut found: Value = serde_json::from_slice(&body).unwrap();
        found["data"].as_array_mut().unwrap().retain(|intent| intent["metadata"][name] == value);
        (status, Bytes::from(found.to_string()))
    }
}
