//! Tiers: what a merchant may move and what it pays, as data. A stream per tier; each definition is whole and holds
//! from a time on.
//!
//! ```text
//! absent --defined--> defined --defined (again, from a later time)--> defined
//! ```

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::AMOUNT_MAX;
use crate::{Decider, DomainEvent, Rejection, RejectionClass, Timestamp};

#[derive(Debug)]
pub struct Tier;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "tier.defined")]
    Defined(Terms),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierName {
    Starter,
    Business,
    Enterprise,
    Premium,
}

/// What a tier means. Amounts are minor units of USD, in which every limit is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub tier: TierName,
    pub limits: Limits,
    /// Our share of each capture: 0.003 is 0.3 %.
    pub markup_rate: Decimal,
    pub settlement_cycle: SettlementCycle,
    /// May its merchants be paid in other currencies than their own?
    pub several_currencies: bool,
    pub pre_auth: bool,
    pub api_calls_per_minute: u32,
    pub effective_from: Timestamp,
}

/// The most that is accepted, in minor units of USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub per_payment: i64,
    pub daily: i64,
    pub monthly: i64,
}

/// When a closed batch is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettlementCycle {
    /// On the next business day.
    #[serde(rename = "T+1")]
    NextBusinessDay,
    /// On the same business day, at the cut-off.
    #[serde(rename = "T+0")]
    SameBusinessDay,
    /// At the cut-off of every calendar day.
    #[serde(rename = "D+0")]
    EveryDay,
}

/// Every definition that is or will be in force, in the order of their times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    definitions: Vec<Terms>,
}

#[derive(Debug, Clone)]
pub enum Command {
    /// The first definition may begin in the past: it is what the platform starts with.
    Define { terms: Terms, at: Timestamp },
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum TierRejection {
    #[error("a limit is 1 to 999999999999999 minor units of USD, per payment at most daily, daily at most monthly")]
    InvalidLimits,
    #[error("a markup rate lies between 0 and 1 and has at most 6 decimal places")]
    InvalidMarkupRate,
    #[error("at least one call per minute must be allowed")]
    InvalidCallRate,
    #[error("a change holds from now on or from a later time, not from the past")]
    InvalidEffectiveFrom,
}

/// Definitions that are kept; older ones are in the log and in force no more.
const DEFINITIONS_MAX: usize = 64;

impl Decider for Tier {
    const CATEGORY: &'static str = "tier";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = TierRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, TierRejection> {
        let Command::Define { terms, at } = command;
        if state.definitions.contains(&terms) {
            return Ok(vec![]);
        }
        if !terms.limits.are_ordered() {
            return Err(TierRejection::InvalidLimits);
        }
        if !(Decimal::ZERO..=Decimal::ONE).contains(&terms.markup_rate) || terms.markup_rate.scale() > 6 {
            return Err(TierRejection::InvalidMarkupRate);
        }
        if terms.api_calls_per_minute == 0 {
            return Err(TierRejection::InvalidCallRate);
        }
        if !state.definitions.is_empty() && terms.effective_from < at {
            return Err(TierRejection::InvalidEffectiveFrom);
        }

        Ok(vec![Event::Defined(terms)])
    }

    fn evolve(mut state: State, event: &Event) -> State {
        let Event::Defined(terms) = event;
        state.definitions.retain(|known| known.effective_from != terms.effective_from);
        state.definitions.push(terms.clone());
        state.definitions.sort_by_key(|known| known.effective_from);
        let outdated = state.definitions.len().saturating_sub(DEFINITIONS_MAX);
        state.definitions.drain(..outdated);
        state
    }
}

impl State {
    /// What holds at `at`: the newest definition that has begun, or the first there is.
    pub fn in_force(&self, at: Timestamp) -> Option<&Terms> {
        let begun = self.definitions.iter().rev().find(|terms| terms.effective_from <= at);
        begun.or_else(|| self.definitions.first())
    }

    /// What will hold after `at`, soonest first.
    pub fn planned(&self, at: Timestamp) -> impl Iterator<Item = &Terms> {
        self.definitions.iter().filter(move |terms| terms.effective_from > at)
    }
}

impl Limits {
    /// Is each a positive amount of money, and none above the next wider one?
    pub fn are_ordered(&self) -> bool {
        1 <= self.per_payment
            && self.per_payment <= self.daily
            && self.daily <= self.monthly
            && self.monthly <= AMOUNT_MAX
    }
}

/// The smallest of `tiers` whose monthly limit leaves a fifth of it free above a month's `volume` (minor units of USD);
/// the largest if none does.
pub fn recommended<'a>(volume: i128, tiers: impl IntoIterator<Item = &'a Terms>) -> Option<TierName> {
    let mut tiers: Vec<&Terms> = tiers.into_iter().collect();
    tiers.sort_by_key(|terms| terms.limits.monthly);
    let fits = tiers.iter().find(|terms| volume * 5 <= i128::from(terms.limits.monthly) * 4);
    fits.or(tiers.last()).map(|terms| terms.tier)
}

impl TierName {
    /// From the smallest to the largest.
    pub const ALL: [TierName; 4] = [TierName::Starter, TierName::Business, TierName::Enterprise, TierName::Premium];

