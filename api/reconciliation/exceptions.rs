//! Differences that runs found: list them, look one up, say what is done about it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{Category, Receipt};
use domain::channel_account::DifferenceReason;
use domain::reconciliation::{Ageing, DifferenceKind, Severity};
use domain::reconciliation_exception::{self, ExceptionStatus, ReconciliationException, Resolution};
use domain::{AdjustmentId, ChannelName, Currency, ExceptionId, StatementId, Timestamp};
use projections::reconciliations::{self, ExceptionFilter, ExceptionRow, ReconciliationExceptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{BooksReader, FinanceCaller};
use crate::errors;
use crate::extract::query::Parsed;
use crate::extract::{Named, Params};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome;
use crate::page::{Limit, List, cursor};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_exceptions))
        .routes(routes!(get_exception))
        .routes(routes!(resolve_exception))
}

/// What somebody said of a difference.
#[derive(Serialize, ToSchema)]
#[schema(as = ExceptionResolution)]
struct ResolutionObject {
    /// `accept`, `match`, `adjust`, `write_off` or `true_up`.
    #[schema(example = "write_off")]
    action: &'static str,
    /// Of a match by hand: the other side.
    exception_id: Option<String>,
    /// Of an adjustment: the one that put it right.
    adjustment_id: Option<String>,
    /// Of a write-off: `bank_fee`, `fx_difference`, `rounding` or `write_off`.
    #[schema(value_type = Option<String>)]
    cause: Option<DifferenceReason>,
    reason: String,
    requested_by: String,
    /// Null until a second person has said the same.
    resolved_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

/// A difference between a statement and what is booked.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconciliationException)]
struct ExceptionObject {
    #[schema(example = "exc_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `reconciliation_exception`.
    #[schema(example = "reconciliation_exception")]
    object: &'static str,
    #[schema(example = "stm_01k9zc4x8me1wbn7t5c1vq0000")]
    statement_id: String,
    /// Whose statement it is.
    #[schema(example = "channel:stripe")]
    counterparty: String,
    /// `missing_here`, `missing_there`, `amount`, `fee`, `currency`, `duplicate`, `split_incomplete` or `date`.
    #[schema(example = "amount")]
    kind: &'static str,
    /// `open`, `requested` (one person has said what is to be done, and it takes two), `resolved`, or `cleared` (a later
    /// run found that nothing speaks for it any more).
    #[schema(example = "open")]
    status: &'static str,
    #[schema(example = "USD")]
    currency: String,
    /// What the statement tells beyond what is booked, net and in minor units; negative if it falls short.
    #[schema(example = -100)]
    amount: i64,
    /// When the first of what it is about happened.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    resolution: Option<ResolutionObject>,
}

/// A difference with both of its sides, and how grave and how old it is by now.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenReconciliationException)]
struct FoundObject {
    #[serde(flatten)]
    exception: ExceptionObject,
    /// The run that found it last.
    #[schema(example = "rec_01k9zc4x8me1wbn7t5c1vq0d2r")]
    run_id: String,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "medium")]
    severity: &'static str,
    /// In words, why it is one.
    reason: String,
    /// What the statement tells: the number of lines, their sums by currency, and the first of them.
    #[schema(value_type = Option<Object>)]
    there: Option<Value>,
    /// What is booked: the number of operations, their sums by currency, and the first of them.
    #[schema(value_type = Option<Object>)]
    here: Option<Value>,
    /// When it was found first.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// Days since it happened: `0-1`, `2-7`, `8-30` or `31+`.
    #[schema(example = "2-7")]
    ageing: &'static str,
}

fn resolution_of(state: &reconciliation_exception::State) -> Option<ResolutionObject> {
    use reconciliation_exception::State as Said;
    let (resolution, reason, requested_by, resolved) = match state {
        Said::Absent => return None,
        Said::Requested(one) => (&one.resolution, &one.reason, &one.requested_by, None),
        Said::Resolved(one) => {
            (&one.resolution, &one.reason, &one.requested_by, Some((one.resolved_by.clone(), one.resolved_at)))
        }
    };
    let mut object = ResolutionObject {
        action: "accept",
        exception_id: None,
        adjustment_id: None,
        cause: None,
        reason: reason.clone(),
        requested_by: requested_by.clone(),
        resolved_by: resolved.as_ref().map(|(by, _)| by.clone()),
        resolved_at: resolved.map(|(_, at)| at),
    };
    match resolution {
        Resolution::Accept => {}
        Resolution::Match { exception_id } => {
            (object.action, object.exception_id) = ("match", Some(exception_id.to_string()));
        }
        Resolution::Adjust { adjustment_id } => {
            (object.action, object.adjustment_id) = ("adjust", Some(adjustment_id.to_string()));
        }
        Resolution::WriteOff { cause } => (object.action, object.cause) = ("write_off", Some(*cause)),
        Resolution::TrueUp => object.action = "true_up",
    }
    Some(object)
}

