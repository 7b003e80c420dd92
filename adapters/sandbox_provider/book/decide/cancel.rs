//! Cancelling. A reference that was not seen yet gets a tombstone, so that a charge which arrives
//! late is refused instead of taking effect after its caller has given it up.

use super::Verdict;
use crate::sandbox_provider::book::entry::{Entry, Ticket};
use crate::sandbox_provider::book::objects::ChargeStatus;
use crate::sandbox_provider::book::refusal::Refusal;
use crate::sandbox_provider::book::{CHARGE_PREFIX, State};

pub(crate) fn cancel(state: &State, ticket: Ticket, target: &str) -> Verdict {
    if let Some(charge) = state.charge(target) {
        let charge_index = charge.index;
        return match charge.status {
            ChargeStatus::Pending | ChargeStatus::RequiresAction | ChargeStatus::Authorized => {
                Verdict::answer(Entry::Cancelled { ticket, charge: charge_index })
            }
            ChargeStatus::Cancelled | ChargeStatus::Failed => {
                Verdict::answer(Entry::Unchanged { ticket, charge: charge_index })
            }
            // The rest of an authorisation was released before: doing it again changes nothing.
            ChargeStatus::Succeeded if charge.released > 0 => {
                Verdict::answer(Entry::Unchanged { ticket, charge: charge_index })
            }
            ChargeStatus::Succeeded => Verdict::refuse(ticket, Refusal::ChargeCaptured, Some(charge_index)),
        };
    }
    if let Some(capture) = state.capture(target) {
        return Verdict::refuse(ticket, Refusal::ChargeCaptured, Some(capture.charge));
    }
    // An id of ours is only ever given to a charge that exists.
    let is_own_id = target.strip_prefix(CHARGE_PREFIX).is_some_and(|rest| rest.starts_with('_'));
    if is_own_id {
        return Verdict::refuse(ticket, Refusal::ChargeNotFound, None);
    }
    if state.is_taken(target) {
        return Verdict::refuse(ticket, Refusal::ReferenceInUse, None);
    }

    Verdict::answer(Entry::Tombstoned { ticket, reference: target.into() })
}
