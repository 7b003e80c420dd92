//! The use cases of a merchant, and the one place where the other aggregates learn what holds for it.

pub(crate) mod standing;

use domain::merchant::{Changes, Command, InForce, Merchant, Record, Terms};
use domain::tier::TierName;
use domain::{MerchantId, Timestamp};

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{Category, Receipt, StreamState, state_of};
use crate::tier;

pub async fn onboard(executor: &Executor, issued: Issued, terms: Terms) -> Result<Receipt, CommandError> {
    decide(executor, issued, terms.merchant_id, Command::Onboard(terms)).await
}

/// Without a time the change holds from now on.
pub async fn change_tier(
    executor: &Executor,
    issued: Issued,
    merchant_id: MerchantId,
    (tier, effective_from): (TierName, Option<Timestamp>),
    at: Timestamp,
) -> Result<Receipt, CommandError> {
    decide(executor, issued, merchant_id, Command::ChangeTier { tier, effective_from, at }).await
}

pub async fn change_terms(
    executor: &Executor,
    issued: Issued,
    merchant_id: MerchantId,
    changes: Changes,
    at: Timestamp,
) -> Result<Receipt, CommandError> {
    decide(executor, issued, merchant_id, Command::ChangeTerms { changes: Box::new(changes), at }).await
}

/// Suspends, activates or closes the merchant, or whatever else the command says.
pub async fn decide(
    executor: &Executor,
    issued: Issued,
    merchant_id: MerchantId,
    command: Command,
) -> Result<Receipt, CommandError> {
    executor.decide::<Merchant>(issued, merchant_id.to_string(), command).await
}

/// The merchant's stream as of its newest event.
pub async fn load(executor: &Executor, merchant_id: MerchantId) -> Result<StreamState, CommandError> {
    Ok(executor.store().load(Category::of::<Merchant>(), &merchant_id.to_string()).await?)
}

/// The merchant as of its newest event, or none if there is no such merchant.
pub async fn find(executor: &Executor, merchant_id: MerchantId) -> Result<Option<Record>, CommandError> {
    Ok(state_of::<Merchant>(&load(executor, merchant_id).await?).record().cloned())
}

/// What holds for the merchant at `at`, or none if there is no such merchant: its pricing, limits, features, settlement
/// cycle and calendar, reserve plan, thresholds and credit limit. Amounts in it are minor units of USD;
/// [`crate::rates::load`] has the rates to any other currency.
pub async fn terms(
    executor: &Executor,
    merchant_id: MerchantId,
    at: Timestamp,
) -> Result<Option<InForce>, CommandError> {
    match find(executor, merchant_id).await? {
        Some(record) => in_force(executor, &record, at).await.map(Some),
        None => Ok(None),
    }
}

/// [`terms`] of a merchant that was looked up already.
pub async fn in_force(executor: &Executor, record: &Record, at: Timestamp) -> Result<InForce, CommandError> {
    let tier = tier::in_force(executor, record.tier_at(at), at).await?;
    Ok(InForce::of(record, &tier))
}
