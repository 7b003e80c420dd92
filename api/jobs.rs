//! Jobs as operators see them: when each is due, how its runs ended, and a run outside the timetable.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::JobBoardUnavailable;
use commands::ports::jobs::{JobRun, JobStatus, RunState};
use domain::{JobRunId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::OperatorCaller;
use crate::errors;
use crate::extract::Params;
use crate::idempotency::{Command, Nothing, Undone, answer, once};
use crate::page::Limit;
use crate::params::{CommandErrors, CommandHeaders, QueryErrors};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_jobs)).routes(routes!(list_runs)).routes(routes!(run_job))
}

/// What the ledger does by the clock.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
struct JobObject {
    #[schema(example = "forget_nonces")]
    name: String,
    /// Always `job`.
    #[schema(example = "job")]
    object: &'static str,
    #[schema(example = "daily at 02:30 UTC")]
    timetable: String,
    #[schema(value_type = String, format = DateTime)]
    next_at: Timestamp,
    /// `pending`, `running`, or how the last run ended: `completed` or `failed`; null if it never ran.
    #[schema(example = "completed")]
    state: Option<&'static str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_finished_at: Option<Timestamp>,
    /// Runs that failed since the last one that did not.
    failures: u32,
    /// When it is run again after a failure, if its timetable does not say so sooner.
    #[schema(value_type = Option<String>, format = DateTime)]
    retry_at: Option<Timestamp>,
}

impl From<JobStatus> for JobObject {
    fn from(status: JobStatus) -> JobObject {
        let open = status.running.as_ref().or(status.pending.as_ref()).map(|run| run.state);
        JobObject {
            name: status.job,
            object: "job",
            timetable: status.timetable,
            next_at: status.next_at,
            state: open.or(status.last_outcome).map(|state| state.as_str()),
            last_finished_at: status.last_finished_at,
            failures: status.failures,
            retry_at: status.retry_at,
        }
    }
}

/// One run of a job.
#[derive(Serialize, ToSchema)]
#[schema(as = JobRun)]
struct RunObject {
    #[schema(example = "run_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `job_run`.
    #[schema(example = "job_run")]
    object: &'static str,
    #[schema(example = "forget_nonces")]
    job: String,
    /// `pending`, `running`, `completed`, `failed`, or `skipped` because an earlier run still went on.
    #[schema(example = "completed")]
    state: &'static str,
    /// Why it ran: `timetable`, `retry` after a failure, or `request`.
    #[schema(example = "timetable")]
    trigger: &'static str,
    #[schema(value_type = String, format = DateTime)]
    scheduled_for: Timestamp,
    /// Earlier times at which the job was due and no node ran; this run made up for all of them.
    missed: u64,
    requested_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How many things it dealt with.
    processed: Option<u64>,
    error: Option<String>,
}

impl From<JobRun> for RunObject {
    fn from(run: JobRun) -> RunObject {
        RunObject {
            id: run.run_id.to_string(),
            object: "job_run",
            job: run.job,
            state: run.state.as_str(),
            trigger: run.trigger.as_str(),
            scheduled_for: run.scheduled_for,
            missed: run.missed,
            requested_by: run.requested_by,
            started_at: run.started_at,
            finished_at: run.finished_at,
            processed: run.processed,
            error: run.error,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Jobs {
    /// Always `list`.
    object: &'static str,
    data: Vec<JobObject>,
}

/// List jobs
#[utoipa::path(get, path = "/jobs", tag = "operations",
    responses((status = 200, description = "Every job, by name", body = Jobs), QueryErrors))]
async fn list_jobs(
    State(app): State<App>,
    _caller: OperatorCaller,
    _query: Params<Nothing>,
) -> Result<Response, Problem> {
    let data = app.jobs.list().await?.into_iter().map(JobObject::from).collect();
    Ok(answer(StatusCode::OK, [], &Jobs { object: "list", data }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RunsQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
}

#[derive(Serialize, ToSchema)]
struct JobRuns {
    /// Always `list`.
    object: &'static str,
    data: Vec<RunObject>,
    has_more: bool,
}

/// List a job's runs, newest first
#[utoipa::path(get, path = "/jobs/{name}/runs", tag = "operations",
    params(("name" = String, Path, example = "forget_nonces"), RunsQuery),
    responses((status = 200, description = "Its runs", body = JobRuns), QueryErrors))]
async fn list_runs(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(name): Path<String>,
    Params(query): Params<RunsQuery>,
) -> Result<Response, Problem> {
    find(&app, &name).await?.ok_or_else(|| Problem::of(errors::JOB_NOT_FOUND))?;
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let mut runs = app.jobs.runs(&name, limit.saturating_add(1)).await?;
    let has_more = runs.len() > limit;
    runs.truncate(limit);
    let data = runs.into_iter().map(RunObject::from).collect();
    Ok(answer(StatusCode::OK, [], &JobRuns { object: "list", data, has_more }))
}

/// A run that was asked for.
#[derive(Serialize, ToSchema)]
struct RequestedRun {
    #[schema(example = "run_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `job_run`.
    #[schema(example = "job_run")]
    object: &'static str,
    #[schema(example = "forget_nonces")]
    job: String,
    /// Always `pending`.
    #[schema(example = "pending")]
    state: &'static str,
}

/// Run a job now
///
/// A node with the role `sagas` takes the run up; `GET /jobs/{name}/runs` tells how it ended.
#[utoipa::path(post, path = "/jobs/{name}/run", tag = "operations",
    params(("name" = String, Path, example = "forget_nonces"), CommandHeaders),
    responses((status = 202, description = "It was asked for", body = RequestedRun), CommandErrors))]
async fn run_job(
    State(app): State<App>,
    _caller: OperatorCaller,
    Path(name): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let Command { issued, body: Nothing {} } = command;
    let actor = issued.metadata.actor.clone();
    // Of the command, so that a repeat whose first answer was lost asks for the same run.
    let run_id = JobRunId::from_uuid(issued.metadata.command_id);
    let request = async {
        tracing::info!(job.name = name, actor, "a run is asked for");
        let run = match find(&app, &name).await? {
            Some(_) => app.jobs.request(&name, run_id, &actor, app.clock().now()).await?,
            None => None,
        };
        run.map(drop).ok_or(Undone::Refused(errors::JOB_NOT_FOUND))
    };
    let repeated = once(&app, issued, &format!("job:{name}"), request).await?;
    let requested =
        RequestedRun { id: run_id.to_string(), object: "job_run", job: name, state: RunState::Pending.as_str() };
    Ok(answer(StatusCode::ACCEPTED, repeated, &requested))
}

/// No database text can hold a zero byte.
async fn find(app: &App, name: &str) -> Result<Option<JobStatus>, Problem> {
    if name.contains('\0') { Ok(None) } else { Ok(app.jobs.find(name).await?) }
}

impl From<JobBoardUnavailable> for Problem {
    fn from(error: JobBoardUnavailable) -> Problem {
        Problem::unavailable(&error)
    }
}
