//! Refunds of a charge or of one of its captures.

use super::SharedApp;
use super::error::ApiError;
use super::extract::{Body, ByReference, Key, Params, Segment, check_amount, check_reference};
use crate::sandbox_provider::book::decide::{self, RefundRequest};
use crate::sandbox_provider::connection::Cut;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRefund {
    reference: String,
    charge: String,
    amount: Option<i64>,
}

pub(super) async fn create(
    State(app): SharedApp,
    ConnectInfo(cut): ConnectInfo<Cut>,
    key: Key,
    body: Body<NewRefund>,
) -> Result<Response, ApiError> {
    let ticket = key.ticket("refunds", &body.canonical);
    check_reference("charge", &body.value.charge)?;
    let request = RefundRequest {
        reference: check_reference("reference", &body.value.reference)?,
        target: body.value.charge,
        amount: body.value.amount.map(check_amount).transpose()?,
    };
    app.call(&cut, ticket, |book, ticket| decide::refund(book, ticket, request)).await
}

pub(super) async fn find(app: SharedApp, query: Params<ByReference>) -> Result<Json<Value>, ApiError> {
    show(app, Segment(query.0.reference)).await
}

pub(super) async fn show(State(app): SharedApp, Segment(target): Segment) -> Result<Json<Value>, ApiError> {
    let found = app.desk.read(|book| book.refund(&target).cloned()).await?;
    let refund = found.ok_or_else(|| ApiError::not_found("refund_not_found"))?;
    Ok(Json(app.renderer.refund(&refund)))
}
