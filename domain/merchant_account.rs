//! A merchant's money in one currency, from the settlement of a batch to the withdrawal that takes it out. This stream
//! alone posts to `available`, reserve lots, `settlement`, `receivable`, withdrawal holds and money in transit, so what
//! they may never do is decided here. When something happens is the business of the workflows that send the commands.
//!
//! ```text
//! pending ──closed──▶ settlement ──released──▶ debts first, then a reserve lot, the rest available
//!    ▲  (a batch below zero takes available, then lots, then makes a debt)        │
//!    └──────────────────────────────────────────────────────────────────          │ held
//! withdrawal: held ─▶ released | sent ─▶ paid ─▶ returned                 ◀───────┘
//!                                  └─▶ failed ─▶ paid late
//! ```

mod adjustment;
mod event;
mod postings;
mod rejection;
mod settlement;
mod shares;
mod withdrawal;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use event::{
    AdjustmentCredited, AdjustmentDebited, Event, ReceivableWrittenOff, ReleaseCause, ReserveReleased,
    SettlementClosed, SettlementReleased, WithdrawalFailed, WithdrawalHeld, WithdrawalPaid, WithdrawalPaidLate,
    WithdrawalReleased, WithdrawalReturnContinued, WithdrawalReturned, WithdrawalSent,
};
pub use rejection::MerchantAccountRejection;
pub use shares::{Credit, Drawn, LotShare};
pub use withdrawal::{Withdrawal, WithdrawalPhase};

use crate::decider::Holding;
use crate::invariants::Violation;
use crate::{Account, AdjustmentId, BankName, Currency, Decider, MerchantId, SettlementId, Timestamp, WithdrawalId};

#[derive(Debug)]
pub struct MerchantAccount;

/// Whose account it is: there is one stream per merchant and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    pub merchant_id: MerchantId,
    pub currency: Currency,
}

impl Holder {
    /// The id of the account's stream.
    pub fn stream_id(&self) -> String {
        format!("{}:{}", self.merchant_id, self.currency)
    }
}

/// Amounts in minor units of the holder's currency.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// None before the first event.
    pub holder: Option<Holder>,
    pub available: i64,
    /// What the merchant owes us; only while nothing is available and no lot is left.
    pub receivable: i64,
    /// Soonest due first.
    pub lots: Vec<ReserveLot>,
    /// The window of the last batch; none before the first.
    pub last_window: Option<Window>,
    /// Closed and not released.
    pub batches: Vec<Batch>,
    pub withdrawals: BTreeMap<WithdrawalId, Withdrawal>,
    pub adjustments: BTreeSet<AdjustmentId>,
    /// What was held for withdrawals within a day of the newest of them and not given back, oldest first.
    #[serde(default)]
    pub lately_withdrawn: Vec<LatelyWithdrawn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatelyWithdrawn {
    pub withdrawal_id: WithdrawalId,
    pub amount: i64,
    pub held_at: Timestamp,
}

/// What one settlement withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveLot {
    pub settlement_id: SettlementId,
    pub amount: i64,
    pub due: Timestamp,
}

/// The part (from, to] of the log that a batch settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub from: u64,
    pub to: u64,
    /// The moment that `to` stands for.
    pub cut_off_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub settlement_id: SettlementId,
    /// Above zero.
    pub amount: i64,
    pub gross_captured: i64,
    pub reserve: ReservePlan,
}

/// What is withheld of each batch, fixed when it is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservePlan {
    /// Of what was captured, before fees and refunds: 0.05 is 5 %.
    pub rate: Decimal,
    pub days: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    pub holder: Holder,
    pub action: Action,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    CloseSettlement(CloseSettlement),
    ReleaseSettlement {
        settlement_id: SettlementId,
    },
    /// Releases what is left of the lot that this settlement withheld; too early, it does nothing.
    ReleaseReserve {
        settlement_id: SettlementId,
    },
    HoldWithdrawal(HoldWithdrawal),
    ReleaseWithdrawal {
        withdrawal_id: WithdrawalId,
        cause: ReleaseCause,
    },
    SendWithdrawal {
        withdrawal_id: WithdrawalId,
        bank: BankName,
    },
    RecordWithdrawalPaid {
        withdrawal_id: WithdrawalId,
    },
    RecordWithdrawalFailed(FailWithdrawal),
    /// More of a withdrawal that had come back in part.
    ContinueReturn(ContinueReturn),
    /// The counter account is debited.
    CreditAvailable(Adjust),
    /// The counter account is credited.
    DebitAvailable(Adjust),
    /// Gives up what the merchant owes.
    WriteOff {
        adjustment_id: AdjustmentId,
        amount: i64,
    },
}

