//! What each day came to, and what became of orders.

mod orders;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use domain::buckets::Bucket;
use domain::{Currency, MerchantId, TimeZone};
use projections::analytics::{self as read_model, Analytics, Groups, Question};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::analytics::{ROWS_MAX, too_much};
use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::errors;
use crate::extract::{Params, Parsed};
use crate::idempotency::answer;
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use crate::render::figures::PaymentFigures;
use crate::report_period::{Bound, Period};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(daily_summary)).routes(routes!(orders::order_statistics))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SummaryQuery {
    /// One local day; today unless told otherwise.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-20")]
    date: Option<Parsed<NaiveDate>>,
    /// The first of several days, instead of `date`.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Parsed<NaiveDate>>,
    /// The last of several days; today unless told otherwise.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Parsed<NaiveDate>>,
    /// Whose days they are; without it the merchant's own, else UTC.
    #[param(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<TimeZone>,
    /// For everybody but merchants: whose payments.
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    #[param(value_type = Option<String>)]
    currency: Option<Currency>,
}

#[derive(Serialize, ToSchema)]
struct DailySummary {
    /// Always `daily_summary`.
    #[schema(example = "daily_summary")]
    object: &'static str,
    #[schema(value_type = String, format = Date, example = "2026-11-20")]
    from: NaiveDate,
    #[schema(value_type = String, format = Date, example = "2026-11-20")]
    to: NaiveDate,
    #[schema(example = "Europe/Berlin")]
    time_zone: &'static str,
    /// Oldest first; a day without payments has no row.
    data: Vec<DayFigures>,
}

/// One day in one currency.
#[derive(Serialize, ToSchema)]
struct DayFigures {
    #[schema(value_type = String, format = Date, example = "2026-11-20")]
    date: NaiveDate,
    #[schema(example = "USD")]
    currency: String,
    #[serde(flatten)]
    figures: PaymentFigures,
}

impl SummaryQuery {
    fn period(&self) -> Result<Period, Problem> {
        let day = |day: &Option<Parsed<NaiveDate>>| day.map(|day| Bound::Day(day.0));
        let (from, to) = match (day(&self.date), day(&self.from), day(&self.to)) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                let detail = "name one date, or from and to";
                return Err(Problem::new(errors::INVALID_PARAMETER, detail).in_parameter("date"));
            }
            (Some(date), None, None) => (Some(date), Some(date)),
            // One day unless it says where they begin.
            (None, None, to) => (to, to),
            (None, from, to) => (from, to),
        };
        Ok(Period { from, to, bucket: Bucket::Day, time_zone: self.time_zone.clone(), days: 1 })
    }
}

/// What each day came to
#[utoipa::path(get, path = "/statistics/daily-summary", tag = "analytics", params(SummaryQuery, QueryHeaders),
    responses((status = 200, description = "The days", body = DailySummary), QueryErrors))]
async fn daily_summary(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<SummaryQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let merchant_id = reader.whose(query.merchant_id)?;
    let (place, bounds) = query.period()?.resolve(&app, merchant_id).await?;
    let question = Question {
        merchant_id,
        channel: None,
        currency: query.currency,
        country: None,
        bounds,
        groups: Groups::default(),
        rows_max: ROWS_MAX,
    };
    let mut view = freshness.view(&app, &[&Analytics], None).await?;
    let figures = read_model::figures(&mut view, &question).await?.map_err(too_much)?.rows;
    let shows_margin = reader == ObjectReader::All;
    let days = figures.iter().map(|row| DayFigures {
        date: place.day_of(question.bounds[row.bucket]),
        currency: row.currency.to_string(),
        figures: PaymentFigures::of(&row.measures, &row.latencies, shows_margin),
    });
    let summary = DailySummary {
        object: "daily_summary",
        from: place.day_of(question.bounds[0]),
        to: place.day_of(question.bounds[question.bounds.len() - 2]),
        time_zone: place.name(),
        data: days.collect(),
    };
    Ok(answer(StatusCode::OK, [position::header(view.position)], &summary))
}
