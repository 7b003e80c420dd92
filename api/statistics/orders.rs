//! Orders in figures: how many were made when, what they have come to by now and what they moved.

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::buckets::Bucket;
use domain::{Currency, MerchantId, TimeZone, Timestamp};
use projections::StatusText;
use projections::orders::{self as read_model, OrderFigures, OrderQuestion, OrderStatus, Orders};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::analytics::{ROWS_MAX, too_much};
use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::extract::{Params, Parsed};
use crate::idempotency::answer;
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use crate::render::figures::{OrderCounts, OrderTotals};
use crate::report_period::{Bound, Period};

/// What is told apart beside the currency, which always is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct GroupBy {
    merchant: bool,
    status: bool,
    names: Vec<String>,
}

impl FromStr for GroupBy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<GroupBy, &'static str> {
        let mut wanted = GroupBy::default();
        for name in text.split(',') {
            match name {
                "currency" => {}
                "merchant" => wanted.merchant = true,
                "status" => wanted.status = true,
                _ => return Err("must be some of currency, merchant and status, with commas between"),
            }
            wanted.names.push(name.to_owned());
        }
        Ok(wanted)
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StatisticsQuery {
    /// A local date or an RFC 3339 time on a quarter of an hour; without it a day of hours, thirty days or twelve months.
    #[param(value_type = Option<String>, example = "2026-11-01")]
    from: Option<Parsed<Bound>>,
    /// A local date, which is included as a whole, or an RFC 3339 time, which is not; without it the end of today.
    #[param(value_type = Option<String>, example = "2026-11-30")]
    to: Option<Parsed<Bound>>,
    /// `hour`, `day` or `month`; days unless told otherwise.
    #[param(value_type = Option<String>, example = "day")]
    bucket: Option<Parsed<Bucket>>,
    /// Some of `currency`, `merchant` and `status`, with commas between.
    #[param(value_type = Option<String>, example = "merchant")]
    group_by: Option<Parsed<GroupBy>>,
    /// Whose days they are; without it the merchant's own, else UTC.
    #[param(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<TimeZone>,
    /// For everybody but merchants: whose orders.
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    #[param(value_type = Option<String>)]
    currency: Option<Currency>,
    /// Only orders of this status.
    #[param(value_type = Option<String>, example = "paid")]
    status: Option<Parsed<OrderStatus>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OrderStatistics {
    /// Always `order_statistics`.
    #[schema(example = "order_statistics")]
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
    /// Oldest first; where no order was made there is no row.
    data: Vec<OrderStatisticsRow>,
}

/// Orders that were made in one bucket; what is not told apart is `null`.
#[derive(Serialize, ToSchema)]
struct OrderStatisticsRow {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    #[schema(example = "USD")]
    currency: String,
    merchant_id: Option<String>,
    status: Option<&'static str>,
    /// By what they have come to by now.
    orders: OrderCounts,
    #[serde(flatten)]
    totals: OrderTotals,
}

impl StatisticsQuery {
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
}

/// Orders in figures, by when they were made
///
/// An order counts in the stretch of time in which it was made, under what it has come to by now: the counts of all
/// statuses add up to the orders that were made, and past stretches still change while orders are paid and refunded. An
/// answer has 5,000 rows at most; a question that needs more is refused.
#[utoipa::path(get, path = "/statistics/orders", tag = "analytics", params(StatisticsQuery, QueryHeaders),
    responses((status = 200, description = "The figures", body = OrderStatistics), QueryErrors))]
pub(super) async fn order_statistics(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<StatisticsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let merchant_id = reader.whose(query.merchant_id)?;
    let (place, bounds) = query.period().resolve(&app, merchant_id).await?;
    let group_by = query.group_by.as_ref().map(|group_by| group_by.0.clone()).unwrap_or_default();
    let status = query.status.as_ref().map(|status| status.0);
    let question = OrderQuestion {
        merchant_id,
        currency: query.currency,
        bounds,
        by_merchant: group_by.merchant,
        rows_max: ROWS_MAX,
    };
    let mut view = freshness.view(&app, &[&Orders], None).await?;
    let mut figures = read_model::figures(&mut view, &question).await?.map_err(too_much)?;
    figures.retain(|figures| status.is_none_or(|status| figures.status == status));
    let statistics = OrderStatistics {
        object: "order_statistics",
        from: question.bounds[0],
        to: question.bounds[question.bounds.len() - 1],
        bucket: query.bucket().as_str(),
        time_zone: place.name(),
        data: rows_of(&figures, &question.bounds, group_by.status),
        group_by: group_by.names,
    };
    Ok(answer(StatusCode::OK, [position::header(view.position)], &statistics))
}

/// A row for each bucket, currency and merchant, and for each status where those are told apart.
fn rows_of(figures: &[OrderFigures], bounds: &[Timestamp], by_status: bool) -> Vec<OrderStatisticsRow> {
    let is_same = |a: &OrderFigures, b: &OrderFigures| {
        let status = |figures: &OrderFigures| by_status.then_some(figures.status);
        (a.bucket, a.currency, a.merchant_id, status(a)) == (b.bucket, b.currency, b.merchant_id, status(b))
    };
    let row = |group: &[OrderFigures]| OrderStatisticsRow {
        start: bounds[group[0].bucket],
        end: bounds[group[0].bucket + 1],
        currency: group[0].currency.to_string(),
        merchant_id: group[0].merchant_id.map(|merchant_id| merchant_id.to_string()),
        status: by_status.then(|| group[0].status.as_str()),
        orders: OrderCounts::of(group),
        totals: OrderTotals::of(group),
    };
    figures.chunk_by(is_same).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use projections::orders::Sums;

    #[test]
    fn what_is_not_told_apart_is_added_up() {
        let sums = Sums { orders: 2, paid: 1, amount: 500, amount_paid: 301, ..Sums::default() };
        let figures =
            |bucket, status| OrderFigures { bucket, currency: Currency::USD, merchant_id: None, status, sums };
        let all = [figures(0, OrderStatus::Pending), figures(0, OrderStatus::Paid), figures(1, OrderStatus::Pending)];
        let bounds: Vec<Timestamp> = (0..3).map(|n| Timestamp::from_micros(n * 900_000_000)).collect();
        let told = |by_status| -> Vec<(Timestamp, Option<&str>, i64, i128)> {
            let rows = rows_of(&all, &bounds, by_status);
            rows.iter().map(|row| (row.start, row.status, row.orders.created, row.totals.gross)).collect()
        };
        assert_eq!(told(false), [(bounds[0], None, 4, 602), (bounds[1], None, 2, 301)]);
        assert_eq!(told(true).len(), 3);
        assert_eq!(told(true)[1], (bounds[0], Some("paid"), 2, 301));
    }
}
