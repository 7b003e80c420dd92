//! Positions of the log as callers see them: opaque tokens, how fresh an answer must be, and `as_of`.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use commands::ports::EventStore;
use domain::Timestamp;
use projections::books::At;
use projections::{Projection, ReadError, Snapshot};
use serde::{Deserialize, Deserializer, de::Error};

use crate::app::App;
use crate::errors;
use crate::extract::Wait;
use crate::problem::Problem;

pub const LEDGER_POSITION: HeaderName = HeaderName::from_static("ledger-position");
const LEDGER_MIN_POSITION: &str = "ledger-min-position";
const VERSION: &str = "p1:";
const WAIT: Duration = Duration::from_secs(5);

/// The token of a position. Opaque to callers, so that it may carry more one day.
pub fn token(position: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{VERSION}{position}"))
}

pub fn header(position: u64) -> (HeaderName, HeaderValue) {
    (LEDGER_POSITION, HeaderValue::try_from(token(position)).expect("base64url is visible ASCII"))
}

/// The position of a token, in its one spelling.
pub fn read_token(text: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let position = std::str::from_utf8(&bytes).ok()?.strip_prefix(VERSION)?.parse().ok()?;
    (token(position) == text).then_some(position)
}

/// How fresh an answer must be, and how long the caller waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    min_position: Option<u64>,
    wait: Duration,
}

impl FromRequestParts<App> for Freshness {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Freshness, Problem> {
        let Ok(Wait(preferred)) = Wait::from_request_parts(parts, app).await;
        let min_position = match parts.headers.get(LEDGER_MIN_POSITION) {
            None => None,
            Some(value) => Some(value.to_str().ok().and_then(read_token).ok_or_else(|| {
                Problem::new(errors::INVALID_POSITION, "Ledger-Min-Position is not a position of this ledger")
            })?),
        };
        if let Some(wanted) = min_position {
            reach_head(app.store().as_ref(), wanted).await?;
        }
        Ok(Freshness { min_position, wait: preferred.unwrap_or(WAIT) })
    }
}

impl Freshness {
    /// A view of the projections that is fresh enough, and of `as_of` at least.
    pub async fn view(
        &self,
        app: &App,
        projections: &[&dyn Projection],
        as_of: Option<u64>,
    ) -> Result<Snapshot, Problem> {
        let wanted = self.min_position.max(as_of);
        Ok(app.reader.at_least(projections, wanted, self.wait).await?)
    }

    /// The position that a stream loaded from now on speaks for: asked of the log itself, since what this node has heard
    /// of it may be older than what another one has answered.
    pub async fn of_streams(&self, app: &App) -> Result<u64, Problem> {
        let head = app.store().head().await?;
        Ok(self.min_position.map_or(head, |wanted| wanted.max(head)))
    }
}

/// The head, once it is known to be at `wanted` or behind it; 400 if the log does not go that far.
async fn reach_head(store: &dyn EventStore, wanted: u64) -> Result<(), Problem> {
    let known = *store.watch_head().borrow();
    if wanted <= known || wanted <= store.head().await? {
        return Ok(());
    }
    Err(Problem::of(errors::POSITION_BEYOND_HEAD))
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Problem {
        match error {
            ReadError::Behind { .. } => Problem::new(errors::PROJECTION_BEHIND, error.to_string()),
            ReadError::Unavailable(reason) => Problem::unavailable(&reason),
            ReadError::Damaged(reason) => Problem::internal(&reason),
        }
    }
}

/// `as_of=`: a position token or an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    Position(u64),
    Time(Timestamp),
}

impl<'de> Deserialize<'de> for AsOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let position = read_token(&text).map(AsOf::Position);
        position
            .or_else(|| text.parse().ok().map(AsOf::Time))
            .ok_or_else(|| D::Error::custom("must be a Ledger-Position or an RFC 3339 time"))
    }
}

impl AsOf {
    pub async fn resolve(as_of: Option<AsOf>, app: &App) -> Result<Option<u64>, Problem> {
        match as_of {
            Some(as_of) => as_of.position(app).await.map(Some),
            None => Ok(None),
        }
    }

    /// The position that is meant: of a time, the last one recorded at it or before.
    pub async fn position(self, app: &App) -> Result<u64, Problem> {
        let store = app.store().as_ref();
        match self {
            AsOf::Position(position) => {
                reach_head(store, position).await.map_err(|problem| problem.in_parameter("as_of"))?;
                Ok(position)
            }
            AsOf::Time(time) if time > app.clock().now() => {
                Err(Problem::of(errors::AS_OF_IN_FUTURE).in_parameter("as_of"))
            }
            AsOf::Time(time) => Ok(projections::as_of::position_at(store, time).await?),
        }
    }
}

/// The two axes of the books: `as_of` by when a thing was recorded, `effective_at` by when it took effect.
pub async fn in_books(as_of: Option<AsOf>, effective_at: Option<Timestamp>, app: &App) -> Result<At, Problem> {
    Ok(At { as_of: AsOf::resolve(as_of, app).await?, effective_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        for position in [0, 1, 41_302, u64::MAX] {
            assert_eq!(read_token(&token(position)), Some(position));
        }
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in
            ["", "7", "!", &encoded("7"), &encoded("p1:"), &encoded("p1:07"), &encoded("p1:+7"), &encoded("p2:7")]
        {
            assert_eq!(read_token(text), None, "{text}");
        }
    }
}
