//! Adjustments: propose one, approve or reject it, look one up, list them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::adjustment;
use commands::ports::{Category, Receipt};
use domain::adjustment::{Adjustment, AdjustmentStatus, Phase, Propose, Record};
use domain::{Account, AdjustmentId, Currency, Leg, Side, Timestamp};
use projections::adjustments::{AdjustmentRow, Adjustments};
use projections::streams;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::{BooksReader, FinanceCaller, ObjectReader};
use crate::errors;
use crate::extract::fields::Amount;
use crate::extract::{Named, Params};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome;
use crate::page::{List, ListQuery};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(propose_adjustment, list_adjustments))
        .routes(routes!(get_adjustment))
        .routes(routes!(approve_adjustment))
        .routes(routes!(reject_adjustment))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProposeBody {
    /// It is kept as long as the books are, so name no person in it.
    #[schema(example = "the owner's first money", min_length = 1, max_length = 500)]
    reason: String,
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// 2 to 100; debits equal credits.
    legs: Vec<LegBody>,
    /// When it counts, if that is not when it is approved: not before the end of the last closed month.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LegBody {
    /// Any account that no single stream guards. A merchant's `available` takes one more leg, on an account that is
    /// neither guarded nor `pending`; its `receivable` is written off against `expense:merchant_loss`.
    #[schema(value_type = String, example = "bank:sandbox:cash")]
    account: Account,
    /// `debit` or `credit`.
    #[schema(value_type = String, example = "debit")]
    side: Side,
    /// Minor units.
    #[schema(value_type = i64, example = 1_000_000, minimum = 1, maximum = 999_999_999_999_999_i64)]
    amount: Amount,
}

impl LegBody {
    fn in_currency(self, currency: Currency) -> Leg {
        Leg { account: self.account, side: self.side, amount: self.amount.0, currency }
    }
}

/// A correction of the books by two people.
#[derive(Serialize, ToSchema)]
#[schema(as = Adjustment)]
struct AdjustmentObject {
    #[schema(example = "adj_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `adjustment`.
    #[schema(example = "adjustment")]
    object: &'static str,
    /// `proposed`, `approved` (and posted) or `rejected`.
    #[schema(example = "proposed")]
    status: &'static str,
    reason: String,
    #[schema(example = "USD")]
    currency: Option<String>,
    legs: Vec<LegObject>,
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
    requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    /// Who approved or rejected it.
    decided_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
}

/// One side of one account, in minor units.
#[derive(Serialize, ToSchema)]
struct LegObject {
    #[schema(example = "bank:sandbox:cash")]
    account: String,
    #[schema(value_type = String, example = "debit")]
    side: Side,
    #[schema(example = 1_000_000)]
    amount: i64,
}

impl From<&Record> for AdjustmentObject {
    fn from(record: &Record) -> AdjustmentObject {
        let proposal = &record.proposal;
        let legs = proposal.entry.legs();
        let (decided_by, decided_at) = match &record.phase {
            Phase::Proposed => (None, None),
            Phase::Approved { by, at } | Phase::Rejected { by, at } => (Some(by.clone()), Some(*at)),
        };
        let leg = |leg: &Leg| LegObject { account: leg.account.to_string(), side: leg.side, amount: leg.amount };
        AdjustmentObject {
            id: proposal.adjustment_id.to_string(),
            object: "adjustment",
            status: record.phase.status().as_str(),
            reason: proposal.reason.clone(),
            currency: legs.first().map(|leg| leg.currency.to_string()),
            legs: legs.iter().map(leg).collect(),
            effective_at: proposal.effective_at,
            requested_by: proposal.requested_by.clone(),
            requested_at: proposal.requested_at,
            decided_by,
            decided_at,
        }
    }
}

/// Propose an adjustment
///
/// Nothing is posted until another person approves it.
#[utoipa::path(post, path = "/ledger/adjustments", tag = "ledger", params(CommandHeaders), request_body = ProposeBody,
    responses((status = 201, description = "The adjustment", body = AdjustmentObject), CommandErrors))]
