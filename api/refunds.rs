//! Refunds: ask for one, look one up, list them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::payment::RefundPayment;
use domain::payment::{Payment, Record};
use domain::{PaymentId, RefundId};
use futures::{StreamExt, TryStreamExt, stream};
use projections::Projection;
use projections::refunds::{self as read_model, RefundRow, Refunds};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::{MerchantCaller, ObjectReader};
use crate::errors;
use crate::extract::fields::{Amount, FreeText};
use crate::extract::{Named, Params, Wait};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome;
use crate::page::{List, list_query};
use crate::params::{CommandErrors, QueryErrors, QueryHeaders, WaitingCommandHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use crate::render::refund::{RefundObject, object, of_row};

const VIEW: &[&dyn Projection] = &[&Refunds];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_refund, list_refunds)).routes(routes!(get_refund))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateRefundBody {
    #[schema(value_type = String, example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    payment_id: PaymentId,
    /// Minor units; without it, the rest.
    #[schema(value_type = Option<i64>, example = 2_500, minimum = 1, maximum = 999_999_999_999_999_i64)]
    amount: Option<Amount>,
    #[schema(value_type = Option<String>, max_length = 1000)]
    reason: Option<FreeText>,
}

/// Refund a payment
///
/// Accepted only if captured money is left and the merchant's balance and credit limit cover it. The answer is the
/// refund as of this command, `pending`; with `Prefer: wait=N` its outcome, if that comes within N seconds.
#[utoipa::path(post, path = "/refunds", tag = "refunds", params(WaitingCommandHeaders), request_body = CreateRefundBody,
    responses((status = 201, description = "The refund", body = RefundObject), CommandErrors))]
async fn create_refund(
    State(app): State<App>,
    merchant: MerchantCaller,
    wait: Wait,
    command: Command<CreateRefundBody>,
) -> Result<Response, Problem> {
    let refund = RefundPayment {
        refund_id: RefundId::from_uuid(Uuid::now_v7()),
        payment_id: command.body.payment_id,
        merchant_id: merchant.merchant_id,
        amount: command.body.amount.map(|amount| amount.0),
        reason: command.body.reason.map(|reason| reason.0),
    };
    let receipt = accepted(app.payments.request_refund(command.issued, refund).await?)?;
    let missing = || Problem::internal(&format!("{} is not in its payment", receipt.object));
    let refund_id: RefundId = receipt.object.parse().map_err(|_| missing())?;
    let (stream, position) = outcome::of(&app, &receipt, wait.0, |record| has_ended(record, refund_id)).await?;
    let record = stream.of::<Payment>().and_then(|state| state.record()).ok_or_else(missing)?;
    let object = object(&app.payments, record, refund_id).await?.ok_or_else(missing)?;
    let headers = idempotency::headers(&receipt, position).into_iter().chain(wait.applied());
    Ok(answer(StatusCode::CREATED, headers, &object))
}

fn has_ended(record: &Record, refund_id: RefundId) -> bool {
    let refund = record.capture().and_then(|capture| capture.refund(refund_id));
    refund.is_some_and(|refund| !refund.status.is_pending())
}

/// Look up a refund
#[utoipa::path(get, path = "/refunds/{id}", tag = "refunds",
    params(("id" = String, Path, description = "`re_...`"), QueryHeaders),
    responses((status = 200, description = "The refund", body = RefundObject), QueryErrors))]
async fn get_refund(
    State(app): State<App>,
    reader: ObjectReader,
    Named(refund_id): Named<RefundId>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (row, position) = find(&app, freshness, refund_id).await?;
    let row = row.filter(|row| reader.may_see(row.merchant_id));
    let row = row.ok_or_else(|| Problem::of(errors::REFUND_NOT_FOUND))?;
    let object = of_row(&app.payments, row).await?;
    Ok(answer(StatusCode::OK, [position::header(position)], &object))
}

/// A miss is believed only once the read model has come to where the log stood when the question was asked.
async fn find(app: &App, freshness: Freshness, id: RefundId) -> Result<(Option<RefundRow>, u64), Problem> {
    let mut view = freshness.view(app, VIEW, None).await?;
    if let Some(row) = read_model::find(&mut view, id).await? {
        return Ok((Some(row), view.position));
    }
    drop(view);
    let head = app.store().head().await?;
    let mut view = freshness.view(app, VIEW, Some(head)).await?;
    Ok((read_model::find(&mut view, id).await?, view.position))
}

list_query! {
    /// What the list of refunds can be asked for.
    RefundListQuery {
        #[param(value_type = Option<String>)]
        payment_id: Option<PaymentId>,
    }
}

/// List refunds, newest first
#[utoipa::path(get, path = "/refunds", tag = "refunds", params(RefundListQuery, QueryHeaders),
    responses((status = 200, description = "A page of refunds", body = List<RefundObject>), QueryErrors))]
async fn list_refunds(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<RefundListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit, payment_id) = (query.begin()?, query.limit.0, query.payment_id);
    let filter = read_model::RefundFilter { common: query.filter(reader)?, payment_id };
    let mut view = freshness.view(&app, VIEW, None).await?;
    let page = read_model::list(&mut view, &filter, limit, begin.as_ref()).await?;
    let position = position::header(view.position);
    drop(view);
    let objects = stream::iter(page.rows).then(|row| of_row(&app.payments, row)).try_collect().await?;
    Ok(answer(StatusCode::OK, [position], &List::new(objects, page.next)))
}
