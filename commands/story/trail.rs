//! Where the money of a payment, or of a whole batch, went: through which settlement, into what parts of it, and with which
//! withdrawals it left. Pure.
//!
//! A batch is one sum, made of what each payment brought into it less what others took out. So a payment's share of
//! anything that came of the batch is proportional to what it brought, and lies at its place in the order of the log:
//! the shares of all payments add up to the sum, to the minor unit, without a remainder to hand out.

use std::ops::Range;

use domain::merchant_account::{Event, SettlementClosed, SettlementReleased};
use domain::{Currency, SettlementId};
use serde::Serialize;

use super::{Available, Flow, Mover};
use crate::ports::pending_activity::BatchPart;

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trail {
    /// `pay_...` or `set_...`
    pub of: String,
    pub currency: Currency,
    pub shares: Vec<BatchShare>,
    /// In the merchant's pending balance, until the next settlement.
    pub pending: i64,
}

/// What one batch did with what the payment brought into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchShare {
    pub settlement_id: SettlementId,
    /// Negative where the payment took money out of the batch: a refund or a dispute.
    pub brought: i64,
    pub batch_net: i64,
    /// None until the batch is released, and of what took money out.
    pub released: Option<Released>,
    /// One for the release and one for the reserve's.
    pub flows: Vec<Flow>,
}

/// `brought`, as the release divided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Released {
    /// Repaid what the merchant owed.
    pub repaid: i64,
    pub reserved: i64,
    pub available: i64,
    /// Went into what other payments took out of the batch.
    pub elsewhere: i64,
}

/// An account's settlements and their release, as far as the story goes.
pub struct Settlements<'a> {
    events: &'a [Event],
    available: Available,
}

impl<'a> Settlements<'a> {
    pub fn of(events: &'a [Event]) -> Settlements<'a> {
        Settlements { events, available: Available::of(events) }
    }

    pub fn available(&self) -> &Available {
        &self.available
    }

    pub fn batches(&self) -> impl Iterator<Item = &'a SettlementClosed> {
        self.events.iter().filter_map(|event| match event {
            Event::SettlementClosed(closed) => Some(closed),
            _ => None,
        })
    }

    fn released(&self, settlement_id: SettlementId) -> Option<&'a SettlementReleased> {
        self.events.iter().find_map(|event| match event {
            Event::SettlementReleased(released) if released.settlement_id == settlement_id => Some(released),
            _ => None,
        })
    }

    fn reserve_made_available(&self, settlement_id: SettlementId) -> Option<i64> {
        self.events.iter().find_map(|event| match event {
            Event::ReserveReleased(released) if released.settlement_id == settlement_id => {
                Some(released.credit.available)
            }
            _ => None,
        })
    }

    /// What became of a part of the batch.
    pub fn share(&self, batch: &SettlementClosed, part: BatchPart) -> BatchShare {
        let settlement_id = batch.settlement_id;
        let release = self.released(settlement_id).filter(|_| part.net > 0);
        let released = release.map(|release| {
            let of = |amount: i64| length(&slice(part, amount));
            let (repaid, reserved, available) = (of(release.repaid), of(release.reserved), of(release.available));
            Released { repaid, reserved, available, elsewhere: part.net - repaid - reserved - available }
        });
        let flow = |mover: Mover, amount: i64| self.available.flow_of(mover, slice(part, amount));
        let at_release = release.and_then(|release| flow(Mover::Settlement(settlement_id), release.available));
        let later = release.and_then(|_| self.reserve_made_available(settlement_id));
        let later = later.and_then(|amount| flow(Mover::Reserve(settlement_id), amount));
        let flows = at_release.into_iter().chain(later).filter(|flow| flow.amount > 0).collect();
        BatchShare { settlement_id, brought: part.net, batch_net: batch.net, released, flows }
    }
}

/// The part's place in an amount that came of the whole batch.
fn slice(part: BatchPart, amount: i64) -> Range<i128> {
    let place = |sum: i128| if part.total > 0 { sum * i128::from(amount) / part.total } else { 0 };
    place(part.before)..place(part.before + i128::from(part.net))
}

fn length(slice: &Range<i128>) -> i64 {
    i64::try_from(slice.end - slice.start).unwrap_or(i64::MAX)
}
