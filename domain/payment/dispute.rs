//! The amounts of disputes inside a payment: what the channel took back, what it charged, and what it gave back in the
//! end. How a dispute is answered, and until when, is `domain/dispute.rs` and no matter of money.
//!
//! What a channel tells is a fact and never refused, also where it takes more than was captured: that is booked as
//! told and recorded as `payment.over_returned`, which alerts. News may come twice and in any order: what is older
//! than what is known is no event, and only an answer to a question of ours (`asked`) undoes what was told before.
//! The whole fee of a dispute is passed on to the merchant; what a channel gives back of it goes back too.

use serde::{Deserialize, Serialize};

use super::event::{
    DisputeAdjusted, DisputeClosed, DisputeMoney, DisputeOpened, DisputeReopened, Event, OverReturned, RefundCause,
};
use super::{Capture, PaymentRejection, Record, refund};
use crate::money::AMOUNT_MAX;
use crate::{DisputeId, Timestamp};

/// A dispute of a captured payment. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisputedAmount {
    pub dispute_id: DisputeId,
    /// The channel's own id of the dispute.
    pub channel_reference: String,
    pub amount: i64,
    /// What the channel charged for the dispute, and the part of it that the merchant bears.
    pub fee: i64,
    pub fee_passed_on: i64,
    /// None while it is open.
    pub closing: Option<Closing>,
}

/// How a dispute ended. What was not won is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Minor units of the disputed amount that came back.
    pub won: i64,
    /// Minor units of its fee that the channel gave back.
    pub fee_returned: i64,
}

/// A dispute as the channel tells it, with everything that moved for it so far. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordDispute {
    pub dispute_id: DisputeId,
    pub channel_reference: String,
    pub amount: i64,
    pub fee: i64,
    pub closing: Option<Closing>,
    /// The channel's answer to a question of now; otherwise it is news that may be old.
    pub asked: bool,
    pub at: Timestamp,
}

/// The most disputes that one payment has: each of them makes its stream and state longer.
pub const DISPUTES_MAX: usize = 100;

pub(super) fn record(record: &Record, told: &RecordDispute) -> Result<Vec<Event>, PaymentRejection> {
    let capture = record.capture().ok_or(PaymentRejection::NotCaptured)?;
    let known = capture.dispute(told.dispute_id);
    if known.is_none() && capture.disputes.len() >= DISPUTES_MAX {
        return Err(PaymentRejection::TooManyDisputes);
    }
    if !told.is_possible() {
        return Err(PaymentRejection::DisputeOutOfRange);
    }
    match known {
        Some(known) if known.says(told) || (!told.asked && known.is_newer_than(told)) => return Ok(vec![]),
        Some(known) if !told.asked && !known.leads_to(told) => return Err(PaymentRejection::ContradictsDispute),
        _ => {}
    }

    let mut events: Vec<Event> = known.into_iter().filter_map(|known| reopened(record, known, told.at)).collect();
    match known {
        None => events.push(opened(record, told)),
        Some(known) => events.extend(adjusted(record, known, told)),
    }
    events.extend(told.closing.map(|closing| closed(record, told, closing)));
    let after = fold(capture, &events);
    events.extend(refund_of_what_was_won(record, &after, told));
    events.extend(over_returned(record, &after, told.at));
    Ok(events)
}

/// What the channel took beyond the capture, where that is more than was recorded so far. `after` is the capture with
/// everything that is decided now.
pub(super) fn over_returned(record: &Record, after: &Capture, at: Timestamp) -> Option<Event> {
    let excess = after.excess();
    (excess > after.over_returned).then(|| {
        Event::OverReturned(OverReturned {
            payment_id: record.terms.payment_id,
            merchant_id: record.terms.merchant_id,
            channel: record.terms.channel.clone(),
            currency: record.terms.currency,
            captured: after.amount,
            excess,
            recorded_at: at,
        })
    })
}

pub(super) fn fold(capture: &Capture, events: &[Event]) -> Capture {
    events.iter().fold(capture.clone(), Capture::evolve)
}

/// The money of a payment that nobody wanted does not stay here because a dispute of it was won or became less.
fn refund_of_what_was_won(record: &Record, after: &Capture, told: &RecordDispute) -> Option<Event> {
    let attempt = after.refunds.iter().filter(|refund| refund.cause == RefundCause::LateSuccess).count();
    let owed = after.refundable();
    (attempt > 0 && owed > 0)
        .then(|| refund::of_late_success(&record.terms, u32::try_from(attempt).unwrap_or(u32::MAX), owed, told.at))
}

fn opened(record: &Record, told: &RecordDispute) -> Event {
    Event::DisputeOpened(DisputeOpened {
        money: money(record, told.dispute_id),
        channel_reference: told.channel_reference.clone(),
        amount: told.amount,
        fee: told.fee,
        fee_passed_on: told.fee,
        opened_at: told.at,
    })
}

fn reopened(record: &Record, known: &DisputedAmount, at: Timestamp) -> Option<Event> {
    known.closing.map(|closing| {
        Event::DisputeReopened(DisputeReopened {
            money: money(record, known.dispute_id),
            won: closing.won,
            lost: known.amount - closing.won,
            fee_returned: closing.fee_returned,
            fee_passed_back: known.fee_passed_back(closing),
            reopened_at: at,
        })
    })
}

