//! The months of the books: close one, list them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::Category;
use domain::Timestamp;
use domain::period::{Closing, Month, Period, STREAM};
use projections::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{BooksReader, FinanceCaller};
use crate::errors;
use crate::extract::{Params, Parsed};
use crate::idempotency::{self, Command, accepted, answer};
use crate::page::{Limit, List, cursor};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(close_period)).routes(routes!(list_periods))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CloseBody {
    /// In UTC; it must be over.
    #[schema(value_type = String, example = "2026-10")]
    month: Parsed<Month>,
}

/// A month that somebody asked to be closed.
#[derive(Serialize, ToSchema)]
#[schema(as = Period)]
struct PeriodObject {
    /// Always `period`.
    #[schema(example = "period")]
    object: &'static str,
    #[schema(example = "2026-10")]
    month: String,
    /// `requested` until a second person has asked for the same, then `closed`.
    #[schema(example = "requested")]
    status: &'static str,
    requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    closed_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    closed_at: Option<Timestamp>,
}

impl PeriodObject {
    fn of(month: Month, closing: &Closing) -> PeriodObject {
        PeriodObject {
            object: "period",
            month: month.to_string(),
            status: if closing.closed.is_some() { "closed" } else { "requested" },
            requested_by: closing.requested_by.clone(),
            requested_at: closing.requested_at,
            closed_by: closing.closed.as_ref().map(|closed| closed.by.clone()),
            closed_at: closing.closed.as_ref().map(|closed| closed.at),
        }
    }
}

/// Close a month of the books, and every month before it
///
/// It takes two people: the first one's request is noted, the second one's closes the month. From then on nothing is
/// posted that counts from a time before its end.
#[utoipa::path(post, path = "/ledger/periods/close", tag = "ledger", params(CommandHeaders), request_body = CloseBody,
    responses((status = 200, description = "The month", body = PeriodObject), CommandErrors))]
async fn close_period(
    State(app): State<App>,
    caller: FinanceCaller,
    command: Command<CloseBody>,
) -> Result<Response, Problem> {
    let (month, at) = (command.body.month.0, app.clock().now());
    let receipt = commands::period::close(app.executor(), command.issued, month, caller.principal, at).await?;
    let receipt = accepted(receipt)?;
    let stream = app.store().load_at(Category::of::<Period>(), STREAM, receipt.version).await?;
    let closing = stream.of::<Period>().and_then(|state| state.months.get(&month));
    let closing = closing.ok_or_else(|| Problem::internal(&format!("nobody asked for {month} to be closed")))?;
    let headers = idempotency::headers(&receipt, receipt.position);
    Ok(answer(StatusCode::OK, headers, &PeriodObject::of(month, closing)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PeriodsQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the months that are closed or asked to be, newest first
#[utoipa::path(get, path = "/ledger/periods", tag = "ledger", params(PeriodsQuery, QueryHeaders),
    responses((status = 200, description = "A page of months", body = List<PeriodObject>), QueryErrors))]
async fn list_periods(
    State(app): State<App>,
    _caller: BooksReader,
    Params(query): Params<PeriodsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let invalid = || Problem::of(errors::INVALID_CURSOR).in_parameter("cursor");
    let before = cursor(query.cursor.as_deref())?;
    let before: Option<Month> = before.map(|cursor| cursor.id.parse().map_err(|_| invalid())).transpose()?;
    let position = freshness.of_streams(&app).await?;
    let stream = app.store().load(Category::of::<Period>(), STREAM).await?;
    let months = stream.of::<Period>().map(|state| &state.months).into_iter().flatten().rev();
    let mut behind = months.filter(|(month, _)| before.is_none_or(|before| **month < before));
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let page: Vec<(&Month, &Closing)> = behind.by_ref().take(limit).collect();
    let next = page.last().filter(|_| behind.next().is_some());
    let next = next.map(|(month, _)| Cursor { key: 0, id: month.to_string() });
    let data = page.iter().map(|(month, closing)| PeriodObject::of(**month, closing)).collect();
    Ok(answer(StatusCode::OK, [position::header(position)], &List::new(data, next)))
}
