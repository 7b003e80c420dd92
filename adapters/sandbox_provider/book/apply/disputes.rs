//! How disputes change the book: the money goes when one is opened and comes back when it is won.

use crate::sandbox_provider::book::entry::Ticket;
use crate::sandbox_provider::book::jobs::Job;
use crate::sandbox_provider::book::objects::{Dispute, DisputeStatus};
use crate::sandbox_provider::book::operation::OperationKind;
use crate::sandbox_provider::book::{Answer, State};
use crate::sandbox_provider::tokens::AfterCapture;
use std::sync::Arc;

impl State {
    pub(super) fn apply_dispute_opened(&mut self, charge: usize, capture: Option<usize>, amount: i64, at_ms: u64) {
        self.move_disputed(charge, capture, amount);
        let Some(found) = self.charges.get(charge) else {
            return;
        };
        let part = capture.and_then(|part| self.captures.get(part));
        let dispute = Arc::new(Dispute {
            index: self.disputes.len(),
            charge,
            charge_reference: Arc::clone(&found.reference),
            capture,
            reference: Arc::clone(part.map_or(&found.reference, |part| &part.reference)),
            amount,
            currency: found.currency,
            status: DisputeStatus::Opened,
            evidence_submitted: false,
            created_ms: at_ms,
        });
        let verdict = found.token.after_capture();
        let by_reference = self.disputes_by_reference.entry(Arc::clone(&dispute.reference));
        by_reference.or_default().push(dispute.index);
        self.disputes.push(Arc::clone(&dispute));
        let key: Arc<str> = format!("sandbox:dispute_withdrawal:{}", dispute.index).into();
        self.operate(OperationKind::DisputeWithdrawal, charge, &dispute.reference, &key, amount, 0, at_ms);
        if let AfterCapture::Dispute { won: Some(won) } = verdict {
            self.schedule(at_ms, Job::CloseDispute { dispute: dispute.index, won });
        }
        self.tell_dispute(dispute, at_ms);
    }

    pub(super) fn apply_evidence(&mut self, ticket: &Ticket, index: usize, won: Option<bool>, at_ms: u64) {
        let Some(dispute) = self.disputes.get_mut(index) else {
            return;
        };
        Arc::make_mut(dispute).evidence_submitted = true;
        let answer = Answer::Dispute(Arc::clone(dispute));
        self.keep(ticket, answer);
        if let Some(won) = won {
            self.schedule(at_ms, Job::CloseDispute { dispute: index, won });
        }
    }

    pub(super) fn apply_dispute_closed(&mut self, ticket: Option<&Ticket>, index: usize, won: bool, at_ms: u64) {
        let Some(dispute) = self.disputes.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        dispute.status = if won { DisputeStatus::Won } else { DisputeStatus::Lost };
        let dispute = Arc::new(dispute.clone());
        if won {
            self.move_disputed(dispute.charge, dispute.capture, -dispute.amount);
            let key: Arc<str> = format!("sandbox:dispute_reversal:{index}").into();
            let (charge, reference, amount) = (dispute.charge, &dispute.reference, dispute.amount);
            self.operate(OperationKind::DisputeReversal, charge, reference, &key, amount, 0, at_ms);
        }
        if let Some(ticket) = ticket {
            self.keep(ticket, Answer::Dispute(Arc::clone(&dispute)));
        }
        self.tell_dispute(dispute, at_ms);
    }

    fn move_disputed(&mut self, charge: usize, capture: Option<usize>, amount: i64) {
        if let Some(charge) = self.charges.get_mut(charge).map(Arc::make_mut) {
            charge.disputed += amount;
            charge.dispute_opened = true;
        }
        if let Some(part) = capture.and_then(|part| self.captures.get_mut(part)).map(Arc::make_mut) {
            part.disputed += amount;
            part.dispute_opened = true;
        }
    }
}
