//! The money of withdrawals: held, sent, paid, come back. Old or weaker news of a bank is no event.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{
    Event, ReleaseCause, WithdrawalFailed, WithdrawalHeld, WithdrawalPaid, WithdrawalPaidLate, WithdrawalReleased,
    WithdrawalReturnContinued, WithdrawalReturned, WithdrawalSent,
};
use super::{ContinueReturn, FailWithdrawal, HoldWithdrawal, Holder, LatelyWithdrawn, MerchantAccountRejection, State};
use crate::money::AMOUNT_MAX;
use crate::{Account, BankName, MerchantId, Timestamp, WithdrawalId};

/// Withdrawals within so long of each other are looked at together when it is decided how many people approve one.
const LATELY: Duration = Duration::from_secs(24 * 3_600);

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Withdrawal {
    pub amount: i64,
    pub fee: i64,
    /// The part of the fee that went back already: it does so once, also where a bank fails, pays and fails again.
    #[serde(default)]
    pub fee_returned: i64,
    /// What has come back of it after it was paid, and in how many parts.
    #[serde(default)]
    pub returned: i64,
    #[serde(default)]
    pub return_parts: u16,
    pub phase: WithdrawalPhase,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WithdrawalPhase {
    Held,
    /// Rejected or cancelled: nothing went out.
    Released,
    Sent {
        bank: BankName,
    },
    Paid {
        bank: BankName,
    },
    /// The bank did not pay it.
    Failed {
        bank: BankName,
    },
    /// It was paid, and the money came back.
    Returned,
}

impl Withdrawal {
    /// The account kept for this withdrawal alone, and what it holds now.
    pub(super) fn holding(&self, merchant: MerchantId, withdrawal: WithdrawalId) -> Option<(Account, i64)> {
        match &self.phase {
            WithdrawalPhase::Held => {
                Some((Account::MerchantWithdrawalHold(merchant, withdrawal), self.amount + self.fee))
            }
            WithdrawalPhase::Sent { bank } => Some((Account::BankInTransit(bank.clone(), withdrawal), self.amount)),
            _ => None,
        }
    }
}

pub(super) fn hold(
    state: &State,
    holder: Holder,
    hold: &HoldWithdrawal,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let HoldWithdrawal { withdrawal_id, amount, fee, pending } = *hold;
    match state.withdrawals.get(&withdrawal_id) {
        Some(known) if (known.amount, known.fee) == (amount, fee) => return Ok(vec![]),
        Some(_) => return Err(MerchantAccountRejection::WithdrawalAlreadyExists),
        None => {}
    }
    if !(1..=AMOUNT_MAX).contains(&amount) || !(0..=AMOUNT_MAX).contains(&fee) {
        return Err(MerchantAccountRejection::AmountOutOfRange);
    }
    if i128::from(amount) + i128::from(fee) > state.withdrawable(pending) {
        return Err(MerchantAccountRejection::InsufficientBalance);
    }

    let Holder { merchant_id, currency } = holder;
    Ok(vec![Event::WithdrawalHeld(WithdrawalHeld { withdrawal_id, merchant_id, currency, amount, fee, held_at: at })])
}

pub(super) fn release(
    state: &State,
    holder: Holder,
    withdrawal_id: WithdrawalId,
    cause: ReleaseCause,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let known = state.withdrawal(withdrawal_id)?;
    match known.phase {
        WithdrawalPhase::Held => {}
        WithdrawalPhase::Released => return Ok(vec![]),
        _ => return Err(MerchantAccountRejection::WithdrawalSent),
    }
    let credit = state.credit(known.amount + known.fee)?;

    Ok(vec![Event::WithdrawalReleased(WithdrawalReleased {
        withdrawal_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        amount: known.amount,
        fee: known.fee,
        cause,
        credit,
        released_at: at,
    })])
}

pub(super) fn send(
    state: &State,
    holder: Holder,
    withdrawal_id: WithdrawalId,
    bank: BankName,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let known = state.withdrawal(withdrawal_id)?;
    match known.phase {
        WithdrawalPhase::Held => {}
        WithdrawalPhase::Released => return Err(MerchantAccountRejection::WithdrawalReleased),
        _ => return Ok(vec![]),
    }

    Ok(vec![Event::WithdrawalSent(WithdrawalSent {
        withdrawal_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        bank,
        amount: known.amount,
        fee: known.fee,
        sent_at: at,
    })])
}

/// A bank that paid what it had called failed has taken money that the merchant was given back.
pub(super) fn paid(
    state: &State,
    holder: Holder,
    withdrawal_id: WithdrawalId,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let known = state.withdrawal(withdrawal_id)?;
    let Holder { merchant_id, currency } = holder;
    match &known.phase {
        WithdrawalPhase::Sent { bank } => Ok(vec![Event::WithdrawalPaid(WithdrawalPaid {
            withdrawal_id,
            merchant_id,
            currency,
            bank: bank.clone(),
            amount: known.amount,
            paid_at: at,
        })]),
        WithdrawalPhase::Failed { bank } => Ok(vec![Event::WithdrawalPaidLate(WithdrawalPaidLate {
            withdrawal_id,
            merchant_id,
            currency,
            bank: bank.clone(),
            amount: known.amount,
            drawn: state.draw(known.amount)?,
            paid_at: at,
        })]),
        WithdrawalPhase::Paid { .. } | WithdrawalPhase::Returned => Ok(vec![]),
        WithdrawalPhase::Held | WithdrawalPhase::Released => Err(MerchantAccountRejection::WithdrawalNotSent),
    }
}

pub(super) fn failed(
    state: &State,
    holder: Holder,
    failed: &FailWithdrawal,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let withdrawal_id = failed.withdrawal_id;
    let known = state.withdrawal(withdrawal_id)?;
    let fee_returned = if failed.return_fee { known.fee - known.fee_returned } else { 0 };
    let Holder { merchant_id, currency } = holder;
    match &known.phase {
        WithdrawalPhase::Sent { bank } => Ok(vec![Event::WithdrawalFailed(WithdrawalFailed {
            withdrawal_id,
            merchant_id,
            currency,
            bank: bank.clone(),
            amount: known.amount,
            fee_returned,
            credit: state.credit(known.amount + fee_returned)?,
            failed_at: at,
        })]),
        WithdrawalPhase::Paid { bank } if (0..=known.amount).contains(&failed.bank_fee) => {
            Ok(vec![Event::WithdrawalReturned(WithdrawalReturned {
                withdrawal_id,
                merchant_id,
                currency,
                bank: bank.clone(),
                amount: known.amount,
                bank_fee: failed.bank_fee,
                fee_returned,
                credit: state.credit(known.amount + fee_returned)?,
                returned_at: at,
            })])
        }
        WithdrawalPhase::Paid { .. } => Err(MerchantAccountRejection::AmountOutOfRange),
        WithdrawalPhase::Failed { .. } | WithdrawalPhase::Returned => Ok(vec![]),
        WithdrawalPhase::Held | WithdrawalPhase::Released => Err(MerchantAccountRejection::WithdrawalNotSent),
    }
}

/// The merchant was given the whole when the first part came, and what was missing was booked as the bank's fee: each
/// further part takes away from that fee.
pub(super) fn return_continued(
    state: &State,
    holder: Holder,
    part: ContinueReturn,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let ContinueReturn { withdrawal_id, bank, before, amount } = part;
    let known = state.withdrawal(withdrawal_id)?;
    if known.phase != WithdrawalPhase::Returned {
        return Err(MerchantAccountRejection::WithdrawalNotSent);
    }
    if amount > 0 && before.checked_add(amount) == Some(known.returned) {
        return Ok(vec![]);
    }
    if before != known.returned || !(1..=known.amount - known.returned).contains(&amount) {
        return Err(MerchantAccountRejection::AmountOutOfRange);
    }

    Ok(vec![Event::WithdrawalReturnContinued(WithdrawalReturnContinued {
        withdrawal_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        bank,
        amount,
        part: known.return_parts.saturating_add(1),
        returned_at: at,
    })])
}

pub(super) fn evolve_held(state: &mut State, held: &WithdrawalHeld) {
    state.available -= held.amount + held.fee;
    let withdrawal = Withdrawal {
        amount: held.amount,
        fee: held.fee,
        fee_returned: 0,
        returned: 0,
        return_parts: 0,
        phase: WithdrawalPhase::Held,
    };
    state.withdrawals.insert(held.withdrawal_id, withdrawal);
    let WithdrawalHeld { withdrawal_id, amount, held_at, .. } = *held;
    state.lately_withdrawn.retain(|lately| held_at.since(lately.held_at) < LATELY);
    state.lately_withdrawn.push(LatelyWithdrawn { withdrawal_id, amount, held_at });
}

impl State {
    /// Minor units of the withdrawals of the day up to `at`, those that were rejected or cancelled left out.
    pub fn withdrawn_lately(&self, at: Timestamp) -> i128 {
        let lately = self.lately_withdrawn.iter().filter(|lately| at.since(lately.held_at) < LATELY);
        lately.map(|lately| i128::from(lately.amount)).sum()
    }

    fn withdrawal(&self, withdrawal_id: WithdrawalId) -> Result<&Withdrawal, MerchantAccountRejection> {
        self.withdrawals.get(&withdrawal_id).ok_or(MerchantAccountRejection::WithdrawalNotFound)
    }

    pub(super) fn return_fee(&mut self, withdrawal_id: WithdrawalId, fee: i64) {
        if let Some(withdrawal) = self.withdrawals.get_mut(&withdrawal_id) {
            withdrawal.fee_returned += fee;
        }
    }

    pub(super) fn come_back(&mut self, withdrawal_id: WithdrawalId, amount: i64) {
        if let Some(withdrawal) = self.withdrawals.get_mut(&withdrawal_id) {
            withdrawal.returned += amount;
            withdrawal.return_parts = withdrawal.return_parts.saturating_add(1);
        }
    }

    pub(super) fn change(&mut self, withdrawal_id: WithdrawalId, phase: WithdrawalPhase) {
        if let Some(withdrawal) = self.withdrawals.get_mut(&withdrawal_id) {
            withdrawal.phase = phase;
        }
    }
}