async fn propose_adjustment(
    State(app): State<App>,
    caller: FinanceCaller,
    command: Command<ProposeBody>,
) -> Result<Response, Problem> {
    let ProposeBody { reason, currency, legs, effective_at } = command.body;
    let propose = Propose {
        adjustment_id: AdjustmentId::from_uuid(Uuid::now_v7()),
        reason,
        legs: legs.into_iter().map(|leg| leg.in_currency(currency)).collect(),
        effective_at,
        closed_until: None,
        by: caller.principal,
        at: app.clock().now(),
    };
    let receipt = accepted(adjustment::propose(app.executor(), command.issued, propose).await?)?;
    as_of_command(&app, StatusCode::CREATED, &receipt).await
}

/// Approve an adjustment, which posts it
#[utoipa::path(post, path = "/ledger/adjustments/{id}/approve", tag = "ledger",
    params(("id" = String, Path, description = "`adj_...`"), CommandHeaders),
    responses((status = 200, description = "The adjustment", body = AdjustmentObject), CommandErrors))]
async fn approve_adjustment(
    State(app): State<App>,
    caller: FinanceCaller,
    Named(adjustment_id): Named<AdjustmentId>,
    Command { issued, body: Nothing {} }: Command<Nothing>,
) -> Result<Response, Problem> {
    let at = app.clock().now();
    let receipt = adjustment::approve(app.executor(), issued, adjustment_id, caller.principal, at).await?;
    as_of_command(&app, StatusCode::OK, &accepted(receipt)?).await
}

/// Reject an adjustment, or take it back
#[utoipa::path(post, path = "/ledger/adjustments/{id}/reject", tag = "ledger",
    params(("id" = String, Path, description = "`adj_...`"), CommandHeaders),
    responses((status = 200, description = "The adjustment", body = AdjustmentObject), CommandErrors))]
async fn reject_adjustment(
    State(app): State<App>,
    caller: FinanceCaller,
    Named(adjustment_id): Named<AdjustmentId>,
    Command { issued, body: Nothing {} }: Command<Nothing>,
) -> Result<Response, Problem> {
    let at = app.clock().now();
    let receipt = adjustment::reject(app.executor(), issued, adjustment_id, caller.principal, at).await?;
    as_of_command(&app, StatusCode::OK, &accepted(receipt)?).await
}

/// The adjustment right behind the command, which may have appended to other streams too.
async fn as_of_command(app: &App, status: StatusCode, receipt: &Receipt) -> Result<Response, Problem> {
    let category = Category::of::<Adjustment>();
    let stream = outcome::stream_at(app, category, &receipt.object, receipt.position).await?;
    let record = stream.of::<Adjustment>().and_then(|state| state.record());
    let record = record.ok_or_else(|| Problem::internal(&format!("{} was never proposed", receipt.object)))?;
    let headers = idempotency::headers(receipt, receipt.position);
    Ok(answer(status, headers, &AdjustmentObject::from(record)))
}

/// Look up an adjustment
#[utoipa::path(get, path = "/ledger/adjustments/{id}", tag = "ledger",
    params(("id" = String, Path, description = "`adj_...`"), QueryHeaders),
    responses((status = 200, description = "The adjustment", body = AdjustmentObject), QueryErrors))]
async fn get_adjustment(
    State(app): State<App>,
    _caller: BooksReader,
    Named(adjustment_id): Named<AdjustmentId>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let position = freshness.of_streams(&app).await?;
    let stream = app.store().load(Category::of::<Adjustment>(), &adjustment_id.to_string()).await?;
    let record = stream.of::<Adjustment>().and_then(|state| state.record());
    let record = record.ok_or_else(|| Problem::of(errors::ADJUSTMENT_NOT_FOUND))?;
    Ok(answer(StatusCode::OK, [position::header(position)], &AdjustmentObject::from(record)))
}

/// List adjustments, newest first
#[utoipa::path(get, path = "/ledger/adjustments", tag = "ledger", params(ListQuery, QueryHeaders),
    responses((status = 200, description = "A page of adjustments", body = List<AdjustmentObject>), QueryErrors))]
async fn list_adjustments(
    State(app): State<App>,
    _caller: BooksReader,
    Params(query): Params<ListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let filter = query.filter::<AdjustmentStatus>(ObjectReader::All)?;
    let mut view = freshness.view(&app, &[&Adjustments], None).await?;
    let page = streams::list::<Adjustments, _>(&mut view, &filter, limit, begin.as_ref()).await?;
    let object = |row: &AdjustmentRow| row.state.record().map(AdjustmentObject::from);
    let objects = page.rows.iter().filter_map(object).collect();
    Ok(answer(StatusCode::OK, [position::header(view.position)], &List::new(objects, page.next)))
}
