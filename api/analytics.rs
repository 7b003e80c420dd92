//! Payments in figures: cut into hours, days or months, told apart by what the caller wants.

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::buckets::Bucket;
use domain::{ChannelName, Country, Currency, MerchantId, TimeZone, Timestamp};
use projections::TooMuch;
use projections::analytics::{self as read_model, Analytics, Figures, Groups, Question};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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

/// Rows of one answer at most.
pub const ROWS_MAX: usize = 5_000;
const FAILURES_MAX: usize = 10;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(payment_analytics))
}

/// What is told apart beside the currency, which always is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct GroupBy {
    groups: Groups,
    status: bool,
    names: Vec<String>,
}

impl FromStr for GroupBy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<GroupBy, &'static str> {
        let mut wanted = GroupBy::default();
        for name in text.split(',') {
            match name {
                "channel" => wanted.groups.channel = true,
                "country" => wanted.groups.country = true,
                "currency" => {}
                "merchant" => wanted.groups.merchant = true,
                "status" => wanted.status = true,
                _ => {
                    return Err("must be some of channel, country, currency, merchant and status, with commas between");
                }
            }
            wanted.names.push(name.to_owned());
        }
        Ok(wanted)
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AnalyticsQuery {
    /// A local date or an RFC 3339 time on a quarter of an hour; without it a day of hours, thirty days or twelve months.
    #[param(value_type = Option<String>, example = "2026-11-01")]
    from: Option<Parsed<Bound>>,
    /// A local date, which is included as a whole, or an RFC 3339 time, which is not; without it the end of today.
    #[param(value_type = Option<String>, example = "2026-11-30")]
    to: Option<Parsed<Bound>>,
    /// `hour`, `day` or `month`; days unless told otherwise.
    #[param(value_type = Option<String>, example = "day")]
    bucket: Option<Parsed<Bucket>>,
    /// Some of `channel`, `country`, `currency`, `merchant` and `status`, with commas between.
    #[param(value_type = Option<String>, example = "channel,status")]
    group_by: Option<Parsed<GroupBy>>,
    /// Whose days they are; without it the merchant's own, else UTC.
    #[param(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<TimeZone>,
    /// For everybody but merchants: whose payments.
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    #[param(value_type = Option<String>)]
    channel: Option<ChannelName>,
    #[param(value_type = Option<String>)]
    currency: Option<Currency>,
    /// ISO 3166-1 alpha-2.
    #[param(value_type = Option<String>)]
    country: Option<Country>,
}

#[derive(Serialize, ToSchema)]
struct PaymentAnalytics {
    /// Always `payment_analytics`.
    #[schema(example = "payment_analytics")]
    object: &'static str,
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    #[schema(example = "day")]
    bucket: &'static str,
    #[schema(example = "Europe/Berlin")]
    time_zone: &'static str,
    group_by: Vec<String>,
    /// Oldest first; where nothing happened there is no row.
    data: Vec<AnalyticsRow>,
    /// The most frequent codes of failures, over the whole time.
    failures: Vec<FailureCount>,
}

#[derive(Serialize, ToSchema)]
struct FailureCount {
    #[schema(example = "card_declined")]
    code: String,
    count: i64,
}

/// One bucket of one group; what is not told apart is `null`.
#[derive(Serialize, ToSchema)]
struct AnalyticsRow {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    #[schema(example = "USD")]
    currency: String,
    merchant_id: Option<String>,
    channel: Option<String>,
    /// Also `null` where the merchant did not say.
    country: Option<String>,
    /// `succeeded`, `failed`, `cancelled` or `expired`.
    status: Option<&'static str>,
    #[serde(flatten)]
    content: RowContent,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum RowContent {
    Figures(Box<PaymentFigures>),
    Outcome(OutcomeFigures),
}

/// Payments of one status. Minor units.
#[derive(Serialize, ToSchema)]
struct OutcomeFigures {
    count: i64,
    #[schema(value_type = i64)]
    amount: i128,
}

impl AnalyticsQuery {
    fn bucket(&self) -> Bucket {
        self.bucket.map_or(Bucket::Day, |bucket| bucket.0)
    }

