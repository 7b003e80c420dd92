//! Captures of what is held: asking for one, what became of it, and closing the hold. Never more than was authorised.

use super::event::{CaptureFailed, CaptureRequested, Captured, CapturedLate, Closed, ClosingCause, Event};
use super::{Capture, CaptureOutcome, CaptureStatus, Hold, PreAuthRejection, PreAuthStatus, Record, RequestCapture};
use crate::{PaymentId, Timestamp};

const CAPTURES_MAX: usize = 1_000;

pub(super) fn request(record: &Record, request: RequestCapture) -> Result<Vec<Event>, PreAuthRejection> {
    let hold = record.hold().ok_or(PreAuthRejection::NotCapturable)?;
    if let Some(existing) = hold.capture(request.payment_id) {
        let is_the_same = request.amount.is_none_or(|amount| amount == existing.amount);
        return if is_the_same { Ok(vec![]) } else { Err(PreAuthRejection::CaptureAlreadyExists) };
    }
    if !record.terms.multiple_captures && hold.captures.iter().any(Capture::counts) {
        return Err(PreAuthRejection::SingleCapture);
    }
    if !hold.is_open() || hold.awaits_final_capture() || request.at >= hold.expires_at {
        return Err(PreAuthRejection::NotCapturable);
    }
    if hold.captures.len() >= CAPTURES_MAX {
        return Err(PreAuthRejection::TooManyCaptures);
    }
    let amount = request.amount.unwrap_or_else(|| hold.rest());
    if request.amount.is_some_and(|amount| amount < 1) {
        return Err(PreAuthRejection::InvalidAmount);
    }
    if amount < 1 || amount > hold.rest() {
        return Err(PreAuthRejection::CaptureExceedsAuthorized);
    }

    Ok(vec![Event::CaptureRequested(CaptureRequested {
        payment_id: request.payment_id,
        amount,
        is_final: request.is_final || !record.terms.multiple_captures,
        requested_at: request.at,
    })])
}

/// The same entry carries the payment's own outcome. A final capture that succeeds closes the hold, and so does the one
/// that takes the last of it; one that fails leaves it as it was.
pub(super) fn record(
    record: &Record,
    payment_id: PaymentId,
    outcome: CaptureOutcome,
    at: Timestamp,
) -> Result<Vec<Event>, PreAuthRejection> {
    let (hold, capture) = record
        .hold()
        .and_then(|hold| Some((hold, hold.capture(payment_id)?)))
        .ok_or(PreAuthRejection::CaptureNotFound)?;
    match (outcome, capture.status) {
        (CaptureOutcome::Succeeded { amount }, CaptureStatus::InFlight) => {
            if !(1..=capture.amount).contains(&amount) {
                return Err(PreAuthRejection::CaptureOutOfRange);
            }
            Ok(succeeded(record, hold, capture, amount, at))
        }
        (CaptureOutcome::Failed, CaptureStatus::InFlight) => Ok(vec![failed(record, hold, capture)]),
        (CaptureOutcome::Succeeded { amount }, CaptureStatus::Failed) => {
            Ok(vec![succeeded_late(record, hold, payment_id, amount)])
        }
        (_, CaptureStatus::Succeeded { .. } | CaptureStatus::SucceededLate { .. } | CaptureStatus::Failed) => {
            Ok(vec![])
        }
    }
}

fn succeeded(record: &Record, hold: &Hold, capture: &Capture, amount: i64, at: Timestamp) -> Vec<Event> {
    let terms = &record.terms;
    let given_back = capture.amount - amount;
    let captured = Event::Captured(Captured {
        pre_auth_id: terms.pre_auth_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        payment_id: capture.payment_id,
        amount,
        currency: terms.currency,
        released: if hold.is_open() { 0 } else { given_back },
    });
    let cause = match () {
        () if !hold.is_open() => None,
        () if capture.is_final => Some(ClosingCause::FinalCapture),
        () if hold.captured() + amount == hold.amount => Some(ClosingCause::Exhausted),
        () => None,
    };
    let closed = cause.map(|cause| close(record, cause, hold.rest() + given_back, at));
    [captured].into_iter().chain(closed).collect()
}

fn failed(record: &Record, hold: &Hold, capture: &Capture) -> Event {
    let terms = &record.terms;
    Event::CaptureFailed(CaptureFailed {
        pre_auth_id: terms.pre_auth_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        payment_id: capture.payment_id,
        currency: terms.currency,
        released: if hold.is_open() { 0 } else { capture.amount },
    })
}

