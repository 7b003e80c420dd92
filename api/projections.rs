//! Read models as operators see them: how far each has come, what waits in it, and how to have one folded anew.

use ::projections::{ParkedStream, ProjectionStatus, RebuildError};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::OperatorCaller;
use crate::errors;
use crate::extract::Params;
use crate::idempotency::{Command, Nothing, Undone, answer, once};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_projections))
        .routes(routes!(list_parked_streams))
        .routes(routes!(rebuild_projection))
        .routes(routes!(retry_projection))
        .routes(routes!(roll_projection_back))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Projection)]
struct ProjectionObject {
    #[schema(example = "payments")]
    name: String,
    #[schema(example = 1)]
    version: i32,
    #[schema(example = 41_302)]
    position: u64,
    /// Events of the log that it has not seen yet.
    lag_events: u64,
    /// How long ago the oldest of them was recorded.
    lag_seconds: u64,
    /// `running`, `parked`, `stopped` or `rebuilding`.
    #[schema(value_type = String, example = "running")]
    state: ::projections::ProjectionState,
    /// Why it stopped, or why the first of the parked streams is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Streams whose events wait, because one of them cannot be applied. Sums over all streams are incomplete then.
    parked_streams: u64,
    /// How far the next generation has got, while it is built beside the one that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilt_to: Option<u64>,
}

impl From<ProjectionStatus> for ProjectionObject {
    fn from(status: ProjectionStatus) -> ProjectionObject {
        ProjectionObject {
            name: status.name,
            version: status.version,
            position: status.position,
            lag_events: status.lag_events,
            lag_seconds: status.lag_seconds,
            state: status.state,
            error: status.error,
            parked_streams: status.parked_streams,
            rebuilt_to: status.rebuilt_to,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Projections {
    /// Always `list`.
    object: &'static str,
    data: Vec<ProjectionObject>,
}

/// List projections
#[utoipa::path(get, path = "/projections", tag = "operations",
    responses((status = 200, description = "Every projection", body = Projections), QueryErrors))]
async fn list_projections(
    State(app): State<App>,
    _caller: OperatorCaller,
    _query: Params<Nothing>,
) -> Result<Response, Problem> {
    let list = ::projections::list(&app.database, app.store().as_ref(), app.clock().now()).await?;
    let data = list.into_iter().map(ProjectionObject::from).collect();
    Ok(answer(StatusCode::OK, [], &Projections { object: "list", data }))
}

/// A stream whose events wait.
#[derive(Serialize, ToSchema)]
#[schema(as = ParkedStream)]
struct ParkedStreamObject {
    #[schema(example = "payment")]
    category: String,
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// The first event that waits: its version within the stream, its position in the log, its type.
    version: u64,
    position: u64,
    #[schema(example = "payment.captured")]
    event_type: String,
    /// Why it cannot be applied.
    error: String,
    /// Events that wait, the first included.
    waiting: u64,
    #[schema(value_type = String, format = DateTime)]
    parked_at: domain::Timestamp,
}

impl From<ParkedStream> for ParkedStreamObject {
    fn from(stream: ParkedStream) -> ParkedStreamObject {
        ParkedStreamObject {
            category: stream.category,
            id: stream.id,
            version: stream.version,
            position: stream.position,
            event_type: stream.event_type,
            error: stream.error,
            waiting: stream.waiting,
            parked_at: stream.parked_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ParkedStreams {
    /// Always `list`.
    object: &'static str,
    data: Vec<ParkedStreamObject>,
}

/// List the parked streams of a projection
///
/// An event that cannot be applied parks its stream: its later events wait behind it, and the other streams go on.
#[utoipa::path(get, path = "/projections/{name}/parked", tag = "operations",
    params(("name" = String, Path, example = "payments")),
    responses((status = 200, description = "The longest waiting first", body = ParkedStreams), QueryErrors))]
async fn list_parked_streams(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(name): Path<String>,
    _query: Params<Nothing>,
) -> Result<Response, Problem> {
    ::projections::find(&name).ok_or_else(|| Problem::of(errors::PROJECTION_NOT_FOUND))?;
    let parked = ::projections::parked(&app.database, &name).await?;
    let data = parked.into_iter().map(ParkedStreamObject::from).collect();
    Ok(answer(StatusCode::OK, [], &ParkedStreams { object: "list", data }))
}

/// What was asked of a projection.
#[derive(Serialize, ToSchema)]
struct ProjectionOrder {
    #[schema(example = "payments")]
    name: String,
    /// `rebuilding`, `retrying` or `running`.
    #[schema(example = "rebuilding")]
    state: &'static str,
}

/// Rebuild a projection
///
/// Builds the read model anew beside the one that serves, and puts it in its place once it has caught up.
#[utoipa::path(post, path = "/projections/{name}/rebuild", tag = "operations",
    params(("name" = String, Path, example = "payments"), CommandHeaders),
    responses((status = 202, description = "It is being rebuilt", body = ProjectionOrder), CommandErrors))]
async fn rebuild_projection(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(name): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    order(&app, command, &name, (StatusCode::ACCEPTED, "rebuilding"), ::projections::rebuild(&app.database, &name))
        .await
}

/// Retry the parked streams of a projection
#[utoipa::path(post, path = "/projections/{name}/retry", tag = "operations",
    params(("name" = String, Path, example = "payments"), CommandHeaders),
    responses((status = 202, description = "They are tried again", body = ProjectionOrder), CommandErrors))]
async fn retry_projection(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(name): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    order(&app, command, &name, (StatusCode::ACCEPTED, "retrying"), ::projections::retry(&app.database, &name)).await
}

/// Roll a projection back
///
/// Puts the generation before the last rebuild back in its place; within a day of it.
#[utoipa::path(post, path = "/projections/{name}/rollback", tag = "operations",
    params(("name" = String, Path, example = "payments"), CommandHeaders),
    responses((status = 200, description = "The one before serves again", body = ProjectionOrder), CommandErrors))]
async fn roll_projection_back(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(name): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    order(&app, command, &name, (StatusCode::OK, "running"), ::projections::rollback(&app.database, &name)).await
}

async fn order(
    app: &App,
    command: Command<Nothing>,
    name: &str,
    (status, state): (StatusCode, &'static str),
    effect: impl Future<Output = Result<(), RebuildError>>,
) -> Result<Response, Problem> {
    let Command { issued, body: Nothing {} } = command;
    let actor = issued.metadata.actor.clone();
    let effect = async {
        tracing::info!(projection = name, actor, state, "a projection was given an order");
        effect.await.map_err(undone)
    };
    let repeated = once(app, issued, &format!("projection:{name}"), effect).await?;
    Ok(answer(status, repeated, &ProjectionOrder { name: name.to_owned(), state }))
}

fn undone(error: RebuildError) -> Undone {
    match error {
        RebuildError::Unknown => Undone::Refused(errors::PROJECTION_NOT_FOUND),
        RebuildError::Overtaken => Undone::Refused(errors::REBUILD_RUNNING),
        RebuildError::NothingKept => Undone::Refused(errors::NOTHING_TO_ROLL_BACK_TO),
        RebuildError::NewerVersion | RebuildError::KeptIsBehind | RebuildError::Database(_) => {
            Undone::Failed(Problem::unavailable(&error))
        }
    }
}