fn adjusted(record: &Record, known: &DisputedAmount, told: &RecordDispute) -> Option<Event> {
    let (amount, fee) = (told.amount - known.amount, told.fee - known.fee);
    let fee_passed_on = told.fee - known.fee_passed_on;
    ((amount, fee) != (0, 0)).then(|| {
        Event::DisputeAdjusted(DisputeAdjusted {
            money: money(record, known.dispute_id),
            amount,
            fee,
            fee_passed_on,
            adjusted_at: told.at,
        })
    })
}

fn closed(record: &Record, told: &RecordDispute, closing: Closing) -> Event {
    Event::DisputeClosed(DisputeClosed {
        money: money(record, told.dispute_id),
        won: closing.won,
        lost: told.amount - closing.won,
        fee_returned: closing.fee_returned,
        fee_passed_back: closing.fee_returned,
        closed_at: told.at,
    })
}

fn money(record: &Record, dispute_id: DisputeId) -> DisputeMoney {
    DisputeMoney {
        dispute_id,
        payment_id: record.terms.payment_id,
        merchant_id: record.terms.merchant_id,
        channel: record.terms.channel.clone(),
        currency: record.terms.currency,
    }
}

impl RecordDispute {
    /// Amounts that can be booked at all; anything else is nonsense, and a person must look.
    fn is_possible(&self) -> bool {
        let closing = self.closing.unwrap_or(Closing { won: 0, fee_returned: 0 });
        (1..=AMOUNT_MAX).contains(&self.amount)
            && (0..=AMOUNT_MAX).contains(&self.fee)
            && (0..=self.amount).contains(&closing.won)
            && (0..=self.fee).contains(&closing.fee_returned)
    }
}

impl DisputedAmount {
    pub fn is_open(&self) -> bool {
        self.closing.is_none()
    }

    /// Minor units that the channel keeps from us now: all of it while the dispute is open, then what was lost.
    pub fn amount_taken(&self) -> i64 {
        self.amount - self.closing.map_or(0, |closing| closing.won)
    }

    fn fee_passed_back(&self, closing: Closing) -> i64 {
        closing.fee_returned.min(self.fee_passed_on)
    }

    fn says(&self, told: &RecordDispute) -> bool {
        (self.amount, self.fee, self.closing) == (told.amount, told.fee, told.closing)
    }

    /// News of an open dispute, once it is known to be closed.
    fn is_newer_than(&self, told: &RecordDispute) -> bool {
        !self.is_open() && told.closing.is_none() && self.amount == told.amount && told.fee <= self.fee
    }

    /// The open dispute was closed, and nothing else is told of it.
    fn leads_to(&self, told: &RecordDispute) -> bool {
        self.is_open() && self.amount == told.amount && self.fee == told.fee
    }
}

impl Capture {
    pub fn dispute(&self, dispute_id: DisputeId) -> Option<&DisputedAmount> {
        self.disputes.iter().find(|dispute| dispute.dispute_id == dispute_id)
    }

    /// Minor units in disputes that are open or lost.
    pub fn amount_disputed(&self) -> i64 {
        self.disputes.iter().map(DisputedAmount::amount_taken).sum()
    }

    /// Minor units that the customer has back by disputes, as far as they are closed.
    pub fn amount_lost(&self) -> i64 {
        self.disputes.iter().filter(|dispute| !dispute.is_open()).map(DisputedAmount::amount_taken).sum()
    }

    /// Minor units by which refunds and disputes together have taken more than was captured.
    pub fn excess(&self) -> i64 {
        (self.amount_refunded() + self.amount_disputed() - self.amount).max(0)
    }

    pub(super) fn evolve_dispute(&mut self, event: &Event) {
        match event {
            Event::DisputeOpened(opened) => self.disputes.push(DisputedAmount {
                dispute_id: opened.money.dispute_id,
                channel_reference: opened.channel_reference.clone(),
                amount: opened.amount,
                fee: opened.fee,
                fee_passed_on: opened.fee_passed_on,
                closing: None,
            }),
            Event::DisputeAdjusted(adjusted) => self.change_dispute(adjusted.money.dispute_id, |dispute| {
                dispute.amount += adjusted.amount;
                dispute.fee += adjusted.fee;
                dispute.fee_passed_on += adjusted.fee_passed_on;
            }),
            Event::DisputeClosed(closed) => self.change_dispute(closed.money.dispute_id, |dispute| {
                dispute.closing = Some(Closing { won: closed.won, fee_returned: closed.fee_returned });
            }),
            Event::DisputeReopened(reopened) => {
                self.change_dispute(reopened.money.dispute_id, |dispute| dispute.closing = None);
            }
            Event::OverReturned(over) => self.over_returned = over.excess,
            _ => {}
        }
    }

    fn change_dispute(&mut self, dispute_id: DisputeId, change: impl FnOnce(&mut DisputedAmount)) {
        if let Some(dispute) = self.disputes.iter_mut().find(|dispute| dispute.dispute_id == dispute_id) {
            change(dispute);
        }
    }
}