/// The money was taken, and its payment sends it back. It takes from the hold what is still there.
fn succeeded_late(record: &Record, hold: &Hold, payment_id: PaymentId, amount: i64) -> Event {
    let terms = &record.terms;
    Event::CapturedLate(CapturedLate {
        pre_auth_id: terms.pre_auth_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        payment_id,
        amount,
        currency: terms.currency,
        covered: if hold.is_open() { amount.clamp(0, hold.rest()) } else { 0 },
    })
}

pub(super) fn close(record: &Record, cause: ClosingCause, released: i64, at: Timestamp) -> Event {
    let terms = &record.terms;
    Event::Closed(Closed {
        pre_auth_id: terms.pre_auth_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        currency: terms.currency,
        cause,
        released,
        closed_at: at,
    })
}

impl Capture {
    /// It has taken money, or may.
    fn counts(&self) -> bool {
        self.status != CaptureStatus::Failed
    }
}

impl Hold {
    pub(super) fn evolve(mut self, event: &Event) -> Hold {
        match event {
            Event::CaptureRequested(requested) => self.captures.push(Capture {
                payment_id: requested.payment_id,
                amount: requested.amount,
                is_final: requested.is_final,
                status: CaptureStatus::InFlight,
            }),
            Event::Captured(captured) => {
                self.set(captured.payment_id, CaptureStatus::Succeeded { amount: captured.amount });
            }
            Event::CaptureFailed(failed) => self.set(failed.payment_id, CaptureStatus::Failed),
            Event::CapturedLate(late) => {
                self.set(late.payment_id, CaptureStatus::SucceededLate { covered: late.covered });
            }
            Event::Closed(closed) => self.closed = Some(closed.cause),
            Event::HoldReleased { .. } => self.released_by_channel = true,
            _ => {}
        }
        self
    }

    fn set(&mut self, payment_id: PaymentId, status: CaptureStatus) {
        if let Some(capture) = self.captures.iter_mut().find(|capture| capture.payment_id == payment_id) {
            capture.status = status;
        }
    }

    pub fn capture(&self, payment_id: PaymentId) -> Option<&Capture> {
        self.captures.iter().find(|capture| capture.payment_id == payment_id)
    }

    /// The channel has answered this capture, and where its success closes the hold, that has been booked too.
    pub fn is_answered(&self, payment_id: PaymentId) -> bool {
        let Some(capture) = self.capture(payment_id) else { return false };
        let closes = capture.is_final || self.captured() == self.amount;
        match capture.status {
            CaptureStatus::InFlight => false,
            CaptureStatus::Succeeded { .. } => !(closes && self.is_open()),
            CaptureStatus::Failed | CaptureStatus::SucceededLate { .. } => true,
        }
    }

    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    fn awaits_final_capture(&self) -> bool {
        self.captures.iter().any(|capture| capture.is_final && capture.status == CaptureStatus::InFlight)
    }

    /// What captures have taken, in minor units.
    pub fn captured(&self) -> i64 {
        self.sum(|capture| match capture.status {
            CaptureStatus::Succeeded { amount } => amount,
            CaptureStatus::SucceededLate { covered } => covered,
            CaptureStatus::InFlight | CaptureStatus::Failed => 0,
        })
    }

    /// What captures may still take, their answers being out, in minor units.
    pub fn in_flight(&self) -> i64 {
        self.sum(|capture| if capture.status == CaptureStatus::InFlight { capture.amount } else { 0 })
    }

    /// What a new capture may take, in minor units.
    pub fn rest(&self) -> i64 {
        if self.is_open() { self.amount - self.captured() - self.in_flight() } else { 0 }
    }

    /// What was given back, in minor units.
    pub fn released(&self) -> i64 {
        if self.is_open() { 0 } else { self.amount - self.captured() - self.in_flight() }
    }

    /// What the memo accounts hold, in minor units.
    pub(super) fn memo(&self) -> i64 {
        self.amount - self.captured() - self.released()
    }

    /// The channel still holds what nobody will capture any more.
    pub fn is_to_be_released(&self) -> bool {
        !self.is_open() && !self.released_by_channel && self.in_flight() == 0 && self.released() > 0
    }

    /// Each amount is at most what was authorised, and there are few: the sum stays far below the ends of an i64.
    fn sum(&self, of: impl Fn(&Capture) -> i64) -> i64 {
        self.captures.iter().map(of).sum()
    }

    pub(super) fn status(&self) -> PreAuthStatus {
        match (self.closed.filter(|_| self.in_flight() == 0), self.captured()) {
            (None, 0) => PreAuthStatus::Authorized,
            (None, _) => PreAuthStatus::PartiallyCaptured,
            (Some(ClosingCause::Expiry), 0) => PreAuthStatus::Expired,
            (Some(_), 0) => PreAuthStatus::Cancelled,
            (Some(_), _) => PreAuthStatus::Captured,
        }
    }
}
