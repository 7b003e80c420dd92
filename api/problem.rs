//! Errors as the caller sees them: `application/problem+json` (RFC 9457), and the one mapping from every failure of
//! the inside to a status. Never carries SQL, a secret or a stack trace.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use commands::CommandError;
use commands::ports::{RejectionRecord, StoreError};
use domain::RejectionClass;
use serde::Serialize;

use crate::errors::{self, ErrorCode};

/// Where the error reference stands, relative to the server.
pub const REFERENCE: &str = "/errors";
const RETRY_AFTER_S: u32 = 1;

/// An error answer. Boxed, because most answers are none.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<Facts>);

#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub status: StatusCode,
    pub code: Cow<'static, str>,
    pub detail: Cow<'static, str>,
    /// JSON pointer (RFC 6901) of the faulty field.
    pub pointer: Option<String>,
    /// Name of the faulty query parameter.
    pub parameter: Option<String>,
    pub retryable: bool,
    /// The request that was refused first, where this answer repeats a refusal.
    pub request_id: Option<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Deref for Problem {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Facts {
        &mut self.0
    }
}

impl Problem {
    pub fn new(entry: &'static ErrorCode, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem(Box::new(Facts {
            status: StatusCode::from_u16(entry.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: entry.code.into(),
            detail: detail.into(),
            pointer: None,
            parameter: None,
            retryable: entry.retryable,
            request_id: None,
            headers: if entry.status == 503 { vec![retry_after(RETRY_AFTER_S)] } else { vec![] },
        }))
    }

    /// With nothing more to say than the catalogue does.
    pub fn of(entry: &'static ErrorCode) -> Problem {
        Problem::new(entry, entry.title)
    }

    pub fn at(mut self, pointer: impl Into<String>) -> Problem {
        self.pointer = Some(pointer.into());
        self
    }

    pub fn in_parameter(mut self, name: impl Into<String>) -> Problem {
        self.parameter = Some(name.into());
        self
    }

    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }

    /// A bug or damage: logged here, once, and told to the caller without a word of what it was.
    pub fn internal(reason: &dyn std::fmt::Display) -> Problem {
        tracing::error!(error = %reason, "a request failed on our side");
        Problem::of(errors::INTERNAL_ERROR)
    }

    /// Something outside this process cannot be reached: logged here, once.
    pub fn unavailable(reason: &dyn std::fmt::Display) -> Problem {
        tracing::warn!(error = %reason, "a request could not be served");
        Problem::of(errors::UNAVAILABLE)
    }

    pub fn body(&self, request_id: &str) -> Vec<u8> {
        let title = errors::find(&self.code).map(|entry| entry.title);
        let document = Document {
            kind: format!("{REFERENCE}#{}", self.code),
            title: title.or(self.status.canonical_reason()).unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: &self.code,
            pointer: self.pointer.as_deref(),
            parameter: self.parameter.as_deref(),
            request_id: self.request_id.as_deref().unwrap_or(request_id),
            retryable: self.retryable,
        };
        serde_json::to_vec(&document).expect("a document of strings always serialises")
    }
}

/// The shape of every error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct Document<'a> {
    /// Address of the entry in the error reference.
    #[serde(rename = "type")]
    #[schema(example = "/errors#invalid_amount")]
    kind: String,
    #[schema(example = "The amount is not valid")]
    title: &'a str,
    #[schema(example = 422)]
    status: u16,
    #[schema(example = "must be a whole number of minor units from 1 to 999999999999999")]
    detail: &'a str,
    /// Stable, never reused.
    #[schema(example = "invalid_amount")]
    code: &'a str,
    /// JSON pointer of the faulty field, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/amount")]
    pointer: Option<&'a str>,
    /// Name of the faulty query parameter, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// Of the request that was refused; a repeat with the same Idempotency-Key names the first one.
    #[schema(example = "req_0192f3a400007000800000000000002a")]
    request_id: &'a str,
    /// Can the same request succeed later without being changed?
    retryable: bool,
}

fn retry_after(seconds: u32) -> (HeaderName, HeaderValue) {
    (header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// The body is written by the outermost middleware, which knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        match error {
            CommandError::Invalid { code, pointer, detail } => {
                let mut problem = Problem::new(errors::find(code).unwrap_or(errors::INVALID_FIELD), detail);
                problem.code = code.into();
                // What is wrong with nobody's field has no pointer: the empty one would mean the whole body.
                if pointer.is_empty() { problem } else { problem.at(pointer) }
            }
            CommandError::Refused(rejection) => rejection.into(),
            CommandError::InFlight => Problem::new(errors::IDEMPOTENCY_KEY_IN_FLIGHT, error.to_string()),
            CommandError::KeyReused => Problem::new(errors::IDEMPOTENCY_KEY_REUSED, error.to_string()),
            CommandError::Conflict => Problem::new(errors::CONFLICT, error.to_string()),
            CommandError::Unavailable(reason) => Problem::unavailable(&reason),
            CommandError::Bug(reason) => Problem::internal(&reason),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        CommandError::from(error).into()
    }
}

impl From<RejectionRecord> for Problem {
    fn from(rejection: RejectionRecord) -> Problem {
        let entry = match rejection.class {
            RejectionClass::NotFound => errors::NOT_FOUND,
            RejectionClass::Conflict => errors::CONFLICT,
            RejectionClass::Refused => errors::INVALID_FIELD,
        };
        let mut problem = Problem::new(entry, rejection.detail);
        problem.code = rejection.code.into();
        problem.pointer = rejection.pointer;
        problem.retryable = rejection.retryable;
        problem.request_id = rejection.correlation_id;
        problem
    }
}
