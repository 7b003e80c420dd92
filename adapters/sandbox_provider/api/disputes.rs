//! Disputes, and the merchant's answers to them.

use super::SharedApp;
use super::charges::NoFields;
use super::error::ApiError;
use super::extract::{Body, Key, Params, Segment};
use super::{check_limit, default_limit, list_json};
use crate::sandbox_provider::book::decide;
use crate::sandbox_provider::book::objects::Dispute;
use crate::sandbox_provider::connection::Cut;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Of one reference, or all of them, oldest first; `created_from` leaves out the older ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    reference: Option<String>,
    created_from: Option<DateTime<Utc>>,
    #[serde(default)]
    after: usize,
    #[serde(default = "default_limit")]
    limit: usize,
}

pub(super) async fn list(State(app): SharedApp, Params(query): Params<Listed>) -> Result<Json<Value>, ApiError> {
    let limit = check_limit(query.limit)?;
    let from_ms = query.created_from.map_or(0, |from| u64::try_from(from.timestamp_millis()).unwrap_or(0));
    let wanted = |dispute: &&Arc<Dispute>| dispute.created_ms >= from_ms;
    let (found, total) = app
        .desk
        .read(|book| {
            let all: Vec<Arc<Dispute>> = match &query.reference {
                Some(reference) => book.disputes_of(reference).filter(wanted).cloned().collect(),
                None => book.disputes.iter().filter(wanted).cloned().collect(),
            };
            let total = all.len();
            (all.into_iter().skip(query.after).take(limit).collect::<Vec<_>>(), total)
        })
        .await?;
    let data = found.iter().map(|dispute| app.renderer.dispute(dispute)).collect();
    Ok(list_json(data, query.after, total))
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
