//! The strict reservation of a merchant's `order_no`: a stream per merchant and order number.
//!
//! ```text
//! free --claimed--> held by one payment or pre-auth --released--> free
//!   └---claimed--> held by an order for good
//! ```
//!
//! The captures of a pre-auth claim nothing of their own: they share its place. Nor do the payments of an order that was
//! made before them: its own stream (`order.rs`) says which of them it takes.

use serde::{Deserialize, Serialize};

use crate::{Decider, DomainEvent, MerchantId, OrderId, OrderNo, PaymentId, PreAuthId, Rejection, RejectionClass};

#[derive(Debug)]
pub struct OrderClaim;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "order_claim.claimed")]
    Claimed {
        merchant_id: MerchantId,
        order_no: OrderNo,
        #[serde(flatten)]
        holder: Holder,
    },
    #[serde(rename = "order_claim.released")]
    Released(Holder),
}

/// Who has the order's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    #[serde(rename = "payment_id")]
    Payment(PaymentId),
    #[serde(rename = "pre_auth_id")]
    PreAuth(PreAuthId),
    #[serde(rename = "order_id")]
    Order(OrderId),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Free,
    HeldBy(Holder),
}

#[derive(Debug, Clone)]
pub enum Command {
    Claim {
        merchant_id: MerchantId,
        order_no: OrderNo,
        holder: Holder,
    },
    /// Only the holder's release counts: a payment that ended late must not free another one's claim.
    Release {
        holder: Holder,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum OrderClaimRejection {
    #[error(
        "the order number is held by an order or a pre-auth, or by a payment that is processing, waits for the customer, or has succeeded"
    )]
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
            (Command::Claim { merchant_id, order_no, holder }, State::Free) => {
                Ok(vec![Event::Claimed { merchant_id, order_no, holder }])
            }
            (Command::Claim { holder, .. }, State::HeldBy(held_by)) if *held_by == holder => Ok(vec![]),
            (Command::Claim { .. }, State::HeldBy(_)) => Err(OrderClaimRejection::OrderNoInUse),
            (Command::Release { holder }, State::HeldBy(held_by)) if *held_by == holder => {
                Ok(vec![Event::Released(holder)])
            }
            (Command::Release { .. }, _) => Ok(vec![]),
        }
    }

    fn evolve(_: State, event: &Event) -> State {
        match event {
            Event::Claimed { holder, .. } => State::HeldBy(*holder),
            Event::Released(_) => State::Free,
        }
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("order_claim.claimed", 1), ("order_claim.released", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Claimed { .. } => "order_claim.claimed",
            Event::Released(_) => "order_claim.released",
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

    fn payment(n: u128) -> Holder {
        Holder::Payment(PaymentId::from_uuid(Uuid::from_u128(n)))
    }

    fn claim(holder: Holder) -> Command {
        Command::Claim { merchant_id: MerchantId::from_uuid(Uuid::nil()), order_no: "A-1".parse().unwrap(), holder }
    }

    fn check(state: State, command: Command, expected: Result<State, OrderClaimRejection>) {
        let end = OrderClaim::decide(&state, command).map(|events| events.iter().fold(state, OrderClaim::evolve));
        assert_eq!(end, expected);
    }

    #[test]
    fn one_payment_or_pre_auth_holds_an_order_number() {
        let pre_auth = Holder::PreAuth(PreAuthId::from_uuid(Uuid::from_u128(1)));
        let order = Holder::Order(OrderId::from_uuid(Uuid::from_u128(1)));
        let pairs = [(payment(1), payment(2)), (pre_auth, payment(1)), (payment(1), pre_auth), (order, payment(1))];
        for (first, second) in pairs.into_iter().chain([(payment(1), order), (order, pre_auth)]) {
            one_holds(first, second);
        }
    }

    fn one_holds(first: Holder, second: Holder) {
        check(State::Free, claim(first), Ok(State::HeldBy(first)));
        check(State::HeldBy(first), claim(first), Ok(State::HeldBy(first)));
        check(State::HeldBy(first), claim(second), Err(OrderClaimRejection::OrderNoInUse));
        check(State::HeldBy(first), Command::Release { holder: second }, Ok(State::HeldBy(first)));
        check(State::HeldBy(first), Command::Release { holder: first }, Ok(State::Free));
        check(State::Free, Command::Release { holder: first }, Ok(State::Free));
    }
    #[test]
    fn a_holder_stands_in_an_event_under_its_own_name() {
        let table = [
            (payment(1), r#"{"order_claim.released":{"payment_id":"pay_00000000000000000000000001"}}"#),
            (
                Holder::PreAuth(PreAuthId::from_uuid(Uuid::from_u128(1))),
                r#"{"order_claim.released":{"pre_auth_id":"pa_00000000000000000000000001"}}"#,
            ),
        ];
        for (holder, text) in table {
            assert_eq!(serde_json::to_string(&Event::Released(holder)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Event>(text).unwrap(), Event::Released(holder));
        }
    }
}
