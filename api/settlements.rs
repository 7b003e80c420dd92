//! Settlements: run them, approve, hold back, look up, list.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{Category, Receipt};
use commands::settlement::{Scope, holder_of};
use domain::settlement::{Settlement, Status};
use domain::{Currency, MerchantId, SettlementId, Timestamp};
use projections::books::{self, Books};
use projections::settlements::{self as read_model, SettlementRow, Settlements};
use projections::{Projection, Snapshot, past, streams};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{FinanceCaller, ObjectReader};
use crate::errors;
use crate::extract::{Named, Params};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome;
use crate::page::{List, PastListQuery, cursor};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, AsOf, Freshness};
use crate::problem::Problem;
use crate::render::settlement::{SettlementObject, SettlementWithItems, object};

const VIEW: &[&dyn Projection] = &[&Settlements];
const VIEW_WITH_ITEMS: &[&dyn Projection] = &[&Books, &Settlements];
/// Items of one answer.
const ITEMS_MAX: u32 = 1_000;
/// How long a run waits for the read model that its answer is taken from.
const RUN_WAIT: Duration = Duration::from_secs(30);
/// Clocks of nodes may differ by less than this.
const CLOCK_SKEW_MICROS: i64 = 60_000_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_settlements))
        .routes(routes!(run_settlements))
        .routes(routes!(get_settlement))
        .routes(routes!(approve_settlement))
        .routes(routes!(hold_settlement))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RunBody {
    /// Whose money is settled; everybody's without it.
    #[schema(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    #[schema(value_type = Option<String>, example = "USD")]
    currency: Option<Currency>,
}

/// Settle now
///
/// Closes what was earned up to now, without waiting for the cut-off, and answers the settlements as they were closed.
/// Each is released by its merchant's settlement cycle: at once, or on the next business day.
#[utoipa::path(post, path = "/settlements/run", tag = "settlements", params(CommandHeaders), request_body = RunBody,
    responses((status = 202, description = "The settlements that were closed", body = List<SettlementObject>),
              CommandErrors))]
async fn run_settlements(
    State(app): State<App>,
    _: FinanceCaller,
    command: Command<RunBody>,
) -> Result<Response, Problem> {
    let scope = Scope { merchant_id: command.body.merchant_id, currency: command.body.currency };
    let run = app.settlements.run(command.issued, scope).await?;
    let head = app.store().head().await?;
    let mut view = app.reader.at_least(VIEW, Some(head), RUN_WAIT).await?;
    let up_to = run.receipt.position;
    let last = app.store().read_all(up_to.saturating_sub(1), 1).await?;
    let since = last.first().map_or(0, |event| event.recorded_at.as_micros()) - CLOCK_SKEW_MICROS;
    let rows = read_model::ending_at(&mut view, up_to, Timestamp::from_micros(since), scope).await?;
    drop(view);
    let mut closed = vec![];
    for row in rows {
        closed.push(as_closed(&app, &row).await?);
    }
    Ok(answer(StatusCode::ACCEPTED, idempotency::headers(&run.receipt, head), &List::new(closed, None)))
}

/// The settlement as of its first event, whatever has become of it since.
async fn as_closed(app: &App, row: &SettlementRow) -> Result<SettlementObject, Problem> {
    let record = row.state.record().ok_or_else(|| Problem::internal(&"a settlement without its terms"))?;
    let id = record.terms.settlement_id.to_string();
    of_stream(app, &id, 1).await
}

async fn of_stream(app: &App, id: &str, version: u64) -> Result<SettlementObject, Problem> {
    let stream = app.store().load_at(Category::of::<Settlement>(), id, version).await?;
    let record = stream.of::<Settlement>().and_then(|state| state.record());
    let record = record.ok_or_else(|| Problem::internal(&format!("{id} has no terms")))?;
    Ok(object(record, stream.version))
}

/// Approve a settlement
///
/// Needed above the merchant's threshold, by somebody else than who asked for it; one that is held back is let go of.
#[utoipa::path(post, path = "/settlements/{id}/approve", tag = "settlements",
    params(("id" = String, Path, description = "`set_...`"), CommandHeaders),
    responses((status = 200, description = "The settlement", body = SettlementObject), CommandErrors))]
async fn approve_settlement(
    State(app): State<App>,
    _: FinanceCaller,
    Named(settlement_id): Named<SettlementId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = accepted(app.settlements.approve(command.issued, settlement_id).await?)?;
    answer_settlement(&app, &receipt).await
}

