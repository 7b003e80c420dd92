//! What is decided from the first step towards the bank on: that it is being sent, that it went out, and what the bank
//! says of it. What the bank tells is a fact; it comes twice, late and out of order, so old news is no event.

use super::event::{Event, Failed, Returned};
use super::{Failure, Phase, Record, ReturnedPart, WithdrawalRejection};
use crate::Timestamp;

#[derive(Debug, Clone, PartialEq)]
pub enum TransferOutcome {
    /// The bank has taken the amount from our account.
    Paid,
    /// The bank will not make it.
    Refused(Failure),
    /// It came back after it had been paid: `amount` minor units, less than was sent if banks kept something or if it
    /// comes in parts.
    Returned {
        amount: i64,
        failure: Failure,
        /// The bank's own reference of this booking, which tells two parts of the same amount apart.
        booking: Option<String>,
    },
}

pub(super) fn start_sending(record: &Record, at: Timestamp) -> Result<Vec<Event>, WithdrawalRejection> {
    match record.phase {
        Phase::Requested | Phase::Rejected { .. } | Phase::Cancelled => return Err(WithdrawalRejection::NotApproved),
        Phase::Approved { send_not_before } if at < send_not_before => return Err(WithdrawalRejection::CoolingOff),
        Phase::Approved { .. } => {}
        _ => return Ok(vec![]),
    }

    Ok(vec![Event::SendingStarted { withdrawal_id: record.terms.withdrawal_id, started_at: at }])
}

pub(super) fn sent(record: &Record, at: Timestamp) -> Result<Vec<Event>, WithdrawalRejection> {
    match record.phase {
        Phase::Sending { .. } => {}
        Phase::Sent { .. } | Phase::Paid { .. } | Phase::Failed(_) | Phase::Returned { .. } => return Ok(vec![]),
        _ => return Err(WithdrawalRejection::NotApproved),
    }

    Ok(vec![event_sent(record, at)])
}

/// What is told says what must have come before it: that it went out, and of a return, that it was paid.
pub(super) fn record(
    record: &Record,
    outcome: TransferOutcome,
    at: Timestamp,
) -> Result<Vec<Event>, WithdrawalRejection> {
    if let TransferOutcome::Returned { amount, booking, .. } = &outcome {
        if record.has_come_back(*amount, booking.as_deref()) {
            return Ok(vec![]);
        }
        if !(1..=record.terms.amount - record.returned()).contains(amount) {
            return Err(WithdrawalRejection::ReturnOutOfRange);
        }
    }
    let mut events = match (&record.phase, &outcome) {
        (Phase::Sending { .. }, _) => vec![event_sent(record, at)],
        (Phase::Sent { .. }, _) | (Phase::Paid { .. } | Phase::Returned { .. }, TransferOutcome::Returned { .. }) => {
            vec![]
        }
        // Once the bank has paid, only money that comes back changes anything.
        (Phase::Paid { .. } | Phase::Returned { .. }, _) | (Phase::Failed(_), TransferOutcome::Refused(_)) => {
            return Ok(vec![]);
        }
        // The bank paid what it had refused. The money has left, so it is booked.
        (Phase::Failed(_), TransferOutcome::Paid | TransferOutcome::Returned { .. }) => vec![],
        (Phase::Requested | Phase::Approved { .. } | Phase::Rejected { .. } | Phase::Cancelled, _) => {
            return Err(WithdrawalRejection::NotApproved);
        }
    };

    let withdrawal_id = record.terms.withdrawal_id;
    // It goes back once, also where the bank refused, paid after all and returned.
    let fee_returned = record.terms.fee_returned() - record.fee_returned;
    match outcome {
        TransferOutcome::Paid => events.push(Event::Paid { withdrawal_id, paid_at: at }),
        TransferOutcome::Refused(failure) => {
            events.push(Event::Failed(Failed { withdrawal_id, failure, fee_returned, failed_at: at }));
        }
        TransferOutcome::Returned { amount, failure, booking } => {
            if !matches!(record.phase, Phase::Paid { .. } | Phase::Returned { .. }) {
                events.push(Event::Paid { withdrawal_id, paid_at: at });
            }
            events.push(Event::Returned(Returned {
                withdrawal_id,
                amount,
                before: record.returned(),
                booking,
                failure,
                fee_returned,
                returned_at: at,
            }));
        }
    }
    Ok(events)
}

impl Record {
    /// What has come back so far, in minor units.
    fn returned(&self) -> i64 {
        self.returns.iter().map(|part| part.amount).sum()
    }

    /// Is it a part that was told before? Where either telling has no reference, equal amounts are the same part.
    fn has_come_back(&self, amount: i64, booking: Option<&str>) -> bool {
        let is_same = |part: &ReturnedPart| match (part.booking.as_deref(), booking) {
            (Some(known), Some(told)) => known == told,
            _ => true,
        };
        self.returns.iter().any(|part| part.amount == amount && is_same(part))
    }
}

fn event_sent(record: &Record, at: Timestamp) -> Event {
    Event::Sent { withdrawal_id: record.terms.withdrawal_id, sent_at: at }
}