/// What the journal says of a window, once it has passed the window's end.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseSettlement {
    pub window: Window,
    /// All postings to `pending` in the window, except this account's own; may be negative.
    pub net: i128,
    pub gross_captured: i128,
    pub items: u64,
    /// Of the items, as 64 hexadecimal digits.
    pub items_digest: String,
    pub reserve: ReservePlan,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HoldWithdrawal {
    pub withdrawal_id: WithdrawalId,
    pub amount: i64,
    pub fee: i64,
    /// The merchant's pending balance as the books have it; below zero it eats into what may be withdrawn.
    pub pending: i128,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FailWithdrawal {
    pub withdrawal_id: WithdrawalId,
    /// What a bank kept of money that came back after it was paid out; without meaning before that.
    pub bank_fee: i64,
    /// Whether the merchant gets our fee back.
    pub return_fee: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ContinueReturn {
    pub withdrawal_id: WithdrawalId,
    pub bank: BankName,
    /// What had come back before this part.
    pub before: i64,
    pub amount: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Adjust {
    pub adjustment_id: AdjustmentId,
    /// The other leg: an account that no stream guards.
    pub counter: Account,
    pub amount: i64,
}

impl Decider for MerchantAccount {
    const CATEGORY: &'static str = "merchant_account";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = MerchantAccountRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, MerchantAccountRejection> {
        let Command { holder, action, at } = command;
        match action {
            Action::CloseSettlement(close) => settlement::close(state, holder, close, at),
            Action::ReleaseSettlement { settlement_id } => settlement::release(state, holder, settlement_id, at),
            Action::ReleaseReserve { settlement_id } => settlement::release_reserve(state, holder, settlement_id, at),
            Action::HoldWithdrawal(hold) => withdrawal::hold(state, holder, &hold, at),
            Action::ReleaseWithdrawal { withdrawal_id, cause } => {
                withdrawal::release(state, holder, withdrawal_id, cause, at)
            }
            Action::SendWithdrawal { withdrawal_id, bank } => withdrawal::send(state, holder, withdrawal_id, bank, at),
            Action::RecordWithdrawalPaid { withdrawal_id } => withdrawal::paid(state, holder, withdrawal_id, at),
            Action::RecordWithdrawalFailed(failed) => withdrawal::failed(state, holder, &failed, at),
            Action::ContinueReturn(part) => withdrawal::return_continued(state, holder, part, at),
            Action::CreditAvailable(adjust) => adjustment::credit(state, holder, adjust, at),
            Action::DebitAvailable(adjust) => adjustment::debit(state, holder, adjust, at),
            Action::WriteOff { adjustment_id, amount } => {
                adjustment::write_off(state, holder, adjustment_id, amount, at)
            }
        }
    }

    fn evolve(mut state: State, event: &Event) -> State {
        state.holder = Some(event.holder());
        match event {
            Event::SettlementClosed(closed) => settlement::evolve_closed(&mut state, closed),
            Event::SettlementReleased(released) => settlement::evolve_released(&mut state, released),
            Event::ReserveReleased(released) => settlement::evolve_reserve_released(&mut state, released),
            Event::WithdrawalHeld(held) => withdrawal::evolve_held(&mut state, held),
            Event::WithdrawalReleased(released) => {
                state.take_credit(released.credit);
                state.lately_withdrawn.retain(|lately| lately.withdrawal_id != released.withdrawal_id);
                state.change(released.withdrawal_id, WithdrawalPhase::Released);
            }
            Event::WithdrawalSent(sent) => {
                state.change(sent.withdrawal_id, WithdrawalPhase::Sent { bank: sent.bank.clone() });
            }
            Event::WithdrawalPaid(paid) => {
                state.change(paid.withdrawal_id, WithdrawalPhase::Paid { bank: paid.bank.clone() });
            }
            Event::WithdrawalPaidLate(paid) => {
                state.take_draw(&paid.drawn);
                state.change(paid.withdrawal_id, WithdrawalPhase::Paid { bank: paid.bank.clone() });
            }
            Event::WithdrawalFailed(failed) => {
                state.take_credit(failed.credit);
                state.return_fee(failed.withdrawal_id, failed.fee_returned);
                state.change(failed.withdrawal_id, WithdrawalPhase::Failed { bank: failed.bank.clone() });
            }
            Event::WithdrawalReturned(returned) => {
                state.take_credit(returned.credit);
                state.return_fee(returned.withdrawal_id, returned.fee_returned);
                state.come_back(returned.withdrawal_id, returned.amount - returned.bank_fee);
                state.change(returned.withdrawal_id, WithdrawalPhase::Returned);
            }
            Event::WithdrawalReturnContinued(part) => state.come_back(part.withdrawal_id, part.amount),
            Event::AdjustmentCredited(credited) => {
                state.take_credit(credited.credit);
                state.adjustments.insert(credited.adjustment_id);
            }
            Event::AdjustmentDebited(debited) => {
                state.available -= debited.amount;
                state.adjustments.insert(debited.adjustment_id);
            }
            Event::ReceivableWrittenOff(written_off) => {
                state.receivable -= written_off.amount;
                state.adjustments.insert(written_off.adjustment_id);
            }
        }
        state
    }

    fn guarded(state: &State) -> Vec<Holding> {
        let Some(Holder { merchant_id, currency }) = state.holder else { return vec![] };
        let lots = state.lots.iter().map(|lot| (Account::MerchantReserve(merchant_id, lot.settlement_id), lot.amount));
        let batches = state.batches.iter();
        let batches =
            batches.map(|batch| (Account::MerchantSettlement(merchant_id, batch.settlement_id), batch.amount));
        let withdrawals = state.withdrawals.iter();
        let withdrawals = withdrawals.filter_map(|(id, withdrawal)| withdrawal.holding(merchant_id, *id));
        let always = [
            (Account::MerchantAvailable(merchant_id), state.available),
            (Account::MerchantReceivable(merchant_id), state.receivable),
        ];
        let all = always.into_iter().chain(lots).chain(batches).chain(withdrawals);
        all.map(|(account, amount)| ((account, currency), amount)).collect()
    }

    /// Invariant 5, where it can be told from the state alone.
    fn check(state: &State) -> Result<(), Violation> {
        let Some(holder) = state.holder else { return Ok(()) };
        let broken = |what: &str| Err(Violation::of(5, format!("{} {what}", holder.stream_id())));
        if state.available < 0 || state.receivable < 0 {
            return broken("has a balance below zero");
        }
        if state.lots.iter().any(|lot| lot.amount <= 0) || state.batches.iter().any(|batch| batch.amount <= 0) {
            return broken("keeps a lot or a batch of nothing");
        }
        if state.receivable > 0 && (state.available > 0 || !state.lots.is_empty()) {
            return broken("owes us while it has money of its own");
        }
        Ok(())
    }
}

impl State {
    /// Where the next window opens.
    pub fn cut_off(&self) -> u64 {
        self.last_window.map_or(0, |window| window.to)
    }

    pub fn batch(&self, settlement_id: SettlementId) -> Option<&Batch> {
        self.batches.iter().find(|batch| batch.settlement_id == settlement_id)
    }

    pub fn lot(&self, settlement_id: SettlementId) -> Option<&ReserveLot> {
        self.lots.iter().find(|lot| lot.settlement_id == settlement_id)
    }

    /// What a withdrawal may take, with its fee, while the books show `pending`.
    pub fn withdrawable(&self, pending: i128) -> i128 {
        if self.receivable > 0 { 0 } else { (i128::from(self.available) + pending.min(0)).max(0) }
    }
}
