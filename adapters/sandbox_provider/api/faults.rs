//! The switchboard of random faults.

use super::SharedApp;
use super::error::ApiError;
use super::extract::Body;
use crate::sandbox_provider::faults::Faults;
use axum::Json;
use axum::extract::State;

pub(super) async fn set(State(app): SharedApp, body: Body<Faults>) -> Result<Json<Faults>, ApiError> {
    if let Some(field) = body.value.first_invalid() {
        return Err(ApiError::invalid(field, "a probability is 0 to 1"));
    }
    app.faults.set(body.value);
    Ok(Json(body.value))
}

pub(super) async fn show(State(app): SharedApp) -> Json<Faults> {
    Json(app.faults.get())
}
