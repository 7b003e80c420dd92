//! The books of the platform, for finance and auditors.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Account, AccountType, Currency, MerchantId, Timestamp};
use projections::books::{self, AccountFilter, AccountLine, Books, CurrencyBalance, EntryLine};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::BooksReader;
use crate::errors;
use crate::extract::{Named, Params, Parsed};
use crate::idempotency::{Nothing, answer};
use crate::page::{Limit, List, cursor};
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, AsOf, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(trial_balance))
        .routes(routes!(list_accounts))
        .routes(routes!(list_entries))
        .routes(routes!(get_transaction))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AsOfQuery {
    /// A `Ledger-Position` or an RFC 3339 time: what was recorded by then.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
    /// RFC 3339: what had taken effect by then, however late it was recorded.
    #[param(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
struct TrialBalance {
    currencies: Vec<TrialBalanceCurrency>,
}

/// Minor units. Debits equal credits.
#[derive(Serialize, ToSchema)]
struct TrialBalanceCurrency {
    #[schema(example = "USD")]
    currency: String,
    #[schema(value_type = i64, example = 10_280)]
    debits: i128,
    #[schema(value_type = i64, example = 10_280)]
    credits: i128,
    accounts: Vec<TrialBalanceAccount>,
}

/// The holds of single objects that are cleared are added up in one line of their family, `...:refund_hold:*`.
#[derive(Serialize, ToSchema)]
struct TrialBalanceAccount {
    #[schema(example = "channel:sandbox:receivable")]
    account: String,
    /// `asset`, `liability`, `revenue`, `expense` or `contra_expense`.
    #[serde(rename = "type")]
    #[schema(example = "asset")]
    account_type: &'static str,
    #[schema(value_type = i64)]
    debits: i128,
    #[schema(value_type = i64)]
    credits: i128,
    /// Positive on the account's normal side.
    #[schema(value_type = i64)]
    balance: i128,
}

impl From<AccountLine> for TrialBalanceAccount {
    fn from(line: AccountLine) -> TrialBalanceAccount {
        TrialBalanceAccount {
            account: line.account,
            account_type: line.account_type.as_str(),
            debits: line.debits,
            credits: line.credits,
            balance: line.balance,
        }
    }
}

impl From<CurrencyBalance> for TrialBalanceCurrency {
    fn from(currency: CurrencyBalance) -> TrialBalanceCurrency {
        TrialBalanceCurrency {
            currency: currency.currency.to_string(),
            debits: currency.debits,
            credits: currency.credits,
            accounts: currency.accounts.into_iter().map(TrialBalanceAccount::from).collect(),
        }
    }
}

/// The trial balance
#[utoipa::path(get, path = "/ledger/trial-balance", tag = "ledger", params(AsOfQuery, QueryHeaders),
    responses((status = 200, description = "The trial balance", body = TrialBalance), QueryErrors))]
async fn trial_balance(
    State(app): State<App>,
    _caller: BooksReader,
    Params(query): Params<AsOfQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let at = position::in_books(query.as_of, query.effective_at, &app).await?;
    let mut view = freshness.view(&app, &[&Books], at.as_of).await?;
    let currencies = books::trial_balance(&mut view, at).await?;
    let currencies = currencies.into_iter().map(TrialBalanceCurrency::from).collect();
    let headers = [position::header(at.position(&view))];
    Ok(answer(StatusCode::OK, headers, &TrialBalance { currencies }))
}

/// The beginning of an account's path.
struct Prefix(String);

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let valid =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_:".contains(&byte));
        if valid { Ok(Prefix(text)) } else { Err(D::Error::custom("must be the beginning of an account's path")) }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AccountsQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// The beginning of the path.
    #[param(value_type = Option<String>, example = "merchant:")]
    prefix: Option<Prefix>,
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    #[param(value_type = Option<String>)]
    currency: Option<Currency>,
    /// `asset`, `liability`, `revenue`, `expense` or `contra_expense`.
    #[serde(rename = "type")]
    #[param(value_type = Option<String>)]
    account_type: Option<Parsed<AccountType>>,
    /// A `Ledger-Position` or an RFC 3339 time: what was recorded by then.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
    /// RFC 3339: what had taken effect by then, however late it was recorded.
    #[param(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
}

/// An account in one currency, in minor units.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountObject {
    #[schema(example = "USD")]
    currency: String,
    #[serde(flatten)]
    sums: TrialBalanceAccount,
}