/// Hold a settlement back
///
/// It is not released until somebody approves it.
#[utoipa::path(post, path = "/settlements/{id}/hold", tag = "settlements",
    params(("id" = String, Path, description = "`set_...`"), CommandHeaders),
    responses((status = 200, description = "The settlement", body = SettlementObject), CommandErrors))]
async fn hold_settlement(
    State(app): State<App>,
    _: FinanceCaller,
    Named(settlement_id): Named<SettlementId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = accepted(app.settlements.hold(command.issued, settlement_id).await?)?;
    answer_settlement(&app, &receipt).await
}

async fn answer_settlement(app: &App, receipt: &Receipt) -> Result<Response, Problem> {
    let object = of_stream(app, &receipt.stream.id, receipt.version).await?;
    Ok(answer(StatusCode::OK, idempotency::headers(receipt, receipt.position), &object))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ItemsQuery {
    /// `items_next_cursor` of the page before.
    cursor: Option<String>,
    /// A `Ledger-Position` or an RFC 3339 time.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
}

/// Look up a settlement with its items
#[utoipa::path(get, path = "/settlements/{id}", tag = "settlements",
    params(("id" = String, Path, description = "`set_...`"), ItemsQuery, QueryHeaders),
    responses((status = 200, description = "The settlement", body = SettlementWithItems), QueryErrors))]
async fn get_settlement(
    State(app): State<App>,
    reader: ObjectReader,
    Named(settlement_id): Named<SettlementId>,
    Params(query): Params<ItemsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let begin = cursor(query.cursor.as_deref())?;
    let as_of = AsOf::resolve(query.as_of, &app).await?;
    let (mut view, mut row) = find(&app, freshness, settlement_id).await?;
    if let Some(as_of) = as_of {
        let category = Category::of::<Settlement>();
        let stream = outcome::stream_at(&app, category, &settlement_id.to_string(), as_of).await?;
        let state = stream.of::<Settlement>().cloned().unwrap_or_default();
        row = SettlementRow { version: stream.version, updated_at: stream.updated_at, state };
    }
    let record = row.state.record().filter(|record| reader.may_see(record.terms.merchant_id));
    let record = record.ok_or_else(|| Problem::of(errors::SETTLEMENT_NOT_FOUND))?;
    let page = books::items(&mut view, holder_of(record), record.terms.window, ITEMS_MAX, begin.as_ref()).await?;
    let body = SettlementWithItems {
        settlement: object(record, row.version),
        items: page.rows.into_iter().map(Into::into).collect(),
        items_has_more: page.next.is_some(),
        items_next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(answer(StatusCode::OK, [position::header(as_of.unwrap_or(view.position))], &body))
}

/// A miss is believed only once the read model has come to where the log stood when the question was asked.
async fn find(app: &App, freshness: Freshness, id: SettlementId) -> Result<(Snapshot, SettlementRow), Problem> {
    let mut view = freshness.view(app, VIEW_WITH_ITEMS, None).await?;
    if let Some(row) = streams::find::<Settlements>(&mut view, id).await? {
        return Ok((view, row));
    }
    drop(view);
    let head = app.store().head().await?;
    let mut view = freshness.view(app, VIEW_WITH_ITEMS, Some(head)).await?;
    let row = streams::find::<Settlements>(&mut view, id).await?;
    Ok((view, row.unwrap_or_default()))
}

/// List settlements, newest first
#[utoipa::path(get, path = "/settlements", tag = "settlements", params(PastListQuery, QueryHeaders),
    responses((status = 200, description = "A page of settlements", body = List<SettlementObject>), QueryErrors))]
async fn list_settlements(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<PastListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let as_of = AsOf::resolve(query.as_of, &app).await?;
    let filter = query.filter::<Status>(reader)?;
    let mut view = freshness.view(&app, VIEW, as_of).await?;
    let position = position::header(as_of.unwrap_or(view.position));
    let page = match as_of {
        None => streams::list::<Settlements, _>(&mut view, &filter, limit, begin.as_ref()).await?,
        Some(as_of) => {
            past::list::<Settlements, _>(view, app.store().as_ref(), &filter, as_of, limit, begin.as_ref()).await?
        }
    };
    let next = page.next;
    let of_row = |row: &SettlementRow| row.state.record().map(|record| object(record, row.version));
    let objects = page.rows.iter().filter_map(of_row).collect();
    Ok(answer(StatusCode::OK, [position], &List::new(objects, next)))
}
