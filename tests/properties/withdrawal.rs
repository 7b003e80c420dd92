//! Random commands of withdrawals.

use domain::withdrawal::{Command, Failure, FeePolicy, Requested, State, TransferOutcome, Withdrawal};
use domain::{BankAccountId, Currency, MerchantId, Timestamp, WithdrawalId};

use crate::draw::{Draw, PEOPLE};
use crate::model::Model;

pub struct Withdrawals;

impl Model for Withdrawals {
    type D = Withdrawal;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let by = draw.pick(&PEOPLE).to_owned();
        match draw.kind % 12 {
            _ if state.record().is_none() && !draw.one_in(10) => Command::Request(requested(stream, draw, now)),
            0 => Command::Request(requested(stream, draw, now)),
            1..=3 => Command::Approve { by, usable_from: now, at: now },
            4 if draw.one_in(3) => Command::Reject { by, reason: None, at: now },
            5 if draw.one_in(3) => Command::Cancel { at: now },
            4..=6 => Command::StartSending { at: now },
            7 | 8 => Command::RecordSent { at: now },
            _ => Command::RecordOutcome { outcome: outcome(state, draw), at: now },
        }
    }
}

fn requested(stream: u128, draw: &Draw, now: Timestamp) -> Requested {
    Requested {
        withdrawal_id: WithdrawalId::from_uuid(draw.uuid_of(stream, 0)),
        merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)),
        amount: draw.amount,
        fee: draw.pick(&[0, 50, draw.other_amount]),
        fee_policy: draw.pick(&[FeePolicy::Return, FeePolicy::Retain]),
        currency: Currency::USD,
        bank_account_id: BankAccountId::from_uuid(draw.uuid_of(stream, 0)),
        bank: "sandbox".parse().unwrap(),
        approvals_needed: u32::from(draw.id),
        requested_by: PEOPLE[0].to_owned(),
        requested_at: now,
    }
}

fn outcome(state: &State, draw: &Draw) -> TransferOutcome {
    let failure = Failure::of_bank_code(draw.pick(&[Some("AC04"), Some("nonsense"), None]));
    let sent = state.record().map_or(0, |record| record.terms.amount);
    match draw.choice % 5 {
        0..=2 => TransferOutcome::Paid,
        3 => TransferOutcome::Refused(failure),
        _ => {
            let amounts = [sent, sent.saturating_sub(1), sent.saturating_add(1), draw.amount];
            let booking = draw.pick(&[None, Some("A"), Some("B")]).map(str::to_owned);
            TransferOutcome::Returned { amount: amounts[usize::from(draw.id)], failure, booking }
        }
    }
}
