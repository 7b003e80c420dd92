//! What currencies are worth in USD: publish a day's table, and list the tables that are kept.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use domain::Currency;
use domain::rates::Table;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{AdminCaller, ObjectReader};
use crate::extract::{Named, Params, Parsed};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::page::List;
use crate::params::{CommandErrors, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_rates)).routes(routes!(publish_rates))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PublishRatesBody {
    /// USD for one major unit of each currency, as decimals. A currency that is left out keeps its rate of before.
    #[schema(value_type = BTreeMap<String, String>, example = json!({"EUR": "1.16", "JPY": "0.0065"}))]
    usd: BTreeMap<Currency, Parsed<Decimal>>,
}

/// The rates that were published for one day.
#[derive(Serialize, ToSchema)]
#[schema(as = Rates)]
struct RatesObject {
    /// Always `rates`.
    #[schema(example = "rates")]
    object: &'static str,
    #[schema(example = "2026-11-20")]
    date: String,
    /// USD for one major unit of each currency.
    #[schema(example = json!({"EUR": "1.16", "JPY": "0.0065"}))]
    usd: BTreeMap<String, String>,
}

impl RatesObject {
    fn of(date: &NaiveDate, table: &Table) -> RatesObject {
        let usd = table.iter().map(|(currency, rate)| (currency.to_string(), rate.to_string())).collect();
        RatesObject { object: "rates", date: date.to_string(), usd }
    }
}

/// List the tables of the last days, the newest first
#[utoipa::path(get, path = "/rates", tag = "merchants", params(QueryHeaders),
    responses((status = 200, description = "The tables", body = List<RatesObject>), QueryErrors))]
async fn list_rates(
    State(app): State<App>,
    _reader: ObjectReader,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let position = freshness.of_streams(&app).await?;
    let rates = commands::rates::load(app.executor()).await?;
    let tables = rates.tables().iter().rev().map(|(date, table)| RatesObject::of(date, table)).collect();
    Ok(answer(StatusCode::OK, [position::header(position)], &List::new(tables, None)))
}

/// Publish the rates of a day
///
/// Limits of payments that are created from then on are counted by them. No Idempotency-Key is needed.
#[utoipa::path(put, path = "/rates/{date}", tag = "merchants",
    params(("date" = String, Path, description = "A day: `2026-11-20`")), request_body = PublishRatesBody,
    responses((status = 200, description = "The table", body = RatesObject), CommandErrors))]
async fn publish_rates(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(date): Named<NaiveDate>,
    command: Command<PublishRatesBody>,
) -> Result<Response, Problem> {
    let table: Table = command.body.usd.into_iter().map(|(currency, rate)| (currency, rate.0.normalize())).collect();
    let published = RatesObject::of(&date, &table);
    let now = app.clock().now();
    let receipt = accepted(commands::rates::publish(app.executor(), command.issued, (date, table), now).await?)?;
    Ok(answer(StatusCode::OK, idempotency::headers(&receipt, receipt.position), &published))
}
