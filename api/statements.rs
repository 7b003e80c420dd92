//! A merchant's statement: what it had, what moved, what it has. Knows how a day begins, not how money is posted.

use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Currency, MerchantId, Timestamp};
use projections::statements::{self, Movement, Statements, Window};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::errors;
use crate::extract::{Params, Parsed};
use crate::idempotency::answer;
use crate::page::{Limit, cursor};
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_statement))
}

/// A day by its first moment, or a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Day(Timestamp),
    Moment(Timestamp),
}

impl FromStr for Bound {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Bound, &'static str> {
        let day = (text.len() == 10).then(|| format!("{text}T00:00:00Z").parse().ok()).flatten();
        let bound = day.map(Bound::Day).or_else(|| text.parse().ok().map(Bound::Moment));
        bound.ok_or("must be a date such as 2026-11-20 or an RFC 3339 time")
    }
}

impl Bound {
    pub fn begin(self) -> Timestamp {
        let (Bound::Day(moment) | Bound::Moment(moment)) = self;
        moment
    }

    /// A day is meant with its whole length.
    pub fn end(self) -> Timestamp {
        match self {
            Bound::Day(_) => self.begin().plus(Duration::from_secs(24 * 60 * 60)),
            Bound::Moment(moment) => moment,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StatementQuery {
    /// A date in UTC or an RFC 3339 time; without it, from the very first movement.
    #[param(value_type = Option<String>, example = "2026-11-01")]
    from: Option<Parsed<Bound>>,
    /// A date in UTC, which is included as a whole, or an RFC 3339 time, which is not; without it, up to now.
    #[param(value_type = Option<String>, example = "2026-11-30")]
    to: Option<Parsed<Bound>>,
    #[param(value_type = String, example = "USD")]
    currency: Currency,
    /// For everybody but merchants: whose statement.
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    /// Movements, 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A merchant's money in one currency, in minor units: available + pending + holds + reserves - receivable.
#[derive(Serialize, ToSchema)]
#[schema(as = Statement)]
struct StatementObject {
    /// Always `statement`.
    #[schema(example = "statement")]
    object: &'static str,
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    merchant_id: String,
    #[schema(example = "USD")]
    currency: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// The closing balance of the statement before.
    #[schema(value_type = i64, example = 0)]
    opening: i128,
    /// Oldest first, a page of them.
    movements: Vec<MovementObject>,
    #[schema(value_type = i64, example = 9_820)]
    closing: i128,
    has_more: bool,
    /// The `cursor` of the next page of movements.
    next_cursor: Option<String>,
}

/// What one event changed. Moves between the merchant's own accounts are none.
#[derive(Serialize, ToSchema)]
#[schema(as = Movement)]
struct MovementObject {
    /// Of the event, and so of its transaction in the books.
    #[schema(example = 41_302)]
    position: u64,
    /// `payment`, `fee`, `refund`, `dispute`, `settlement`, `withdrawal`, `adjustment`, or the category of the event.
    #[schema(example = "payment")]
    kind: String,
    #[schema(example = "payment.captured")]
    event_type: String,
    /// What it is about.
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    reference: String,
    #[schema(value_type = i64, example = 9_820)]
    amount: i128,
    /// Behind this movement.
    #[schema(value_type = i64, example = 9_820)]
    balance: i128,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
}

impl From<Movement> for MovementObject {
    fn from(movement: Movement) -> MovementObject {
        MovementObject {
            position: movement.position,
            kind: movement.kind().to_owned(),
            event_type: movement.event_type,
            reference: movement.object,
            amount: movement.amount,
            balance: movement.balance,
            recorded_at: movement.recorded_at,
            effective_at: movement.effective_at,
        }
    }
}

/// A merchant's statement in one currency
#[utoipa::path(get, path = "/statements", tag = "balances", params(StatementQuery, QueryHeaders),
    responses((status = 200, description = "The statement", body = StatementObject), QueryErrors))]
async fn get_statement(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<StatementQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let begin = cursor(query.cursor.as_deref())?;
    let (window, [from, to]) = window(&app, reader, &query).await?;
    let mut view = freshness.view(&app, &[&Statements], Some(window.to)).await?;
    let (merchant_id, currency) = (window.merchant_id, window.currency);
    let opening = statements::balance_at(&mut view, merchant_id, currency, window.from).await?;
    let closing = statements::balance_at(&mut view, merchant_id, currency, window.to).await?;
    let page = statements::movements(&mut view, &window, query.limit.0, begin.as_ref()).await?;
    let statement = StatementObject {
        object: "statement",
        merchant_id: merchant_id.to_string(),
        currency: currency.to_string(),
        from,
        to,
        opening,
        has_more: page.next.is_some(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
        movements: page.rows.into_iter().map(MovementObject::from).collect(),
        closing,
    };
    Ok(answer(StatusCode::OK, [position::header(window.to)], &statement))
}

/// Whose money between which positions, and the moments that were asked for.
async fn window(
    app: &App,
    reader: ObjectReader,
    query: &StatementQuery,
) -> Result<(Window, [Option<Timestamp>; 2]), Problem> {
    let missing = || Problem::new(errors::INVALID_PARAMETER, "name the merchant").in_parameter("merchant_id");
    let merchant_id = reader.whose(query.merchant_id)?.ok_or_else(missing)?;
    if commands::merchant::find(app.executor(), merchant_id).await?.is_none() {
        return Err(Problem::of(errors::MERCHANT_NOT_FOUND));
    }
    let from = query.from.map(|bound| bound.0.begin());
    let to = query.to.map(|bound| bound.0.end());
    if from > to && to.is_some() {
        let detail = "the statement ends before it begins";
        return Err(Problem::new(errors::INVALID_PARAMETER, detail).in_parameter("to"));
    }
    let window = Window {
        merchant_id,
        currency: query.currency,
        from: match from {
            Some(from) => before(app, from).await?,
            None => 0,
        },
        to: match to {
            Some(to) => before(app, to).await?,
            None => app.store().head().await?,
        },
    };
    Ok((window, [from, to]))
}

/// The position of the last event that was recorded before `moment`.
async fn before(app: &App, moment: Timestamp) -> Result<u64, Problem> {
    let last = Timestamp::from_micros(moment.as_micros().saturating_sub(1));
    Ok(commands::as_of::position_at(app.store().as_ref(), last).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_meant_as_a_whole() {
        let bound = |text: &str| text.parse::<Bound>();
        let day = bound("2026-11-20").unwrap();
        assert_eq!(day.begin().to_string(), "2026-11-20T00:00:00.000000Z");
        assert_eq!(day.end(), bound("2026-11-21").unwrap().begin());
        let moment = bound("2026-11-20T10:00:00+01:00").unwrap();
        assert_eq!((moment.begin(), moment.end().to_string().as_str()), (moment.end(), "2026-11-20T09:00:00.000000Z"));
        for text in ["", "2026-11", "2026-13-01", "20261120", "yesterday", "2026-1-1"] {
            assert!(bound(text).is_err(), "{text}");
        }
    }
}
