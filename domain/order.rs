//! An order that a merchant makes before it is paid: what is sold, which payments have a place in its total, and how far
//! it was delivered. A stream per merchant and order number; several payments and pre-auths may share the total, and
//! together never promise more than it.
//!
//! ```text
//! absent ──created──▶ open ──shipped──▶ shipped ──completed──▶ completed
//!                      │ └─ places: taken ─▶ paid ─▶ refunded
//!                      │              └────▶ given back
//!                      └──cancelled──▶ cancelled
//! ```
//!
//! What a place promises, brought and sent back follows from the state of its payment in the same entry. Money that comes
//! after nobody wanted it any more is no payment of the order: it goes back by itself. What is refunded stays paid and
//! refunded; it does not make room for another payment.

mod event;
mod places;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Created, Event, Item, Payer, RefundPart, RefundRequested};
pub use places::{Brought, Money, Place, Standing};
pub use rejection::OrderRejection;

use crate::invariants::Violation;
use crate::money::AMOUNT_MAX;
use crate::{ChannelName, Currency, Decider, MerchantId, OrderNo, RefundId, Timestamp};

/// The most items that one order lists.
pub const ITEMS_MAX: usize = 100;
/// The most payments and pre-auths that one order takes, and the most refunds that it asks for: each of them makes its
/// stream and state longer.
pub const PLACES_MAX: usize = 200;
pub const REFUNDS_MAX: usize = 1_000;

#[derive(Debug)]
pub struct Order;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub terms: Created,
    pub fulfilment: Fulfilment,
    /// Oldest first, also those that were given back.
    pub places: Vec<Place>,
    /// What came, oldest first.
    pub moneys: Vec<Money>,
    /// Asked for through the order, oldest first.
    pub refunds: Vec<RefundId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    Open,
    Shipped,
    Completed,
    Cancelled,
}

/// How far an order has come, payment and delivery in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Pending,
    PartiallyPaid,
    Paid,
    PartiallyRefunded,
    Refunded,
    Shipped,
    Completed,
    Cancelled,
}

#[derive(Debug, Clone)]
pub enum Command {
    Create(Created),
    /// A payment or pre-auth of this order is created; amount in minor units.
    Take {
        payer: Payer,
        channel: ChannelName,
        amount: i64,
        currency: Currency,
    },
    /// Where a payer stands now, as often as it changes.
    Follow(Standing),
    RequestRefund {
        parts: Vec<RefundPart>,
        at: Timestamp,
    },
    Ship {
        at: Timestamp,
    },
    Complete {
        at: Timestamp,
    },
    Cancel {
        at: Timestamp,
    },
}

/// The id of the order's stream: the same as of its claim.
pub fn stream_id(merchant: MerchantId, order_no: &OrderNo) -> String {
    crate::order_claim::stream_id(merchant, order_no)
}

impl Decider for Order {
    const CATEGORY: &'static str = "order";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = OrderRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, OrderRejection> {
        match (command, state) {
            (Command::Create(terms), State::Absent) => create(terms),
            (Command::Create(terms), State::Exists(record)) if record.terms == terms => Ok(vec![]),
            (Command::Create(_), State::Exists(_)) => Err(OrderRejection::AlreadyExists),
            (_, State::Absent) => Err(OrderRejection::NotFound),
            (Command::Take { payer, channel, amount, currency }, State::Exists(record)) => {
                places::take(record, payer, channel, amount, currency)
            }
            (Command::Follow(standing), State::Exists(record)) => Ok(places::follow(record, &standing)),
            (Command::RequestRefund { parts, at }, State::Exists(record)) => places::request_refund(record, parts, at),
            (Command::Ship { at }, State::Exists(record)) => ship(record, at),
            (Command::Complete { at }, State::Exists(record)) => complete(record, at),
            (Command::Cancel { at }, State::Exists(record)) => cancel(record, at),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Created(terms)) => State::Exists(Box::new(Record {
                terms: (**terms).clone(),
                fulfilment: Fulfilment::Open,
                places: vec![],
                moneys: vec![],
                refunds: vec![],
            })),
            (State::Absent, _) => State::Absent,
            (State::Exists(record), event) => State::Exists(Box::new(record.evolve(event))),
        }
    }

    /// Invariant 4: what payments promise and have brought stays within the order's total.
    fn check(state: &State) -> Result<(), Violation> {
        let State::Exists(record) = state else { return Ok(()) };
        let taken = record.in_flight() + record.paid();
        if taken > record.terms.total {
            let (order_no, total) = (&record.terms.order_no, record.terms.total);
            return Err(Violation::of(4, format!("payments of order {order_no} take {taken} of {total}")));
        }
        Ok(())
    }
}

