//! Captures of an authorised charge.

use super::SharedApp;
use super::error::ApiError;
use super::extract::{Body, ByReference, Key, Params, Segment, check_amount, check_reference};
use crate::sandbox_provider::book::decide::{self, CaptureRequest};
use crate::sandbox_provider::connection::Cut;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCapture {
    reference: String,
    amount: Option<i64>,
    #[serde(default, rename = "final")]
    is_final: bool,
}

pub(super) async fn create(
    State(app): SharedApp,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Segment(target): Segment,
    key: Key,
    body: Body<NewCapture>,
) -> Result<Response, ApiError> {
    let ticket = key.ticket(&format!("charges/{target}/capture"), &body.canonical);
    let request = CaptureRequest {
        target,
        reference: check_reference("reference", &body.value.reference)?,
        amount: body.value.amount.map(check_amount).transpose()?,
        is_final: body.value.is_final,
    };
    app.call(&cut, ticket, |book, ticket| decide::capture(book, ticket, request)).await
}

pub(super) async fn find(app: SharedApp, query: Params<ByReference>) -> Result<Json<Value>, ApiError> {
    show(app, Segment(query.0.reference)).await
}

pub(super) async fn show(State(app): SharedApp, Segment(target): Segment) -> Result<Json<Value>, ApiError> {
    let found = app.desk.read(|book| book.capture(&target).cloned()).await?;
    let capture = found.ok_or_else(|| ApiError::not_found("capture_not_found"))?;
    Ok(Json(app.renderer.capture(&capture)))
}