    pub fn as_str(&self) -> &'static str {
        match self {
            TierName::Starter => "starter",
            TierName::Business => "business",
            TierName::Enterprise => "enterprise",
            TierName::Premium => "premium",
        }
    }
}

impl fmt::Display for TierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TierName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let named = TierName::ALL.into_iter().find(|tier| tier.as_str() == text);
        named.ok_or("must be starter, business, enterprise or premium")
    }
}

impl SettlementCycle {
    pub const ALL: [SettlementCycle; 3] =
        [SettlementCycle::NextBusinessDay, SettlementCycle::SameBusinessDay, SettlementCycle::EveryDay];

    pub fn as_str(&self) -> &'static str {
        match self {
            SettlementCycle::NextBusinessDay => "T+1",
            SettlementCycle::SameBusinessDay => "T+0",
            SettlementCycle::EveryDay => "D+0",
        }
    }
}

impl FromStr for SettlementCycle {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        SettlementCycle::ALL.into_iter().find(|cycle| cycle.as_str() == text).ok_or("must be T+1, T+0 or D+0")
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("tier.defined", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Defined(_) => "tier.defined",
        }
    }
}

impl Rejection for TierRejection {
    fn code(&self) -> &'static str {
        match self {
            TierRejection::InvalidLimits => "invalid_limits",
            TierRejection::InvalidMarkupRate => "invalid_markup_rate",
            TierRejection::InvalidCallRate => "invalid_call_rate",
            TierRejection::InvalidEffectiveFrom => "invalid_effective_from",
        }
    }

    fn class(&self) -> RejectionClass {
        RejectionClass::Refused
    }

    fn retryable(&self) -> bool {
        false
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            TierRejection::InvalidLimits => Some("/limits"),
            TierRejection::InvalidMarkupRate => Some("/markup_rate"),
            TierRejection::InvalidCallRate => Some("/api_calls_per_minute"),
            TierRejection::InvalidEffectiveFrom => Some("/effective_from"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn terms(tier: TierName, monthly: i64, from: i64) -> Terms {
        Terms {
            tier,
            limits: Limits { per_payment: 10, daily: 100, monthly },
            markup_rate: Decimal::new(8, 3),
            settlement_cycle: SettlementCycle::NextBusinessDay,
            several_currencies: false,
            pre_auth: false,
            api_calls_per_minute: 100,
            effective_from: second(from),
        }
    }

    fn starter(monthly: i64, from: i64) -> Terms {
        terms(TierName::Starter, monthly, from)
    }

    fn define(state: &State, terms: Terms, at: i64) -> Result<State, TierRejection> {
        let events = Tier::decide(state, Command::Define { terms, at: second(at) })?;
        Ok(events.iter().fold(state.clone(), Tier::evolve))
    }

    #[test]
    fn a_definition_holds_from_its_time_on() {
        let seeded = define(&State::default(), starter(1_000, 0), 50).unwrap();
        let changed = define(&seeded, starter(2_000, 100), 60).unwrap();
        let moved = define(&changed, starter(3_000, 100), 70).unwrap();
        let table = [(-1, 1_000), (0, 1_000), (99, 1_000), (100, 3_000), (1_000, 3_000)];
        for (at, monthly) in table {
            assert_eq!(moved.in_force(second(at)).map(|terms| terms.limits.monthly), Some(monthly), "at {at}");
        }
        assert_eq!(moved.planned(second(99)).count(), 1);
        assert_eq!(define(&moved, starter(3_000, 100), 200), Ok(moved), "a repeat, even when its time has passed");
    }

    #[test]
    fn what_cannot_hold_is_refused() {
        let seeded = define(&State::default(), starter(1_000, 0), 50).unwrap();
        let limits = |per_payment, daily, monthly| Terms {
            limits: Limits { per_payment, daily, monthly },
            ..starter(1_000, 100)
        };
        let table = [
            (limits(0, 1, 1), TierRejection::InvalidLimits),
            (limits(2, 1, 1), TierRejection::InvalidLimits),
            (limits(1, 2, 1), TierRejection::InvalidLimits),
            (limits(1, 1, AMOUNT_MAX + 1), TierRejection::InvalidLimits),
            (Terms { markup_rate: Decimal::new(-1, 3), ..starter(1_000, 100) }, TierRejection::InvalidMarkupRate),
            (Terms { markup_rate: Decimal::new(1, 7), ..starter(1_000, 100) }, TierRejection::InvalidMarkupRate),
            (Terms { api_calls_per_minute: 0, ..starter(1_000, 100) }, TierRejection::InvalidCallRate),
            (starter(1_000, 49), TierRejection::InvalidEffectiveFrom),
        ];
        for (terms, rejection) in table {
            assert_eq!(define(&seeded, terms.clone(), 50), Err(rejection), "{terms:?}");
        }
    }

    #[test]
    fn a_tier_is_recommended_that_leaves_room() {
        let tiers = [
            terms(TierName::Premium, 100_000, 0),
            terms(TierName::Starter, 1_000, 0),
            terms(TierName::Business, 10_000, 0),
        ];
        let table = [
            (0, TierName::Starter),
            (800, TierName::Starter),
            (801, TierName::Business),
            (8_001, TierName::Premium),
            (i128::from(i64::MAX), TierName::Premium),
        ];
        for (volume, expected) in table {
            assert_eq!(recommended(volume, &tiers), Some(expected), "{volume}");
        }
    }
}
