//! Sagas as operators see them: what is still to be done for which object, and a push for one that is stuck.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::agenda::{AgendaUnavailable, SagaState, SagaStatus};
use domain::{PaymentId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::OperatorCaller;
use crate::errors;
use crate::extract::{Params, Parsed};
use crate::idempotency::{Command, Nothing, Undone, answer, once};
use crate::page::Limit;
use crate::params::{CommandErrors, CommandHeaders, QueryErrors};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_sagas)).routes(routes!(get_saga)).routes(routes!(retry_saga))
}

/// What is left to do for a payment's charge, for one refund, or for another object.
#[derive(Serialize, ToSchema)]
#[schema(as = Saga)]
struct SagaObject {
    /// Of what it drives: `pay_...`, `re_...`, ...
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `saga`.
    #[schema(example = "saga")]
    object: &'static str,
    /// Of what it drives: `payment`, `refund`, ...
    #[schema(example = "payment")]
    kind: String,
    /// Whose events say what is left to do: of a refund, that is its payment.
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    stream_id: String,
    /// The payment that this is about, if it is about one.
    payment_id: Option<String>,
    /// `running`, `waiting` or `stuck`.
    #[schema(example = "waiting")]
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    due_at: Timestamp,
    /// How often the present step was tried in vain.
    attempts: u32,
    last_error: Option<String>,
    /// Of the event that made it due.
    position: u64,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<SagaStatus> for SagaObject {
    fn from(status: SagaStatus) -> SagaObject {
        SagaObject {
            id: status.saga_id.to_string(),
            object: "saga",
            kind: status.kind.into_owned(),
            payment_id: status.stream_id.parse::<PaymentId>().ok().map(|payment_id| payment_id.to_string()),
            stream_id: status.stream_id,
            state: status.state.as_str(),
            due_at: status.due_at,
            attempts: status.attempts,
            last_error: status.last_error,
            position: status.position,
            updated_at: status.updated_at,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// `running`, `waiting` or `stuck`.
    #[param(value_type = Option<String>)]
    state: Option<Parsed<SagaState>>,
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
}

/// The sagas that are due soonest.
#[derive(Serialize, ToSchema)]
struct Sagas {
    /// Always `list`.
    object: &'static str,
    data: Vec<SagaObject>,
    has_more: bool,
}

/// List sagas that are not finished, soonest due first
#[utoipa::path(get, path = "/sagas", tag = "operations", params(ListQuery),
    responses((status = 200, description = "Sagas", body = Sagas), QueryErrors))]
async fn list_sagas(
    State(app): State<App>,
    _caller: OperatorCaller,
    Params(query): Params<ListQuery>,
) -> Result<Response, Problem> {
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let mut sagas = app.agenda.list(query.state.map(|state| state.0), limit + 1).await?;
    let has_more = sagas.len() > limit;
    sagas.truncate(limit);
    let data = sagas.into_iter().map(SagaObject::from).collect();
    Ok(answer(StatusCode::OK, [], &Sagas { object: "list", data, has_more }))
}

/// Look up a saga that is not finished
#[utoipa::path(get, path = "/sagas/{id}", tag = "operations",
    params(("id" = String, Path, description = "Of what it drives: `pay_...`, `re_...`, ...")),
    responses((status = 200, description = "The saga", body = SagaObject), QueryErrors))]
async fn get_saga(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(id): Path<String>,
    _query: Params<Nothing>,
) -> Result<Response, Problem> {
    let saga = find(&app, &id).await?.ok_or_else(|| Problem::of(errors::SAGA_NOT_FOUND))?;
    Ok(answer(StatusCode::OK, [], &SagaObject::from(saga)))
}

/// A saga that was made due.
#[derive(Serialize, ToSchema)]
struct SagaRetry {
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `saga`.
    #[schema(example = "saga")]
    object: &'static str,
    /// Always `running`.
    #[schema(example = "running")]
    state: &'static str,
}

/// Make a saga due now, as if for the first time
#[utoipa::path(post, path = "/sagas/{id}/retry", tag = "operations",
    params(("id" = String, Path, description = "Of what it drives: `pay_...`, `re_...`, ..."), CommandHeaders),
    responses((status = 200, description = "It is due", body = SagaRetry), CommandErrors))]
async fn retry_saga(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let Command { issued, body: Nothing {} } = command;
    let actor = issued.metadata.actor.clone();
    let retry = async {
        tracing::info!(saga.id = id, actor, "a retry is asked for");
        let found = find(&app, &id).await?.is_some() && app.agenda.retry(&id, app.clock().now()).await?;
        if found { Ok(()) } else { Err(Undone::Refused(errors::SAGA_NOT_FOUND)) }
    };
    let repeated = once(&app, issued, &format!("saga:{id}"), retry).await?;
    Ok(answer(StatusCode::OK, repeated, &SagaRetry { id, object: "saga", state: "running" }))
}

/// No database text can hold a zero byte.
async fn find(app: &App, id: &str) -> Result<Option<SagaStatus>, Problem> {
    if id.contains('\0') { Ok(None) } else { Ok(app.agenda.find(id).await?) }
}

impl From<AgendaUnavailable> for Problem {
    fn from(error: AgendaUnavailable) -> Problem {
        Problem::unavailable(&error)
    }
}
