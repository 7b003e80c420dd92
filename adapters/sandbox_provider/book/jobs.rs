//! What the provider does by itself, a while after its cause. A job names its object only; whether
//! there is still something to do is decided when it fires, so firing twice is harmless.

use super::State;
use super::entry::Entry;
use super::objects::{ChargeStatus, DisputeStatus};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Job {
    /// The result of an asynchronous charge.
    ResolveCharge {
        charge: usize,
    },
    ReverseRefund {
        refund: usize,
    },
    OpenDispute {
        charge: usize,
        capture: Option<usize>,
    },
    CloseDispute {
        dispute: usize,
        won: bool,
    },
}

/// The entry that a due job becomes, or none if the state says that it is done or moot.
pub(crate) fn fire(state: &State, job: Job) -> Option<Entry> {
    match job {
        Job::ResolveCharge { charge } => {
            let found = state.charges.get(charge)?;
            let status = if found.capture { ChargeStatus::Succeeded } else { ChargeStatus::Authorized };
            (found.status == ChargeStatus::Pending).then_some(Entry::Resolved { charge, status, failure: None })
        }
        Job::ReverseRefund { refund } => {
            let found = state.refunds.get(refund)?;
            found.failure.is_none().then_some(Entry::RefundReversed { refund })
        }
        Job::OpenDispute { charge, capture } => open_dispute(state, charge, capture),
        Job::CloseDispute { dispute, won } => {
            let found = state.disputes.get(dispute)?;
            let is_open = found.status == DisputeStatus::Opened;
            is_open.then_some(Entry::DisputeClosed { ticket: None, dispute, won })
        }
    }
}

/// A dispute takes what no refund has given back yet; nothing left means no dispute.
fn open_dispute(state: &State, charge: usize, capture: Option<usize>) -> Option<Entry> {
    let found = state.charges.get(charge)?;
    let (amount, is_opened) = match capture {
        None => (found.refundable(), found.dispute_opened),
        Some(index) => {
            let part = state.captures.get(index)?;
            (part.refundable().min(found.refundable()), part.dispute_opened)
        }
    };
    (amount > 0 && !is_opened).then_some(Entry::DisputeOpened { charge, capture, amount })
}