fn create(terms: Created) -> Result<Vec<Event>, OrderRejection> {
    if terms.items.is_empty() || terms.items.len() > ITEMS_MAX {
        return Err(OrderRejection::InvalidItems);
    }
    let valid = |item: &Item| item.quantity >= 1 && (0..=AMOUNT_MAX).contains(&item.unit_amount);
    if !terms.items.iter().all(valid) {
        return Err(OrderRejection::InvalidItem);
    }
    if !(1..=AMOUNT_MAX).contains(&terms.total) {
        return Err(OrderRejection::InvalidTotal);
    }
    if sum_of(&terms.items) != i128::from(terms.total) {
        return Err(OrderRejection::TotalDiffers);
    }

    Ok(vec![Event::Created(Box::new(terms))])
}

/// Minor units.
pub fn sum_of(items: &[Item]) -> i128 {
    items.iter().map(|item| i128::from(item.quantity) * i128::from(item.unit_amount)).sum()
}

/// What was sent out stays sent out; what went back to the customer in part may still be.
fn ship(record: &Record, at: Timestamp) -> Result<Vec<Event>, OrderRejection> {
    match record.fulfilment {
        Fulfilment::Shipped | Fulfilment::Completed => return Ok(vec![]),
        Fulfilment::Cancelled => return Err(OrderRejection::Cancelled),
        Fulfilment::Open => {}
    }
    if record.paid() < record.terms.total {
        return Err(OrderRejection::NotPaid);
    }
    if record.kept() == 0 {
        return Err(OrderRejection::Refunded);
    }

    Ok(vec![Event::Shipped { shipped_at: at }])
}

fn complete(record: &Record, at: Timestamp) -> Result<Vec<Event>, OrderRejection> {
    match record.fulfilment {
        Fulfilment::Completed => return Ok(vec![]),
        Fulfilment::Cancelled => return Err(OrderRejection::Cancelled),
        Fulfilment::Open => return Err(OrderRejection::NotShipped),
        Fulfilment::Shipped => {}
    }

    Ok(vec![Event::Completed { completed_at: at }])
}

/// Payments are cancelled or refunded first: their money is theirs to settle.
fn cancel(record: &Record, at: Timestamp) -> Result<Vec<Event>, OrderRejection> {
    match record.fulfilment {
        Fulfilment::Cancelled => return Ok(vec![]),
        Fulfilment::Shipped | Fulfilment::Completed => return Err(OrderRejection::AlreadyShipped),
        Fulfilment::Open => {}
    }
    if record.in_flight() > 0 {
        return Err(OrderRejection::PaymentInFlight);
    }
    if record.kept() > 0 {
        return Err(OrderRejection::NotRefunded);
    }

    Ok(vec![Event::Cancelled { cancelled_at: at }])
}

impl Record {
    fn evolve(mut self, event: &Event) -> Record {
        match event {
            Event::Created(_) => {}
            Event::Shipped { .. } => self.fulfilment = Fulfilment::Shipped,
            Event::Completed { .. } => self.fulfilment = Fulfilment::Completed,
            Event::Cancelled { .. } => self.fulfilment = Fulfilment::Cancelled,
            Event::RefundRequested(requested) => {
                self.refunds.extend(requested.parts.iter().map(|part| part.refund_id));
            }
            Event::PlaceTaken { .. } | Event::PlaceGivenBack { .. } | Event::Paid { .. } | Event::Refunded { .. } => {
                self.evolve_places(event)
            }
        }
        self
    }

    pub fn progress(&self) -> Progress {
        let (paid, refunded) = (self.paid(), self.refunded());
        match self.fulfilment {
            Fulfilment::Cancelled => Progress::Cancelled,
            _ if paid > 0 && refunded == paid => Progress::Refunded,
            Fulfilment::Completed => Progress::Completed,
            Fulfilment::Shipped => Progress::Shipped,
            Fulfilment::Open if refunded > 0 => Progress::PartiallyRefunded,
            Fulfilment::Open if paid >= self.terms.total => Progress::Paid,
            Fulfilment::Open if paid > 0 => Progress::PartiallyPaid,
            Fulfilment::Open => Progress::Pending,
        }
    }
}

impl Fulfilment {
    pub fn as_str(&self) -> &'static str {
        match self {
            Fulfilment::Open => "open",
            Fulfilment::Shipped => "shipped",
            Fulfilment::Completed => "completed",
            Fulfilment::Cancelled => "cancelled",
        }
    }
}

impl State {
    pub fn record(&self) -> Option<&Record> {
        match self {
            State::Absent => None,
            State::Exists(record) => Some(record),
        }
    }
}
