//! How an entry changes the book. Nothing is decided here and nothing can fail; an index that does
//! not exist (a journal edited by hand) changes nothing.

mod charges;
mod disputes;
mod refunds;

use super::entry::{Entry, Ticket};
use super::jobs::Job;
use super::objects::Payout;
use super::operation::{Operation, OperationKind};
use super::{Answer, Kept, State};
use crate::sandbox_provider::money::Currency;
use crate::sandbox_provider::tokens::AfterCapture;
use std::sync::Arc;

impl State {
    pub(crate) fn apply(&mut self, entry: &Entry, at_ms: u64) {
        match entry {
            Entry::Opened { instance, .. } => self.instance = Arc::clone(instance),
            Entry::WebhooksSet { on } => self.webhooks_on = *on,
            Entry::Attempted { reference } => *self.attempts.entry(Arc::clone(reference)).or_default() += 1,
            Entry::Charged { .. } => self.apply_charged(entry, at_ms),
            Entry::Resolved { charge, status, failure } => self.apply_resolved(*charge, *status, *failure, at_ms),
            Entry::Captured { .. } => self.apply_captured(entry, at_ms),
            Entry::Cancelled { ticket, charge } => self.apply_cancelled(ticket, *charge, at_ms),
            Entry::Tombstoned { ticket, reference } => self.apply_tombstoned(ticket, reference, at_ms),
            Entry::Refunded { .. } => self.apply_refunded(entry, at_ms),
            Entry::RefundReversed { refund } => self.apply_refund_reversed(*refund, at_ms),
            Entry::DisputeOpened { charge, capture, amount } => {
                self.apply_dispute_opened(*charge, *capture, *amount, at_ms);
            }
            Entry::EvidenceSubmitted { ticket, dispute, won } => self.apply_evidence(ticket, *dispute, *won, at_ms),
            Entry::DisputeClosed { ticket, dispute, won } => {
                self.apply_dispute_closed(ticket.as_ref(), *dispute, *won, at_ms);
            }
            Entry::Unchanged { ticket, charge } => self.keep_charge(ticket, *charge, false),
            Entry::Refused { ticket, refusal, charge } => {
                let charge = charge.and_then(|index| self.charges.get(index).cloned());
                self.keep(ticket, Answer::Refused { refusal: *refusal, charge });
            }
            Entry::PaidOut { currency } => self.apply_paid_out(*currency, at_ms),
            Entry::WebhookDone { event } => {
                self.outbox.remove(event);
            }
        }
    }

    fn apply_paid_out(&mut self, currency: Currency, at_ms: u64) {
        let Some(owed) = self.owed.get_mut(&currency) else {
            return;
        };
        let (from, to) = (owed.paid_to, owed.lines.len());
        let amount = std::mem::take(&mut owed.balance);
        owed.paid_to = to;
        let index = self.payouts.len();
        self.payouts.push(Payout { index, currency, amount, from, to, created_ms: at_ms });
    }

    fn schedule_dispute(&mut self, charge: usize, capture: Option<usize>, at_ms: u64) {
        let token = self.charges.get(charge).map(|charge| charge.token.after_capture());
        if let Some(AfterCapture::Dispute { .. }) = token {
            self.schedule(at_ms, Job::OpenDispute { charge, capture });
        }
    }

    fn schedule(&mut self, at_ms: u64, job: Job) {
        self.jobs.insert((at_ms.saturating_add(self.delay_ms), job));
    }

    fn keep(&mut self, ticket: &Ticket, answer: Answer) {
        let kept = Kept { fingerprint: Arc::clone(&ticket.fingerprint), answer };
        self.keys.insert(Arc::clone(&ticket.key), kept);
    }

    fn keep_charge(&mut self, ticket: &Ticket, index: usize, created: bool) {
        if let Some(charge) = self.charges.get(index).cloned() {
            self.keep(ticket, Answer::Charge { charge, created });
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn operate(
        &mut self,
        kind: OperationKind,
        charge: usize,
        reference: &Arc<str>,
        key: &Arc<str>,
        amount: i64,
        fee: i64,
        at_ms: u64,
    ) {
        let Some(found) = self.charges.get(charge) else {
            return;
        };
        let operation = Operation {
            kind,
            reference: Arc::clone(reference),
            charge,
            charge_reference: Arc::clone(&found.reference),
            key: Arc::clone(key),
            amount,
            currency: found.currency,
            fee,
            at_ms,
        };
        let index = self.operations.len();
        if let (Some(currency), true) = (operation.currency, kind.sign() != 0) {
            let owed = self.owed.entry(currency).or_default();
            owed.lines.push(index);
            owed.balance += operation.net();
        }
        self.operations_by_reference.entry(Arc::clone(reference)).or_default().push(index);
        self.operations.push(operation);
    }
}
