//! Orders: what all payments under one order number have come to. `orders/` has what is done to those that are made
//! before their payments.

mod actions;
mod create;
mod pay;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::CommandError;
use commands::order::Orders as OrderCommands;
use domain::{MerchantId, OrderNo};
use futures::{StreamExt, TryStreamExt, stream};
use projections::orders::{self as read_model, OrderRow, OrderStatus, Orders};
use projections::{Filter, Projection, Snapshot};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::errors;
use crate::extract::{Json, Named, Params};
use crate::idempotency::answer;
use crate::page::{List, PastListQuery};
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, AsOf, Freshness};
use crate::problem::Problem;
use crate::render::order::{OrderObject, of_row};

const VIEW: &[&dyn Projection] = &[&Orders];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_order, list_orders))
        .routes(routes!(batch_orders))
        .routes(routes!(get_order))
        .routes(routes!(pay::pay_order))
        .routes(routes!(actions::refund_order))
        .routes(routes!(actions::ship_order))
        .routes(routes!(actions::complete_order))
        .routes(routes!(actions::cancel_order))
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
    if let (Some(now), Some(as_of)) = (&row, as_of) {
        let key = (now.merchant_id, &now.order_no);
        row = read_model::find_at(view, app.store().as_ref(), key, as_of).await?;
    }
    let row = row.ok_or_else(|| Problem::of(errors::ORDER_NOT_FOUND))?;
    let object = of_row(&OrderCommands::on(&app.payments), row).await?;
    Ok(answer(StatusCode::OK, [position::header(position)], &object))
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
#[utoipa::path(get, path = "/orders", tag = "orders", params(PastListQuery, QueryHeaders),
    responses((status = 200, description = "A page of orders", body = List<OrderObject>), QueryErrors))]
async fn list_orders(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<PastListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let as_of = AsOf::resolve(query.as_of, &app).await?;
    let filter = query.filter::<OrderStatus>(reader)?;
    let mut view = freshness.view(&app, VIEW, as_of).await?;
    let headers = [position::header(as_of.unwrap_or(view.position))];
    let page = match as_of {
        None => read_model::list(&mut view, &filter, limit, begin.as_ref()).await?,
        Some(as_of) => read_model::list_at(view, app.store().as_ref(), &filter, as_of, limit, begin.as_ref()).await?,
    };
    let orders = OrderCommands::on(&app.payments);
    prepare(&orders, &page.rows).await?;
    let objects = stream::iter(page.rows).then(|row| of_row(&orders, row)).try_collect().await?;
    Ok(answer(StatusCode::OK, headers, &List::<OrderObject>::new(objects, page.next)))
}

/// So that rendering the orders waits for no key.
async fn prepare(orders: &OrderCommands, rows: &[OrderRow]) -> Result<(), CommandError> {
    let made = rows.iter().filter_map(|row| row.made.as_ref());
    orders.prepare_details(made.map(|made| &made.record.terms)).await
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
    let position = position::header(view.position);
    drop(view);
    let orders = OrderCommands::on(&app.payments);
    prepare(&orders, &rows).await?;
    let mut batch = OrderBatch { found: vec![], missing: vec![] };
    for number in body.order_nos {
        match rows.iter().find(|row| row.order_no.as_str() == number) {
            Some(row) => batch.found.push(of_row(&orders, row.clone()).await?),
            None => batch.missing.push(number),
        }
    }
    Ok(answer(StatusCode::OK, [position], &batch))
}
