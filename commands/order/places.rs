//! The places of payments and pre-auths in an order, taken and followed in the entries that decide on those themselves.
//! What a payer's own state says is what counts, so nothing is told twice however often an outcome is heard.

use domain::order::{Command, Order, OrderRejection, Payer, Standing, stream_id};
use domain::payment::{self, Payment};
use domain::pre_auth::{self, PreAuth};
use domain::{ChannelName, Currency, Decider, OrderId};

use crate::ports::{Expected, NewEvent, StreamRef, StreamState, nth_state};

/// A place in an order that was made before; nothing where the order's number alone makes the order.
pub(crate) struct Placed {
    pub order_id: Option<OrderId>,
    pub events: Vec<NewEvent>,
}

/// Takes a place in the order that is the `index`-th stream. Amount in minor units.
pub(crate) fn place(
    states: &[StreamState],
    index: usize,
    payer: Payer,
    channel: &ChannelName,
    (amount, currency): (i64, Currency),
) -> Result<Placed, OrderRejection> {
    let state = nth_state::<Order>(states, index);
    let Some(record) = state.record() else { return Ok(Placed { order_id: None, events: vec![] }) };
    let taken = Order::decide(state, Command::Take { payer, channel: channel.clone(), amount, currency })?;

    let events = taken.into_iter().map(|event| NewEvent::of(index, event)).collect();
    Ok(Placed { order_id: Some(record.terms.order_id), events })
}

/// The stream of the order that the payment has a place in; none if it has none.
pub(crate) fn stream_of(terms: &payment::Created) -> Option<StreamRef> {
    let stream = || StreamRef::new::<Order>(stream_id(terms.merchant_id, &terms.order_no), Expected::Any);
    terms.order_id.map(|_| stream())
}

/// The same for a pre-auth.
pub(crate) fn stream_of_pre_auth(terms: &pre_auth::Created) -> Option<StreamRef> {
    let stream = || StreamRef::new::<Order>(stream_id(terms.merchant_id, &terms.order_no), Expected::Any);
    terms.order_id.map(|_| stream())
}

/// What `events` of the payment, which is the first stream, mean for its order, which is the `index`-th if it has one.
/// `open` is what the pre-auth that it captures may still bring, where that is told.
pub(crate) fn followed(
    states: &[StreamState],
    index: usize,
    events: &[payment::Event],
    open: Option<i64>,
) -> Vec<NewEvent> {
    let after = events.iter().fold(nth_state::<Payment>(states, 0).clone(), Payment::evolve);
    let Some(record) = after.record().filter(|record| record.terms.order_id.is_some()) else { return vec![] };
    let standing = match record.terms.pre_auth_id {
        Some(pre_auth_id) => Standing { payer: Payer::PreAuth(pre_auth_id), open, brought: record.brought() },
        None => Standing {
            payer: Payer::Payment(record.payment_id()),
            open: Some(record.open_amount()),
            brought: record.brought(),
        },
    };
    follow(states, index, standing)
}

/// What `events` of the pre-auth mean for its order, `states` holding them at these places.
pub(crate) fn followed_pre_auth(
    states: &[StreamState],
    (pre_auth, order): (usize, usize),
    events: &[pre_auth::Event],
) -> Vec<NewEvent> {
    let after = events.iter().fold(nth_state::<PreAuth>(states, pre_auth).clone(), PreAuth::evolve);
    let Some(record) = after.record().filter(|record| record.terms.order_id.is_some()) else { return vec![] };
    let payer = Payer::PreAuth(record.terms.pre_auth_id);
    follow(states, order, Standing { payer, open: Some(record.open_amount()), brought: None })
}

/// A fact: the order has nothing to refuse.
fn follow(states: &[StreamState], index: usize, standing: Standing) -> Vec<NewEvent> {
    let followed = Order::decide(nth_state::<Order>(states, index), Command::Follow(standing)).unwrap_or_default();
    followed.into_iter().map(|event| NewEvent::of(index, event)).collect()
}
