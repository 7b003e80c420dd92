//! The log of events and its streams, as auditors replay them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{RecordedEvent, StreamId};
use projections::Cursor;
use serde::{Deserialize, Deserializer, de::Error};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::LogReader;
use crate::errors;
use crate::extract::Params;
use crate::idempotency::answer;
use crate::page::{Limit, List, cursor};
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, Freshness, read_token};
use crate::problem::Problem;
use crate::render::event::{EventObject, object};

/// Events read at once, and at most for one answer: a filter that meets little ends a page early.
const READ_AT_ONCE: usize = 1_000;
const READ_MAX: u64 = 50_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_events)).routes(routes!(get_stream))
}

/// A position as a number or as a token.
#[derive(Debug, Clone, Copy)]
struct From(u64);

impl<'de> Deserialize<'de> for From {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let position = text.parse().ok().or_else(|| read_token(&text));
        position.map(From).ok_or_else(|| D::Error::custom("must be a position of the log"))
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// The first position wanted, 1 unless told otherwise.
    #[param(value_type = Option<u64>)]
    from: Option<From>,
    #[param(example = "payment")]
    category: Option<String>,
    #[serde(rename = "type")]
    #[param(example = "payment.captured")]
    event_type: Option<String>,
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl EventsQuery {
    fn meets(&self, event: &RecordedEvent) -> bool {
        self.category.as_ref().is_none_or(|category| *category == event.stream.category)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == event.event_type)
    }
}

/// Read the log, oldest first
///
/// With a filter that few events meet, a page may end before `limit` although more follow: `has_more` says so.
#[utoipa::path(get, path = "/events", tag = "log", params(EventsQuery, QueryHeaders),
    responses((status = 200, description = "A page of the log", body = List<EventObject>), QueryErrors))]
async fn list_events(
    State(app): State<App>,
    _caller: LogReader,
    Params(query): Params<EventsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let first = query.from.map_or(1, |From(position)| position.max(1));
    let behind = cursor(query.cursor.as_deref())?.map(|cursor| key(&cursor)).transpose()?.unwrap_or(first - 1);
    let head = freshness.of_streams(&app).await?;
    let (events, next) = scan(&app, &query, behind).await?;
    let events = events.into_iter().map(object).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, [position::header(head)], &List::new(events, next.map(behind_position))))
}

/// The events behind a position that meet the query, and the position behind which the next page begins.
async fn scan(app: &App, query: &EventsQuery, behind: u64) -> Result<(Vec<RecordedEvent>, Option<u64>), Problem> {
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let (mut met, mut read_up_to) = (vec![], behind);
    while read_up_to < behind.saturating_add(READ_MAX) {
        let page = app.store().read_all(read_up_to, READ_AT_ONCE).await?;
        for event in &page {
            if query.meets(event) {
                if met.len() == limit {
                    return Ok((met, Some(read_up_to)));
                }
                met.push(event.clone());
            }
            read_up_to = event.position;
        }
        if page.len() < READ_AT_ONCE {
            return Ok((met, None));
        }
    }
    Ok((met, Some(read_up_to)))
}

fn behind_position(position: u64) -> Cursor {
    Cursor { key: i64::try_from(position).unwrap_or(i64::MAX), id: String::new() }
}

fn key(cursor: &Cursor) -> Result<u64, Problem> {
    u64::try_from(cursor.key).map_err(|_| Problem::of(errors::INVALID_CURSOR).in_parameter("cursor"))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Read a stream, oldest first
#[utoipa::path(get, path = "/streams/{category}/{id}", tag = "log",
    params(("category" = String, Path, example = "payment"), ("id" = String, Path), StreamQuery, QueryHeaders),
    responses((status = 200, description = "A page of the stream", body = List<EventObject>), QueryErrors))]
async fn get_stream(
    State(app): State<App>,
    _caller: LogReader,
    Path((category, id)): Path<(String, String)>,
    Params(query): Params<StreamQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let missing = || Problem::of(errors::STREAM_NOT_FOUND);
    if category.contains('\0') || id.contains('\0') {
        return Err(missing());
    }
    let head = freshness.of_streams(&app).await?;
    let behind = cursor(query.cursor.as_deref())?.map(|cursor| key(&cursor)).transpose()?.unwrap_or(0);
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let mut events = app.store().read_stream(&StreamId::new(category, id), behind, limit + 1).await?;
    if events.is_empty() && behind == 0 {
        return Err(missing());
    }
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|event| behind_position(event.version));
    let events = events.into_iter().map(object).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, [position::header(head)], &List::new(events, next)))
}
