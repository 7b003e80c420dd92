//! Errors as the client sees them: `{"error": {"code", "message", "field"}}`.

use crate::sandbox_provider::desk::DeskError;
use crate::sandbox_provider::journal::JournalStopped;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None }
    }

    fn at(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", message)
    }

    /// The body is JSON, of a wrong shape.
    pub(crate) fn wrong_shape(message: String) -> Self {
        // Serde names the faulty field between backquotes, where it is about one.
        let field = message.split('`').nth(1).map(str::to_owned);
        Self { field, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message) }
    }

    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message).at(field)
    }

    pub(crate) fn bad_query(field: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", message).at(field)
    }

    pub(crate) fn bad_path() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_path", "The path is not readable.")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "A body has at most 64 kB.")
    }

    pub(crate) fn key_missing() -> Self {
        let message = "The Idempotency-Key header, 1 to 255 visible characters, is required.";
        Self::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", message)
    }

    pub(crate) fn not_found(code: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "There is no such object.")
    }

    pub(crate) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "route_not_found", "There is no such route.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The route does not take this method.")
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The provider is unavailable. Try again.")
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "The idempotency key was used for another request.",
            ),
            DeskError::Stopped => Self::unavailable(),
        }
    }
}

impl From<JournalStopped> for ApiError {
    fn from(_: JournalStopped) -> Self {
        Self::unavailable()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = json!({ "code": self.code, "message": self.message, "field": self.field });
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
