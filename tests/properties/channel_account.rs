//! Random commands of channels' accounts: payouts, and what becomes of their differences.

use domain::ExceptionId;
use domain::Timestamp;
use domain::channel_account::{ChannelAccount, Command, DifferenceReason, ExceptionWrittenOff, PayoutReceived, State};

use crate::draw::{CURRENCIES, Draw, PEOPLE};
use crate::model::Model;

pub struct ChannelAccounts;

impl Model for ChannelAccounts {
    type D = ChannelAccount;

    fn command(stream: u128, _: &State, draw: &Draw, now: Timestamp) -> Command {
        let payout = format!("po_{stream}_{}", draw.id);
        if draw.kind % 5 < 2 {
            let sign = if draw.one_in(4) { -1 } else { 1 };
            let amount = draw.amount.saturating_mul(sign);
            return Command::ReceivePayout(PayoutReceived {
                channel: "sandbox".parse().unwrap(),
                currency: CURRENCIES[usize::try_from(stream).unwrap() % CURRENCIES.len()],
                payout,
                bank: "sandbox".parse().unwrap(),
                amount,
                expected: draw.pick(&[amount, amount.saturating_add(1), draw.other_amount]),
                statement_lines: 1,
                statement_digest: "0".repeat(64),
                paid_at: now,
            });
        }
        let reasons = [
            DifferenceReason::BankFee,
            DifferenceReason::FxDifference,
            DifferenceReason::Rounding,
            DifferenceReason::WriteOff,
        ];
        let reason = reasons[usize::from(draw.kind / 5) % reasons.len()];
        if draw.kind % 5 == 4 {
            let sign = if draw.one_in(2) { -1 } else { 1 };
            return Command::WriteOffException(ExceptionWrittenOff {
                exception_id: ExceptionId::of_difference(&[&payout]),
                channel: "sandbox".parse().unwrap(),
                currency: CURRENCIES[usize::try_from(stream).unwrap() % CURRENCIES.len()],
                amount: draw.amount.saturating_mul(sign),
                reason,
                written_off_at: now,
            });
        }
        Command::ResolveDifference { payout, reason, by: draw.pick(&PEOPLE).to_owned(), at: now }
    }
}