impl FoundObject {
    fn of(row: ExceptionRow, now: Timestamp) -> FoundObject {
        let present = |side: Value| Some(side).filter(|side| !side.is_null());
        FoundObject {
            exception: ExceptionObject {
                id: row.exception_id.to_string(),
                object: "reconciliation_exception",
                statement_id: row.statement_id.to_string(),
                counterparty: row.counterparty.clone(),
                kind: row.kind.as_str(),
                status: row.status().as_str(),
                currency: row.currency.to_string(),
                amount: row.amount,
                occurred_at: row.occurred_at,
                resolution: resolution_of(&row.said),
            },
            run_id: row.run_id.to_string(),
            severity: row.severity.as_str(),
            reason: row.reason,
            there: present(row.there),
            here: present(row.here),
            opened_at: row.opened_at,
            ageing: Ageing::of(row.occurred_at, now).as_str(),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExceptionsQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `open`, `requested`, `resolved` or `cleared`.
    #[param(value_type = Option<String>)]
    status: Option<Parsed<ExceptionStatus>>,
    /// What differs.
    #[param(value_type = Option<String>)]
    kind: Option<Parsed<DifferenceKind>>,
    #[param(value_type = Option<String>)]
    severity: Option<Parsed<Severity>>,
    #[param(value_type = Option<String>)]
    currency: Option<Currency>,
    #[param(value_type = Option<String>)]
    channel: Option<ChannelName>,
    #[param(value_type = Option<String>)]
    statement_id: Option<Parsed<StatementId>>,
    /// What happened before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    occurred_before: Option<Timestamp>,
}

/// List the differences that runs found, the newest of their occasions first
#[utoipa::path(get, path = "/reconciliation/exceptions", tag = "reconciliation", params(ExceptionsQuery, QueryHeaders),
    responses((status = 200, description = "A page of exceptions", body = List<FoundObject>), QueryErrors))]
async fn list_exceptions(
    State(app): State<App>,
    _caller: BooksReader,
    Params(query): Params<ExceptionsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let begin = cursor(query.cursor.as_deref())?;
    let filter = ExceptionFilter {
        status: query.status.map(|status| status.0),
        kind: query.kind.map(|kind| kind.0),
        severity: query.severity.map(|severity| severity.0),
        currency: query.currency,
        channel: query.channel,
        statement_id: query.statement_id.map(|statement| statement.0),
        occurred_before: query.occurred_before,
    };
    let mut view = freshness.view(&app, &[&ReconciliationExceptions], None).await?;
    let page = reconciliations::exceptions(&mut view, &filter, query.limit.0, begin.as_ref()).await?;
    let position = position::header(view.position);
    drop(view);
    let now = app.clock().now();
    Ok(answer(StatusCode::OK, [position], &List::of(page, |row| FoundObject::of(row, now))))
}

/// Look up a difference
#[utoipa::path(get, path = "/reconciliation/exceptions/{id}", tag = "reconciliation",
    params(("id" = String, Path, description = "`exc_...`"), QueryHeaders),
    responses((status = 200, description = "The exception", body = FoundObject), QueryErrors))]
