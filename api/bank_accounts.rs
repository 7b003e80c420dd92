//! The bank accounts that merchants withdraw to: list them; finance approves new ones.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{Category, state_of};
use domain::BankAccountId;
use domain::bank_account::{BankAccount, BankAccountStatus};
use futures::{StreamExt, TryStreamExt, stream};
use projections::streams::{self, StreamRow};
use projections::withdrawals::BankAccounts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{FinanceCaller, ObjectReader};
use crate::extract::{Named, Params};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome::stream_at;
use crate::page::{List, ListQuery};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use crate::render::withdrawal::{BankAccountObject, of_account};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_bank_accounts)).routes(routes!(approve_bank_account))
}

/// List bank accounts, newest first
#[utoipa::path(get, path = "/bank-accounts", tag = "withdrawals", params(ListQuery, QueryHeaders),
    responses((status = 200, description = "A page of bank accounts", body = List<BankAccountObject>), QueryErrors))]
async fn list_bank_accounts(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<ListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let filter = query.filter::<BankAccountStatus>(reader)?;
    let mut view = freshness.view(&app, &[&BankAccounts], None).await?;
    let page = streams::list::<BankAccounts, _>(&mut view, &filter, limit, begin.as_ref()).await?;
    let position = position::header(view.position);
    drop(view);
    let objects = stream::iter(&page.rows).then(|row| of_account(&app.withdrawals, row)).try_collect().await?;
    Ok(answer(StatusCode::OK, [position], &List::new(objects, page.next)))
}

/// Approve a bank account before the next withdrawal to it
///
/// Never by the principal who named the account. Approving a withdrawal to it does the same.
#[utoipa::path(post, path = "/bank-accounts/{id}/approve", tag = "withdrawals",
    params(("id" = String, Path, description = "`ba_...`"), CommandHeaders),
    responses((status = 200, description = "The bank account", body = BankAccountObject), CommandErrors))]
async fn approve_bank_account(
    State(app): State<App>,
    finance: FinanceCaller,
    Named(bank_account_id): Named<BankAccountId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let approved = app.withdrawals.approve_account(command.issued, bank_account_id, &finance.principal).await?;
    let receipt = accepted(approved)?;
    let stream = stream_at(&app, Category::of::<BankAccount>(), &receipt.object, receipt.position).await?;
    let row = StreamRow {
        version: stream.version,
        updated_at: stream.updated_at,
        state: state_of::<BankAccount>(&stream).clone(),
    };
    let object = of_account(&app.withdrawals, &row).await?;
    Ok(answer(StatusCode::OK, idempotency::headers(&receipt, receipt.position), &object))
}
