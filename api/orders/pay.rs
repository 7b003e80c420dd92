//! Paying an order: a payment for all that is left of its total, or for a part.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::order::{Orders, PayOrder};
use commands::payment::{Customer, PaymentDetails};
use domain::payment::{PaymentStatus, Record};
use domain::{ChannelName, MerchantId, OrderNo, PaymentId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::MerchantCaller;
use crate::extract::fields::{Amount, ExpiresIn, FreeText, HttpUrl, Metadata};
use crate::extract::{Named, Wait};
use crate::idempotency::{Command, accepted};
use crate::params::{CommandErrors, WaitingCommandHeaders};
use crate::payments::{CustomerBody, PaymentMethodBody, answer_payment};
use crate::problem::Problem;
use crate::render::payment::PaymentObject;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PayOrderBody {
    /// Minor units of the order's currency; without it, what is left of the total.
    #[schema(value_type = Option<i64>, example = 4_000, minimum = 1, maximum = 999_999_999_999_999_i64)]
    amount: Option<Amount>,
    payment_method: PaymentMethodBody,
    /// Chosen for you unless you name one.
    #[schema(value_type = Option<String>, example = "sandbox")]
    channel: Option<ChannelName>,
    customer: Option<CustomerBody>,
    #[schema(value_type = Option<String>, max_length = 1000)]
    description: Option<FreeText>,
    /// Where the customer comes back to after a redirect.
    #[schema(value_type = Option<String>, max_length = 2000)]
    return_url: Option<HttpUrl>,
    /// Up to 50 texts of your own: names up to 40 characters, values up to 500.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// Seconds until a payment without an outcome expires: 60 to 2592000, 1800 unless told otherwise.
    #[schema(value_type = Option<u64>, minimum = 60, maximum = 2_592_000)]
    expires_in: Option<ExpiresIn>,
}

impl PayOrderBody {
    fn command(self, merchant_id: MerchantId, order_no: OrderNo) -> PayOrder {
        PayOrder {
            payment_id: PaymentId::from_uuid(Uuid::now_v7()),
            merchant_id,
            order_no,
            amount: self.amount.map(|amount| amount.0),
            method: self.payment_method.kind.0,
            channel: self.channel,
            details: PaymentDetails {
                token: self.payment_method.token.0,
                customer: self.customer.map(Customer::from),
                description: self.description.map(|text| text.0),
                return_url: self.return_url.map(|url| url.0),
                metadata: self.metadata.map(|metadata| metadata.0),
            },
            expires_in: self.expires_in.map(|expiry| expiry.0),
        }
    }
}

/// Pay an order
///
/// Creates a payment as `POST /payments` does, for what is left of the order's total unless told otherwise. The answer is
/// the payment.
#[utoipa::path(post, path = "/orders/{order_no}/pay", tag = "orders",
    params(("order_no" = String, Path, description = "Your own number, percent-encoded"), WaitingCommandHeaders),
    request_body = PayOrderBody,
    responses((status = 201, description = "The payment", body = PaymentObject), CommandErrors))]
pub(super) async fn pay_order(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(order_no): Named<OrderNo>,
    wait: Wait,
    command: Command<PayOrderBody>,
) -> Result<Response, Problem> {
    let pay = command.body.command(merchant.merchant_id, order_no);
    let receipt = accepted(Orders::on(&app.payments).pay(command.issued, pay).await?)?;
    let out_of_processing = |record: &Record| record.status() != PaymentStatus::Processing;
    answer_payment(&app, StatusCode::CREATED, &receipt, wait, out_of_processing).await
}
