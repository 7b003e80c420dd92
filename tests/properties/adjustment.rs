//! Random commands of adjustments.

use domain::adjustment::{Adjustment, Command, Propose, State};
use domain::{Account, AdjustmentId, Currency, Leg, MerchantId, PaymentId, Side, Timestamp};

use crate::draw::{Draw, PEOPLE};
use crate::model::Model;

pub struct Adjustments;

impl Model for Adjustments {
    type D = Adjustment;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let closed_until = draw.pick(&[None, None, Some(now)]);
        match draw.kind % 6 {
            kind if kind < 2 || *state == State::Absent => Command::Propose(Propose {
                adjustment_id: AdjustmentId::from_uuid(draw.uuid_of(stream, 0)),
                reason: draw.pick(&["a fee that nobody told", "a fee that nobody told", ""]).to_owned(),
                legs: legs(draw),
                effective_at: draw.pick(&[None, Some(now), Some(Timestamp::default())]),
                closed_until,
                by: PEOPLE[0].to_owned(),
                at: now,
            }),
            2..=4 => Command::Approve { by: draw.pick(&PEOPLE).to_owned(), closed_until, at: now },
            _ => Command::Reject { by: draw.pick(&PEOPLE).to_owned(), at: now },
        }
    }
}

/// Mostly balanced, on accounts that an adjustment may name and on those that it may not.
fn legs(draw: &Draw) -> Vec<Leg> {
    let merchant = MerchantId::from_uuid(draw.uuid_of(0, 1));
    let channel = || "sandbox".parse().unwrap();
    let accounts = [
        Account::ExpenseReconWriteoff,
        Account::MerchantPending(merchant),
        Account::RevenueProcessing,
        Account::ChannelReceivable(channel()),
        Account::MerchantAvailable(merchant),
        Account::ChannelFeeAccrual(channel(), PaymentId::from_uuid(draw.uuid_of(3, 0))),
    ];
    let leg = |account: usize, side, amount, currency| Leg {
        account: accounts[account % accounts.len()].clone(),
        side,
        amount,
        currency,
    };
    let (first, second) = (usize::from(draw.choice), usize::from(draw.choice / 7) + usize::from(draw.id));
    let credited = if draw.one_in(6) { draw.other_amount } else { draw.amount };
    let mut legs =
        vec![leg(first, Side::Debit, draw.amount, Currency::USD), leg(second, Side::Credit, credited, Currency::USD)];
    if draw.one_in(5) {
        legs.extend([
            leg(first, Side::Debit, draw.other_amount, Currency::JPY),
            leg(second, Side::Credit, draw.other_amount, Currency::JPY),
        ]);
    }
    legs.truncate(if draw.one_in(20) { 1 } else { legs.len() });
    legs
}
