//! What a merchant may still take: `GET /merchants/{id}/limits`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::MerchantId;
use domain::calendar::month_of;
use domain::merchant::InForce;
use domain::merchant_limits::Used;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::errors;
use crate::extract::{Named, Params};
use crate::idempotency::{Nothing, answer};
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

/// What a merchant may take and what it has used of that, in minor units of USD.
#[derive(Serialize, ToSchema)]
#[schema(as = MerchantLimits)]
pub struct LimitsObject {
    /// Always `merchant_limits`.
    #[schema(example = "merchant_limits")]
    object: &'static str,
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    merchant_id: String,
    /// Always `USD`: payments in other currencies are counted by the rates of their day.
    #[schema(example = "USD")]
    currency: &'static str,
    /// The merchant's local day and month.
    #[schema(example = "2026-11-20")]
    day: String,
    #[schema(example = "2026-11")]
    month: String,
    per_payment: PerPayment,
    daily: Window,
    monthly: Window,
    /// Calls of the API that are allowed in a minute, on each node.
    #[schema(example = 500)]
    api_calls_per_minute: u32,
}

#[derive(Serialize, ToSchema)]
struct PerPayment {
    #[schema(example = 1_000_000)]
    limit: i64,
}

/// Payments that failed, were cancelled or refunded are not counted.
#[derive(Serialize, ToSchema)]
#[schema(as = LimitWindow)]
struct Window {
    #[schema(example = 10_000_000)]
    limit: i64,
    #[schema(example = 250_000)]
    used: i64,
    #[schema(example = 9_750_000)]
    left: i64,
}

impl Window {
    fn of(limit: i64, used: i64) -> Window {
        Window { limit, used, left: limit.saturating_sub(used).max(0) }
    }
}

impl LimitsObject {
    fn of(in_force: &InForce, used: &Used) -> LimitsObject {
        let limits = &in_force.limits;
        LimitsObject {
            object: "merchant_limits",
            merchant_id: in_force.merchant_id.to_string(),
            currency: "USD",
            day: used.day.to_string(),
            month: month_of(used.day),
            per_payment: PerPayment { limit: limits.per_payment },
            daily: Window::of(limits.daily, used.on_day),
            monthly: Window::of(limits.monthly, used.in_month),
            api_calls_per_minute: in_force.api_calls_per_minute,
        }
    }
}

/// Show what a merchant has used of its limits
#[utoipa::path(get, path = "/merchants/{id}/limits", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`"), QueryHeaders),
    responses((status = 200, description = "Limits, used and left", body = LimitsObject), QueryErrors))]
pub async fn get_limits(
    State(app): State<App>,
    reader: ObjectReader,
    Named(merchant_id): Named<MerchantId>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let missing = || Problem::of(errors::MERCHANT_NOT_FOUND);
    if !reader.may_see(merchant_id) {
        return Err(missing());
    }
    let position = freshness.of_streams(&app).await?;
    let used = commands::merchant_limits::used(app.executor(), merchant_id, app.clock().now()).await?;
    let (in_force, used) = used.ok_or_else(missing)?;
    Ok(answer(StatusCode::OK, [position::header(position)], &LimitsObject::of(&in_force, &used)))
}
