//! Pre-auths: hold money, capture it in parts, give back the rest, look up, list.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{Category, Receipt};
use commands::pre_auth::{CapturePreAuth, CreatePreAuth, PreAuths};
use domain::pre_auth::{Hold, PreAuth, PreAuthStatus, Record};
use domain::{PaymentId, PreAuthId};
use futures::{StreamExt, TryStreamExt, stream};
use projections::pre_auths as read_model;
use projections::streams;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::{MerchantCaller, ObjectReader};
use crate::errors;
use crate::extract::fields::Amount;
use crate::extract::{Named, Params, Wait};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome;
use crate::page::{List, ListQuery};
use crate::params::{CommandErrors, QueryErrors, QueryHeaders, WaitingCommandHeaders};
use crate::payments::CreatePaymentBody;
use crate::position::{self, AsOf, Freshness};
use crate::problem::Problem;
use crate::render::pre_auth::{PreAuthObject, object, of_record, of_row};
use crate::render::story::StoryEntry;
use crate::story::{self, StoryQuery};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_pre_auth, list_pre_auths))
        .routes(routes!(get_pre_auth))
        .routes(routes!(pre_auth_story))
        .routes(routes!(capture_pre_auth))
        .routes(routes!(cancel_pre_auth))
}

/// Hold money
///
/// Takes the order number and asks the channel to hold the amount: for seven days unless `expires_in` says otherwise or
/// the channel lets go sooner. The answer is the pre-auth as of this command, `processing`; with `Prefer: wait=N` it is
/// the pre-auth in its first state out of `processing`, if that comes within N seconds.
#[utoipa::path(post, path = "/pre-auths", tag = "pre-auths", params(WaitingCommandHeaders),
    request_body = CreatePaymentBody,
    responses((status = 201, description = "The pre-auth", body = PreAuthObject), CommandErrors))]
async fn create_pre_auth(
    State(app): State<App>,
    merchant: MerchantCaller,
    wait: Wait,
    command: Command<CreatePaymentBody>,
) -> Result<Response, Problem> {
    let asked = command.body.command(merchant.merchant_id)?;
    let create = CreatePreAuth {
        pre_auth_id: PreAuthId::from_uuid(Uuid::now_v7()),
        merchant_id: asked.merchant_id,
        order_no: asked.order_no,
        amount: asked.amount,
        method: asked.method,
        channel: asked.channel,
        details: asked.details,
        expires_in: asked.expires_in,
    };
    let receipt = accepted(PreAuths::on(&app.payments).create(command.issued, create).await?)?;
    let out_of_processing = |record: &Record| record.status() != PreAuthStatus::Processing;
    answer_pre_auth(&app, StatusCode::CREATED, &receipt, wait, out_of_processing).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CaptureBody {
    /// Minor units; without it, what is left.
    #[schema(value_type = Option<i64>, example = 2_500, minimum = 1, maximum = 999_999_999_999_999_i64)]
    amount: Option<Amount>,
    /// Nothing more will be captured: once this capture succeeds, the rest is given back.
    #[serde(default, rename = "final")]
    is_final: bool,
}

/// Capture a part of what is held
///
/// The capture becomes a payment of its own with this pre-auth's id, the last one of `captures` in the answer. With
/// `Prefer: wait=N` the answer is the pre-auth as of the capture's outcome, if that comes within N seconds.
#[utoipa::path(post, path = "/pre-auths/{id}/capture", tag = "pre-auths",
    params(("id" = String, Path, description = "`pa_...`"), WaitingCommandHeaders), request_body = CaptureBody,
    responses((status = 200, description = "The pre-auth", body = PreAuthObject), CommandErrors))]
async fn capture_pre_auth(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(pre_auth_id): Named<PreAuthId>,
    wait: Wait,
    command: Command<CaptureBody>,
) -> Result<Response, Problem> {
    let capture = CapturePreAuth {
        pre_auth_id,
        payment_id: PaymentId::from_uuid(Uuid::now_v7()),
        merchant_id: merchant.merchant_id,
        amount: command.body.amount.map(|amount| amount.0),
        is_final: command.body.is_final,
    };
    let receipt = accepted(PreAuths::on(&app.payments).capture(command.issued, capture).await?)?;
    let payment_id = capture_of(&app, &receipt).await?;
    let is_answered =
        |record: &Record| record.hold().zip(payment_id).is_some_and(|(hold, payment_id)| hold.is_answered(payment_id));
    answer_pre_auth(&app, StatusCode::OK, &receipt, wait, is_answered).await
}

/// The capture that a command asked for, now or when it first came: the newest one right behind it.
async fn capture_of(app: &App, receipt: &Receipt) -> Result<Option<PaymentId>, Problem> {
    let stream = app.store().load_at(Category::of::<PreAuth>(), &receipt.stream.id, receipt.version).await?;
    let hold: Option<&Hold> = stream.of::<PreAuth>().and_then(|state| state.record()).and_then(Record::hold);
    Ok(hold.and_then(|hold| hold.captures.last()).map(|capture| capture.payment_id))
}

