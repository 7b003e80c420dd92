//! Random commands of merchants' accounts: batches, reserve lots, withdrawals, adjustments.

use domain::merchant_account::{
    Action, Adjust, CloseSettlement, Command, ContinueReturn, FailWithdrawal, HoldWithdrawal, Holder, MerchantAccount,
    ReleaseCause, ReservePlan, State, Window,
};
use domain::{Account, AdjustmentId, MerchantId, SettlementId, Timestamp, WithdrawalId};
use rust_decimal::Decimal;

use crate::draw::{CURRENCIES, Draw};
use crate::model::Model;

pub struct MerchantAccounts;

impl Model for MerchantAccounts {
    type D = MerchantAccount;

    const STREAMS: u128 = 3;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let currency = CURRENCIES[usize::try_from(stream).unwrap() % CURRENCIES.len()];
        let holder = Holder { merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)), currency };
        Command { holder, action: action(stream, state, draw, now), at: now }
    }
}

fn action(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Action {
    let withdrawal_id = withdrawal_id(stream, state, draw);
    match draw.kind % 21 {
        0..=3 => Action::CloseSettlement(close(state, draw, now)),
        4..=6 => Action::ReleaseSettlement { settlement_id: settlement_id(stream, state, draw) },
        7 | 8 => Action::ReleaseReserve { settlement_id: settlement_id(stream, state, draw) },
        9..=11 => Action::HoldWithdrawal(HoldWithdrawal {
            withdrawal_id: WithdrawalId::from_uuid(draw.uuid_of(stream, draw.choice)),
            amount: draw.amount,
            fee: draw.pick(&[0, 0, 1, 50, draw.other_amount]),
            pending: draw.pick(&[0, i128::from(draw.other_amount), -i128::from(draw.other_amount)]),
        }),
        12 => {
            let cause = draw.pick(&[ReleaseCause::Rejected, ReleaseCause::Cancelled]);
            Action::ReleaseWithdrawal { withdrawal_id, cause }
        }
        13 | 14 => Action::SendWithdrawal { withdrawal_id, bank: "sandbox".parse().unwrap() },
        15 => Action::RecordWithdrawalPaid { withdrawal_id },
        16 | 17 => Action::RecordWithdrawalFailed(FailWithdrawal {
            withdrawal_id,
            bank_fee: draw.pick(&[0, 0, 1, draw.other_amount]),
            return_fee: draw.one_in(2),
        }),
        18 => adjustment(stream, state, draw),
        19 => Action::ContinueReturn(continued(withdrawal_id, state, draw)),
        _ => {
            Action::WriteOff { adjustment_id: adjustment_id(stream, draw), amount: amount_near(state.receivable, draw) }
        }
    }
}

/// A part that fits, one that was told before, or one that is too large.
fn continued(withdrawal_id: WithdrawalId, state: &State, draw: &Draw) -> ContinueReturn {
    let known = state.withdrawals.get(&withdrawal_id);
    let (returned, amount) = known.map_or((0, 0), |known| (known.returned, known.amount));
    let amount = draw.pick(&[1, amount - returned, amount - returned + 1, draw.amount]);
    let before = draw.pick(&[returned, returned, returned.saturating_sub(amount), 0]);
    ContinueReturn { withdrawal_id, bank: "sandbox".parse().unwrap(), before, amount }
}

/// A window behind the last one, a repeat of it, or one that leaves a gap.
fn close(state: &State, draw: &Draw, now: Timestamp) -> CloseSettlement {
    let from = draw.pick(&[state.cut_off(), state.cut_off(), state.cut_off(), state.cut_off() + 1, 0]);
    let sign = if draw.one_in(3) { -1 } else { 1 };
    CloseSettlement {
        window: Window { from, to: from.saturating_add(u64::from(draw.id) * 10), cut_off_at: now },
        net: sign * i128::from(draw.amount),
        gross_captured: i128::from(draw.other_amount),
        items: u64::from(draw.choice),
        items_digest: "0".repeat(64),
        reserve: ReservePlan {
            rate: draw.pick(&[
                Decimal::ZERO,
                Decimal::new(5, 2),
                Decimal::ONE,
                Decimal::new(-1, 2),
                Decimal::new(2, 0),
            ]),
            days: draw.pick(&[0, 1, 90, u32::MAX]),
        },
    }
}

/// One of those that are known, or another.
fn settlement_id(stream: u128, state: &State, draw: &Draw) -> SettlementId {
    let batches = state.batches.iter().map(|batch| batch.settlement_id);
    let known: Vec<SettlementId> = batches.chain(state.lots.iter().map(|lot| lot.settlement_id)).collect();
    let strange = SettlementId::from_uuid(draw.uuid(stream));
    if known.is_empty() || draw.one_in(10) { strange } else { draw.pick(&known) }
}

fn withdrawal_id(stream: u128, state: &State, draw: &Draw) -> WithdrawalId {
    let known: Vec<WithdrawalId> = state.withdrawals.keys().copied().collect();
    let strange = WithdrawalId::from_uuid(draw.uuid(stream));
    if known.is_empty() || draw.one_in(10) { strange } else { draw.pick(&known) }
}

fn adjustment_id(stream: u128, draw: &Draw) -> AdjustmentId {
    AdjustmentId::from_uuid(draw.uuid_of(stream, draw.choice))
}

fn adjustment(stream: u128, state: &State, draw: &Draw) -> Action {
    let merchant_id = MerchantId::from_uuid(draw.uuid_of(0, 1));
    let counters = [Account::ExpenseReconWriteoff, Account::RevenueProcessing, Account::MerchantAvailable(merchant_id)];
    let counter = counters[usize::from(draw.id) % counters.len()].clone();
    let adjust = |amount| Adjust { adjustment_id: adjustment_id(stream, draw), counter: counter.clone(), amount };
    match draw.one_in(2) {
        true => Action::CreditAvailable(adjust(draw.amount)),
        false => Action::DebitAvailable(adjust(amount_near(state.available, draw))),
    }
}

fn amount_near(limit: i64, draw: &Draw) -> i64 {
    draw.pick(&[limit, limit.saturating_add(1), limit / 2, draw.amount])
}
