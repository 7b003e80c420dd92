//! Payouts and their statements.

use super::charges::NoFields;
use super::error::ApiError;
use super::extract::{Body, Params, Segment};
use super::{Page, SharedApp, check_limit, list_json};
use crate::sandbox_provider::payouts::{StatementLine, pay_out, statement};
use crate::sandbox_provider::render::{Renderer, time};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// Pays out now, whatever the time of the simulated day is.
pub(super) async fn run(State(app): SharedApp, _: Body<NoFields>) -> Result<Json<Value>, ApiError> {
    let paid = app
        .desk
        .act(|book| {
            let entries = pay_out(book);
            let first = book.payouts.len();
            let range = first..first + entries.len();
            (entries, range)
        })
        .await?;
    let payouts = app.desk.read(|book| book.payouts.get(paid).map(<[_]>::to_vec).unwrap_or_default()).await?;
    let data: Vec<Value> = payouts.iter().map(|payout| app.renderer.payout(payout)).collect();
    Ok(Json(json!({ "object": "list", "data": data, "has_more": false, "next_after": null })))
}

pub(super) async fn list(State(app): SharedApp, Params(page): Params<Page>) -> Result<Json<Value>, ApiError> {
    let limit = check_limit(page.limit)?;
    let (payouts, total) = app
        .desk
        .read(|book| {
            let payouts: Vec<_> = book.payouts.iter().skip(page.after).take(limit).cloned().collect();
            (payouts, book.payouts.len())
        })
        .await?;
    Ok(list_json(payouts.iter().map(|payout| app.renderer.payout(payout)).collect(), page.after, total))
}

pub(super) async fn show(State(app): SharedApp, Segment(id): Segment) -> Result<Json<Value>, ApiError> {
    let found = app.desk.read(|book| book.payout(&id).cloned()).await?;
    let payout = found.ok_or_else(|| ApiError::not_found("payout_not_found"))?;
    Ok(Json(app.renderer.payout(&payout)))
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatementQuery {
    #[serde(default)]
    format: Format,
    #[serde(default)]
    after: usize,
    /// Lines of a JSON statement; all of them without it.
    limit: Option<usize>,
}

pub(super) async fn statement_of(
    State(app): SharedApp,
    Segment(id): Segment,
    Params(query): Params<StatementQuery>,
) -> Result<Response, ApiError> {
    let read = app.desk.read(|book| book.payout(&id).map(|payout| (payout.clone(), statement(book, payout)))).await?;
    let (payout, lines) = read.ok_or_else(|| ApiError::not_found("payout_not_found"))?;
    Ok(match query.format {
        Format::Csv => ([(header::CONTENT_TYPE, "text/csv")], csv(&lines)).into_response(),
        Format::Json => {
            let limit = query.limit.map_or(Ok(lines.len()), check_limit)?;
            let page = lines.iter().skip(query.after).take(limit);
            let page: Vec<Value> = page.map(|line| line_json(&app.renderer, line)).collect();
            let end = query.after.saturating_add(page.len());
            let next_after = (end < lines.len()).then_some(end);
            let payout = app.renderer.payout(&payout);
            Json(json!({ "payout": payout, "lines": page, "next_after": next_after })).into_response()
        }
    })
}

fn line_json(renderer: &Renderer, line: &StatementLine) -> Value {
    let mut json = renderer.operation(line.index, &line.operation);
    if let Some(fields) = json.as_object_mut() {
        fields.remove("fee");
        fields.remove("kind");
        fields.insert("type".to_owned(), line.kind.into());
        fields.insert("amount".to_owned(), line.amount.into());
    }
    json
}

/// References are the client's own text: always quoted.
fn csv(lines: &[StatementLine]) -> String {
    let mut text = String::from("seq,type,reference,charge_reference,amount,currency,time\n");
    for line in lines {
        let operation = &line.operation;
        let (seq, kind, amount) = (line.index + 1, line.kind, line.amount);
        let (reference, charge) = (quoted(&operation.reference), quoted(&operation.charge_reference));
        let currency = operation.currency.map(String::from).unwrap_or_default();
        let at = time(operation.at_ms);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{seq},{kind},{reference},{charge},{amount},{currency},{at}");
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
