//! Follows the event log and keeps the agenda: what an event makes due is entered, what it ends is struck off.
//! Reads events only, no states, so that a page of a thousand costs one read and one write.

use std::collections::BTreeMap;

use commands::ports::agenda::{Change, ChangeKind};
use commands::ports::{RecordedEvent, SagaId};
use domain::payment::{Event, Payment};
use domain::{Decider, PaymentId};

/// What a page of the log means for the agenda: the last word on each saga.
pub(crate) fn changes(page: &[RecordedEvent]) -> Vec<Change> {
    let mut changes = BTreeMap::new();
    for recorded in page.iter().filter(|recorded| recorded.stream.category == Payment::CATEGORY) {
        let Ok(payment_id) = recorded.stream.id.parse::<PaymentId>() else {
            tracing::error!(position = recorded.position, "an event of a payment whose id cannot be read");
            continue;
        };
        // An event that this program cannot read makes its payment due: the look at its stream parks it and alerts.
        let meaning = match recorded.decode::<Event>() {
            Ok(event) => meaning(payment_id, &event),
            Err(_) => Some((SagaId::Payment(payment_id), ChangeKind::Due)),
        };
        if let Some((saga, kind)) = meaning {
            let metadata = if kind == ChangeKind::Due { recorded.metadata().ok() } else { None };
            changes.insert(saga, Change { saga, position: recorded.position, kind, metadata });
        }
    }
    changes.into_values().collect()
}

/// What lies between (accepted, action required, outcome unknown) is recorded by whoever works on the saga, and that
/// one says when it comes back.
fn meaning(payment_id: PaymentId, event: &Event) -> Option<(SagaId, ChangeKind)> {
    match event {
        Event::Created(_) | Event::CancellationRequested { .. } => Some((SagaId::Payment(payment_id), ChangeKind::Due)),
        Event::Captured(_) | Event::Failed(_) | Event::Cancelled { .. } | Event::Expired { .. } => {
            Some((SagaId::Payment(payment_id), ChangeKind::Finished))
        }
        Event::RefundRequested(requested) => Some((SagaId::Refund(payment_id, requested.refund_id), ChangeKind::Due)),
        Event::RefundSucceeded(succeeded) => {
            Some((SagaId::Refund(payment_id, succeeded.refund_id), ChangeKind::Finished))
        }
        Event::RefundFailed(failed) => Some((SagaId::Refund(payment_id, failed.refund_id), ChangeKind::Finished)),
        Event::ActionRequired(_)
        | Event::Accepted { .. }
        | Event::OutcomeUnknown { .. }
        | Event::FeeTruedUp(_)
        | Event::RefundAccepted { .. }
        | Event::RefundOutcomeUnknown { .. }
        | Event::RefundReversed(_)
        | Event::RefundSucceededLate(_) => None,
    }
}
