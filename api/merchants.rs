//! Merchants: onboard one, look one up, list them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::Category;
use domain::merchant::{Merchant, Terms};
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::{Currency, MerchantId, TimeZone, Timestamp};
use projections::merchants as read_model;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::AdminCaller;
use crate::errors;
use crate::extract::{Named, Params, Parsed};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::page::{Limit, List, cursor};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_merchant, list_merchants)).routes(routes!(get_merchant))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateMerchantBody {
    #[schema(example = "Acme", min_length = 1, max_length = 200)]
    name: String,
    /// `starter` 0.8 %, `business` 0.6 %, `enterprise` 0.45 % or `premium` 0.3 % of each capture.
    #[schema(value_type = String, example = "starter")]
    tier: Parsed<Tier>,
    /// `cost_plus` (the default): the channel's fee is passed on; `blended`: the tier's rate is the whole price.
    #[schema(value_type = Option<String>, example = "cost_plus")]
    pricing: Option<PricingModel>,
    /// What the merchant reckons in.
    #[schema(value_type = Option<String>, example = "EUR")]
    home_currency: Option<Currency>,
    /// IANA name; the merchant's business day begins and ends there.
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<TimeZone>,
}

/// A merchant and what was agreed with it.
#[derive(Serialize, ToSchema)]
#[schema(as = Merchant)]
struct MerchantObject {
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    id: String,
    /// Always `merchant`.
    #[schema(example = "merchant")]
    object: &'static str,
    #[schema(example = "Acme")]
    name: String,
    #[schema(example = "starter")]
    tier: &'static str,
    /// `cost_plus` or `blended`.
    #[schema(value_type = String, example = "cost_plus")]
    pricing: PricingModel,
    /// Our share of each capture as a decimal: 0.008 is 0.8 %.
    #[schema(example = "0.008")]
    markup_rate: String,
    /// `retain` or `proportional`: what happens to our share on a refund.
    #[schema(value_type = String, example = "retain")]
    refund_fee_policy: RefundFeePolicy,
    #[schema(example = "EUR")]
    home_currency: Option<String>,
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Terms> for MerchantObject {
    fn from(terms: &Terms) -> MerchantObject {
        MerchantObject {
            id: terms.merchant_id.to_string(),
            object: "merchant",
            name: terms.name.clone(),
            tier: terms.tier.as_str(),
            pricing: terms.pricing_model,
            markup_rate: terms.tier.markup_rate().to_string(),
            refund_fee_policy: terms.refund_fee_policy,
            home_currency: terms.home_currency.map(|currency| currency.to_string()),
            time_zone: terms.time_zone.as_ref().map(ToString::to_string),
            created_at: terms.onboarded_at,
        }
    }
}

/// Onboard a merchant
#[utoipa::path(post, path = "/merchants", tag = "merchants", params(CommandHeaders), request_body = CreateMerchantBody,
    responses((status = 201, description = "The merchant", body = MerchantObject), CommandErrors))]
async fn create_merchant(
    State(app): State<App>,
    _caller: AdminCaller,
    command: Command<CreateMerchantBody>,
) -> Result<Response, Problem> {
    let terms = Terms {
        merchant_id: MerchantId::from_uuid(Uuid::now_v7()),
        name: command.body.name,
        tier: command.body.tier.0,
        pricing_model: command.body.pricing.unwrap_or(PricingModel::CostPlus),
        refund_fee_policy: RefundFeePolicy::Retain,
        home_currency: command.body.home_currency,
        time_zone: command.body.time_zone,
        onboarded_at: app.clock().now(),
    };
    let receipt = accepted(commands::merchant::onboard(app.executor(), command.issued, terms).await?)?;
    let stream = app.store().load_at(Category::of::<Merchant>(), &receipt.stream.id, receipt.version).await?;
    let terms = stream.of::<Merchant>().and_then(|state| state.terms());
    let terms = terms.ok_or_else(|| Problem::internal(&format!("{} has no terms", receipt.object)))?;
    let headers = idempotency::headers(&receipt, receipt.position);
    Ok(answer(StatusCode::CREATED, headers, &MerchantObject::from(terms)))
}

/// Look up a merchant
#[utoipa::path(get, path = "/merchants/{id}", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`"), QueryHeaders),
    responses((status = 200, description = "The merchant", body = MerchantObject), QueryErrors))]
async fn get_merchant(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(merchant_id): Named<MerchantId>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let position = freshness.of_streams(&app);
    let terms = commands::merchant::terms(app.executor(), merchant_id).await?;
    let terms = terms.ok_or_else(|| Problem::of(errors::MERCHANT_NOT_FOUND))?;
    Ok(answer(StatusCode::OK, [position::header(position)], &MerchantObject::from(&terms)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List merchants, newest first
#[utoipa::path(get, path = "/merchants", tag = "merchants", params(ListQuery, QueryHeaders),
    responses((status = 200, description = "A page of merchants", body = List<MerchantObject>), QueryErrors))]
async fn list_merchants(
    State(app): State<App>,
    _caller: AdminCaller,
    Params(query): Params<ListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let begin = cursor(query.cursor.as_deref())?;
    let mut view = freshness.view(&app, &[&read_model::Merchants], None).await?;
    let page = read_model::list(&mut view, query.limit.0, begin.as_ref()).await?;
    let headers = [position::header(view.position)];
    Ok(answer(StatusCode::OK, headers, &List::of(page, |row| MerchantObject::from(&row.terms))))
}