    fn period(&self) -> Period {
        Period {
            from: self.from.map(|bound| bound.0),
            to: self.to.map(|bound| bound.0),
            bucket: self.bucket(),
            time_zone: self.time_zone.clone(),
            days: 30,
        }
    }

    fn question(&self, merchant_id: Option<MerchantId>, groups: Groups, bounds: Vec<Timestamp>) -> Question {
        Question {
            merchant_id,
            channel: self.channel.clone(),
            currency: self.currency,
            country: self.country,
            bounds,
            groups,
            rows_max: ROWS_MAX,
        }
    }
}

/// Payments in figures, by time and by what you tell apart
///
/// An answer has 5,000 rows at most; a question that needs more is refused.
#[utoipa::path(get, path = "/analytics/payments", tag = "analytics", params(AnalyticsQuery, QueryHeaders),
    responses((status = 200, description = "The figures", body = PaymentAnalytics), QueryErrors))]
async fn payment_analytics(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<AnalyticsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let merchant_id = reader.whose(query.merchant_id)?;
    let (place, bounds) = query.period().resolve(&app, merchant_id).await?;
    let group_by = query.group_by.as_ref().map(|group_by| group_by.0.clone()).unwrap_or_default();
    let question = query.question(merchant_id, group_by.groups, bounds);
    let mut view = freshness.view(&app, &[&Analytics], None).await?;
    let answered = read_model::figures(&mut view, &question).await?.map_err(too_much)?;
    let row = |figures: &Figures| rows_of(figures, &question.bounds, group_by.status, reader == ObjectReader::All);
    let analytics = PaymentAnalytics {
        object: "payment_analytics",
        from: question.bounds[0],
        to: question.bounds[question.bounds.len() - 1],
        bucket: query.bucket().as_str(),
        time_zone: place.name(),
        data: answered.rows.iter().flat_map(row).collect(),
        group_by: group_by.names,
        failures: answered.failures.into_iter().take(FAILURES_MAX).map(FailureCount::from).collect(),
    };
    Ok(answer(StatusCode::OK, [position::header(view.position)], &analytics))
}

pub fn too_much(_: TooMuch) -> Problem {
    let detail = format!(
        "the answer would have more than {ROWS_MAX} rows or add up too many figures: tell less apart, take longer \
         buckets, or ask for less time"
    );
    Problem::new(errors::INVALID_PARAMETER, detail).in_parameter("group_by")
}

impl From<(String, i64)> for FailureCount {
    fn from((code, count): (String, i64)) -> FailureCount {
        FailureCount { code, count }
    }
}

/// One row, or one for each status that there was.
fn rows_of(figures: &Figures, bounds: &[Timestamp], by_status: bool, shows_margin: bool) -> Vec<AnalyticsRow> {
    let row = |status: Option<&'static str>, content: RowContent| AnalyticsRow {
        start: bounds[figures.bucket],
        end: bounds[figures.bucket + 1],
        currency: figures.currency.to_string(),
        merchant_id: figures.merchant_id.map(|merchant_id| merchant_id.to_string()),
        channel: figures.channel.as_ref().map(ToString::to_string),
        country: figures.country.map(|country| country.to_string()),
        status,
        content,
    };
    let measures = &figures.measures;
    if !by_status {
        let content = PaymentFigures::of(measures, &figures.latencies, shows_margin);
        return vec![row(None, RowContent::Figures(Box::new(content)))];
    }
    let outcomes = [
        ("succeeded", measures.succeeded, measures.amount_succeeded),
        ("failed", measures.failed, measures.amount_failed),
        ("cancelled", measures.cancelled, measures.amount_cancelled),
        ("expired", measures.expired, measures.amount_expired),
    ];
    let seen = outcomes.into_iter().filter(|(_, count, _)| *count != 0);
    seen.map(|(status, count, amount)| row(Some(status), RowContent::Outcome(OutcomeFigures { count, amount })))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_apart_is_named() {
        let by: GroupBy = "channel,status,currency".parse().unwrap();
        assert_eq!((by.groups, by.status), (Groups { channel: true, ..Groups::default() }, true));
        assert_eq!(by.names, ["channel", "status", "currency"]);
        for text in ["", "channel,", "colour", "channel;status", "Channel"] {
            assert!(text.parse::<GroupBy>().is_err(), "{text}");
        }
    }
}
