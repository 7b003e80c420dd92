//! Payments: create, look up, list, cancel, and each one's story.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::CommandError;
use commands::payment::{CreatePayment, Customer, PaymentDetails};
use commands::ports::{Category, Receipt, StreamState};
use domain::payment::{Payment, PaymentStatus, Record};
use domain::{ChannelName, Country, Currency, MerchantId, Money, OrderNo, PaymentId};
use futures::{StreamExt, TryStreamExt, stream};
use projections::payments::Payments;
use projections::{past, streams};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::{MerchantCaller, ObjectReader};
use crate::errors;
use crate::extract::fields::{Amount, Email, ExpiresIn, FreeText, HttpUrl, Metadata, MethodType, PersonName, Token};
use crate::extract::{Json, Named, Params, Wait};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome;
use crate::page::{List, PastListQuery};
use crate::params::{CommandErrors, QueryErrors, QueryHeaders, WaitingCommandHeaders};
use crate::position::{self, AsOf, Freshness};
use crate::problem::Problem;
use crate::render::payment::{PaymentObject, object, of_record, of_row};
use crate::render::story::StoryEntry;
use crate::story::{self, StoryQuery};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_payment, list_payments))
        .routes(routes!(batch_payments))
        .routes(routes!(get_payment))
        .routes(routes!(cancel_payment))
        .routes(routes!(payment_story))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePaymentBody {
    /// Your own number of the order, 1 to 64 characters.
    #[schema(value_type = String, example = "A-1001", min_length = 1, max_length = 64)]
    order_no: OrderNo,
    /// Minor units: 10000 is 100.00 USD.
    #[schema(value_type = i64, example = 10_000, minimum = 1, maximum = 999_999_999_999_999_i64)]
    amount: Amount,
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
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
    /// Seconds until a payment without an outcome expires, or held money is given back: 60 to 2592000. Unless told
    /// otherwise 1800 for a payment and 604800 for a pre-auth.
    #[schema(value_type = Option<u64>, minimum = 60, maximum = 2_592_000)]
    expires_in: Option<ExpiresIn>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentMethodBody {
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "card")]
    pub(crate) kind: MethodType,
    /// From the channel's own form, so that no card number comes near this server.
    #[schema(value_type = String, example = "tok_success")]
    pub(crate) token: Token,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerBody {
    #[schema(value_type = Option<String>, example = "ada@example.com")]
    email: Option<Email>,
    #[schema(value_type = Option<String>, example = "Ada Lovelace")]
    name: Option<PersonName>,
    /// ISO 3166-1 alpha-2, for statistics.
    #[schema(value_type = Option<String>, example = "GB")]
    country: Option<Country>,
}

impl From<CustomerBody> for Customer {
    fn from(body: CustomerBody) -> Customer {
        Customer { email: body.email.map(|email| email.0), name: body.name.map(|name| name.0), country: body.country }
    }
}

impl CreatePaymentBody {
    pub(crate) fn command(self, merchant_id: MerchantId) -> Result<CreatePayment, Problem> {
        let amount = Money::new(self.amount.0, self.currency);
        Ok(CreatePayment {
            payment_id: PaymentId::from_uuid(Uuid::now_v7()),
            merchant_id,
            order_no: self.order_no,
            amount: amount.map_err(|error| Problem::new(errors::INVALID_AMOUNT, error.to_string()).at("/amount"))?,
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
        })
    }
}

/// Create a payment
///
/// Takes the order number and starts the charge. The answer is the payment as of this command, `processing`; with
/// `Prefer: wait=N` it is the payment in its first state out of `processing`, if that comes within N seconds.
#[utoipa::path(post, path = "/payments", tag = "payments", params(WaitingCommandHeaders),
    request_body = CreatePaymentBody,
    responses((status = 201, description = "The payment", body = PaymentObject), CommandErrors))]
