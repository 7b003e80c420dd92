//! Tiers: list what each of them means, and define one anew.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::Category;
use domain::Timestamp;
use domain::tier::{Limits, SettlementCycle, Terms, Tier, TierName};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{AdminCaller, ObjectReader};
use crate::extract::{Named, Params, Parsed};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::page::List;
use crate::params::{CommandErrors, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_tiers)).routes(routes!(define_tier))
}

/// The whole of a tier. What exists keeps the pricing it was created with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DefineTierBody {
    limits: TierLimits,
    /// Our share of each capture as a decimal: 0.008 is 0.8 %.
    #[schema(value_type = String, example = "0.008")]
    markup_rate: Parsed<Decimal>,
    /// `T+1`, `T+0` or `D+0`.
    #[schema(value_type = String, example = "T+1")]
    settlement_cycle: Parsed<SettlementCycle>,
    several_currencies: bool,
    pre_auth: bool,
    #[schema(example = 100)]
    api_calls_per_minute: u32,
    /// From now on unless told otherwise.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_from: Option<Timestamp>,
}

/// Minor units of USD.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TierLimits {
    #[schema(example = 1_000_000)]
    per_payment: i64,
    #[schema(example = 10_000_000)]
    daily: i64,
    #[schema(example = 30_000_000)]
    monthly: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Tier)]
struct TierObject {
    /// Always `tier`.
    #[schema(example = "tier")]
    object: &'static str,
    #[schema(example = "starter")]
    name: &'static str,
    limits: TierLimits,
    #[schema(example = "0.008")]
    markup_rate: String,
    #[schema(example = "T+1")]
    settlement_cycle: &'static str,
    several_currencies: bool,
    pre_auth: bool,
    #[schema(example = 100)]
    api_calls_per_minute: u32,
    #[schema(value_type = String, format = DateTime)]
    effective_from: Timestamp,
    /// What will hold later, soonest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    planned: Vec<TierObject>,
}

impl From<&Terms> for TierObject {
    fn from(terms: &Terms) -> TierObject {
        let Limits { per_payment, daily, monthly } = terms.limits;
        TierObject {
            object: "tier",
            name: terms.tier.as_str(),
            limits: TierLimits { per_payment, daily, monthly },
            markup_rate: terms.markup_rate.to_string(),
            settlement_cycle: terms.settlement_cycle.as_str(),
            several_currencies: terms.several_currencies,
            pre_auth: terms.pre_auth,
            api_calls_per_minute: terms.api_calls_per_minute,
            effective_from: terms.effective_from,
            planned: vec![],
        }
    }
}

impl TierObject {
    fn of(state: &domain::tier::State, at: Timestamp) -> Option<TierObject> {
        let planned = state.planned(at).map(TierObject::from).collect();
        state.in_force(at).map(|terms| TierObject { planned, ..terms.into() })
    }
}

/// List the tiers, the smallest first
#[utoipa::path(get, path = "/tiers", tag = "merchants", params(QueryHeaders),
    responses((status = 200, description = "Every tier", body = List<TierObject>), QueryErrors))]
async fn list_tiers(
    State(app): State<App>,
    _reader: ObjectReader,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (position, now) = (freshness.of_streams(&app).await?, app.clock().now());
    let mut tiers = vec![];
    for name in TierName::ALL {
        tiers.extend(TierObject::of(&commands::tier::load(app.executor(), name).await?, now));
    }
    Ok(answer(StatusCode::OK, [position::header(position)], &List::new(tiers, None)))
}

/// Define a tier anew, from now on or from a later time
///
/// No Idempotency-Key is needed: a repeat of what holds already changes nothing.
#[utoipa::path(put, path = "/tiers/{name}", tag = "merchants",
    params(("name" = String, Path, description = "`starter`, `business`, `enterprise` or `premium`")),
    request_body = DefineTierBody,
    responses((status = 200, description = "The tier", body = TierObject), CommandErrors))]
async fn define_tier(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(name): Named<TierName>,
    command: Command<DefineTierBody>,
) -> Result<Response, Problem> {
    let now = app.clock().now();
    let TierLimits { per_payment, daily, monthly } = command.body.limits;
    let terms = Terms {
        tier: name,
        limits: Limits { per_payment, daily, monthly },
        markup_rate: command.body.markup_rate.0.normalize(),
        settlement_cycle: command.body.settlement_cycle.0,
        several_currencies: command.body.several_currencies,
        pre_auth: command.body.pre_auth,
        api_calls_per_minute: command.body.api_calls_per_minute,
        effective_from: command.body.effective_from.unwrap_or(now),
    };
    let receipt = accepted(commands::tier::define(app.executor(), command.issued, terms, now).await?)?;
    let stream = app.store().load_at(Category::of::<Tier>(), &receipt.stream.id, receipt.version).await?;
    let tier = stream.of::<Tier>().and_then(|state| TierObject::of(state, stream.updated_at));
    let tier = tier.ok_or_else(|| Problem::internal(&format!("tier {name} was not defined")))?;
    Ok(answer(StatusCode::OK, idempotency::headers(&receipt, receipt.position), &tier))
}