async fn get_exception(
    State(app): State<App>,
    _caller: BooksReader,
    Named(exception_id): Named<ExceptionId>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let mut view = freshness.view(&app, &[&ReconciliationExceptions], None).await?;
    let row = reconciliations::find_exception(&mut view, exception_id).await?;
    let row = row.ok_or_else(|| Problem::of(errors::EXCEPTION_NOT_FOUND))?;
    let found = FoundObject::of(row, app.clock().now());
    Ok(answer(StatusCode::OK, [position::header(view.position)], &found))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolveBody {
    /// `accept` (nothing is to be done), `match` (it is the other side of `exception_id`), `adjust` (`adjustment_id`, which
    /// is approved, has put it right), `write_off` (the books take over what the channel tells, for `cause`) or `true_up`
    /// (the fee that was an estimate is what the statement tells).
    #[schema(value_type = String, example = "write_off")]
    action: Action,
    /// It is kept as long as the books are, so name no person in it.
    #[schema(example = "rounding at the channel", min_length = 1, max_length = 500)]
    reason: String,
    #[schema(value_type = Option<String>)]
    exception_id: Option<ExceptionId>,
    #[schema(value_type = Option<String>)]
    adjustment_id: Option<AdjustmentId>,
    /// `bank_fee`, `fx_difference`, `rounding` or `write_off`, which it is unless told otherwise.
    #[schema(value_type = Option<String>)]
    cause: Option<DifferenceReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Accept,
    Match,
    Adjust,
    WriteOff,
    TrueUp,
}

impl ResolveBody {
    /// What belongs to another action has no place here.
    fn resolution(&self) -> Result<Resolution, Problem> {
        let stray = [
            ("/exception_id", self.exception_id.is_some() && self.action != Action::Match),
            ("/adjustment_id", self.adjustment_id.is_some() && self.action != Action::Adjust),
            ("/cause", self.cause.is_some() && self.action != Action::WriteOff),
        ];
        if let Some((pointer, _)) = stray.into_iter().find(|(_, is_stray)| *is_stray) {
            return Err(Problem::new(errors::INVALID_FIELD, "belongs to another action").at(pointer));
        }
        let missing = |pointer: &'static str| Problem::of(errors::MISSING_FIELD).at(pointer);
        Ok(match self.action {
            Action::Accept => Resolution::Accept,
            Action::TrueUp => Resolution::TrueUp,
            Action::WriteOff => Resolution::WriteOff { cause: self.cause.unwrap_or(DifferenceReason::WriteOff) },
            Action::Match => {
                Resolution::Match { exception_id: self.exception_id.ok_or_else(|| missing("/exception_id"))? }
            }
            Action::Adjust => {
                Resolution::Adjust { adjustment_id: self.adjustment_id.ok_or_else(|| missing("/adjustment_id"))? }
            }
        })
    }
}

/// Say what is done about a difference
///
/// Giving up more than 100 units of the currency takes two people who say the same.
#[utoipa::path(post, path = "/reconciliation/exceptions/{id}/resolve", tag = "reconciliation",
    params(("id" = String, Path, description = "`exc_...`"), CommandHeaders), request_body = ResolveBody,
    responses((status = 200, description = "The exception", body = ExceptionObject), CommandErrors))]
async fn resolve_exception(
    State(app): State<App>,
    caller: FinanceCaller,
    Named(exception_id): Named<ExceptionId>,
    Command { issued, body }: Command<ResolveBody>,
) -> Result<Response, Problem> {
    let resolution = body.resolution()?;
    let by = caller.principal;
    let receipt = app.reconciliations.resolve(issued, exception_id, resolution, body.reason, by).await?;
    as_of_command(&app, &accepted(receipt)?).await
}

/// The exception right behind the command, as its stream tells it.
async fn as_of_command(app: &App, receipt: &Receipt) -> Result<Response, Problem> {
    let category = Category::of::<ReconciliationException>();
    let stream = outcome::stream_at(app, category, &receipt.object, receipt.position).await?;
    let state = stream.of::<ReconciliationException>().cloned().unwrap_or_default();
    let facts = state.facts().ok_or_else(|| Problem::internal(&format!("{} says nothing", receipt.object)))?;
    let object = ExceptionObject {
        id: facts.exception_id.to_string(),
        object: "reconciliation_exception",
        statement_id: facts.statement_id.to_string(),
        counterparty: facts.counterparty.to_string(),
        kind: facts.kind.as_str(),
        status: state.status().as_str(),
        currency: facts.currency.to_string(),
        amount: facts.amount,
        occurred_at: facts.occurred_at,
        resolution: resolution_of(&state),
    };
    Ok(answer(StatusCode::OK, idempotency::headers(receipt, receipt.position), &object))
}
