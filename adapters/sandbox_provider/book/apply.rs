//! How an entry changes the book. Nothing is decided here and nothing can fail; an index that does
//! not exist (a journal edited by hand) changes nothing.

use super::entry::{Entry, Ticket};
use super::jobs::Job;
use super::objects::{Capture, Charge, ChargeStatus, Dispute, DisputeStatus, Payout, Refund};
use super::operation::{Operation, OperationKind};
use super::{Answer, Kept, State};
use crate::sandbox_provider::money::{Currency, fee_of};
use crate::sandbox_provider::tokens::{AfterCapture, AtRefund, Token};
use std::sync::Arc;

impl State {
    pub(crate) fn apply(&mut self, entry: &Entry, at_ms: u64) {
        match entry {
            Entry::Opened { instance, .. } => self.instance = Arc::clone(instance),
            Entry::WebhooksSet { on } => self.webhooks_on = *on,
            Entry::Attempted { reference } => {
                *self.attempts.entry(Arc::clone(reference)).or_default() += 1
            }
            Entry::Charged { .. } => self.apply_charged(entry, at_ms),
            Entry::Resolved {
                charge,
                status,
                failure,
            } => {
                if let Some(charge) = self.charges.get_mut(*charge).map(Arc::make_mut) {
                    (charge.status, charge.failure) = (*status, *failure);
                }
                self.take_effect(*charge, at_ms);
                self.tell_charge(*charge, at_ms);
            }
            Entry::Captured { .. } => self.apply_captured(entry, at_ms),
            Entry::Cancelled { ticket, charge } => self.apply_cancelled(ticket, *charge, at_ms),
            Entry::Tombstoned { ticket, reference } => {
                self.apply_tombstoned(ticket, reference, at_ms)
            }
            Entry::Refunded { .. } => self.apply_refunded(entry, at_ms),
            Entry::RefundReversed { refund } => self.apply_refund_reversed(*refund, at_ms),
            Entry::DisputeOpened {
                charge,
                capture,
                amount,
            } => {
                self.apply_dispute_opened(*charge, *capture, *amount, at_ms);
            }
            Entry::EvidenceSubmitted {
                ticket,
                dispute,
                won,
            } => {
                let Some(found) = self.disputes.get_mut(*dispute) else {
                    return;
                };
                Arc::make_mut(found).evidence_submitted = true;
                let answer = Answer::Dispute(Arc::clone(found));
                self.keep(ticket, answer);
                if let Some(won) = *won {
                    self.schedule(
                        at_ms,
                        Job::CloseDispute {
                            dispute: *dispute,
                            won,
                        },
                    );
                }
            }
            Entry::DisputeClosed {
                ticket,
                dispute,
                won,
            } => {
                self.apply_dispute_closed(ticket.as_ref(), *dispute, *won, at_ms);
            }
            Entry::Unchanged { ticket, charge } => self.keep_charge(ticket, *charge, false),
            Entry::Refused {
                ticket,
                refusal,
                charge,
            } => {
                let charge = charge.and_then(|index| self.charges.get(index).cloned());
                self.keep(
                    ticket,
                    Answer::Refused {
                        refusal: *refusal,
                        charge,
                    },
                );
            }
            Entry::PaidOut { currency } => self.apply_paid_out(*currency, at_ms),
            Entry::WebhookDone { event } => {
                self.outbox.remove(event);
            }
        }
    }

