//! The places of payments in an order's total: taken before the channel is called, paid or given back with the outcome.

use serde::{Deserialize, Serialize};

use super::event::{Event, Payer, RefundPart, RefundRequested};
use super::{Fulfilment, OrderRejection, PLACES_MAX, REFUNDS_MAX, Record};
use crate::{ChannelName, Currency, PaymentId, Timestamp};

/// A payer's part of the total.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub payer: Payer,
    pub channel: ChannelName,
    /// Minor units that it may still bring.
    pub open: i64,
}

/// What one payment brought, in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Money {
    pub payment_id: PaymentId,
    pub amount: i64,
    /// What the customer has back, refunded or by a dispute that was lost.
    pub refunded: i64,
}

/// Where a payer stands, told from its own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub payer: Payer,
    /// Minor units that it may still bring; none if that is not told.
    pub open: Option<i64>,
    pub brought: Option<Brought>,
}

/// What a payment has brought and sent back so far, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brought {
    pub payment_id: PaymentId,
    pub amount: i64,
    pub refunded: i64,
}

pub(super) fn take(
    record: &Record,
    payer: Payer,
    channel: ChannelName,
    amount: i64,
    currency: Currency,
) -> Result<Vec<Event>, OrderRejection> {
    if record.place(payer).is_some() {
        return Ok(vec![]);
    }
    if record.fulfilment == Fulfilment::Cancelled {
        return Err(OrderRejection::Cancelled);
    }
    if currency != record.terms.currency {
        return Err(OrderRejection::CurrencyDiffers);
    }
    if record.left() == 0 {
        return Err(OrderRejection::FullyPaid);
    }
    if record.places.len() >= PLACES_MAX {
        return Err(OrderRejection::TooManyPayments);
    }
    if !(1..=record.left()).contains(&amount) {
        return Err(OrderRejection::TotalExceeded);
    }

    Ok(vec![Event::PlaceTaken { payer, channel, amount }])
}

/// Facts are never refused; one that is known already is no event.
pub(super) fn follow(record: &Record, standing: &Standing) -> Vec<Event> {
    let Some(place) = record.place(standing.payer) else { return vec![] };
    let mut events = vec![];
    let mut open = place.open;
    if let Some(brought) = standing.brought {
        let known = record.money(brought.payment_id);
        if known.is_none() {
            let Brought { payment_id, amount, .. } = brought;
            events.push(Event::Paid { payer: standing.payer, payment_id, amount });
            open = (open - amount).max(0);
        }
        if known.map_or(0, |money| money.refunded) != brought.refunded {
            events.push(Event::Refunded { payment_id: brought.payment_id, refunded: brought.refunded });
        }
    }
    if let Some(still_open) = standing.open.filter(|still_open| *still_open < open) {
        events.push(Event::PlaceGivenBack { payer: standing.payer, amount: open - still_open });
    }
    events
}

/// The payments in the same entry have agreed to each part.
pub(super) fn request_refund(
    record: &Record,
    parts: Vec<RefundPart>,
    at: Timestamp,
) -> Result<Vec<Event>, OrderRejection> {
    if parts.iter().all(|part| record.refunds.contains(&part.refund_id)) && !parts.is_empty() {
        return Ok(vec![]);
    }
    if record.kept() == 0 || parts.is_empty() {
        return Err(OrderRejection::NothingToRefund);
    }
    if record.refunds.len() + parts.len() > REFUNDS_MAX {
        return Err(OrderRejection::TooManyRefunds);
    }

    Ok(vec![Event::RefundRequested(RefundRequested { parts, requested_at: at })])
}

impl Record {
    pub(super) fn evolve_places(&mut self, event: &Event) {
        match event {
            Event::PlaceTaken { payer, channel, amount } => {
                self.places.push(Place { payer: *payer, channel: channel.clone(), open: *amount });
            }
            Event::PlaceGivenBack { payer, amount } => self.close(*payer, *amount),
            Event::Paid { payer, payment_id, amount } => {
                self.moneys.push(Money { payment_id: *payment_id, amount: *amount, refunded: 0 });
                self.close(*payer, *amount);
            }
            Event::Refunded { payment_id, refunded } => {
                if let Some(money) = self.moneys.iter_mut().find(|money| money.payment_id == *payment_id) {
                    money.refunded = *refunded;
                }
            }
            _ => {}
        }
    }

    /// The payer brings this much less from now on.
    fn close(&mut self, payer: Payer, amount: i64) {
        if let Some(place) = self.places.iter_mut().find(|place| place.payer == payer) {
            place.open = (place.open - amount).max(0);
        }
    }

    pub fn place(&self, payer: Payer) -> Option<&Place> {
        self.places.iter().find(|place| place.payer == payer)
    }

    fn money(&self, payment_id: PaymentId) -> Option<&Money> {
        self.moneys.iter().find(|money| money.payment_id == payment_id)
    }

    /// Minor units that payments have promised and not yet brought. Each sum is over at most a few hundred amounts of
    /// money, far below the ends of an i64.
    pub fn in_flight(&self) -> i64 {
        self.places.iter().map(|place| place.open).sum()
    }

    /// Minor units that were captured for it, also what was refunded since.
    pub fn paid(&self) -> i64 {
        self.moneys.iter().map(|money| money.amount).sum()
    }

    /// Minor units that went back to the customer, also by disputes.
    pub fn refunded(&self) -> i64 {
        self.moneys.iter().map(|money| money.refunded).sum()
    }

    /// Minor units that came and did not go back.
    pub fn kept(&self) -> i64 {
        self.paid() - self.refunded()
    }

    /// Minor units that no payment has promised or brought yet.
    pub fn left(&self) -> i64 {
        (self.terms.total - self.in_flight() - self.paid()).max(0)
    }

    /// Of every payment that took a place or brought money, oldest first.
    pub fn payment_ids(&self) -> Vec<PaymentId> {
        let of_place = |place: &Place| match place.payer {
            Payer::Payment(payment_id) => Some(payment_id),
            Payer::PreAuth(_) => None,
        };
        let mut ids: Vec<PaymentId> =
            self.places.iter().filter_map(of_place).chain(self.moneys.iter().map(|money| money.payment_id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
