//! What merchants have with us, by currency.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Currency, MerchantId, Timestamp};
use projections::Snapshot;
use projections::books::{self, AccountLine, At, Books, MerchantBalance};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::ObjectReader;
use crate::extract::Params;
use crate::idempotency::answer;
use crate::params::{QueryErrors, QueryHeaders};
use crate::position::{self, AsOf, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_balances))
}

#[derive(Serialize, ToSchema)]
struct Balances {
    balances: Vec<Balance>,
}

/// Money in one currency, in minor units.
#[derive(Serialize, ToSchema)]
struct Balance {
    #[schema(example = "USD")]
    currency: String,
    /// Earned since the last settlement; may be negative.
    #[schema(value_type = i64, example = 9_870)]
    pending: i128,
    #[schema(value_type = i64)]
    available: i128,
    #[schema(value_type = i64)]
    reserved: i128,
    /// Set aside for refunds, disputes, settlements and withdrawals that are not final yet.
    #[schema(value_type = i64)]
    on_hold: i128,
    /// What the merchant owes us.
    #[schema(value_type = i64)]
    receivable: i128,
}

impl From<MerchantBalance> for Balance {
    fn from(balance: MerchantBalance) -> Balance {
        Balance {
            currency: balance.currency.to_string(),
            pending: balance.pending,
            available: balance.available,
            reserved: balance.reserved,
            on_hold: balance.on_hold,
            receivable: balance.receivable,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BalancesQuery {
    /// For everybody but merchants: whose balances; without it, those of all merchants together.
    #[param(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    /// A `Ledger-Position` or an RFC 3339 time: what was recorded by then.
    #[param(value_type = Option<String>)]
    as_of: Option<AsOf>,
    /// RFC 3339: what had taken effect by then, however late it was recorded.
    #[param(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Timestamp>,
}

/// Balances, one for each currency that ever moved
#[utoipa::path(get, path = "/balances", tag = "balances", params(BalancesQuery, QueryHeaders),
    responses((status = 200, description = "The balances", body = Balances), QueryErrors))]
async fn get_balances(
    State(app): State<App>,
    reader: ObjectReader,
    Params(query): Params<BalancesQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let merchant_id = reader.whose(query.merchant_id)?;
    let at = position::in_books(query.as_of, query.effective_at, &app).await?;
    let mut view = freshness.view(&app, &[&Books], at.as_of).await?;
    let balances = match merchant_id {
        Some(merchant_id) => books::balances(&mut view, merchant_id, at).await?,
        None => of_all_merchants(&mut view, at).await?,
    };
    let headers = [position::header(at.position(&view))];
    let balances = balances.into_iter().map(Balance::from).collect();
    Ok(answer(StatusCode::OK, headers, &Balances { balances }))
}

async fn of_all_merchants(view: &mut Snapshot, at: At) -> Result<Vec<MerchantBalance>, Problem> {
    let mut sums: BTreeMap<Currency, MerchantBalance> = BTreeMap::new();
    for currency in books::trial_balance(view, at).await? {
        for line in &currency.accounts {
            let sum = sums.entry(line.currency).or_insert_with(|| MerchantBalance::zero(line.currency));
            add(sum, line);
        }
    }
    Ok(sums.into_values().collect())
}

/// Accounts of merchants are `merchant:{id}:{what it holds}`, with an object's id behind that for holds.
fn add(sum: &mut MerchantBalance, line: &AccountLine) {
    let mut segments = line.account.split(':');
    if segments.next() != Some("merchant") {
        return;
    }
    match segments.nth(1) {
        Some("pending") => sum.pending += line.balance,
        Some("available") => sum.available += line.balance,
        Some("reserve") => sum.reserved += line.balance,
        Some("refund_hold" | "dispute_hold" | "settlement" | "withdrawal_hold") => sum.on_hold += line.balance,
        Some("receivable") => sum.receivable += line.balance,
        _ => {}
    }
}
