//! Who calls: proves the key of each request before a handler sees it. What a role may do stands in `roles`.

pub mod roles;
mod signed;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use commands::CommandError;
use commands::ports::{Access, ApiKey, Secret};
use futures::StreamExt;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::errors;
use crate::problem::Problem;
use signed::Signature;

pub const BODY_BYTES_MAX: usize = 64 * 1024;
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A body that has not arrived by then is not waited for any longer.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// The proven owner of the request's key.
#[derive(Debug, Clone)]
pub struct Caller {
    pub access: Access,
    pub principal: String,
}

impl Caller {
    /// Within this, an idempotency key means one thing: the merchant, else the principal.
    pub fn scope(&self) -> String {
        match self.access.merchant_id() {
            Some(merchant_id) => merchant_id.to_string(),
            // The colon keeps a principal from passing for a merchant.
            None => format!("principal:{}", self.principal),
        }
    }

    /// As events name who asked.
    pub fn actor(&self) -> String {
        match self.access.merchant_id() {
            Some(merchant_id) => format!("merchant:{merchant_id}"),
            None => format!("{}:{}", self.access.role(), self.principal),
        }
    }
}

impl From<ApiKey> for Caller {
    fn from(key: ApiKey) -> Caller {
        Caller { access: key.access, principal: key.principal }
    }
}

/// Middleware: lets a request with a proven key through, its body read whole because a signature covers it.
pub async fn authenticate(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let (caller, body) = if parts.headers.contains_key(signed::KEY) {
        let body = read_body(&parts.headers, body).await?;
        (signer(&app, &parts, &Sha256::digest(&body).into()).await?, body)
    } else {
        (bearer(&app, &parts.headers).await?, read_body(&parts.headers, body).await?)
    };
    tracing::Span::current().record("caller.role", caller.access.role().as_str());
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// Who a request says it comes from, before its body is read: proven for a bearer, and for a signer once
/// [`proven`] says so.
pub async fn claimed(app: &App, parts: &Parts) -> Result<Caller, Problem> {
    if !parts.headers.contains_key(signed::KEY) {
        return bearer(app, &parts.headers).await;
    }
    let signature = Signature::of(&parts.headers).ok_or_else(unauthenticated)?;
    let credential = app.keys.directory.find(signature.key_id).await.map_err(CommandError::from)?;
    credential.map(|credential| credential.key.into()).ok_or_else(unauthenticated)
}

/// The same, once the body's digest is known.
pub async fn proven(app: &App, parts: &Parts, claimed: Caller, body_digest: &[u8; 32]) -> Result<Caller, Problem> {
    if parts.headers.contains_key(signed::KEY) { signer(app, parts, body_digest).await } else { Ok(claimed) }
}

/// At most 64 kB, and not for ever.
pub async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let too_large = declared.is_some_and(|length| length > BODY_BYTES_MAX);
    if too_large && headers.contains_key(header::EXPECT) {
        return Err(Problem::of(errors::BODY_TOO_LARGE));
    }
    let whole = tokio::time::timeout(BODY_DEADLINE, collect(body)).await;
    whole.map_err(|_| Problem::of(errors::REQUEST_TIMEOUT))?
}

/// What is too large is read on for a while: a caller that is cut off while it still writes would not see the answer.
async fn collect(body: Body) -> Result<Bytes, Problem> {
    let (mut chunks, mut whole, mut read) = (body.into_data_stream(), BytesMut::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::new(errors::MALFORMED_REQUEST, "the body broke off"))?;
        read += chunk.len();
        if read <= BODY_BYTES_MAX {
            whole.extend_from_slice(&chunk);
        } else if read > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if read <= BODY_BYTES_MAX { Ok(whole.freeze()) } else { Err(Problem::of(errors::BODY_TOO_LARGE)) }
}

async fn bearer(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let credentials = single(headers, header::AUTHORIZATION.as_str()).and_then(|text| text.split_once(' '));
    let secret =
        credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret.trim());
    let secret = Secret::new(secret.ok_or_else(unauthenticated)?);
    let key = app.keys.directory.find_by_secret(&secret).await.map_err(CommandError::from)?;
    key.filter(|key| !key.signed_only).map(Caller::from).ok_or_else(unauthenticated)
}

/// The nonce is used up only by a signature that verifies, so that nobody can use up another's.
async fn signer(app: &App, parts: &Parts, body_digest: &[u8; 32]) -> Result<Caller, Problem> {
    let signature = Signature::of(&parts.headers).ok_or_else(unauthenticated)?;
    let now = app.clock().now();
    let credential = app.keys.directory.find(signature.key_id).await.map_err(CommandError::from)?;
    let target = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
    let path_and_query = target.path_and_query().map_or("", |target| target.as_str());
    let idempotency_key = parts.headers.get(crate::idempotency::HEADER).map_or(&b""[..], HeaderValue::as_bytes);
    let message = signature.message(parts.method.as_str(), path_and_query, idempotency_key, body_digest);
    let key = credential
        .filter(|credential| signature.verifies(credential.secret.expose(), &message) && signature.is_recent(now))
        .ok_or_else(unauthenticated)?
        .key;
    let fresh = app.nonces.use_once(key.key_id, signature.nonce, now).await;
    if !fresh.map_err(|error| Problem::unavailable(&error))? {
        return Err(unauthenticated());
    }
    Ok(key.into())
}

/// The same whatever was wrong.
fn unauthenticated() -> Problem {
    let challenge = HeaderValue::from_static("Bearer realm=\"payledger\"");
    Problem::of(errors::UNAUTHENTICATED).with_header(header::WWW_AUTHENTICATE, challenge)
}

/// A header that stands there once, in visible ASCII.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}
