//! What the routes that tell an object's story share: their query and their answer.

use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::StreamId;
use commands::story::{Reach, StoryError};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::errors::ErrorCode;
use crate::extract::Parsed;
use crate::idempotency::answer;
use crate::page::List;
use crate::position::{self, AsOf};
use crate::problem::Problem;
use crate::render::story::entries;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StoryQuery {
    /// A `Ledger-Position` or an RFC 3339 time: the story up to then.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
    /// Follow the money too: captures, disputes, settlements, withdrawals.
    #[param(value_type = Option<bool>)]
    follow: Option<Parsed<bool>>,
}

impl StoryQuery {
    pub async fn position(&self, app: &App) -> Result<Option<u64>, Problem> {
        AsOf::resolve(self.as_of, app).await
    }
}

/// The story of a stream that the reader may see.
pub async fn told(
    app: &App,
    stream: &StreamId,
    reader: ObjectReader,
    query: &StoryQuery,
    (as_of, position): (Option<u64>, u64),
    missing: &'static ErrorCode,
) -> Result<Response, Problem> {
    let reach = match query.follow {
        Some(Parsed(true)) => Reach::Money,
        Some(Parsed(false)) | None => Reach::Itself,
    };
    let story = app.storyteller.tell(stream, reach, as_of).await?;
    let story = story.ok_or_else(|| Problem::of(missing))?;
    let headers = [position::header(as_of.unwrap_or(position))];
    Ok(answer(StatusCode::OK, headers, &List::new(entries(&story, reader)?, None)))
}

impl From<StoryError> for Problem {
    fn from(error: StoryError) -> Problem {
        match error {
            StoryError::Unavailable(reason) => Problem::unavailable(&reason),
            StoryError::Unreadable(_) | StoryError::Damaged(_) => Problem::internal(&error),
        }
    }
}
