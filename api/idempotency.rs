//! Commands of clients: their idempotency key, what tells a repeat from a reused key, and the answer's headers.

use std::sync::Arc;

use axum::extract::{FromRequest, OriginalUri, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use commands::executor::command_id_of_key;
use commands::ports::{Decision, Expected, Metadata, Receipt, RejectionRecord, StreamRef};
use commands::trace::current_traceparent;
use commands::{CommandError, Issued};
use domain::RejectionClass;
use domain::merchant::Merchant;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Caller;
use crate::errors::{self, ErrorCode};
use crate::extract::{json, tree};
use crate::middleware::RequestId;
use crate::position;
use crate::problem::Problem;

pub const HEADER: &str = "idempotency-key";
pub const IDEMPOTENCY_HIT: HeaderName = HeaderName::from_static("idempotency-hit");

/// A request that changes something. Its body is whole and valid when a handler sees it, so what is recorded under
/// its key is never a malformed request.
pub struct Command<T> {
    pub issued: Issued,
    pub body: T,
}

impl<T: DeserializeOwned> FromRequest<App> for Command<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Command<T>, Problem> {
        let (parts, body) = request.into_parts();
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Problem::internal(&"a command has no authentication"))?;
        let key = key_of(&parts)?;
        json::no_query(&parts.uri)?;
        let request_id = parts.extensions.get::<RequestId>().map(ToString::to_string).unwrap_or_default();
        let path = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri).path().to_owned();
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        let body = json::read(Request::from_parts(parts, body), app).await?;
        let (body, tree) = json::value(&headers, &body)?;
        let issued = Issued {
            metadata: Metadata {
                command_id: command_id_of_key(&caller.scope(), &key),
                correlation_id: request_id,
                causation_id: None,
                actor: caller.actor(),
                traceparent: current_traceparent(),
            },
            fingerprint: Some(fingerprint(method.as_str(), &path, &tree)),
        };
        Ok(Command { issued, body })
    }
}

/// A command whose body is no JSON, by the digest of what it means.
pub fn issued_over(parts: &Parts, caller: &Caller, path: &str, meaning: &[u8; 32]) -> Result<Issued, Problem> {
    let key = key(&parts.headers)?;
    let mut hasher = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), b"\n", path.as_bytes(), b"\n", meaning.as_slice()] {
        hasher.update(part);
    }
    let request_id = parts.extensions.get::<RequestId>().map(ToString::to_string).unwrap_or_default();
    Ok(Issued {
        metadata: Metadata {
            command_id: command_id_of_key(&caller.scope(), key),
            correlation_id: request_id,
            causation_id: None,
            actor: caller.actor(),
            traceparent: current_traceparent(),
        },
        fingerprint: Some(hasher.finalize().into()),
    })
}

/// A body that says nothing: none at all, or `{}`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// PUT and PATCH say what shall be, so their repeats are harmless and need no key.
fn key_of(parts: &Parts) -> Result<String, Problem> {
    if matches!(parts.method, Method::PUT | Method::PATCH) && !parts.headers.contains_key(HEADER) {
        return Ok(Uuid::now_v7().to_string());
    }
    key(&parts.headers).map(str::to_owned)
}

fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next().ok_or_else(|| Problem::of(errors::IDEMPOTENCY_KEY_MISSING))?;
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let visible = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    visible
        .filter(|text| (1..=255).contains(&text.len()))
        .ok_or_else(|| Problem::new(errors::IDEMPOTENCY_KEY_INVALID, "it must be 1 to 255 visible ASCII characters"))
}

/// SHA-256 of method, path and the body's meaning.
fn fingerprint(method: &str, path: &str, body: &serde_json::Value) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(method);
    hasher.update(b"\n");
    hasher.update(path);
    hasher.update(b"\n");
    tree::digest(body, &mut hasher);
    hasher.finalize().into()
}

/// The headers that say what became of a command: the position that the answer speaks for, and whether it is a repeat.
pub fn headers(receipt: &Receipt, position: u64) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![position::header(position)];
    if receipt.replayed {
        headers.push(hit());
    }
    headers
}

pub fn hit() -> (HeaderName, HeaderValue) {
    (IDEMPOTENCY_HIT, HeaderValue::from_static("true"))
}

/// A refusal as the caller sees it, the first time and each time after.
pub fn accepted(receipt: Receipt) -> Result<Receipt, Problem> {
    let headers = headers(&receipt, receipt.position);
    match receipt.rejection {
        None => Ok(receipt),
        Some(rejection) => {
            let problem = Problem::from(rejection);
            Err(headers.into_iter().fold(problem, |problem, (name, value)| problem.with_header(name, value)))
        }
    }
}

