//! What a payment reserves of its merchant's limits, and gives back in the same entry as its outcome. The state of the
//! payment says how much that is, so nothing is given back twice however often an outcome is told.

use domain::merchant::InForce;
use domain::merchant_limits::{self, Command, LimitRejection, MerchantLimits, Reserve, stream_id};
use domain::payment::{Created, Event, Payment, State};
use domain::{Decider, MerchantId, Money};

use crate::merchant::standing::Standing;
use crate::ports::{Expected, NewEvent, StreamRef, StreamState, nth_state};

/// The stream in which a merchant's local day is counted.
pub(crate) fn stream_of_day(merchant_id: MerchantId, day: chrono::NaiveDate) -> StreamRef {
    StreamRef::new::<MerchantLimits>(stream_id(merchant_id, day), Expected::Any)
}

/// The stream in which the payment's reservation stands; none if it has no reservation.
pub(super) fn stream_of(terms: &Created) -> Option<StreamRef> {
    terms.limit.map(|limit| stream_of_day(terms.merchant_id, limit.reserved_on))
}

/// The reservation of a payment that is being created, in the `index`-th stream. What is no amount of money reserves
/// nothing: it is the payment's own to refuse.
pub(crate) fn reserved(
    states: &[StreamState],
    index: usize,
    (standing, in_force): (&Standing, &InForce),
    terms: &Created,
) -> Result<Vec<merchant_limits::Event>, LimitRejection> {
    let Ok(amount) = Money::new(terms.amount, terms.currency) else { return Ok(vec![]) };
    let reserve = Reserve {
        merchant_id: terms.merchant_id,
        payment_id: terms.payment_id,
        day: standing.day(),
        amount: terms.amount,
        currency: terms.currency,
        in_usd: standing.in_usd(states, amount)?,
        limits: in_force.limits,
    };
    MerchantLimits::decide(nth_state::<MerchantLimits>(states, index), Command::Reserve(reserve))
}

/// What `events` of the payment, which is the first stream, change of its reservation in the `index`-th.
pub(super) fn adjusted(states: &[StreamState], index: usize, events: &[Event]) -> Vec<NewEvent> {
    let state = nth_state::<Payment>(states, 0);
    let Some(record) = state.record() else { return vec![] };
    let Some(limit) = record.terms.limit else { return vec![] };
    let held = |state: &State| state.record().map_or(0, |record| record.limit_held());
    let after = events.iter().fold(state.clone(), Payment::evolve);
    let adjust = Command::Adjust {
        merchant_id: record.terms.merchant_id,
        payment_id: record.payment_id(),
        reserved_on: limit.reserved_on,
        before: held(state),
        after: held(&after),
    };
    let decided = MerchantLimits::decide(nth_state::<MerchantLimits>(states, index), adjust);
    decided.unwrap_or_default().into_iter().map(|event| NewEvent::of(index, event)).collect()
}
