//! The public JSON of each object. Ids are made of the book's instance and the object's place, so
//! that two books never give the same id.

use super::book::failure::Failure;
use super::book::objects::{Capture, Charge, ChargeStatus, Dispute, DisputeStatus, Payout, Refund};
use super::book::operation::Operation;
use super::book::outbox::{Snapshot, Webhook};
use super::book::{CAPTURE_PREFIX, CHARGE_PREFIX, DISPUTE_PREFIX, PAYOUT_PREFIX, REFUND_PREFIX};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use std::sync::Arc;

/// Authorised money can be captured for seven days.
const HELD_FOR_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Evidence is asked for within seven days; nobody is held to it. The provider charges no fee for a dispute.
const EVIDENCE_WITHIN_MS: u64 = 7 * 24 * 3600 * 1000;

#[derive(Debug, Clone)]
pub(super) struct Renderer {
    pub(super) instance: Arc<str>,
    /// Without a slash at its end.
    pub(super) public_url: Arc<str>,
}

impl Renderer {
    fn id(&self, prefix: &str, index: usize) -> String {
        format!("{prefix}_{}{index:010}", self.instance)
    }

    pub(super) fn charge(&self, charge: &Charge) -> Value {
        let waits = charge.status == ChargeStatus::RequiresAction;
        json!({
            "id": self.id(CHARGE_PREFIX, charge.index),
            "object": "charge",
            "reference": charge.reference,
            "amount": charge.amount,
            "currency": charge.currency,
            "status": charge.status,
            "capture": charge.capture,
            "amount_captured": charge.captured,
            "amount_capturable": charge.capturable(),
            "amount_released": charge.released,
            "amount_refunded": charge.refunded,
            "amount_disputed": charge.disputed,
            "fee": charge.fee,
            "failure": charge.failure.map(failure),
            "next_action": waits.then(|| json!({ "type": "redirect", "url": self.action_url(&charge.reference) })),
            "capture_before": (!charge.capture).then(|| time(charge.created_ms.saturating_add(HELD_FOR_MS))),
            "created_at": time(charge.created_ms),
        })
    }

    fn action_url(&self, reference: &str) -> String {
        let mut url = format!("{}/actions/", self.public_url);
        url.extend(url::form_urlencoded::byte_serialize(reference.as_bytes()));
        url
    }

    pub(super) fn capture(&self, capture: &Capture) -> Value {
        json!({
            "id": self.id(CAPTURE_PREFIX, capture.index),
            "object": "capture",
            "reference": capture.reference,
            "charge": self.id(CHARGE_PREFIX, capture.charge),
            "charge_reference": capture.charge_reference,
            "amount": capture.amount,
            "currency": capture.currency,
            "status": "succeeded",
            "amount_refunded": capture.refunded,
            "amount_disputed": capture.disputed,
            "fee": capture.fee,
            "created_at": time(capture.created_ms),
        })
    }

    pub(super) fn refund(&self, refund: &Refund) -> Value {
        json!({
            "id": self.id(REFUND_PREFIX, refund.index),
            "object": "refund",
            "reference": refund.reference,
            "charge": self.id(CHARGE_PREFIX, refund.charge),
            "charge_reference": refund.charge_reference,
            "capture": refund.capture.map(|index| self.id(CAPTURE_PREFIX, index)),
            "capture_reference": refund.capture_reference,
            "amount": refund.amount,
            "currency": refund.currency,
            "status": if refund.failure.is_some() { "failed" } else { "succeeded" },
            "failure": refund.failure.map(failure),
            "created_at": time(refund.created_ms),
        })
    }

    pub(super) fn dispute(&self, dispute: &Dispute) -> Value {
        let status = match dispute.status {
            DisputeStatus::Opened => "opened",
            DisputeStatus::Won => "won",
            DisputeStatus::Lost => "lost",
        };
        json!({
            "id": self.id(DISPUTE_PREFIX, dispute.index),
            "object": "dispute",
            "reference": dispute.reference,
            "charge": self.id(CHARGE_PREFIX, dispute.charge),
            "charge_reference": dispute.charge_reference,
            "amount": dispute.amount,
            "currency": dispute.currency,
            "status": status,
            "reason": "fraudulent",
            "evidence_submitted": dispute.evidence_submitted,
            "evidence_due_by": time(dispute.created_ms.saturating_add(EVIDENCE_WITHIN_MS)),
            "created_at": time(dispute.created_ms),
        })
    }

    pub(super) fn payout(&self, payout: &Payout) -> Value {
        json!({
            "id": self.id(PAYOUT_PREFIX, payout.index),
            "object": "payout",
            "amount": whole(payout.amount),
            "currency": payout.currency,
            "status": "paid",
            "operations": payout.to - payout.from,
            "created_at": time(payout.created_ms),
        })
    }

    /// An operation at its place in the book; `seq` counts from 1.
    pub(super) fn operation(&self, index: usize, operation: &Operation) -> Value {
        json!({
            "seq": index + 1,
            "kind": operation.kind.name(),
            "reference": operation.reference,
            "charge": self.id(CHARGE_PREFIX, operation.charge),
            "charge_reference": operation.charge_reference,
            "idempotency_key": operation.key,
            "amount": operation.amount,
            "currency": operation.currency,
            "fee": operation.fee,
            "time": time(operation.at_ms),
        })
    }

    pub(super) fn event_id(&self, event: u64) -> String {
        format!("evt_{}{event:010}", self.instance)
    }

    pub(super) fn webhook(&self, hook: &Webhook) -> Value {
        let object = match &hook.snapshot {
            Snapshot::Charge(charge) => self.charge(charge),
            Snapshot::Capture(capture) => self.capture(capture),
            Snapshot::Refund(refund) => self.refund(refund),
            Snapshot::Dispute(dispute) => self.dispute(dispute),
        };
        json!({
            "id": self.event_id(hook.event),
            "type": hook.kind,
            "created_at": time(hook.at_ms),
            "data": { "object": object },
        })
    }
}

fn failure(failure: Failure) -> Value {
    json!({ "code": failure.code(), "message": failure.message(), "decline_code": failure.decline_code() })
}

/// Sums beyond 64 bits would need more money than there is; they are shown as text.
fn whole(sum: i128) -> Value {
    i64::try_from(sum).map_or_else(|_| Value::from(sum.to_string()), Value::from)
}

pub(super) fn time(at_ms: u64) -> String {
    let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(at_ms).unwrap_or(DateTime::UNIX_EPOCH).to_rfc3339_opts(SecondsFormat::Millis, true)
}
