//! How refunds change the book, and how one that failed late is taken back.

use crate::sandbox_provider::book::entry::Entry;
use crate::sandbox_provider::book::failure::Failure;
use crate::sandbox_provider::book::jobs::Job;
use crate::sandbox_provider::book::objects::Refund;
use crate::sandbox_provider::book::operation::OperationKind;
use crate::sandbox_provider::book::{Answer, State};
use crate::sandbox_provider::tokens::AtRefund;
use std::sync::Arc;

impl State {
    pub(super) fn apply_refunded(&mut self, entry: &Entry, at_ms: u64) {
        let Entry::Refunded { ticket, charge: index, capture, reference, amount, failure } = entry else {
            return;
        };
        let Some(charge) = self.charges.get_mut(*index).map(Arc::make_mut) else {
            return;
        };
        let part = capture.and_then(|part| self.captures.get_mut(part)).map(Arc::make_mut);
        let refund = Arc::new(Refund {
            index: self.refunds.len(),
            charge: *index,
            charge_reference: Arc::clone(&charge.reference),
            capture: *capture,
            capture_reference: part.as_ref().map(|part| Arc::clone(&part.reference)),
            reference: Arc::clone(reference),
            amount: *amount,
            currency: charge.currency,
            failure: *failure,
            created_ms: at_ms,
        });
        let token = charge.token;
        self.refund_by_reference.insert(Arc::clone(reference), refund.index);
        self.refunds.push(Arc::clone(&refund));
        if failure.is_none() {
            charge.refunded += amount;
            if let Some(part) = part {
                part.refunded += amount;
            }
            self.operate(OperationKind::Refund, *index, reference, &ticket.key, *amount, 0, at_ms);
            if token.at_refund() == AtRefund::FailLate {
                self.schedule(at_ms, Job::ReverseRefund { refund: refund.index });
            }
        }
        self.keep(ticket, Answer::Refund(Arc::clone(&refund)));
        self.tell_refund(refund, at_ms);
    }

    pub(super) fn apply_refund_reversed(&mut self, index: usize, at_ms: u64) {
        let Some(refund) = self.refunds.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        refund.failure = Some(Failure::RefundReversed);
        let refund = Arc::new(refund.clone());
        if let Some(charge) = self.charges.get_mut(refund.charge).map(Arc::make_mut) {
            charge.refunded -= refund.amount;
        }
        if let Some(part) = refund.capture.and_then(|part| self.captures.get_mut(part)).map(Arc::make_mut) {
            part.refunded -= refund.amount;
        }
        let key: Arc<str> = format!("sandbox:refund_reversal:{index}").into();
        self.operate(OperationKind::RefundReversal, refund.charge, &refund.reference, &key, refund.amount, 0, at_ms);
        self.tell_refund(refund, at_ms);
    }
}
