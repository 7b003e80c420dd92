//! Reading a request without trusting it: bounded bodies, known fields only, errors as JSON.

use super::error::ApiError;
use crate::sandbox_provider::book::entry::Ticket;
use crate::sandbox_provider::money::{AMOUNT_MAX, is_amount};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const REFERENCE_CHARS_MAX: usize = 255;

/// A JSON body. An empty one counts as `{}`.
pub(super) struct Body<T> {
    pub(super) value: T,
    /// As it was sent, with its fields in a fixed order.
    pub(super) canonical: String,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(),
                _ => ApiError::malformed("The body could not be read."),
            }
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let json: Value = serde_json::from_slice(text).map_err(|error| ApiError::malformed(error.to_string()))?;
        // Serde would read a list as a struct with its fields in order.
        if !json.is_object() {
            return Err(ApiError::wrong_shape("a body is a JSON object".to_owned()));
        }
        let canonical = json.to_string();
        let value = T::deserialize(json).map_err(|error| ApiError::wrong_shape(error.to_string()))?;
        Ok(Self { value, canonical })
    }
}

/// The `Idempotency-Key` header.
pub(super) struct Key(Arc<str>);

impl Key {
    /// Binds the key to what is asked for: the route and its target, and the body.
    pub(super) fn ticket(self, route: &str, canonical: &str) -> Ticket {
        let mut digest = Sha256::new();
        digest.update(route.as_bytes());
        digest.update([0]);
        digest.update(canonical.as_bytes());
        let fingerprint = hex::encode(&digest.finalize()[..16]).into();
        Ticket { key: self.0, fingerprint }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let header = parts.headers.get("idempotency-key").and_then(|value| value.to_str().ok());
        let key = header.filter(|key| is_reference(key)).ok_or_else(ApiError::key_missing)?;
        Ok(Self(key.into()))
    }
}

/// The one variable segment of a path.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(segment) = path.map_err(|_| ApiError::bad_path())?;
        is_reference(&segment).then_some(Self(segment)).ok_or_else(ApiError::bad_path)
    }
}

/// Query parameters; unknown ones are refused.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let message = rejection.body_text();
                let field = message.split('`').nth(1).unwrap_or("").to_owned();
                Err(ApiError::bad_query(&field, message))
            }
        }
    }
}

/// `?reference=`, required.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByReference {
    pub(super) reference: String,
}

fn is_reference(text: &str) -> bool {
    (1..=REFERENCE_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn check_reference(field: &str, text: &str) -> Result<Arc<str>, ApiError> {
    let message = "a reference has 1 to 255 visible ASCII characters";
    is_reference(text).then(|| text.into()).ok_or_else(|| ApiError::invalid(field, message))
}

pub(super) fn check_amount(amount: i64) -> Result<i64, ApiError> {
    let message = || format!("an amount is 1 to {AMOUNT_MAX}");
    is_amount(amount).then_some(amount).ok_or_else(|| ApiError::invalid("amount", message()))
}
