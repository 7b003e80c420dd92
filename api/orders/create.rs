//! Making an order.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::order::{CreateOrder, ItemText, OrderDetails, Orders};
use commands::payment::Customer;
use commands::ports::Receipt;
use domain::order::{Item, Order};
use domain::{Currency, MerchantId, OrderId, OrderNo};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::MerchantCaller;
use crate::extract::fields::{Amount, FreeText, ItemName, Metadata, Quantity, Sku, UnitAmount};
use crate::idempotency::{self, Command, accepted, answer};
use crate::outcome;
use crate::params::{CommandErrors, CommandHeaders};
use crate::payments::CustomerBody;
use crate::problem::Problem;
use crate::render::order::{OrderObject, object};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateOrderBody {
    /// Your own number of the order, 1 to 64 characters.
    #[schema(value_type = String, example = "A-1001", min_length = 1, max_length = 64)]
    order_no: OrderNo,
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// 1 to 100 lines.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<ItemBody>,
    /// Minor units: must be the sum of the items; without it, it is. `amount` is another name of this field.
    #[serde(alias = "amount")]
    #[schema(value_type = Option<i64>, example = 8_000, minimum = 1, maximum = 999_999_999_999_999_i64)]
    total: Option<Amount>,
    customer: Option<CustomerBody>,
    #[schema(value_type = Option<String>, max_length = 1000)]
    description: Option<FreeText>,
    /// Up to 50 texts of your own: names up to 40 characters, values up to 500.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    #[schema(value_type = String, example = "Teapot", min_length = 1, max_length = 200)]
    name: ItemName,
    /// Your own number of what is sold.
    #[schema(value_type = Option<String>, example = "TP-1", min_length = 1, max_length = 64)]
    sku: Option<Sku>,
    #[schema(value_type = u32, example = 2, minimum = 1, maximum = 1_000_000)]
    quantity: Quantity,
    /// What one of it costs, in minor units.
    #[schema(value_type = i64, example = 4_000, minimum = 0, maximum = 999_999_999_999_999_i64)]
    unit_amount: UnitAmount,
}

impl CreateOrderBody {
    fn command(self, merchant_id: MerchantId) -> CreateOrder {
        let items = self.items.iter();
        let items = items.map(|item| Item { quantity: item.quantity.0, unit_amount: item.unit_amount.0 }).collect();
        let text = |item: ItemBody| ItemText { name: item.name.0, sku: item.sku.map(|sku| sku.0) };
        CreateOrder {
            order_id: OrderId::from_uuid(Uuid::now_v7()),
            merchant_id,
            order_no: self.order_no,
            currency: self.currency,
            items,
            total: self.total.map(|total| total.0),
            details: OrderDetails {
                items: self.items.into_iter().map(text).collect(),
                customer: self.customer.map(Customer::from),
                description: self.description.map(|text| text.0),
                metadata: self.metadata.map(|metadata| metadata.0),
            },
        }
    }
}

/// Make an order
///
/// Takes the order number for good. Payments of this number share the order's total and never exceed it.
#[utoipa::path(post, path = "/orders", tag = "orders", params(CommandHeaders), request_body = CreateOrderBody,
    responses((status = 201, description = "The order", body = OrderObject), CommandErrors))]
pub(super) async fn create_order(
    State(app): State<App>,
    merchant: MerchantCaller,
    command: Command<CreateOrderBody>,
) -> Result<Response, Problem> {
    let create = command.body.command(merchant.merchant_id);
    let receipt = accepted(Orders::on(&app.payments).create(command.issued, create).await?)?;
    answer_order(&app, StatusCode::CREATED, &receipt).await
}

/// The order as of its command.
pub(super) async fn answer_order(app: &App, status: StatusCode, receipt: &Receipt) -> Result<Response, Problem> {
    let (stream, position) = outcome::of_stream::<Order>(app, receipt, None, |_| true).await?;
    let object = object(&Orders::on(&app.payments), &stream).await?;
    let object = object.ok_or_else(|| Problem::internal(&format!("{} has no terms", receipt.object)))?;
    Ok(answer(status, idempotency::headers(receipt, position), &object))
}
