//! Exports: ask for a file of rows, see what has come of it, download it. Who may export what is said here; how a file is
//! made is not.

mod filter;
mod range;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use commands::Issued;
use domain::{ExportId, Timestamp};
use futures::TryStreamExt;
use projections::exports::{self, Export, ExportStatus, File, Format, Kind, NewExport, Selection};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::ExportCaller;
use crate::errors;
use crate::extract::{Named, Params};
use crate::idempotency::{Command, Nothing, Undone, answer, once};
use crate::params::{CommandErrors, CommandHeaders, DownloadErrors, QueryErrors};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use range::Wanted;

/// Exports of one asker that wait or are being made.
const UNFINISHED_MAX: i64 = 5;
/// When an asker who has too many may try again.
const RETRY_AFTER_S: u32 = 10;
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_export)).routes(routes!(get_export)).routes(routes!(download_export))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateExportBody {
    /// `payments`, `refunds`, `pre_auths`, `orders`, `settlements`, `withdrawals`, `disputes`, `movements` (the lines of
    /// merchants' statements), or for finance and auditors `journal`.
    #[schema(value_type = String, example = "payments")]
    kind: Kind,
    /// `csv` or `ndjson`.
    #[schema(value_type = String, example = "csv")]
    format: Format,
    /// As the kind's list is filtered: `merchant_id`, `status`, `currency`, `channel`, `order_no`, `created_from`,
    /// `created_to`, `amount_min`, `amount_max`, and `payment_id` for refunds. `movements` know `merchant_id`, `currency`,
    /// `from` and `to` as statements do; `journal` knows `account` too.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"status": "succeeded", "currency": "USD"}))]
    filter: Option<Map<String, Value>>,
}

/// A file of rows, and what has come of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
struct ExportObject {
    #[schema(example = "exp_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `export`.
    #[schema(example = "export")]
    object: &'static str,
    #[schema(example = "payments")]
    kind: &'static str,
    #[schema(example = "csv")]
    format: &'static str,
    #[schema(value_type = Object)]
    filter: Selection,
    /// `pending`, `running`, `ready`, `failed` or `expired`.
    #[schema(example = "ready")]
    status: &'static str,
    /// The position of the log whose rows they are; null until the file is ready, as is what follows.
    #[schema(example = 41_302)]
    position: Option<u64>,
    /// No stream was parked in the read model. Otherwise rows may be missing.
    is_complete: Option<bool>,
    /// SHA-256 of the file, as 64 hexadecimal digits.
    digest: Option<String>,
    /// Without the line of headings.
    #[schema(example = 128)]
    rows: Option<u64>,
    bytes: Option<u64>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:30:00.123456Z")]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    /// The file is deleted then.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl ExportObject {
    fn of(export: Export) -> ExportObject {
        let Export { request, status, file, created_at, .. } = export;
        let file = file.as_ref();
        ExportObject {
            id: request.export_id.to_string(),
            object: "export",
            kind: request.kind.as_str(),
            format: request.format.as_str(),
            filter: request.selection,
            status: status.as_str(),
            position: file.map(|file| file.position),
            is_complete: file.map(|file| file.is_complete),
            digest: file.map(|file| file.digest.clone()),
            rows: file.map(|file| file.rows),
            bytes: file.map(|file| file.bytes),
            created_at,
            completed_at: file.map(|file| file.completed_at),
            expires_at: file.map(|file| file.expires_at),
        }
    }
}

/// Ask for an export
///
/// A node makes the file from one snapshot of the read model, which speaks for the `Ledger-Position` of this answer at
/// least. It holds no personal data, and can be downloaded until its term is over: 180 days unless the ledger was told otherwise.
#[utoipa::path(post, path = "/exports", tag = "exports", params(CommandHeaders), request_body = CreateExportBody,
    responses((status = 202, description = "The export, pending", body = ExportObject), CommandErrors))]
async fn create_export(
    State(app): State<App>,
    caller: ExportCaller,
    freshness: Freshness,
    command: Command<CreateExportBody>,
) -> Result<Response, Problem> {
    let Command { issued, body } = command;
    let new = asked(body, &caller, &issued, freshness.of_streams(&app).await?)?;
    let export_id = new.export_id;
    let entered = async {
        let export = exports::request(&app.database, &new, UNFINISHED_MAX).await?;
        export.map(drop).ok_or_else(|| Undone::Failed(too_many()))
    };
    let repeated = once(&app, issued, &export_id.to_string(), entered).await?;
    let export = exports::find(&app.database, export_id).await?;
    let mut export = export.ok_or_else(|| Problem::of(errors::EXPORT_NOT_FOUND))?;
    let headers = repeated.into_iter().chain([position::header(export.request.min_position)]);
    // As it was entered, so that a repeat gets the same bytes.
    (export.status, export.file) = (ExportStatus::Pending, None);
    Ok(answer(StatusCode::ACCEPTED, headers, &ExportObject::of(export)))
}

