//! Withdrawals: ask for one, look one up, list them, cancel; finance approves and rejects.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{Category, Receipt, state_of};
use commands::withdrawal::RequestWithdrawal;
use domain::bank_account::BankAccount;
use domain::bank_details::{BankDetails, BankNumber};
use domain::iban::{AccountNumber, Bic, Iban};
use domain::withdrawal::{Withdrawal, WithdrawalStatus};
use domain::{Currency, Money, WithdrawalId};
use futures::{StreamExt, TryStreamExt, stream};
use projections::streams;
use projections::withdrawals::{BankAccounts, Withdrawals};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::roles::{FinanceCaller, MerchantCaller, ObjectReader};
use crate::errors;
use crate::extract::fields::{Amount, FreeText};
use crate::extract::{Named, Params, Parsed};
use crate::idempotency::{self, Command, Nothing, accepted, answer};
use crate::outcome::stream_at;
use crate::page::{List, ListQuery};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use crate::render::withdrawal::{WithdrawalObject, object, of_row};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_withdrawal, list_withdrawals))
        .routes(routes!(get_withdrawal))
        .routes(routes!(cancel_withdrawal))
        .routes(routes!(approve_withdrawal))
        .routes(routes!(reject_withdrawal))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateWithdrawalBody {
    #[schema(value_type = i64, example = 250_000, minimum = 1, maximum = 999_999_999_999_999_i64)]
    amount: Amount,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    bank_account: BankAccountBody,
}

/// Either `iban` or `account_number`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BankAccountBody {
    #[schema(value_type = Option<String>, example = "DE89370400440532013000")]
    iban: Option<Parsed<Iban>>,
    /// In countries without IBANs; with the bank's `bic`.
    #[schema(value_type = Option<String>)]
    account_number: Option<Parsed<AccountNumber>>,
    #[schema(value_type = Option<String>, example = "COBADEFFXXX")]
    bic: Option<Parsed<Bic>>,
    /// The account's holder.
    #[schema(example = "Acme Ltd", min_length = 1, max_length = 140)]
    name: String,
}

impl BankAccountBody {
    fn details(self) -> Result<BankDetails, Problem> {
        let number = match (self.iban, self.account_number) {
            (Some(iban), None) => BankNumber::Iban(iban.0),
            (None, Some(number)) => BankNumber::Other(number.0),
            _ => {
                let detail = "name the account by either iban or account_number";
                return Err(Problem::new(errors::INVALID_FIELD, detail).at("/bank_account"));
            }
        };
        BankDetails::new(number, self.bic.map(|bic| bic.0), &self.name)
            .map_err(|error| Problem::new(errors::INVALID_FIELD, error.to_string()).at("/bank_account/name"))
    }
}

/// Ask for a withdrawal
///
/// The amount and the fee leave what is available at once and are held. Finance approves; a bank account that is used
/// for the first time is approved with it, and nothing is sent there before it has cooled off.
#[utoipa::path(post, path = "/withdrawals", tag = "withdrawals", params(CommandHeaders),
    request_body = CreateWithdrawalBody,
    responses((status = 201, description = "The withdrawal", body = WithdrawalObject), CommandErrors))]
async fn create_withdrawal(
    State(app): State<App>,
    merchant: MerchantCaller,
    command: Command<CreateWithdrawalBody>,
) -> Result<Response, Problem> {
    let CreateWithdrawalBody { amount, currency, bank_account } = command.body;
    let amount = Money::new(amount.0, currency);
    let amount = amount.map_err(|error| Problem::new(errors::INVALID_AMOUNT, error.to_string()).at("/amount"))?;
    let asked = RequestWithdrawal {
        withdrawal_id: WithdrawalId::from_uuid(Uuid::now_v7()),
        merchant_id: merchant.merchant_id,
        amount,
        bank_account: bank_account.details()?,
        requested_by: merchant.principal,
    };
    let receipt = accepted(app.withdrawals.request(command.issued, asked).await?)?;
    done(&app, StatusCode::CREATED, &receipt, ObjectReader::Own(merchant.merchant_id)).await
}

/// Cancel a withdrawal that has not gone to the bank
#[utoipa::path(post, path = "/withdrawals/{id}/cancel", tag = "withdrawals",
    params(("id" = String, Path, description = "`wd_...`"), CommandHeaders),
    responses((status = 200, description = "The withdrawal", body = WithdrawalObject), CommandErrors))]
async fn cancel_withdrawal(
    State(app): State<App>,
    merchant: MerchantCaller,
    Named(withdrawal_id): Named<WithdrawalId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = accepted(app.withdrawals.cancel(command.issued, withdrawal_id, merchant.merchant_id).await?)?;
    done(&app, StatusCode::OK, &receipt, ObjectReader::Own(merchant.merchant_id)).await
}

/// Approve a withdrawal
///
/// Never by the principal who asked for it; above the threshold by two. It carries the approval of a bank account that
/// is used for the first time.
#[utoipa::path(post, path = "/withdrawals/{id}/approve", tag = "withdrawals",
    params(("id" = String, Path, description = "`wd_...`"), CommandHeaders),
    responses((status = 200, description = "The withdrawal", body = WithdrawalObject), CommandErrors))]
