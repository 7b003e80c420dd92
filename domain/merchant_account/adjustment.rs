//! What two people decided outside of the ordinary course: this account posts it, once per adjustment.

use super::event::{AdjustmentCredited, AdjustmentDebited, Event, ReceivableWrittenOff};
use super::{Adjust, Holder, MerchantAccountRejection, State};
use crate::money::AMOUNT_MAX;
use crate::{Account, AccountType, AdjustmentId, Timestamp};

pub(super) fn credit(
    state: &State,
    holder: Holder,
    adjust: Adjust,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    if state.adjustments.contains(&adjust.adjustment_id) {
        return Ok(vec![]);
    }
    validate(&adjust)?;
    let credit = state.credit(adjust.amount)?;

    Ok(vec![Event::AdjustmentCredited(AdjustmentCredited {
        adjustment_id: adjust.adjustment_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        counter: adjust.counter,
        amount: adjust.amount,
        credit,
        adjusted_at: at,
    })])
}

pub(super) fn debit(
    state: &State,
    holder: Holder,
    adjust: Adjust,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    if state.adjustments.contains(&adjust.adjustment_id) {
        return Ok(vec![]);
    }
    validate(&adjust)?;
    if adjust.amount > state.available {
        return Err(MerchantAccountRejection::InsufficientBalance);
    }

    Ok(vec![Event::AdjustmentDebited(AdjustmentDebited {
        adjustment_id: adjust.adjustment_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        counter: adjust.counter,
        amount: adjust.amount,
        adjusted_at: at,
    })])
}

pub(super) fn write_off(
    state: &State,
    holder: Holder,
    adjustment_id: AdjustmentId,
    amount: i64,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    if state.adjustments.contains(&adjustment_id) {
        return Ok(vec![]);
    }
    if !(1..=AMOUNT_MAX).contains(&amount) {
        return Err(MerchantAccountRejection::AmountOutOfRange);
    }
    if amount > state.receivable {
        return Err(MerchantAccountRejection::WriteOffExceedsReceivable);
    }

    Ok(vec![Event::ReceivableWrittenOff(ReceivableWrittenOff {
        adjustment_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        amount,
        written_off_at: at,
    })])
}

/// The counter account is nobody's to guard. `pending` is not either, but what is settled of it is counted without this
/// account's own postings, so an adjustment of it would never be settled.
fn validate(adjust: &Adjust) -> Result<(), MerchantAccountRejection> {
    if !(1..=AMOUNT_MAX).contains(&adjust.amount) {
        return Err(MerchantAccountRejection::AmountOutOfRange);
    }
    let counter = &adjust.counter;
    let unsuitable = counter.has_one_guard()
        || counter.account_type() == AccountType::Memo
        || matches!(counter, Account::MerchantPending(_));
    if unsuitable { Err(MerchantAccountRejection::UnsuitableCounterAccount) } else { Ok(()) }
}
