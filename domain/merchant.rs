//! A merchant and its terms.
//!
//! ```text
//! absent --onboarded--> active
//! ```

use serde::{Deserialize, Serialize};

use crate::pricing::{Pricing, PricingModel, RefundFeePolicy, Tier};
use crate::{Currency, Decider, DomainEvent, MerchantId, Rejection, RejectionClass, TimeZone, Timestamp};

#[derive(Debug)]
pub struct Merchant;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "merchant.onboarded")]
    Onboarded(Terms),
}

/// What was agreed with the merchant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    pub merchant_id: MerchantId,
    pub name: String,
    pub tier: Tier,
    pub pricing_model: PricingModel,
    pub refund_fee_policy: RefundFeePolicy,
    /// What the merchant reckons in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_currency: Option<Currency>,
    /// Where its business day begins and ends; UTC without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZone>,
    pub onboarded_at: Timestamp,
}

impl Terms {
    /// The pricing that a payment created now is fixed to.
    pub fn pricing(&self) -> Pricing {
        Pricing {
            model: self.pricing_model,
            markup_rate: self.tier.markup_rate(),
            refund_fee_policy: self.refund_fee_policy,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Active(Terms),
}

impl State {
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            State::Absent => None,
            State::Active(terms) => Some(terms),
        }
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Onboard(Terms),
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum MerchantRejection {
    #[error("this merchant id is taken")]
    AlreadyOnboarded,
    #[error("a name has 1 to 200 characters and no control characters")]
    InvalidName,
}

impl Decider for Merchant {
    const CATEGORY: &'static str = "merchant";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = MerchantRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, MerchantRejection> {
        let Command::Onboard(terms) = command;
        match state {
            State::Active(existing) if *existing == terms => return Ok(vec![]),
            State::Active(_) => return Err(MerchantRejection::AlreadyOnboarded),
            State::Absent => {}
        }
        if !(1..=200).contains(&terms.name.trim().chars().count()) || terms.name.chars().any(char::is_control) {
            return Err(MerchantRejection::InvalidName);
        }

        Ok(vec![Event::Onboarded(terms)])
    }

    fn evolve(_: State, event: &Event) -> State {
        match event {
            Event::Onboarded(terms) => State::Active(terms.clone()),
        }
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("merchant.onboarded", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Onboarded(_) => "merchant.onboarded",
        }
    }
}

impl Rejection for MerchantRejection {
    fn code(&self) -> &'static str {
        match self {
            MerchantRejection::AlreadyOnboarded => "merchant_already_onboarded",
            MerchantRejection::InvalidName => "invalid_merchant_name",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            MerchantRejection::AlreadyOnboarded => RejectionClass::Conflict,
            MerchantRejection::InvalidName => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        false
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            MerchantRejection::AlreadyOnboarded => None,
            MerchantRejection::InvalidName => Some("/name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn terms(name: &str) -> Terms {
        Terms {
            merchant_id: MerchantId::from_uuid(Uuid::nil()),
            name: name.to_owned(),
            tier: Tier::Starter,
            pricing_model: PricingModel::CostPlus,
            refund_fee_policy: RefundFeePolicy::Retain,
            home_currency: None,
            time_zone: None,
            onboarded_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_merchant_is_onboarded_once() {
        let onboarded = State::Active(terms("Acme"));
        let table = [
            (State::Absent, "Acme", Ok(1)),
            (onboarded.clone(), "Acme", Ok(0)),
            (onboarded, "Other", Err(MerchantRejection::AlreadyOnboarded)),
            (State::Absent, " ", Err(MerchantRejection::InvalidName)),
            (State::Absent, "a\nb", Err(MerchantRejection::InvalidName)),
        ];
        for (state, name, expected) in table {
            let decided = Merchant::decide(&state, Command::Onboard(terms(name))).map(|events| events.len());
            assert_eq!(decided, expected, "{name:?}");
        }
    }
}
