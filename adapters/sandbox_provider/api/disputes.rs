//! Disputes, and the merchant's answers to them.

use super::SharedApp;
use super::charges::NoFields;
use super::error::ApiError;
use super::extract::{Body, ByReference, Key, Params, Segment};
use crate::sandbox_provider::book::decide;
use crate::sandbox_provider::connection::Cut;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) async fn list(State(app): SharedApp, query: Params<ByReference>) -> Result<Json<Value>, ApiError> {
    let reference = query.0.reference;
    let found: Vec<_> = app.desk.read(|book| book.disputes_of(&reference).cloned().collect()).await?;
    let data: Vec<Value> = found.iter().map(|dispute| app.renderer.dispute(dispute)).collect();
    Ok(Json(json!({ "object": "list", "data": data, "has_more": false, "next_after": null })))
}

pub(super) async fn show(State(app): SharedApp, Segment(id): Segment) -> Result<Json<Value>, ApiError> {
    let found = app.desk.read(|book| book.dispute(&id).cloned()).await?;
    let dispute = found.ok_or_else(|| ApiError::not_found("dispute_not_found"))?;
    Ok(Json(app.renderer.dispute(&dispute)))
}

pub(super) async fn accept(
    State(app): SharedApp,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Segment(id): Segment,
    key: Key,
    body: Body<NoFields>,
) -> Result<Response, ApiError> {
    let ticket = key.ticket(&format!("disputes/{id}/accept"), &body.canonical);
    app.call(&cut, ticket, |book, ticket| decide::accept_dispute(book, ticket, &id)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Evidence {
    text: String,
}

pub(super) async fn submit_evidence(
    State(app): SharedApp,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Segment(id): Segment,
    key: Key,
    body: Body<Evidence>,
) -> Result<Response, ApiError> {
    let ticket = key.ticket(&format!("disputes/{id}/evidence"), &body.canonical);
    let text = body.value.text;
    app.call(&cut, ticket, |book, ticket| decide::submit_evidence(book, ticket, &id, &text)).await
}