async fn create_payment(
    State(app): State<App>,
    merchant: MerchantCaller,
    wait: Wait,
    command: Command<CreatePaymentBody>,
) -> Result<Response, Problem> {
    let create = command.body.command(merchant.merchant_id)?;
    let receipt = accepted(app.payments.create(command.issued, create).await?)?;
    let out_of_processing = |record: &Record| record.status() != PaymentStatus::Processing;
    answer_payment(&app, StatusCode::CREATED, &receipt, wait, out_of_processing).await
}

/// Cancel a payment
///
/// The channel is asked first. A success that comes too late is booked and refunded.
#[utoipa::path(post, path = "/payments/{id}/cancel", tag = "payments",
    params(("id" = String, Path, description = "`pay_...`"), WaitingCommandHeaders),
    responses((status = 200, description = "The payment", body = PaymentObject), CommandErrors))]
async fn cancel_payment(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(payment_id): Named<PaymentId>,
    wait: Wait,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = app.payments.cancel(command.issued, payment_id, Some(merchant.merchant_id)).await?;
    let ended = |record: &Record| record.status().is_final();
    answer_payment(&app, StatusCode::OK, &accepted(receipt)?, wait, ended).await
}

/// The payment as of its command, or as of the first event behind it after which `done` holds.
pub(crate) async fn answer_payment(
    app: &App,
    status: StatusCode,
    receipt: &Receipt,
    wait: Wait,
    done: impl Fn(&Record) -> bool,
) -> Result<Response, Problem> {
    let (stream, position) = outcome::of(app, receipt, wait.0, done).await?;
    let object = object(&app.payments, &stream).await?;
    let object = object.ok_or_else(|| Problem::internal(&format!("{} has no terms", receipt.object)))?;
    let headers = idempotency::headers(receipt, position).into_iter().chain(wait.applied());
    Ok(answer(status, headers, &object))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ObjectQuery {
    /// A `Ledger-Position` or an RFC 3339 time.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
}

/// Look up a payment
#[utoipa::path(get, path = "/payments/{id}", tag = "payments",
    params(("id" = String, Path, description = "`pay_...`"), ObjectQuery, QueryHeaders),
    responses((status = 200, description = "The payment", body = PaymentObject), QueryErrors))]
async fn get_payment(
    State(app): State<App>,
    reader: ObjectReader,
    Named(payment_id): Named<PaymentId>,
    Params(query): Params<ObjectQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (position, stream) = match query.as_of {
        None => (freshness.of_streams(&app).await?, app.payments.load(payment_id).await?),
        Some(as_of) => {
            let position = as_of.position(&app).await?;
            (position, outcome::stream_at(&app, Category::of::<Payment>(), &payment_id.to_string(), position).await?)
        }
    };
    let record = stream.of::<Payment>().and_then(|state| state.record());
    let record = record.filter(|record| reader.may_see(record.terms.merchant_id));
    let record = record.ok_or_else(|| Problem::of(errors::PAYMENT_NOT_FOUND))?;
    let object = of_record(&app.payments, record, stream.version, stream.updated_at).await?;
    Ok(answer(StatusCode::OK, [position::header(position)], &object))
}

/// List payments, newest first
#[utoipa::path(get, path = "/payments", tag = "payments", params(PastListQuery, QueryHeaders),
    responses((status = 200, description = "A page of payments", body = List<PaymentObject>), QueryErrors))]
