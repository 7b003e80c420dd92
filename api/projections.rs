//! Read models as operators see them: how far each has come, and how to have one folded anew.

use ::projections::{ProjectionStatus, RebuildError};
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
    OpenApiRouter::new().routes(routes!(list_projections)).routes(routes!(rebuild_projection))
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
    /// `running`, `stopped` or `rebuilding`.
    #[schema(value_type = String, example = "running")]
    state: ::projections::ProjectionState,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
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

#[derive(Serialize, ToSchema)]
struct Rebuild {
    #[schema(example = "payments")]
    name: String,
    /// Always `rebuilding`.
    #[schema(example = "rebuilding")]
    state: &'static str,
}

/// Rebuild a projection
///
/// Throws the read model away; it is folded again from the first event. Until that is done it answers as one that is
/// behind.
#[utoipa::path(post, path = "/projections/{name}/rebuild", tag = "operations",
    params(("name" = String, Path, example = "payments"), CommandHeaders),
    responses((status = 202, description = "It is being rebuilt", body = Rebuild), CommandErrors))]
async fn rebuild_projection(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(name): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let Command { issued, body: Nothing {} } = command;
    let actor = issued.metadata.actor.clone();
    let rebuild = async {
        tracing::info!(projection = name, actor, "a rebuild was asked for");
        ::projections::rebuild(&app.database, &name).await.map_err(undone)
    };
    let repeated = once(&app, issued, &format!("projection:{name}"), rebuild).await?;
    Ok(answer(StatusCode::ACCEPTED, repeated, &Rebuild { name, state: "rebuilding" }))
}

fn undone(error: RebuildError) -> Undone {
    match error {
        RebuildError::Unknown => Undone::Refused(errors::PROJECTION_NOT_FOUND),
        RebuildError::Overtaken => Undone::Refused(errors::REBUILD_RUNNING),
        RebuildError::NewerVersion | RebuildError::Database(_) => Undone::Failed(Problem::unavailable(&error)),
    }
}
