//! How charges, captures and cancels change the book.

use crate::sandbox_provider::book::entry::{Entry, Ticket};
use crate::sandbox_provider::book::failure::Failure;
use crate::sandbox_provider::book::jobs::Job;
use crate::sandbox_provider::book::objects::{Capture, Charge, ChargeStatus};
use crate::sandbox_provider::book::operation::OperationKind;
use crate::sandbox_provider::book::{Answer, State};
use crate::sandbox_provider::money::fee_of;
use crate::sandbox_provider::tokens::Token;
use std::sync::Arc;

impl State {
    pub(super) fn apply_charged(&mut self, entry: &Entry, at_ms: u64) {
        let Entry::Charged { ticket, reference, amount, currency, token, capture, return_url, status, failure } = entry
        else {
            return;
        };
        let index = self.add_charge(Charge {
            amount: *amount,
            currency: Some(*currency),
            token: *token,
            capture: *capture,
            return_url: return_url.clone(),
            status: *status,
            failure: *failure,
            ..blank_charge(ticket, reference, at_ms)
        });
        if *status == ChargeStatus::Pending {
            self.schedule(at_ms, Job::ResolveCharge { charge: index });
        }
        self.take_effect(index, at_ms);
        self.keep_charge(ticket, index, true);
        self.tell_charge(index, at_ms);
    }

    pub(super) fn apply_tombstoned(&mut self, ticket: &Ticket, reference: &Arc<str>, at_ms: u64) {
        let index = self.add_charge(blank_charge(ticket, reference, at_ms));
        self.operate(OperationKind::Cancel, index, reference, &ticket.key, 0, 0, at_ms);
        self.keep_charge(ticket, index, false);
        self.tell_charge(index, at_ms);
    }

    pub(super) fn apply_resolved(&mut self, index: usize, status: ChargeStatus, failure: Option<Failure>, at_ms: u64) {
        if let Some(charge) = self.charges.get_mut(index).map(Arc::make_mut) {
            (charge.status, charge.failure) = (status, failure);
        }
        self.take_effect(index, at_ms);
        self.tell_charge(index, at_ms);
    }

    /// Books a charge whose status says that money was taken or held.
    fn take_effect(&mut self, index: usize, at_ms: u64) {
        let Some(charge) = self.charges.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        let (reference, key, amount) = (Arc::clone(&charge.reference), Arc::clone(&charge.key), charge.amount);
        match charge.status {
            ChargeStatus::Succeeded => {
                let fee = fee_of(amount);
                (charge.captured, charge.fee) = (amount, fee);
                self.operate(OperationKind::Charge, index, &reference, &key, amount, fee, at_ms);
                self.schedule_dispute(index, None, at_ms);
            }
            ChargeStatus::Authorized => {
                self.operate(OperationKind::Authorization, index, &reference, &key, amount, 0, at_ms);
            }
            ChargeStatus::Pending | ChargeStatus::RequiresAction | ChargeStatus::Failed | ChargeStatus::Cancelled => {}
        }
    }

    pub(super) fn apply_captured(&mut self, entry: &Entry, at_ms: u64) {
        let Entry::Captured { ticket, charge: index, reference, amount, last } = entry else {
            return;
        };
        let Some(charge) = self.charges.get_mut(*index).map(Arc::make_mut) else {
            return;
        };
        let fee = fee_of(*amount);
        charge.captured += amount;
        charge.fee += fee;
        if *last {
            charge.status = ChargeStatus::Succeeded;
            charge.released = charge.amount - charge.captured;
        }
        let capture = Arc::new(Capture {
            index: self.captures.len(),
            charge: *index,
            charge_reference: Arc::clone(&charge.reference),
            reference: Arc::clone(reference),
            amount: *amount,
            currency: charge.currency,
            fee,
            refunded: 0,
            disputed: 0,
            dispute_opened: false,
            created_ms: at_ms,
        });
        self.capture_by_reference.insert(Arc::clone(reference), capture.index);
        self.captures.push(Arc::clone(&capture));
        self.operate(OperationKind::Capture, *index, reference, &ticket.key, *amount, fee, at_ms);
        self.schedule_dispute(*index, Some(capture.index), at_ms);
        self.keep(ticket, Answer::Capture(Arc::clone(&capture)));
        self.tell_capture(capture);
    }

    pub(super) fn apply_cancelled(&mut self, ticket: &Ticket, index: usize, at_ms: u64) {
        let Some(charge) = self.charges.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        let is_held = charge.status == ChargeStatus::Authorized;
        let is_part_captured = charge.captured > 0;
        charge.status = if is_part_captured { ChargeStatus::Succeeded } else { ChargeStatus::Cancelled };
        charge.released = if is_held { charge.amount - charge.captured } else { 0 };
        let (reference, released) = (Arc::clone(&charge.reference), charge.released);
        self.operate(OperationKind::Cancel, index, &reference, &ticket.key, released, 0, at_ms);
        self.keep_charge(ticket, index, false);
        if is_part_captured {
            self.tell_release(index, at_ms);
        } else {
            self.tell_charge(index, at_ms);
        }
    }

    fn add_charge(&mut self, charge: Charge) -> usize {
        let index = self.charges.len();
        // A reference that was tried before needs no count any more.
        self.attempts.remove(&charge.reference);
        self.charge_by_reference.insert(Arc::clone(&charge.reference), index);
        self.charges.push(Arc::new(Charge { index, ..charge }));
        index
    }
}

/// A charge under which nothing has happened: a tombstone until told otherwise.
fn blank_charge(ticket: &Ticket, reference: &Arc<str>, at_ms: u64) -> Charge {
    Charge {
        index: 0,
        reference: Arc::clone(reference),
        key: Arc::clone(&ticket.key),
        amount: 0,
        currency: None,
        token: Token::Success,
        capture: true,
        return_url: None,
        status: ChargeStatus::Cancelled,
        failure: None,
        captured: 0,
        released: 0,
        refunded: 0,
        disputed: 0,
        fee: 0,
        dispute_opened: false,
        created_ms: at_ms,
    }
}
