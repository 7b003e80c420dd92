//! Orders: what all payments under one order number have come to.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::Category;
use domain::payment::Payment;
use domain::{MerchantId, OrderNo, Timestamp};
use projections::orders::{self as read_model, OrderRow, OrderStatus, Orders};
use projections::{Filter, Projection, Snapshot, StatusText};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::errors;
use crate::extract::{Json, Named, Params};
use crate::idempotency::answer;
use crate::outcome;
use crate::page::{List, ListQuery};
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, AsOf, Freshness};
use crate::problem::Problem;

const VIEW: &[&dyn Projection] = &[&Orders];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_orders)).routes(routes!(batch_orders)).routes(routes!(get_order))
}

/// An order. Amounts in minor units of `currency`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderObject {
    #[schema(example = "A-1001")]
    order_no: String,
    /// Always `order`.
    #[schema(example = "order")]
    object: &'static str,
    merchant_id: String,
    /// `pending`, `paid`, `partially_refunded`, `refunded`, `failed`, `cancelled` or `expired`.
    #[schema(example = "paid")]
    status: &'static str,
    #[schema(example = 10_000)]
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
    amount_paid: i64,
    amount_refunded: i64,
    #[schema(example = "sandbox")]
    channel: String,
    /// Of every payment made under this number, oldest first.
    payment_ids: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<OrderRow> for OrderObject {
    fn from(row: OrderRow) -> OrderObject {
        OrderObject {
            order_no: row.order_no.to_string(),
            object: "order",
            merchant_id: row.merchant_id.to_string(),
            status: row.status.as_str(),
            amount: row.amount,
            currency: row.currency.to_string(),
            amount_paid: row.amount_paid,
            amount_refunded: row.amount_refunded,
            channel: row.channel.to_string(),
            payment_ids: row.payment_ids.iter().map(ToString::to_string).collect(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ObjectQuery {
    /// For everybody but merchants: whose order, where several merchants have this number.
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    /// A `Ledger-Position` or an RFC 3339 time.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
}

/// Look up an order
#[utoipa::path(get, path = "/orders/{order_no}", tag = "orders",
    params(("order_no" = String, Path, description = "Your own number, percent-encoded"), ObjectQuery, QueryHeaders),
    responses((status = 200, description = "The order", body = OrderObject), QueryErrors))]
async fn get_order(
    State(app): State<App>,
    reader: ObjectReader,
    Named(order_no): Named<OrderNo>,
    Params(query): Params<ObjectQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let merchant_id = reader.whose(query.merchant_id)?;
    let as_of = AsOf::resolve(query.as_of, &app).await?;
    let mut view = freshness.view(&app, VIEW, as_of).await?;
    let mut row = find(&mut view, merchant_id, &order_no).await?;
    if row.is_none() {
        let head = app.store().head().await?;
        view = freshness.view(&app, VIEW, Some(head)).await?;
        row = find(&mut view, merchant_id, &order_no).await?;
    }
    let position = as_of.unwrap_or(view.position);
    drop(view);
    if let (Some(now), Some(as_of)) = (&row, as_of) {
        row = order_at(&app, now, as_of).await?;
    }
    let row = row.ok_or_else(|| Problem::of(errors::ORDER_NOT_FOUND))?;
    Ok(answer(StatusCode::OK, [position::header(position)], &OrderObject::from(row)))
}

/// The order as its payments stood at `position`; none if there was no payment yet.
async fn order_at(app: &App, now: &OrderRow, position: u64) -> Result<Option<OrderRow>, Problem> {
    let category = Category::of::<Payment>();
    let mut histories = vec![];
    for payment_id in &now.payment_ids {
        histories.push(outcome::events_up_to(app, &category.stream(payment_id.to_string()), position).await?);
    }
    read_model::of_histories(&histories).map_err(|error| Problem::internal(&error))
}

/// The order of this number; without a merchant it must be the only one.
async fn find(
    view: &mut Snapshot,
    merchant_id: Option<MerchantId>,
    order_no: &OrderNo,
) -> Result<Option<OrderRow>, Problem> {
    if let Some(merchant_id) = merchant_id {
        return Ok(read_model::find(view, merchant_id, order_no).await?);
    }
    let filter = Filter { order_no: Some(order_no.clone()), ..Filter::default() };
    let mut page = read_model::list(view, &filter, 1, None).await?;
    if page.next.is_some() {
        let detail = "several merchants have an order of this number: name one of them";
        return Err(Problem::new(errors::INVALID_PARAMETER, detail).in_parameter("merchant_id"));
    }
    Ok(page.rows.pop())
}

/// List orders, newest first
#[utoipa::path(get, path = "/orders", tag = "orders", params(ListQuery, QueryHeaders),
    responses((status = 200, description = "A page of orders", body = List<OrderObject>), QueryErrors))]
async fn list_orders(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<ListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let filter = query.filter::<OrderStatus>(reader)?;
    let mut view = freshness.view(&app, VIEW, None).await?;
    let page = read_model::list(&mut view, &filter, limit, begin.as_ref()).await?;
    let headers = [position::header(view.position)];
    Ok(answer(StatusCode::OK, headers, &List::of(page, OrderObject::from)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderBatchBody {
    /// Up to 100 order numbers; `ids` is another name of this field.
    #[serde(alias = "ids")]
    #[schema(max_items = 100)]
    order_nos: Vec<String>,
    /// For everybody but merchants, and required there: whose orders.
    #[schema(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
}

/// Those of the wanted orders that there are, in the order of the request, and the numbers of the others.
#[derive(Serialize, ToSchema)]
struct OrderBatch {
    found: Vec<OrderObject>,
    missing: Vec<String>,
}

/// Look up to 100 orders
#[utoipa::path(post, path = "/orders/batch", tag = "orders", params(QueryHeaders), request_body = OrderBatchBody,
    responses((status = 200, description = "The orders", body = OrderBatch), QueryErrors))]
async fn batch_orders(
    State(app): State<App>,
    reader: ObjectReader,
    freshness: Freshness,
    Json(body): Json<OrderBatchBody>,
) -> Result<Response, Problem> {
    if body.order_nos.len() > 100 {
        return Err(Problem::new(errors::INVALID_FIELD, "at most 100 order numbers at once").at("/order_nos"));
    }
    let merchant_id = reader.whose(body.merchant_id)?;
    let merchant_id = merchant_id.ok_or_else(|| Problem::of(errors::MISSING_FIELD).at("/merchant_id"))?;
    let valid: Vec<OrderNo> = body.order_nos.iter().filter_map(|number| number.parse().ok()).collect();
    let mut view = freshness.view(&app, VIEW, None).await?;
    let rows = read_model::find_many(&mut view, merchant_id, &valid).await?;
    let mut batch = OrderBatch { found: vec![], missing: vec![] };
    for number in body.order_nos {
        match rows.iter().find(|row| row.order_no.as_str() == number) {
            Some(row) => batch.found.push(row.clone().into()),
            None => batch.missing.push(number),
        }
    }
    Ok(answer(StatusCode::OK, [position::header(view.position)], &batch))
}