/// The stream that commands without events are noted under; it never has any.
const NOTES: &str = "notes";

fn notes() -> StreamRef {
    StreamRef::new::<Merchant>(NOTES, Expected::Any)
}

/// Why what is no event of the log was not done.
pub enum Undone {
    /// A rule forbids it: kept and told to each repeat.
    Refused(&'static ErrorCode),
    /// It went wrong and may be tried again with the same key.
    Failed(Problem),
}

impl<E: Into<Problem>> From<E> for Undone {
    fn from(error: E) -> Undone {
        Undone::Failed(error.into())
    }
}

/// Carries out what is no event of the log, once for each key; answers the header that tells a repeat. If the process
/// dies in between, the repeat carries it out again: so `effect` is harmless to repeat.
pub async fn once(
    app: &App,
    issued: Issued,
    object: &str,
    effect: impl Future<Output = Result<(), Undone>>,
) -> Result<Option<(HeaderName, HeaderValue)>, Problem> {
    if noted(app, &issued).await? {
        return Ok(Some(hit()));
    }
    match effect.await {
        Ok(()) => {}
        Err(Undone::Refused(code)) => return Err(refused(app, issued, CommandError::Refused(record(code))).await),
        Err(Undone::Failed(problem)) => return Err(problem),
    }
    let note = commands::ports::Request {
        metadata: issued.metadata,
        fingerprint: issued.fingerprint,
        object: object.to_owned(),
        streams: vec![notes()],
        decide: Arc::new(|_| Decision::Append(vec![])),
    };
    app.executor().execute(note).await?;
    Ok(None)
}

/// Was this command, which is no event of the log, carried out before? One that was refused is refused again.
pub async fn noted(app: &App, issued: &Issued) -> Result<bool, Problem> {
    match app.executor().replay(issued).await? {
        Some(receipt) => accepted(receipt).map(|_| true),
        None => Ok(false),
    }
}

/// What is told of a command that is no event of the log and was not carried out; a refusal is kept under its key.
pub async fn refused(app: &App, issued: Issued, error: CommandError) -> Problem {
    match app.executor().refuse(issued, notes(), error).await {
        Ok(receipt) => match accepted(receipt) {
            Ok(receipt) => Problem::internal(&format!("command {} was done and refused", receipt.command_id)),
            Err(problem) => problem,
        },
        Err(error) => error.into(),
    }
}

fn record(entry: &ErrorCode) -> RejectionRecord {
    RejectionRecord {
        code: entry.code.to_owned(),
        class: match entry.status {
            404 => RejectionClass::NotFound,
            409 => RejectionClass::Conflict,
            _ => RejectionClass::Refused,
        },
        detail: entry.title.to_owned(),
        pointer: None,
        retryable: entry.retryable,
        correlation_id: None,
    }
}

/// A JSON answer with headers.
pub fn answer(
    status: StatusCode,
    headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    body: &impl Serialize,
) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().extend(headers);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_characters() {
        let of = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            key(&headers).map(str::to_owned).map_err(|problem| problem.code.to_string())
        };
        let invalid = || Err("idempotency_key_invalid".to_owned());
        assert_eq!(of(&[b"a"]), Ok("a".to_owned()));
        assert_eq!(of(&[&[b'x'; 255]]), Ok("x".repeat(255)));
        assert_eq!(of(&[]), Err("idempotency_key_missing".to_owned()));
        assert_eq!(of(&[b""]), invalid());
        assert_eq!(of(&[b"a b"]), invalid());
        assert_eq!(of(&["é".as_bytes()]), invalid());
        assert_eq!(of(&[&[b'x'; 256]]), invalid());
        assert_eq!(of(&[b"a", b"a"]), invalid());
    }

    #[test]
    fn another_route_or_body_is_another_request() {
        let tree = |text: &str| tree::parse(text.as_bytes()).unwrap();
        let first = fingerprint("POST", "/payments", &tree("{\"a\": 1}"));
        assert_eq!(fingerprint("POST", "/payments", &tree("{ \"a\":1 }")), first);
        assert_ne!(fingerprint("PUT", "/payments", &tree("{\"a\":1}")), first);
        assert_ne!(fingerprint("POST", "/refunds", &tree("{\"a\":1}")), first);
        assert_ne!(fingerprint("POST", "/payments", &tree("{\"a\":2}")), first);
    }
}