/// Give back what is held
///
/// Captures in flight go on; everything else is given back and can no longer be captured.
#[utoipa::path(post, path = "/pre-auths/{id}/cancel", tag = "pre-auths",
    params(("id" = String, Path, description = "`pa_...`"), WaitingCommandHeaders),
    responses((status = 200, description = "The pre-auth", body = PreAuthObject), CommandErrors))]
async fn cancel_pre_auth(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(pre_auth_id): Named<PreAuthId>,
    wait: Wait,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let pre_auths = PreAuths::on(&app.payments);
    let receipt = pre_auths.cancel(command.issued, pre_auth_id, Some(merchant.merchant_id)).await?;
    let ended = |record: &Record| record.status().is_final();
    answer_pre_auth(&app, StatusCode::OK, &accepted(receipt)?, wait, ended).await
}

/// The pre-auth as of its command, or as of the first event behind it after which `done` holds.
async fn answer_pre_auth(
    app: &App,
    status: StatusCode,
    receipt: &Receipt,
    wait: Wait,
    done: impl Fn(&Record) -> bool,
) -> Result<Response, Problem> {
    let is_done = |state: &domain::pre_auth::State| state.record().is_some_and(&done);
    let (stream, position) = outcome::of_stream::<PreAuth>(app, receipt, wait.0, is_done).await?;
    let object = object(&PreAuths::on(&app.payments), &stream).await?;
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

/// Look up a pre-auth
#[utoipa::path(get, path = "/pre-auths/{id}", tag = "pre-auths",
    params(("id" = String, Path, description = "`pa_...`"), ObjectQuery, QueryHeaders),
    responses((status = 200, description = "The pre-auth", body = PreAuthObject), QueryErrors))]
async fn get_pre_auth(
    State(app): State<App>,
    reader: ObjectReader,
    Named(pre_auth_id): Named<PreAuthId>,
    Params(query): Params<ObjectQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let pre_auths = PreAuths::on(&app.payments);
    let (position, stream) = match query.as_of {
        None => (freshness.of_streams(&app).await?, pre_auths.load(pre_auth_id).await?),
        Some(as_of) => {
            let position = as_of.position(&app).await?;
            (position, outcome::stream_at(&app, Category::of::<PreAuth>(), &pre_auth_id.to_string(), position).await?)
        }
    };
    let record = stream.of::<PreAuth>().and_then(|state| state.record());
    let record = record.filter(|record| reader.may_see(record.terms.merchant_id));
    let record = record.ok_or_else(|| Problem::of(errors::PRE_AUTH_NOT_FOUND))?;
    let object = of_record(&pre_auths, record, stream.version, stream.updated_at).await?;
    Ok(answer(StatusCode::OK, [position::header(position)], &object))
}

/// A pre-auth's story
///
/// As a payment's; with `follow` the stories of its captures too.
#[utoipa::path(get, path = "/pre-auths/{id}/events", tag = "pre-auths",
    params(("id" = String, Path, description = "`pa_...`"), StoryQuery, QueryHeaders),
    responses((status = 200, description = "The story", body = List<StoryEntry>), QueryErrors))]
async fn pre_auth_story(
    State(app): State<App>,
    reader: ObjectReader,
    Named(pre_auth_id): Named<PreAuthId>,
    freshness: Freshness,
    Params(query): Params<StoryQuery>,
) -> Result<Response, Problem> {
    let (as_of, position) = (query.position(&app).await?, freshness.of_streams(&app).await?);
    let stream = PreAuths::on(&app.payments).load(pre_auth_id).await?;
    let owner = stream.of::<PreAuth>().and_then(|state| state.record()).map(|record| record.terms.merchant_id);
    if !owner.is_some_and(|owner| reader.may_see(owner)) {
        return Err(Problem::of(errors::PRE_AUTH_NOT_FOUND));
    }
    let stream = Category::of::<PreAuth>().stream(pre_auth_id.to_string());
    story::told(&app, &stream, reader, &query, (as_of, position), errors::PRE_AUTH_NOT_FOUND).await
}

/// List pre-auths, newest first
#[utoipa::path(get, path = "/pre-auths", tag = "pre-auths", params(ListQuery, QueryHeaders),
    responses((status = 200, description = "A page of pre-auths", body = List<PreAuthObject>), QueryErrors))]
async fn list_pre_auths(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<ListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let filter = query.filter::<PreAuthStatus>(reader)?;
    let mut view = freshness.view(&app, &[&read_model::PreAuths], None).await?;
    let page = streams::list::<read_model::PreAuths, _>(&mut view, &filter, limit, begin.as_ref()).await?;
    let position = position::header(view.position);
    drop(view);
    let pre_auths = PreAuths::on(&app.payments);
    let objects = stream::iter(&page.rows).then(|row| of_row(&pre_auths, row)).try_collect().await?;
    Ok(answer(StatusCode::OK, [position], &List::new(objects, page.next)))
}
