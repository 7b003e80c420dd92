//! The strict reservation of a merchant's `order_no`: a stream per merchant and order number.
//!
//! ```text
//! free --claimed--> held by one payment --released--> free
//! ```

use serde::{Deserialize, Serialize};

use crate::{Decider, DomainEvent, MerchantId, OrderNo, PaymentId, Rejection, RejectionClass};

#[derive(Debug)]
pub struct OrderClaim;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "order_claim.claimed")]
    Claimed { merchant_id: MerchantId, order_no: OrderNo, payment_id: PaymentId },
    #[serde(rename = "order_claim.released")]
    Released { payment_id: PaymentId },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Free,
    HeldBy(PaymentId),
}

#[derive(Debug, Clone)]
pub enum Command {
    Claim {
        merchant_id: MerchantId,
        order_no: OrderNo,
        payment_id: PaymentId,
    },
    /// Only the holder's release counts: a payment that ended late must not free another one's claim.
    Release {
        payment_id: PaymentId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum OrderClaimRejection {
    #[error("another payment of this order is processing, waiting for the customer, or has succeeded")]
    OrderNoInUse,
}

/// The id of the claim's stream.
pub fn stream_id(merchant: MerchantId, order_no: &OrderNo) -> String {
    format!("{merchant}:{order_no}")
}

impl Decider for OrderClaim {
    const CATEGORY: &'static str = "order_claim";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = OrderClaimRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, OrderClaimRejection> {
        match (command, state) {
            (Command::Claim { merchant_id, order_no, payment_id }, State::Free) => {
                Ok(vec![Event::Claimed { merchant_id, order_no, payment_id }])
            }
            (Command::Claim { payment_id, .. }, State::HeldBy(holder)) if *holder == payment_id => Ok(vec![]),
            (Command::Claim { .. }, State::HeldBy(_)) => Err(OrderClaimRejection::OrderNoInUse),
            (Command::Release { payment_id }, State::HeldBy(holder)) if *holder == payment_id => {
                Ok(vec![Event::Released { payment_id }])
            }
            (Command::Release { .. }, _) => Ok(vec![]),
        }
    }

    fn evolve(_: State, event: &Event) -> State {
        match event {
            Event::Claimed { payment_id, .. } => State::HeldBy(*payment_id),
            Event::Released { .. } => State::Free,
        }
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("order_claim.claimed", 1), ("order_claim.released", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Claimed { .. } => "order_claim.claimed",
            Event::Released { .. } => "order_claim.released",
        }
    }
}

impl Rejection for OrderClaimRejection {
    fn code(&self) -> &'static str {
        match self {
            OrderClaimRejection::OrderNoInUse => "order_no_in_use",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            OrderClaimRejection::OrderNoInUse => RejectionClass::Conflict,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            OrderClaimRejection::OrderNoInUse => true,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            OrderClaimRejection::OrderNoInUse => Some("/order_no"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn payment(n: u128) -> PaymentId {
        PaymentId::from_uuid(Uuid::from_u128(n))
    }

    fn claim(payment_id: PaymentId) -> Command {
        Command::Claim { merchant_id: MerchantId::from_uuid(Uuid::nil()), order_no: "A-1".parse().unwrap(), payment_id }
    }

    fn check(state: State, command: Command, expected: Result<State, OrderClaimRejection>) {
        let end = OrderClaim::decide(&state, command).map(|events| events.iter().fold(state, OrderClaim::evolve));
        assert_eq!(end, expected);
    }

    #[test]
    fn one_payment_holds_an_order_number() {
        let (first, second) = (payment(1), payment(2));
        check(State::Free, claim(first), Ok(State::HeldBy(first)));
        check(State::HeldBy(first), claim(first), Ok(State::HeldBy(first)));
        check(State::HeldBy(first), claim(second), Err(OrderClaimRejection::OrderNoInUse));
        check(State::HeldBy(first), Command::Release { payment_id: second }, Ok(State::HeldBy(first)));
        check(State::HeldBy(first), Command::Release { payment_id: first }, Ok(State::Free));
        check(State::Free, Command::Release { payment_id: first }, Ok(State::Free));
    }
}
