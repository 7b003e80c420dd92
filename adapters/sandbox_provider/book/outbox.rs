//! Webhooks that are still to be delivered. The number of an event depends on the history alone,
//! so a webhook keeps its id across restarts.

use super::State;
use super::objects::{Capture, Charge, ChargeStatus, Dispute, DisputeStatus, Refund};
use crate::sandbox_provider::tokens::Copies;
use std::sync::Arc;

/// The object as it was when the event happened.
#[derive(Debug, Clone)]
pub(crate) enum Snapshot {
    Charge(Arc<Charge>),
    Capture(Arc<Capture>),
    Refund(Arc<Refund>),
    Dispute(Arc<Dispute>),
}

#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) event: u64,
    pub(crate) kind: &'static str,
    pub(crate) at_ms: u64,
    pub(crate) copies: Copies,
    /// Webhooks of one charge are delivered in their order.
    pub(crate) charge: usize,
    pub(crate) snapshot: Snapshot,
}

impl State {
    pub(super) fn tell_charge(&mut self, index: usize, at_ms: u64) {
        let Some(charge) = self.charges.get(index).cloned() else {
            return;
        };
        let kind = match charge.status {
            ChargeStatus::Pending | ChargeStatus::RequiresAction => return,
            ChargeStatus::Authorized => "charge.authorized",
            ChargeStatus::Succeeded => "charge.succeeded",
            ChargeStatus::Failed => "charge.failed",
            ChargeStatus::Cancelled => "charge.cancelled",
        };
        self.tell(kind, index, Snapshot::Charge(charge), at_ms);
    }

    /// The rest of a partly captured authorisation was given back.
    pub(super) fn tell_release(&mut self, index: usize, at_ms: u64) {
        if let Some(charge) = self.charges.get(index).cloned() {
            self.tell("charge.released", index, Snapshot::Charge(charge), at_ms);
        }
    }

    pub(super) fn tell_capture(&mut self, capture: Arc<Capture>) {
        let (charge, at_ms) = (capture.charge, capture.created_ms);
        self.tell("charge.captured", charge, Snapshot::Capture(capture), at_ms);
    }

    pub(super) fn tell_refund(&mut self, refund: Arc<Refund>, at_ms: u64) {
        let kind = if refund.failure.is_some() { "refund.failed" } else { "refund.succeeded" };
        self.tell(kind, refund.charge, Snapshot::Refund(refund), at_ms);
    }

    pub(super) fn tell_dispute(&mut self, dispute: Arc<Dispute>, at_ms: u64) {
        let kind = match dispute.status {
            DisputeStatus::Opened => "dispute.opened",
            DisputeStatus::Won => "dispute.won",
            DisputeStatus::Lost => "dispute.lost",
        };
        self.tell(kind, dispute.charge, Snapshot::Dispute(dispute), at_ms);
    }

    fn tell(&mut self, kind: &'static str, charge: usize, snapshot: Snapshot, at_ms: u64) {
        self.events += 1;
        let Some(copies) = self.charges.get(charge).map(|charge| charge.token.copies()) else {
            return;
        };
        if !self.webhooks_on || copies == Copies::None {
            return;
        }
        let event = self.events;
        self.outbox.insert(event, Webhook { event, kind, at_ms, copies, charge, snapshot });
    }
}