async fn approve_withdrawal(
    State(app): State<App>,
    finance: FinanceCaller,
    Named(withdrawal_id): Named<WithdrawalId>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let receipt = accepted(app.withdrawals.approve(command.issued, withdrawal_id, &finance.principal).await?)?;
    done(&app, StatusCode::OK, &receipt, ObjectReader::All).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RejectWithdrawalBody {
    /// The merchant sees it.
    #[schema(value_type = Option<String>, max_length = 1000)]
    reason: Option<FreeText>,
}

/// Reject a withdrawal that has not gone to the bank
#[utoipa::path(post, path = "/withdrawals/{id}/reject", tag = "withdrawals", request_body = RejectWithdrawalBody,
    params(("id" = String, Path, description = "`wd_...`"), CommandHeaders),
    responses((status = 200, description = "The withdrawal", body = WithdrawalObject), CommandErrors))]
async fn reject_withdrawal(
    State(app): State<App>,
    finance: FinanceCaller,
    Named(withdrawal_id): Named<WithdrawalId>,
    command: Command<RejectWithdrawalBody>,
) -> Result<Response, Problem> {
    let reason = command.body.reason.map(|reason| reason.0);
    let receipt = app.withdrawals.reject(command.issued, withdrawal_id, &finance.principal, reason).await?;
    done(&app, StatusCode::OK, &accepted(receipt)?, ObjectReader::All).await
}

/// The withdrawal as of the command.
async fn done(app: &App, status: StatusCode, receipt: &Receipt, reader: ObjectReader) -> Result<Response, Problem> {
    let object = as_of(app, &receipt.object, receipt.position, reader).await?;
    let object = object.ok_or_else(|| Problem::internal(&format!("{} is not in the log", receipt.object)))?;
    Ok(answer(status, idempotency::headers(receipt, receipt.position), &object))
}

/// The withdrawal and its bank account, both as of `position`.
async fn as_of(app: &App, id: &str, position: u64, reader: ObjectReader) -> Result<Option<WithdrawalObject>, Problem> {
    let withdrawal = stream_at(app, Category::of::<Withdrawal>(), id, position).await?;
    let Some(record) = state_of::<Withdrawal>(&withdrawal).record() else { return Ok(None) };
    if !reader.may_see(record.terms.merchant_id) {
        return Ok(None);
    }
    let account_id = record.terms.bank_account_id.to_string();
    let account = stream_at(app, Category::of::<BankAccount>(), &account_id, position).await?;
    Ok(Some(object(&app.withdrawals, &withdrawal, &account, reader).await?))
}

/// Look up a withdrawal
#[utoipa::path(get, path = "/withdrawals/{id}", tag = "withdrawals",
    params(("id" = String, Path, description = "`wd_...`"), QueryHeaders),
    responses((status = 200, description = "The withdrawal", body = WithdrawalObject), QueryErrors))]
async fn get_withdrawal(
    State(app): State<App>,
    reader: ObjectReader,
    Named(withdrawal_id): Named<WithdrawalId>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let position = freshness.of_streams(&app).await?;
    let object = as_of(&app, &withdrawal_id.to_string(), u64::MAX, reader).await?;
    let object = object.ok_or_else(|| Problem::of(errors::WITHDRAWAL_NOT_FOUND))?;
    Ok(answer(StatusCode::OK, [position::header(position)], &object))
}

/// List withdrawals, newest first
#[utoipa::path(get, path = "/withdrawals", tag = "withdrawals", params(ListQuery, QueryHeaders),
    responses((status = 200, description = "A page of withdrawals", body = List<WithdrawalObject>), QueryErrors))]
async fn list_withdrawals(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<ListQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let (begin, limit) = (query.begin()?, query.limit.0);
    let filter = query.filter::<WithdrawalStatus>(reader)?;
    let mut view = freshness.view(&app, &[&Withdrawals, &BankAccounts], None).await?;
    let page = streams::list::<Withdrawals, _>(&mut view, &filter, limit, begin.as_ref()).await?;
    let records = page.rows.iter().filter_map(|row| row.state.record());
    let ids: Vec<String> = records.map(|record| record.terms.bank_account_id.to_string()).collect();
    let accounts = streams::find_many::<BankAccounts>(&mut view, &ids).await?;
    let position = position::header(view.position);
    drop(view);
    let account_of = |row: &projections::withdrawals::WithdrawalRow| {
        let id = row.state.record().map(|record| record.terms.bank_account_id);
        let known = accounts.iter().map(|account| &account.state);
        known.into_iter().find(|state| state.record().map(|record| record.terms.bank_account_id) == id).cloned()
    };
    let objects = stream::iter(&page.rows)
        .then(|row| async { of_row(&app.withdrawals, row, &account_of(row).unwrap_or_default(), reader).await })
        .try_collect()
        .await?;
    Ok(answer(StatusCode::OK, [position], &List::new(objects, page.next)))
}
