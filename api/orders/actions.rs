//! What is done to an order that was made: refund it, ship it, complete it, cancel it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::order::{Orders, RefundOrder};
use domain::{OrderNo, RefundId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::create::answer_order;
use crate::app::App;
use crate::auth::roles::MerchantCaller;
use crate::extract::Named;
use crate::extract::fields::{Amount, FreeText};
use crate::idempotency::{Command, Nothing, accepted};
use crate::params::{CommandErrors, CommandHeaders};
use crate::problem::Problem;
use crate::render::order::OrderObject;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundOrderBody {
    /// Minor units; without it, all that is left.
    #[schema(value_type = Option<i64>, example = 2_500, minimum = 1, maximum = 999_999_999_999_999_i64)]
    amount: Option<Amount>,
    #[schema(value_type = Option<String>, max_length = 1000)]
    reason: Option<FreeText>,
}

/// Refund an order
///
/// Asks the newest payment first, then the one before, until the amount is reached: all of it or nothing is asked for.
/// The refunds are the last of `refund_ids` in the answer; what becomes of each is at `GET /refunds/{id}`.
#[utoipa::path(post, path = "/orders/{order_no}/refund", tag = "orders",
    params(("order_no" = String, Path, description = "Your own number, percent-encoded"), CommandHeaders),
    request_body = RefundOrderBody,
    responses((status = 200, description = "The order", body = OrderObject), CommandErrors))]
pub(super) async fn refund_order(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(order_no): Named<OrderNo>,
    command: Command<RefundOrderBody>,
) -> Result<Response, Problem> {
    let refund = RefundOrder {
        refund_id: RefundId::from_uuid(Uuid::now_v7()),
        merchant_id: merchant.merchant_id,
        order_no,
        amount: command.body.amount.map(|amount| amount.0),
        reason: command.body.reason.map(|reason| reason.0),
    };
    let receipt = Orders::on(&app.payments).refund(command.issued, refund).await?;
    answer_order(&app, StatusCode::OK, &accepted(receipt)?).await
}

/// Ship an order
///
/// Once it is paid in full and not all of the money went back.
#[utoipa::path(post, path = "/orders/{order_no}/ship", tag = "orders",
    params(("order_no" = String, Path, description = "Your own number, percent-encoded"), CommandHeaders),
    responses((status = 200, description = "The order", body = OrderObject), CommandErrors))]
pub(super) async fn ship_order(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(order_no): Named<OrderNo>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = Orders::on(&app.payments).ship(command.issued, merchant.merchant_id, &order_no).await?;
    answer_order(&app, StatusCode::OK, &accepted(receipt)?).await
}

/// Complete an order
///
/// Once it was shipped.
#[utoipa::path(post, path = "/orders/{order_no}/complete", tag = "orders",
    params(("order_no" = String, Path, description = "Your own number, percent-encoded"), CommandHeaders),
    responses((status = 200, description = "The order", body = OrderObject), CommandErrors))]
pub(super) async fn complete_order(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(order_no): Named<OrderNo>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = Orders::on(&app.payments).complete(command.issued, merchant.merchant_id, &order_no).await?;
    answer_order(&app, StatusCode::OK, &accepted(receipt)?).await
}

/// Cancel an order
///
/// Unless it was shipped, a payment of it is under way, or money that it brought did not go back.
#[utoipa::path(post, path = "/orders/{order_no}/cancel", tag = "orders",
    params(("order_no" = String, Path, description = "Your own number, percent-encoded"), CommandHeaders),
    responses((status = 200, description = "The order", body = OrderObject), CommandErrors))]
pub(super) async fn cancel_order(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(order_no): Named<OrderNo>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = Orders::on(&app.payments).cancel(command.issued, merchant.merchant_id, &order_no).await?;
    answer_order(&app, StatusCode::OK, &accepted(receipt)?).await
}
