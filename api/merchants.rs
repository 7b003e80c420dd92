//! Merchants: onboard one, change what was agreed with it, look it up, list them.

mod limits;
mod object;
mod terms;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{Receipt, StreamState};
use domain::merchant::{Command as MerchantCommand, Merchant, Record, Status, Terms};
use domain::pricing::{PricingModel, RefundFeePolicy};
use domain::tier::TierName;
use domain::{Currency, MerchantId, TimeZone, Timestamp};
use projections::merchants::Merchants;
use projections::{Filter, streams};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::{AdminCaller, ObjectReader};
use crate::errors;
use crate::extract::{Named, Params, Parsed};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::page::{Limit, List, cursor};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use object::MerchantObject;
use terms::ChangeTermsBody;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_merchant, list_merchants))
        .routes(routes!(get_merchant, change_terms))
        .routes(routes!(change_tier))
        .routes(routes!(limits::get_limits))
        .routes(routes!(suspend_merchant))
        .routes(routes!(activate_merchant))
        .routes(routes!(close_merchant))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateMerchantBody {
    #[schema(example = "Acme", min_length = 1, max_length = 200)]
    name: String,
    /// `starter` 0.8 %, `business` 0.6 %, `enterprise` 0.45 % or `premium` 0.3 % of each capture, unless an administrator
    /// has changed the tier.
    #[schema(value_type = String, example = "starter")]
    tier: Parsed<TierName>,
    /// `cost_plus` (the default): the channel's fee is passed on; `blended`: the tier's rate is the whole price.
    #[schema(value_type = Option<String>, example = "cost_plus")]
    pricing: Option<PricingModel>,
    /// What the merchant reckons in, and the only currency it takes if its tier has no others; USD unless told otherwise.
    #[schema(value_type = Option<String>, example = "EUR")]
    home_currency: Option<Currency>,
    /// IANA name; the merchant's business day begins and ends there. UTC unless told otherwise.
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<TimeZone>,
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
    let receipt = commands::merchant::onboard(app.executor(), command.issued, terms).await?;
    answer_merchant(&app, StatusCode::CREATED, receipt).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeTierBody {
    #[schema(value_type = String, example = "business")]
    tier: Parsed<TierName>,
    /// From when on the tier holds; from now on unless told otherwise. Later changes that were planned fall away.
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_from: Option<Timestamp>,
}

/// Change a merchant's tier
#[utoipa::path(post, path = "/merchants/{id}/tier", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`"), CommandHeaders), request_body = ChangeTierBody,
    responses((status = 200, description = "The merchant", body = MerchantObject), CommandErrors))]
async fn change_tier(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(merchant_id): Named<MerchantId>,
    command: Command<ChangeTierBody>,
) -> Result<Response, Problem> {
    let (change, at) = ((command.body.tier.0, command.body.effective_from), app.clock().now());
    let receipt = commands::merchant::change_tier(app.executor(), command.issued, merchant_id, change, at).await?;
    answer_merchant(&app, StatusCode::OK, receipt).await
}

/// Change what was agreed with a merchant
///
/// Fields that are left out stay as they are; no Idempotency-Key is needed. Payments that exist keep the pricing they were created with.
#[utoipa::path(patch, path = "/merchants/{id}", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`")), request_body = ChangeTermsBody,
    responses((status = 200, description = "The merchant", body = MerchantObject), CommandErrors))]
async fn change_terms(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(merchant_id): Named<MerchantId>,
    command: Command<ChangeTermsBody>,
) -> Result<Response, Problem> {
    let (changes, at) = (command.body.changes(), app.clock().now());
    let receipt = commands::merchant::change_terms(app.executor(), command.issued, merchant_id, changes, at).await?;
    answer_merchant(&app, StatusCode::OK, receipt).await
}

/// Suspend a merchant
///
/// It takes no new payments, pre-authorisations or withdrawals; refunds and whatever was begun go on.
#[utoipa::path(post, path = "/merchants/{id}/suspend", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`"), CommandHeaders),
    responses((status = 200, description = "The merchant", body = MerchantObject), CommandErrors))]
async fn suspend_merchant(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(merchant_id): Named<MerchantId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let suspend = MerchantCommand::Suspend { at: app.clock().now() };
    let receipt = commands::merchant::decide(app.executor(), command.issued, merchant_id, suspend).await?;
    answer_merchant(&app, StatusCode::OK, receipt).await
}

/// Lift a merchant's suspension
#[utoipa::path(post, path = "/merchants/{id}/activate", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`"), CommandHeaders),
    responses((status = 200, description = "The merchant", body = MerchantObject), CommandErrors))]
async fn activate_merchant(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(merchant_id): Named<MerchantId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let activate = MerchantCommand::Activate { at: app.clock().now() };
    let receipt = commands::merchant::decide(app.executor(), command.issued, merchant_id, activate).await?;
    answer_merchant(&app, StatusCode::OK, receipt).await
}

/// Close a merchant for good
#[utoipa::path(post, path = "/merchants/{id}/close", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`"), CommandHeaders),
    responses((status = 200, description = "The merchant", body = MerchantObject), CommandErrors))]
async fn close_merchant(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(merchant_id): Named<MerchantId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let close = MerchantCommand::Close { at: app.clock().now() };
    let receipt = commands::merchant::decide(app.executor(), command.issued, merchant_id, close).await?;
    answer_merchant(&app, StatusCode::OK, receipt).await
}

/// The merchant as of its command, with its tier as that was defined then: a repeat is answered alike.
async fn answer_merchant(app: &App, status: StatusCode, receipt: Receipt) -> Result<Response, Problem> {
    let receipt = accepted(receipt)?;
    let category = commands::ports::Category::of::<Merchant>();
    let stream = app.store().load_at(category, &receipt.stream.id, receipt.version).await?;
    let record = record(&stream).ok_or_else(|| Problem::internal(&format!("{} has no terms", receipt.object)))?;
    let object = MerchantObject::as_of(app, record, stream.updated_at, receipt.position).await?;
    Ok(answer(status, idempotency::headers(&receipt, receipt.position), &object))
}

fn record(stream: &StreamState) -> Option<&Record> {
    stream.of::<Merchant>().and_then(|state| state.record())
}

/// Look up a merchant
#[utoipa::path(get, path = "/merchants/{id}", tag = "merchants",
    params(("id" = String, Path, description = "`mer_...`"), QueryHeaders),
    responses((status = 200, description = "The merchant", body = MerchantObject), QueryErrors))]
async fn get_merchant(
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
    let record = commands::merchant::find(app.executor(), merchant_id).await?.ok_or_else(missing)?;
    let mut object = MerchantObject::now(&app, &record).await?;
    object.recommended_tier = object::recommended_tier(&app, &record).await?;
    Ok(answer(StatusCode::OK, [position::header(position)], &object))
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
    let mut view = freshness.view(&app, &[&Merchants], None).await?;
    let page = streams::list::<Merchants, Status>(&mut view, &Filter::default(), query.limit.0, begin.as_ref()).await?;
    let headers = [position::header(view.position)];
    drop(view);
    let now = app.clock().now();
    let tiers = object::tiers(&app, now).await?;
    let (records, next) = (page.rows.iter().filter_map(|row| row.state.record()), page.next);
    let list = List::new(records.map(|record| MerchantObject::of(record, &tiers, now)).collect(), next);
    Ok(answer(StatusCode::OK, headers, &list))
}
