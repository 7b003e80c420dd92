//! What channels have paid out to us: take in what is new, list it, explain a difference.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::ports::{Category, state_of};
use domain::channel_account::{ChannelAccount, DifferenceReason, Payout};
use domain::{ChannelName, Currency};
use projections::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{BooksReader, FinanceCaller};
use crate::extract::Params;
use crate::idempotency::{self, Command, Nothing, accepted, answer, once};
use crate::page::{Limit, List, cursor};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors, QueryHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_payouts)).routes(routes!(collect_payouts)).routes(routes!(resolve_payout))
}

/// Money that a channel sent us, or took.
#[derive(Serialize, ToSchema)]
#[schema(as = Payout)]
struct PayoutObject {
    /// The channel's own reference.
    #[schema(example = "po_7f3a0000000001")]
    payout: String,
    /// Always `payout`.
    #[schema(example = "payout")]
    object: &'static str,
    #[schema(example = "sandbox")]
    channel: String,
    #[schema(example = "USD")]
    currency: String,
    /// Minor units; negative if the channel took money.
    #[schema(example = 990)]
    amount: i64,
    /// What its statement adds up to.
    #[schema(example = 990)]
    expected: i64,
    /// What arrived beyond that, negative if it fell short.
    #[schema(example = 0)]
    difference: i64,
    /// `settled`, `differing` (nobody has said yet what the difference was), `requested` (one person has, and it takes
    /// two) or `resolved`.
    #[schema(example = "settled")]
    status: &'static str,
    /// `bank_fee`, `fx_difference`, `rounding` or `write_off`.
    #[schema(value_type = Option<String>)]
    reason: Option<DifferenceReason>,
}

impl PayoutObject {
    fn of(reference: &str, payout: &Payout) -> PayoutObject {
        let status = match &payout.resolution {
            Some(resolution) if resolution.is_final => "resolved",
            Some(_) => "requested",
            None if payout.difference() == 0 => "settled",
            None => "differing",
        };
        PayoutObject {
            payout: reference.to_owned(),
            object: "payout",
            channel: payout.channel.to_string(),
            currency: payout.currency.to_string(),
            amount: payout.amount,
            expected: payout.expected,
            difference: payout.difference(),
            status,
            reason: payout.resolution.as_ref().map(|resolution| resolution.reason),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PayoutsQuery {
    #[param(value_type = String, example = "sandbox")]
    channel: ChannelName,
    #[param(value_type = String, example = "USD")]
    currency: Currency,
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List a channel's payouts in one currency, the greatest reference first
#[utoipa::path(get, path = "/ledger/payouts", tag = "ledger", params(PayoutsQuery, QueryHeaders),
    responses((status = 200, description = "A page of payouts", body = List<PayoutObject>), QueryErrors))]
async fn list_payouts(
    State(app): State<App>,
    _caller: BooksReader,
    Params(query): Params<PayoutsQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let before = cursor(query.cursor.as_deref())?;
    let position = freshness.of_streams(&app).await?;
    let stream = commands::channel_account::load(app.executor(), &query.channel, query.currency).await?;
    let payouts: &BTreeMap<String, Payout> = &state_of::<ChannelAccount>(&stream).payouts;
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let is_behind = |reference: &str| before.as_ref().is_none_or(|before| reference < before.id.as_str());
    let mut behind = payouts.iter().rev().filter(|(reference, _)| is_behind(reference));
    let page: Vec<(&String, &Payout)> = behind.by_ref().take(limit).collect();
    let next = page.last().filter(|_| behind.next().is_some());
    let next = next.map(|(reference, _)| Cursor { key: 0, id: (*reference).clone() });
    let data = page.iter().map(|(reference, payout)| PayoutObject::of(reference, payout)).collect();
    Ok(answer(StatusCode::OK, [position::header(position)], &List::new(data, next)))
}

/// That everything which had been paid out was taken in.
#[derive(Serialize, ToSchema)]
struct PayoutsCollected {
    /// Always `payout_collection`.
    #[schema(example = "payout_collection")]
    object: &'static str,
    /// Always `done`.
    #[schema(example = "done")]
    status: &'static str,
}

/// Ask every channel now for what it has paid out
#[utoipa::path(post, path = "/ledger/payouts/collect", tag = "operations", params(CommandHeaders),
    responses((status = 200, description = "It is taken in", body = PayoutsCollected), CommandErrors))]
async fn collect_payouts(
    State(app): State<App>,
    _caller: FinanceCaller,
    Command { issued, body: Nothing {} }: Command<Nothing>,
) -> Result<Response, Problem> {
    let collect = async { Ok(app.channel_accounts.collect_payouts().await.map(|_| ())?) };
    let repeated = once(&app, issued, "payouts", collect).await?;
    Ok(answer(StatusCode::OK, repeated, &PayoutsCollected { object: "payout_collection", status: "done" }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolveBody {
    #[schema(value_type = String, example = "sandbox")]
    channel: ChannelName,
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// The channel's own reference.
    #[schema(example = "po_7f3a0000000001")]
    payout: String,
    /// `bank_fee`, `fx_difference`, `rounding` or `write_off`.
    #[schema(value_type = String, example = "bank_fee")]
    reason: DifferenceReason,
}

/// Say what the difference between a payout and its statement was
///
/// Above 100 units of the currency it takes two people who say the same.
#[utoipa::path(post, path = "/ledger/payouts/resolve", tag = "ledger", params(CommandHeaders), request_body = ResolveBody,
    responses((status = 200, description = "The payout", body = PayoutObject), CommandErrors))]
async fn resolve_payout(
    State(app): State<App>,
    caller: FinanceCaller,
    command: Command<ResolveBody>,
) -> Result<Response, Problem> {
    let ResolveBody { channel, currency, payout, reason } = command.body;
    let account = (&channel, currency);
    let receipt = app.channel_accounts.resolve(command.issued, account, payout, reason, caller.principal).await?;
    let receipt = accepted(receipt)?;
    let stream = app.store().load_at(Category::of::<ChannelAccount>(), &receipt.stream.id, receipt.version).await?;
    let payout = state_of::<ChannelAccount>(&stream).payouts.get(&receipt.object);
    let payout = payout.ok_or_else(|| Problem::internal(&format!("{} was never received", receipt.object)))?;
    let headers = idempotency::headers(&receipt, receipt.position);
    Ok(answer(StatusCode::OK, headers, &PayoutObject::of(&receipt.object, payout)))
}