impl From<AccountLine> for AccountObject {
    fn from(line: AccountLine) -> AccountObject {
        AccountObject { currency: line.currency.to_string(), sums: line.into() }
    }
}

/// List accounts by name
#[utoipa::path(get, path = "/ledger/accounts", tag = "ledger", params(AccountsQuery, QueryHeaders),
    responses((status = 200, description = "A page of accounts", body = List<AccountObject>), QueryErrors))]
async fn list_accounts(
    State(app): State<App>,
    _caller: BooksReader,
    Params(query): Params<AccountsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let begin = cursor(query.cursor.as_deref())?;
    let filter = AccountFilter {
        prefix: query.prefix.map(|prefix| prefix.0),
        merchant_id: query.merchant_id,
        currency: query.currency,
        account_type: query.account_type.map(|account_type| account_type.0),
    };
    let at = position::in_books(query.as_of, query.effective_at, &app).await?;
    let mut view = freshness.view(&app, &[&Books], at.as_of).await?;
    let page = books::accounts(&mut view, &filter, at, query.limit.0, begin.as_ref()).await?;
    let headers = [position::header(at.position(&view))];
    Ok(answer(StatusCode::OK, headers, &List::of(page, AccountObject::from)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// A `Ledger-Position` or an RFC 3339 time: what was recorded by then.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
    /// RFC 3339: what had taken effect by then, however late it was recorded.
    #[param(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
}

/// One line of the journal, in minor units: one of `debit` and `credit` is not zero.
#[derive(Serialize, ToSchema)]
#[schema(as = Entry)]
struct EntryObject {
    /// Of the transaction, and so of its event.
    #[schema(example = 41_302)]
    position: u64,
    #[schema(example = 1)]
    line: i32,
    #[schema(example = "channel:sandbox:receivable")]
    account: String,
    #[schema(example = "USD")]
    currency: String,
    #[schema(example = 10_000)]
    debit: i64,
    credit: i64,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
}

impl From<EntryLine> for EntryObject {
    fn from(line: EntryLine) -> EntryObject {
        EntryObject {
            position: line.position,
            line: line.line,
            account: line.account.to_string(),
            currency: line.currency.to_string(),
            debit: line.debit,
            credit: line.credit,
            recorded_at: line.recorded_at,
            effective_at: line.effective_at,
        }
    }
}

/// List an account's entries, newest first
#[utoipa::path(get, path = "/ledger/accounts/{path}/entries", tag = "ledger",
    params(("path" = String, Path, example = "channel:sandbox:receivable"), EntriesQuery, QueryHeaders),
    responses((status = 200, description = "A page of entries", body = List<EntryObject>), QueryErrors))]
async fn list_entries(
    State(app): State<App>,
    _caller: BooksReader,
    Named(account): Named<Account>,
    Params(query): Params<EntriesQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let begin = cursor(query.cursor.as_deref())?;
    let at = position::in_books(query.as_of, query.effective_at, &app).await?;
    let mut view = freshness.view(&app, &[&Books], at.as_of).await?;
    let page = books::entries(&mut view, &account, at, query.limit.0, begin.as_ref()).await?;
    let headers = [position::header(at.position(&view))];
    Ok(answer(StatusCode::OK, headers, &List::of(page, EntryObject::from)))
}

/// The posting of one event.
#[derive(Serialize, ToSchema)]
#[schema(as = Transaction)]
struct TransactionObject {
    #[schema(example = 41_302)]
    position: u64,
    entries: Vec<EntryObject>,
}

/// Look up a transaction
#[utoipa::path(get, path = "/ledger/transactions/{position}", tag = "ledger",
    params(("position" = u64, Path, description = "Of its event"), QueryHeaders),
    responses((status = 200, description = "The transaction", body = TransactionObject), QueryErrors))]
async fn get_transaction(
    State(app): State<App>,
    _caller: BooksReader,
    Path(position): Path<String>,
    _query: Params<Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let missing = || Problem::of(errors::TRANSACTION_NOT_FOUND);
    let position: u64 = position.parse().map_err(|_| missing())?;
    if position > app.store().head().await? {
        return Err(missing());
    }
    let mut view = freshness.view(&app, &[&Books], Some(position)).await?;
    let lines = books::transaction(&mut view, position).await?;
    if lines.is_empty() {
        return Err(missing());
    }
    let entries = lines.into_iter().map(EntryObject::from).collect();
    let headers = [position::header(view.position)];
    Ok(answer(StatusCode::OK, headers, &TransactionObject { position, entries }))
}
