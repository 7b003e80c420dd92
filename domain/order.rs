//! An order that a merchant made before it is paid: what is sold, which payments have a place in its total, and how far
//! it was delivered. A stream per merchant and order number; several payments may share the total, and together never
//! promise more than it.
//!
//! ```text
//! absent ──created──▶ open ──shipped──▶ shipped ──completed──▶ completed
//!                      │ └─ payments: place taken ─▶ paid | given back
//!                      └──cancelled──▶ cancelled
//! ```

mod event;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Created, Event, Item};
pub use rejection::OrderRejection;

use crate::invariants::Violation;
use crate::money::AMOUNT_MAX;
use crate::{Currency, Decider, MerchantId, OrderNo, PaymentId, Timestamp};

/// The most items that one order lists, and the most payments that have a place in it at once.
pub const ITEMS_MAX: usize = 200;
pub const PLACES_MAX: usize = 200;

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
    pub places: Vec<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    Open,
    Shipped,
    Completed,
    Cancelled,
}

/// A payment's part of the total, in minor units: promised at first, then what was captured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    pub payment_id: PaymentId,
    pub amount: i64,
    pub paid: bool,
}

#[derive(Debug, Clone)]
pub enum Command {
    Create(Created),
    /// A payment of this order is created.
    Take {
        payment_id: PaymentId,
        amount: i64,
        currency: Currency,
    },
    /// The payment ended without money.
    GiveBack {
        payment_id: PaymentId,
    },
    /// The payment's money came, perhaps after its place was given back: it counts all the same.
    Pay {
        payment_id: PaymentId,
        amount: i64,
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
            (Command::Take { payment_id, amount, currency }, State::Exists(record)) => {
                take(record, payment_id, amount, currency)
            }
            (Command::GiveBack { payment_id }, State::Exists(record)) => Ok(match record.place(payment_id) {
                Some(Place { paid: false, .. }) => vec![Event::PlaceGivenBack { payment_id }],
                _ => vec![],
            }),
            (Command::Pay { payment_id, amount }, State::Exists(record)) => Ok(match record.place(payment_id) {
                Some(Place { paid: true, .. }) => vec![],
                _ => vec![Event::Paid { payment_id, amount }],
            }),
            (Command::Ship { at }, State::Exists(record)) => ship(record, at),
            (Command::Complete { at }, State::Exists(record)) => match record.fulfilment {
                Fulfilment::Completed => Ok(vec![]),
                Fulfilment::Shipped => Ok(vec![Event::Completed { completed_at: at }]),
                Fulfilment::Open | Fulfilment::Cancelled => Err(OrderRejection::NotShipped),
            },
            (Command::Cancel { at }, State::Exists(record)) => cancel(record, at),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Created(terms)) => State::Exists(Box::new(Record {
                terms: (**terms).clone(),
                fulfilment: Fulfilment::Open,
                places: vec![],
            })),
            (State::Absent, _) => State::Absent,
            (State::Exists(record), event) => State::Exists(Box::new(record.evolve(event))),
        }
    }

    /// Invariant 4: what payments promise of an order stays within its total; what came too late is left out.
    fn check(state: &State) -> Result<(), Violation> {
        let State::Exists(record) = state else { return Ok(()) };
        let promised: i128 =
            record.places.iter().filter(|place| !place.paid).map(|place| i128::from(place.amount)).sum();
        if promised > i128::from(record.terms.total) {
            let (order_no, total) = (&record.terms.order_no, record.terms.total);
            return Err(Violation::of(4, format!("payments of order {order_no} promise {promised} of {total}")));
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
    let sum: i128 = terms.items.iter().map(|item| i128::from(item.quantity) * i128::from(item.unit_amount)).sum();
    if sum != i128::from(terms.total) {
        return Err(OrderRejection::TotalDiffers);
    }

    Ok(vec![Event::Created(Box::new(terms))])
}

fn take(record: &Record, payment_id: PaymentId, amount: i64, currency: Currency) -> Result<Vec<Event>, OrderRejection> {
    if record.place(payment_id).is_some_and(|place| place.amount == amount) {
        return Ok(vec![]);
    }
    if record.fulfilment == Fulfilment::Cancelled {
        return Err(OrderRejection::Cancelled);
    }
    if currency != record.terms.currency {
        return Err(OrderRejection::CurrencyDiffers);
    }
    if record.left() == 0 {
        return Err(OrderRejection::FullyPaid);
    }
    if record.places.len() >= PLACES_MAX {
        return Err(OrderRejection::TooManyPayments);
    }
    if !(1..=record.left()).contains(&amount) {
        return Err(OrderRejection::TotalExceeded);
    }

    Ok(vec![Event::PlaceTaken { payment_id, amount }])
}

fn ship(record: &Record, at: Timestamp) -> Result<Vec<Event>, OrderRejection> {
    match record.fulfilment {
        Fulfilment::Shipped | Fulfilment::Completed => return Ok(vec![]),
        Fulfilment::Cancelled => return Err(OrderRejection::Cancelled),
        Fulfilment::Open if record.paid() < record.terms.total => return Err(OrderRejection::NotPaid),
        Fulfilment::Open => {}
    }

    Ok(vec![Event::Shipped { shipped_at: at }])
}

/// Payments are cancelled or refunded first: their money is theirs to settle.
fn cancel(record: &Record, at: Timestamp) -> Result<Vec<Event>, OrderRejection> {
    match record.fulfilment {
        Fulfilment::Cancelled => return Ok(vec![]),
        Fulfilment::Shipped | Fulfilment::Completed => return Err(OrderRejection::NotCancellable),
        Fulfilment::Open if !record.places.is_empty() => return Err(OrderRejection::NotCancellable),
        Fulfilment::Open => {}
    }

    Ok(vec![Event::Cancelled { cancelled_at: at }])
}

impl Record {
    fn evolve(mut self, event: &Event) -> Record {
        match event {
            Event::Created(_) => {}
            Event::PlaceTaken { payment_id, amount } => {
                self.set(Place { payment_id: *payment_id, amount: *amount, paid: false })
            }
            Event::PlaceGivenBack { payment_id } => self.places.retain(|place| place.payment_id != *payment_id),
            Event::Paid { payment_id, amount } => {
                self.set(Place { payment_id: *payment_id, amount: *amount, paid: true })
            }
            Event::Shipped { .. } => self.fulfilment = Fulfilment::Shipped,
            Event::Completed { .. } => self.fulfilment = Fulfilment::Completed,
            Event::Cancelled { .. } => self.fulfilment = Fulfilment::Cancelled,
        }
        self
    }

    fn set(&mut self, place: Place) {
        self.places.retain(|known| known.payment_id != place.payment_id);
        self.places.push(place);
    }

    pub fn place(&self, payment_id: PaymentId) -> Option<&Place> {
        self.places.iter().find(|place| place.payment_id == payment_id)
    }

    /// Minor units that no payment has promised or brought yet; nothing once more came than was asked for.
    pub fn left(&self) -> i64 {
        (self.terms.total - self.places.iter().map(|place| place.amount).sum::<i64>()).max(0)
    }

    /// Minor units that were captured for it.
    pub fn paid(&self) -> i64 {
        self.places.iter().filter(|place| place.paid).map(|place| place.amount).sum()
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
