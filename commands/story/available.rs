//! A merchant's available money as a queue. Money in one account bears no marks, so which of it left first is a
//! convention: **first in, first out, to the minor unit**. Everything that came in stands one after the other on a line,
//! everything that went out on a second one, and what lies at the same place is the same money. Pure.
//!
//! A withdrawal counts once, at the time it was asked for, with what it took in the end: what came back because it was
//! rejected, cancelled or failed was never gone.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use domain::merchant_account::Event;
use domain::{Account, AdjustmentId, DomainEvent, SettlementId, Side, WithdrawalId};
use serde::{Serialize, Serializer};

use super::Portion;

/// What brings money into the account, or takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mover {
    Settlement(SettlementId),
    /// The reserve lot that this settlement withheld.
    Reserve(SettlementId),
    Withdrawal(WithdrawalId),
    Adjustment(AdjustmentId),
}

/// `withdrawal wd_...`
impl fmt::Display for Mover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mover::Settlement(id) => write!(f, "settlement {id}"),
            Mover::Reserve(id) => write!(f, "the reserve of {id}"),
            Mover::Withdrawal(id) => write!(f, "withdrawal {id}"),
            Mover::Adjustment(id) => write!(f, "adjustment {id}"),
        }
    }
}

/// `{"kind": "withdrawal", "id": "wd_..."}`
impl Serialize for Mover {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, id) = match self {
            Mover::Settlement(id) => ("settlement", id.to_string()),
            Mover::Reserve(id) => ("reserve", id.to_string()),
            Mover::Withdrawal(id) => ("withdrawal", id.to_string()),
            Mover::Adjustment(id) => ("adjustment", id.to_string()),
        };
        std::collections::BTreeMap::from([("kind", kind.to_owned()), ("id", id)]).serialize(serializer)
    }
}

/// Where an amount that came in went to, oldest first. Minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    pub from: Mover,
    pub amount: i64,
    pub to: Vec<Portion>,
    /// Still in the account.
    pub left: i64,
}

/// One account's line of what came in and line of what went out.
#[derive(Debug, Default)]
pub struct Available {
    credits: Vec<Stretch>,
    debits: Vec<Stretch>,
}

#[derive(Debug)]
struct Stretch {
    mover: Mover,
    span: Range<i128>,
}

impl Available {
    /// Of the account's events, in their order.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Available {
        let mut moves: Vec<(Mover, i128)> = vec![];
        let mut withdrawals: HashMap<WithdrawalId, usize> = HashMap::new();
        for event in events {
            let (mover, amount) = (mover(event), moved(event));
            match mover {
                Mover::Withdrawal(withdrawal_id) => {
                    let place = *withdrawals.entry(withdrawal_id).or_insert_with(|| {
                        moves.push((mover, 0));
                        moves.len() - 1
                    });
                    moves[place].1 += amount;
                }
                _ => moves.push((mover, amount)),
            }
        }
        let mut available = Available::default();
        for (mover, amount) in moves {
            let line = if amount > 0 { &mut available.credits } else { &mut available.debits };
            if amount != 0 {
                let begin = line.last().map_or(0, |last| last.span.end);
                line.push(Stretch { mover, span: begin..begin + amount.abs() });
            }
        }
        available
    }

    /// What `mover` brought in, and where the part of it from `slice.start` to `slice.end` went. It is found once: each
    /// settlement and each reserve lot is released once.
    pub fn flow_of(&self, mover: Mover, slice: Range<i128>) -> Option<Flow> {
        let credit = self.credits.iter().find(|credit| credit.mover == mover)?;
        let end = |offset: i128| (credit.span.start + offset).clamp(credit.span.start, credit.span.end);
        let span = end(slice.start)..end(slice.end);
        let to = portions(&self.debits, &span);
        let amount = length(&span);
        let gone: i64 = to.iter().map(|portion| portion.amount).sum();
        Some(Flow { from: mover, amount, to, left: amount - gone })
    }

    /// What a withdrawal was made of, oldest first.
    pub fn made_of(&self, withdrawal_id: WithdrawalId) -> Vec<Flow> {
        let debit = self.debits.iter().find(|debit| debit.mover == Mover::Withdrawal(withdrawal_id));
        let Some(debit) = debit else { return vec![] };
        let sources = portions(&self.credits, &debit.span);
        let flow = |Portion { mover, amount }| {
            let to = vec![Portion { mover: debit.mover, amount }];
            Flow { from: mover, amount, to, left: 0 }
        };
        sources.into_iter().map(flow).collect()
    }
}

/// What of each stretch lies within the span.
fn portions(line: &[Stretch], span: &Range<i128>) -> Vec<Portion> {
    let within = |stretch: &Stretch| {
        let shared = stretch.span.start.max(span.start)..stretch.span.end.min(span.end);
        (shared.start < shared.end).then(|| Portion { mover: stretch.mover, amount: length(&shared) })
    };
    line.iter().filter_map(within).collect()
}

fn length(span: &Range<i128>) -> i64 {
    i64::try_from(span.end - span.start).unwrap_or(i64::MAX)
}

/// What the event adds to the available money; negative where it takes away.
fn moved(event: &Event) -> i128 {
    let entry = event.postings();
    let legs = entry.iter().flat_map(|entry| entry.legs());
    let available = legs.filter(|leg| matches!(leg.account, Account::MerchantAvailable(_)));
    available.map(|leg| i128::from(if leg.side == Side::Credit { leg.amount } else { -leg.amount })).sum()
}

/// Whose event it is.
pub(super) fn mover(event: &Event) -> Mover {
    match event {
        Event::SettlementClosed(closed) => Mover::Settlement(closed.settlement_id),
        Event::SettlementReleased(released) => Mover::Settlement(released.settlement_id),
        Event::ReserveReleased(released) => Mover::Reserve(released.settlement_id),
        Event::WithdrawalHeld(held) => Mover::Withdrawal(held.withdrawal_id),
        Event::WithdrawalReleased(released) => Mover::Withdrawal(released.withdrawal_id),
        Event::WithdrawalSent(sent) => Mover::Withdrawal(sent.withdrawal_id),
        Event::WithdrawalPaid(paid) => Mover::Withdrawal(paid.withdrawal_id),
        Event::WithdrawalPaidLate(paid) => Mover::Withdrawal(paid.withdrawal_id),
        Event::WithdrawalFailed(failed) => Mover::Withdrawal(failed.withdrawal_id),
        Event::WithdrawalReturned(returned) => Mover::Withdrawal(returned.withdrawal_id),
        Event::WithdrawalReturnContinued(part) => Mover::Withdrawal(part.withdrawal_id),
        Event::AdjustmentCredited(credited) => Mover::Adjustment(credited.adjustment_id),
        Event::AdjustmentDebited(debited) => Mover::Adjustment(debited.adjustment_id),
        Event::ReceivableWrittenOff(written_off) => Mover::Adjustment(written_off.adjustment_id),
    }
}