/// Its id is the command's, so that a repeat whose first answer was lost asks for the same export.
fn asked(
    body: CreateExportBody,
    caller: &ExportCaller,
    issued: &Issued,
    min_position: u64,
) -> Result<NewExport, Problem> {
    if body.kind.is_of_the_books() && !caller.reads_books {
        return Err(Problem::new(errors::FORBIDDEN, "only finance and auditors export the journal"));
    }
    Ok(NewExport {
        export_id: ExportId::from_uuid(issued.metadata.command_id),
        owner: caller.reader.own(),
        requested_by: issued.metadata.actor.clone(),
        kind: body.kind,
        format: body.format,
        selection: filter::selection(body.kind, body.filter.unwrap_or_default(), caller.reader)?,
        min_position,
    })
}

fn too_many() -> Problem {
    Problem::of(errors::TOO_MANY_EXPORTS).with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S))
}

/// Whoever could have asked for an export may see it; for everybody else it is not there.
async fn find(app: &App, caller: &ExportCaller, export_id: ExportId) -> Result<Export, Problem> {
    let may_see = |export: &Export| {
        let request = &export.request;
        let is_own = caller.reader.own().is_none_or(|own| request.owner == Some(own));
        is_own && (caller.reads_books || !request.kind.is_of_the_books())
    };
    let export = exports::find(&app.database, export_id).await?.filter(may_see);
    export.ok_or_else(|| Problem::of(errors::EXPORT_NOT_FOUND))
}

/// Look up an export
#[utoipa::path(get, path = "/exports/{id}", tag = "exports",
    params(("id" = String, Path, description = "`exp_...`")),
    responses((status = 200, description = "The export", body = ExportObject), QueryErrors))]
async fn get_export(
    State(app): State<App>,
    caller: ExportCaller,
    Named(export_id): Named<ExportId>,
    _query: Params<Nothing>,
) -> Result<Response, Problem> {
    let export = find(&app, &caller, export_id).await?;
    let position = export.file.as_ref().map_or(export.request.min_position, |file| file.position);
    Ok(answer(StatusCode::OK, [position::header(position)], &ExportObject::of(export)))
}

/// Download an export
///
/// The file as it was made; its `ETag` is its digest. With `Range` one part of it, so that a download that broke off can
/// be gone on with. In CSV a text that a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(get, path = "/exports/{id}/download", tag = "exports",
    params(("id" = String, Path, description = "`exp_...`"),
           ("Range" = Option<String>, Header, description = "One range of bytes", example = "bytes=1000000-")),
    responses((status = 200, description = "The file", content((String = "text/csv"), (String = "application/x-ndjson"))),
              (status = 206, description = "A part of the file",
               content((String = "text/csv"), (String = "application/x-ndjson"))),
              DownloadErrors))]
async fn download_export(
    State(app): State<App>,
    caller: ExportCaller,
    Named(export_id): Named<ExportId>,
    _query: Params<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let export = find(&app, &caller, export_id).await?;
    let file = downloadable(&export)?;
    let (status, part) = match range::wanted(&headers, &etag(file), file.bytes) {
        Wanted::Whole => (StatusCode::OK, 0..file.bytes),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Beyond => return Err(beyond(file)),
    };
    let mut response = Response::builder().status(status);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, file.bytes);
        response = response.header(header::CONTENT_RANGE, range);
    }
    response = response.header(header::CONTENT_LENGTH, part.end - part.start);
    for (name, value) in stamp(&export, file) {
        response = response.header(name, value);
    }
    let broken = move |error: &_| tracing::warn!(%error, export.id = %export_id, "a download broke off");
    let bytes = exports::read(app.database.clone(), &export, part).inspect_err(broken);
    response.body(Body::from_stream(bytes)).map_err(|error| Problem::internal(&error))
}

fn downloadable(export: &Export) -> Result<&File, Problem> {
    match (&export.file, export.status) {
        (Some(file), ExportStatus::Ready) => Ok(file),
        (_, ExportStatus::Expired) => Err(Problem::of(errors::EXPORT_EXPIRED)),
        (_, ExportStatus::Failed) => Err(Problem::of(errors::EXPORT_FAILED)),
        _ => Err(Problem::of(errors::EXPORT_NOT_READY)),
    }
}

fn beyond(file: &File) -> Problem {
    let length = HeaderValue::try_from(format!("bytes */{}", file.bytes)).expect("a number is visible ASCII");
    Problem::of(errors::RANGE_NOT_SATISFIABLE).with_header(header::CONTENT_RANGE, length)
}

fn etag(file: &File) -> String {
    format!("\"{}\"", file.digest)
}

/// What every answer with bytes of the file says of it.
fn stamp(export: &Export, file: &File) -> Vec<(HeaderName, String)> {
    let NewExport { export_id, kind, format, .. } = &export.request;
    let (kind, ending) = (kind.as_str(), format.as_str());
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        Format::Ndjson => "application/x-ndjson",
    };
    let digest = STANDARD.encode(hex::decode(&file.digest).unwrap_or_default());
    vec![
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{kind}-{export_id}.{ending}\"")),
        (header::ETAG, etag(file)),
        (REPR_DIGEST, format!("sha-256=:{digest}:")),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (position::LEDGER_POSITION, position::token(file.position)),
    ]
}
