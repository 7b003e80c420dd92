//! The page that a customer is redirected to, and what its buttons do.

use super::error::ApiError;
use super::extract::{Params, Segment};
use super::{SharedApp, refused};
use crate::sandbox_provider::book::State as Book;
use crate::sandbox_provider::book::decide::complete_action;
use crate::sandbox_provider::book::objects::{Charge, ChargeStatus};
use crate::sandbox_provider::book::refusal::Refusal;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum Choice {
    #[default]
    Approve,
    Decline,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Completion {
    #[serde(default)]
    outcome: Choice,
}

/// A body is allowed and not looked at: the button of the page sends an empty form.
pub(super) async fn complete(
    State(app): SharedApp,
    Segment(target): Segment,
    Params(completion): Params<Completion>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let approve = completion.outcome == Choice::Approve;
    let decided: Result<(), Refusal> = app
        .desk
        .act(|book| match book.charge(&target).map(|charge| complete_action(charge, approve)) {
            None => (Vec::new(), Err(Refusal::ChargeNotFound)),
            Some(Err(refusal)) => (Vec::new(), Err(refusal)),
            Some(Ok(entry)) => (Vec::from_iter(entry), Ok(())),
        })
        .await?;
    let charge = app.desk.read(|book| book.charge(&target).cloned()).await?;
    Ok(match (decided, charge) {
        (Err(refusal), charge) => refused(refusal, charge.map(|charge| app.renderer.charge(&charge))),
        (Ok(()), None) => refused(Refusal::ChargeNotFound, None),
        (Ok(()), Some(charge)) if wants_html(&headers) => after_click(&charge),
        (Ok(()), Some(charge)) => Json(app.renderer.charge(&charge)).into_response(),
    })
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn after_click(charge: &Charge) -> Response {
    match &charge.return_url {
        Some(url) => Redirect::to(url).into_response(),
        None => page_of(charge).into_response(),
    }
}

pub(super) async fn page(State(app): SharedApp, Segment(target): Segment) -> Result<Response, ApiError> {
    let read = |book: &Book| book.charge(&target).cloned();
    let charge: Option<Arc<Charge>> = app.desk.read(read).await?;
    let charge = charge.ok_or_else(|| ApiError::not_found("charge_not_found"))?;
    Ok(page_of(&charge).into_response())
}

fn page_of(charge: &Charge) -> Html<String> {
    let reference = escape(&charge.reference);
    let path: String = url::form_urlencoded::byte_serialize(charge.reference.as_bytes()).collect();
    let currency = charge.currency.map(String::from).unwrap_or_default();
    let (amount, button) = (charge.amount, |outcome: &str, label: &str| {
        format!(
            "<form method=\"post\" action=\"/actions/{path}/complete?outcome={outcome}\"><button>{label}</button></form>"
        )
    });
    let what = match charge.status {
        ChargeStatus::RequiresAction => button("approve", "Approve") + &button("decline", "Decline"),
        _ => "<p>There is nothing to do any more.</p>".to_owned(),
    };
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sandbox payment</title>\
         <h1>Sandbox payment</h1><p>{reference}: {amount} {currency} (minor units)</p>{what}</html>"
    ))
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}