async fn list_payments(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<PastListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let as_of = AsOf::resolve(query.as_of, &app).await?;
    let filter = query.filter::<PaymentStatus>(reader)?;
    let mut view = freshness.view(&app, &[&Payments], as_of).await?;
    let position = position::header(as_of.unwrap_or(view.position));
    let page = match as_of {
        None => streams::list::<Payments, _>(&mut view, &filter, limit, begin.as_ref()).await?,
        Some(as_of) => {
            past::list::<Payments, _>(view, app.store().as_ref(), &filter, as_of, limit, begin.as_ref()).await?
        }
    };
    let records = page.rows.iter().filter_map(|row| row.state.record());
    app.payments.prepare_details(records.map(|record| &record.terms)).await?;
    let objects = stream::iter(&page.rows).then(|row| of_row(&app.payments, row)).try_collect().await?;
    Ok(answer(StatusCode::OK, [position], &List::new(objects, page.next)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PaymentBatchBody {
    /// Up to 100 payment ids.
    #[schema(max_items = 100)]
    ids: Vec<String>,
}

/// Those of the wanted payments that there are, in the order of the request, and the ids of the others.
#[derive(Serialize, ToSchema)]
struct PaymentBatch {
    found: Vec<PaymentObject>,
    missing: Vec<String>,
}

/// Look up to 100 payments
#[utoipa::path(post, path = "/payments/batch", tag = "payments", params(QueryHeaders), request_body = PaymentBatchBody,
    responses((status = 200, description = "The payments", body = PaymentBatch), QueryErrors))]
async fn batch_payments(
    State(app): State<App>,
    reader: ObjectReader,
    freshness: Freshness,
    Json(body): Json<PaymentBatchBody>,
) -> Result<Response, Problem> {
    if body.ids.len() > 100 {
        return Err(Problem::new(errors::INVALID_FIELD, "at most 100 ids at once").at("/ids"));
    }
    let position = freshness.of_streams(&app).await?;
    let valid: Vec<PaymentId> = body.ids.iter().filter_map(|id| id.parse().ok()).collect();
    let found = visible(&app, reader, &valid).await?;
    let mut batch = PaymentBatch { found: vec![], missing: vec![] };
    for id in body.ids {
        match found.get(&id) {
            Some(object) => batch.found.push(object.clone()),
            None => batch.missing.push(id),
        }
    }
    Ok(answer(StatusCode::OK, [position::header(position)], &batch))
}

/// Those of the payments that there are and that the reader may see, by their ids.
async fn visible(
    app: &App,
    reader: ObjectReader,
    payments: &[PaymentId],
) -> Result<HashMap<String, PaymentObject>, CommandError> {
    let streams = app.payments.load_many(payments).await?;
    let records = streams.iter().filter_map(|stream| Some((stream.of::<Payment>()?.record()?, stream)));
    let visible: Vec<(&Record, &StreamState)> =
        records.filter(|(record, _)| reader.may_see(record.terms.merchant_id)).collect();
    app.payments.prepare_details(visible.iter().map(|(record, _)| &record.terms)).await?;
    let mut objects = HashMap::new();
    for (record, stream) in visible {
        let object = of_record(&app.payments, record, stream.version, stream.updated_at).await?;
        objects.insert(record.terms.payment_id.to_string(), object);
    }
    Ok(objects)
}

/// A payment's story
///
/// Everything that happened, oldest first: events with what each posted to the books, calls that went out to the channel,
/// webhooks that came in, and what is still due. Merchants do not see the platform's own accounts.
#[utoipa::path(get, path = "/payments/{id}/events", tag = "payments",
    params(("id" = String, Path, description = "`pay_...`"), StoryQuery, QueryHeaders),
    responses((status = 200, description = "The story", body = List<StoryEntry>), QueryErrors))]
async fn payment_story(
    State(app): State<App>,
    reader: ObjectReader,
    Named(payment_id): Named<PaymentId>,
    freshness: Freshness,
    Params(query): Params<StoryQuery>,
) -> Result<Response, Problem> {
    let (as_of, position) = (query.position(&app).await?, freshness.of_streams(&app).await?);
    let stream = app.payments.load(payment_id).await?;
    let owner = stream.of::<Payment>().and_then(|state| state.record()).map(|record| record.terms.merchant_id);
    if !owner.is_some_and(|owner| reader.may_see(owner)) {
        return Err(Problem::of(errors::PAYMENT_NOT_FOUND));
    }
    let stream = Category::of::<Payment>().stream(payment_id.to_string());
    story::told(&app, &stream, reader, &query, (as_of, position), errors::PAYMENT_NOT_FOUND).await
}