    fn apply_charged(&mut self, entry: &Entry, at_ms: u64) {
        let Entry::Charged {
            ticket,
            reference,
            amount,
            currency,
            token,
            capture,
            return_url,
            status,
            failure,
        } = entry
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

    fn apply_tombstoned(&mut self, ticket: &Ticket, reference: &Arc<str>, at_ms: u64) {
        let index = self.add_charge(blank_charge(ticket, reference, at_ms));
        self.operate(
            OperationKind::Cancel,
            index,
            reference,
            &ticket.key,
            0,
            0,
            at_ms,
        );
        self.keep_charge(ticket, index, false);
        self.tell_charge(index, at_ms);
    }

    /// Books a charge whose status says that money was taken or held.
    fn take_effect(&mut self, index: usize, at_ms: u64) {
        let Some(charge) = self.charges.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        let (reference, key, amount) = (
            Arc::clone(&charge.reference),
            Arc::clone(&charge.key),
            charge.amount,
        );
        match charge.status {
            ChargeStatus::Succeeded => {
                let fee = fee_of(amount);
                (charge.captured, charge.fee) = (amount, fee);
                self.operate(
                    OperationKind::Charge,
                    index,
                    &reference,
                    &key,
                    amount,
                    fee,
                    at_ms,
                );
                self.schedule_dispute(index, None, at_ms);
            }
            ChargeStatus::Authorized => {
                self.operate(
                    OperationKind::Authorization,
                    index,
                    &reference,
                    &key,
                    amount,
                    0,
                    at_ms,
                );
            }
            ChargeStatus::Pending
            | ChargeStatus::RequiresAction
            | ChargeStatus::Failed
            | ChargeStatus::Cancelled => {}
        }
    }

    fn apply_captured(&mut self, entry: &Entry, at_ms: u64) {
        let Entry::Captured {
            ticket,
            charge: index,
            reference,
            amount,
            last,
        } = entry
        else {
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
        self.capture_by_reference
            .insert(Arc::clone(reference), capture.index);
        self.captures.push(Arc::clone(&capture));
        self.operate(
            OperationKind::Capture,
            *index,
            reference,
            &ticket.key,
            *amount,
            fee,
            at_ms,
        );
        self.schedule_dispute(*index, Some(capture.index), at_ms);
        self.keep(ticket, Answer::Capture(Arc::clone(&capture)));
        self.tell_capture(capture);
    }

    fn apply_cancelled(&mut self, ticket: &Ticket, index: usize, at_ms: u64) {
        let Some(charge) = self.charges.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        let is_held = charge.status == ChargeStatus::Authorized;
        let is_part_captured = charge.captured > 0;
        charge.status = if is_part_captured {
            ChargeStatus::Succeeded
        } else {
            ChargeStatus::Cancelled
        };
        charge.released = if is_held {
            charge.amount - charge.captured
        } else {
            0
        };
        let (reference, released) = (Arc::clone(&charge.reference), charge.released);
        self.operate(
            OperationKind::Cancel,
            index,
            &reference,
            &ticket.key,
            released,
            0,
            at_ms,
        );
        self.keep_charge(ticket, index, false);
        if is_part_captured {
            self.tell_release(index, at_ms);
        } else {
            self.tell_charge(index, at_ms);
        }
    }

    fn apply_refunded(&mut self, entry: &Entry, at_ms: u64) {
        let Entry::Refunded {
            ticket,
            charge: index,
            capture,
            reference,
            amount,
            failure,
        } = entry
        else {
            return;
        };
        let Some(charge) = self.charges.get_mut(*index).map(Arc::make_mut) else {
            return;
        };
        let part = capture
            .and_then(|part| self.captures.get_mut(part))
            .map(Arc::make_mut);
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
        self.refund_by_reference
            .insert(Arc::clone(reference), refund.index);
        self.refunds.push(Arc::clone(&refund));
        if failure.is_none() {
            charge.refunded += amount;
            if let Some(part) = part {
                part.refunded += amount;
            }
            self.operate(
                OperationKind::Refund,
                *index,
                reference,
                &ticket.key,
                *amount,
                0,
                at_ms,
            );
            if token.at_refund() == AtRefund::FailLate {
                self.schedule(
                    at_ms,
                    Job::ReverseRefund {
                        refund: refund.index,
                    },
                );
            }
        }
        self.keep(ticket, Answer::Refund(Arc::clone(&refund)));
        self.tell_refund(refund, at_ms);
    }

    fn apply_refund_reversed(&mut self, index: usize, at_ms: u64) {
        let Some(refund) = self.refunds.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        refund.failure = Some(super::failure::Failure::RefundReversed);
        let refund = Arc::new(refund.clone());
        if let Some(charge) = self.charges.get_mut(refund.charge).map(Arc::make_mut) {
            charge.refunded -= refund.amount;
        }
        if let Some(part) = refund
            .capture
            .and_then(|part| self.captures.get_mut(part))
            .map(Arc::make_mut)
        {
            part.refunded -= refund.amount;
        }
        let key: Arc<str> = format!("sandbox:refund_reversal:{index}").into();
        self.operate(
            OperationKind::RefundReversal,
            refund.charge,
            &refund.reference,
            &key,
            refund.amount,
            0,
            at_ms,
        );
        self.tell_refund(refund, at_ms);
    }

    fn apply_dispute_opened(
        &mut self,
        charge: usize,
        capture: Option<usize>,
        amount: i64,
        at_ms: u64,
    ) {
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
        let by_reference = self
            .disputes_by_reference
            .entry(Arc::clone(&dispute.reference));
        by_reference.or_default().push(dispute.index);
        self.disputes.push(Arc::clone(&dispute));
        let key: Arc<str> = format!("sandbox:dispute_withdrawal:{}", dispute.index).into();
        self.operate(
            OperationKind::DisputeWithdrawal,
            charge,
            &dispute.reference,
            &key,
            amount,
            0,
            at_ms,
        );
        if let AfterCapture::Dispute { won: Some(won) } = verdict {
            self.schedule(
                at_ms,
                Job::CloseDispute {
                    dispute: dispute.index,
                    won,
                },
            );
        }
        self.tell_dispute(dispute, at_ms);
    }

    fn apply_dispute_closed(
        &mut self,
        ticket: Option<&Ticket>,
        index: usize,
        won: bool,
        at_ms: u64,
    ) {
        let Some(dispute) = self.disputes.get_mut(index).map(Arc::make_mut) else {
            return;
        };
        dispute.status = if won {
            DisputeStatus::Won
        } else {
            DisputeStatus::Lost
        };
        let dispute = Arc::new(dispute.clone());
        if won {
            self.move_disputed(dispute.charge, dispute.capture, -dispute.amount);
            let key: Arc<str> = format!("sandbox:dispute_reversal:{index}").into();
            let (charge, reference, amount) = (dispute.charge, &dispute.reference, dispute.amount);
            self.operate(
                OperationKind::DisputeReversal,
                charge,
                reference,
                &key,
                amount,
                0,
                at_ms,
            );
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
        if let Some(part) = capture
            .and_then(|part| self.captures.get_mut(part))
            .map(Arc::make_mut)
        {
            part.disputed += amount;
            part.dispute_opened = true;
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
        self.payouts.push(Payout {
            index,
            currency,
            amount,
            from,
            to,
            created_ms: at_ms,
        });
    }

    fn add_charge(&mut self, charge: Charge) -> usize {
        let index = self.charges.len();
        // A reference that was tried before needs no count any more.
        self.attempts.remove(&charge.reference);
        self.charge_by_reference
            .insert(Arc::clone(&charge.reference), index);
        self.charges.push(Arc::new(Charge { index, ..charge }));
        index
    }

    fn schedule_dispute(&mut self, charge: usize, capture: Option<usize>, at_ms: u64) {
        let token = self
            .charges
            .get(charge)
            .map(|charge| charge.token.after_capture());
        if let Some(AfterCapture::Dispute { .. }) = token {
            self.schedule(at_ms, Job::OpenDispute { charge, capture });
        }
    }

    fn schedule(&mut self, at_ms: u64, job: Job) {
        self.jobs.insert((at_ms.saturating_add(self.delay_ms), job));
    }

    fn keep(&mut self, ticket: &Ticket, answer: Answer) {
        let kept = Kept {
            fingerprint: Arc::clone(&ticket.fingerprint),
            answer,
        };
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
        self.operations_by_reference
            .entry(Arc::clone(reference))
            .or_default()
            .push(index);
        self.operations.push(operation);
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
