//! Disputes: look one up, list them, answer one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::dispute::Disputes;
use commands::ports::{Category, Receipt};
use domain::dispute::{self, Dispute, DisputeStatus};
use domain::{DisputeId, PaymentId};
use projections::disputes::{self as read_model, DisputeRow, Disputes as ReadModel};
use projections::{Projection, streams};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{MerchantCaller, ObjectReader};
use crate::errors;
use crate::extract::fields::EvidenceText;
use crate::extract::{Named, Params};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::page::{List, list_query};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use crate::render::dispute::{DisputeObject, of_record};

const VIEW: &[&dyn Projection] = &[&ReadModel];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_disputes))
        .routes(routes!(get_dispute))
        .routes(routes!(submit_evidence))
        .routes(routes!(accept_dispute))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EvidenceBody {
    /// What speaks for the payment: delivery, correspondence, terms.
    #[schema(value_type = String, min_length = 1, max_length = 20000)]
    text: EvidenceText,
}

/// Submit evidence
///
/// It is sealed, handed to the channel, and taken once. What the channel decides comes later.
#[utoipa::path(post, path = "/disputes/{id}/evidence", tag = "disputes", request_body = EvidenceBody,
    params(("id" = String, Path, description = "`dp_...`"), CommandHeaders),
    responses((status = 200, description = "The dispute", body = DisputeObject), CommandErrors))]
async fn submit_evidence(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(dispute_id): Named<DisputeId>,
    command: Command<EvidenceBody>,
) -> Result<Response, Problem> {
    let text = command.body.text.0;
    let receipt = disputes(&app).submit_evidence(command.issued, dispute_id, merchant.merchant_id, &text).await?;
    answer_dispute(&app, &accepted(receipt)?).await
}

/// Accept a dispute
///
/// Gives the disputed money up: the channel is told, and closes the dispute as lost.
#[utoipa::path(post, path = "/disputes/{id}/accept", tag = "disputes",
    params(("id" = String, Path, description = "`dp_...`"), CommandHeaders),
    responses((status = 200, description = "The dispute", body = DisputeObject), CommandErrors))]
async fn accept_dispute(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(dispute_id): Named<DisputeId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = disputes(&app).accept(command.issued, dispute_id, merchant.merchant_id).await?;
    answer_dispute(&app, &accepted(receipt)?).await
}

fn disputes(app: &App) -> Disputes {
    Disputes { payments: app.payments.clone() }
}

/// The dispute as of its command.
async fn answer_dispute(app: &App, receipt: &Receipt) -> Result<Response, Problem> {
    let stream = app.store().load_at(Category::of::<Dispute>(), &receipt.stream.id, receipt.version).await?;
    let record = stream.of::<Dispute>().and_then(dispute::State::record);
    let record = record.ok_or_else(|| Problem::internal(&format!("{} is missing", receipt.object)))?;
    let object = of_record(&disputes(app), record, stream.version, stream.updated_at).await?;
    Ok(answer(StatusCode::OK, idempotency::headers(receipt, receipt.position), &object))
}

/// Look up a dispute
#[utoipa::path(get, path = "/disputes/{id}", tag = "disputes",
    params(("id" = String, Path, description = "`dp_...`"), QueryHeaders),
    responses((status = 200, description = "The dispute", body = DisputeObject), QueryErrors))]
async fn get_dispute(
    State(app): State<App>,
    reader: ObjectReader,
    Named(dispute_id): Named<DisputeId>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (row, position) = find(&app, freshness, dispute_id).await?;
    let missing = || Problem::of(errors::DISPUTE_NOT_FOUND);
    let row = row.ok_or_else(missing)?;
    let record = row.state.record().filter(|record| reader.may_see(record.terms.merchant_id)).ok_or_else(missing)?;
    let object = of_record(&disputes(&app), record, row.version, row.updated_at).await?;
    Ok(answer(StatusCode::OK, [position::header(position)], &object))
}

/// A miss is believed only once the read model has come to where the log stood when the question was asked.
async fn find(app: &App, freshness: Freshness, id: DisputeId) -> Result<(Option<DisputeRow>, u64), Problem> {
    let mut view = freshness.view(app, VIEW, None).await?;
    if let Some(row) = streams::find::<ReadModel>(&mut view, id).await? {
        return Ok((Some(row), view.position));
    }
    drop(view);
    let head = app.store().head().await?;
    let mut view = freshness.view(app, VIEW, Some(head)).await?;
    Ok((streams::find::<ReadModel>(&mut view, id).await?, view.position))
}

list_query! {
    /// What the list of disputes can be asked for.
    DisputeListQuery {
        #[param(value_type = Option<String>)]
        payment_id: Option<PaymentId>,
    }
}

/// List disputes, newest first
#[utoipa::path(get, path = "/disputes", tag = "disputes", params(DisputeListQuery, QueryHeaders),
    responses((status = 200, description = "A page of disputes", body = List<DisputeObject>), QueryErrors))]
async fn list_disputes(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<DisputeListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let payment_id = query.payment_id;
    let filter = query.filter::<DisputeStatus>(reader)?;
    let mut view = freshness.view(&app, VIEW, None).await?;
    let page = read_model::list(&mut view, &filter, payment_id, limit, begin.as_ref()).await?;
    let position = position::header(view.position);
    drop(view);
    let disputes = disputes(&app);
    let mut objects = vec![];
    for row in &page.rows {
        let record = row.state.record().ok_or_else(|| Problem::internal(&"a row of no dispute"))?;
        objects.push(of_record(&disputes, record, row.version, row.updated_at).await?);
    }
    Ok(answer(StatusCode::OK, [position], &List::new(objects, page.next)))
}
