//! A merchant: whether it may take payments, its tier from when on, and what was agreed with it.
//!
//! ```text
//!                        suspended                 closed
//! absent --onboarded--> active <-----------> suspended -------> closed
//!                          |   activated                          ^
//!                          +--------------------------------------+
//! ```

mod agreement;
mod event;
mod in_force;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use agreement::{Agreement, Changes, Features, OwnLimits, ReservePlan, Thresholds};
pub use event::{Event, Terms, TermsChanged, TierChanged};
pub use in_force::InForce;
pub use rejection::MerchantRejection;

use crate::tier::TierName;
use crate::{Decider, MerchantId, Timestamp, calendar};

#[derive(Debug)]
pub struct Merchant;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

/// A merchant that was onboarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub merchant_id: MerchantId,
    pub name: String,
    pub status: Status,
    /// The tier in force, and those that are agreed for later, soonest first. Never empty.
    tiers: Vec<TierFrom>,
    pub agreement: Agreement,
    pub onboarded_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierFrom {
    pub tier: TierName,
    pub effective_from: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    /// Takes no new payments, pre-authorisations or withdrawals; what was begun goes on, refunds too.
    Suspended,
    /// As suspended, for good.
    Closed,
}

#[derive(Debug, Clone)]
pub enum Command {
    Onboard(Terms),
    /// Without a time, from now on.
    ChangeTier {
        tier: TierName,
        effective_from: Option<Timestamp>,
        at: Timestamp,
    },
    ChangeTerms {
        changes: Box<Changes>,
        at: Timestamp,
    },
    Suspend {
        at: Timestamp,
    },
    Activate {
        at: Timestamp,
    },
    Close {
        at: Timestamp,
    },
}

impl Decider for Merchant {
    const CATEGORY: &'static str = "merchant";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = MerchantRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, MerchantRejection> {
        let record = match (&command, state) {
            (Command::Onboard(terms), State::Absent) => return onboard(terms.clone()),
            (_, State::Absent) => return Err(MerchantRejection::NotFound),
            (_, State::Exists(record)) => record,
        };
        match command {
            Command::Onboard(terms) if **record == Record::of(&terms) => Ok(vec![]),
            Command::Onboard(_) => Err(MerchantRejection::AlreadyOnboarded),
            Command::Close { at } => close(record, at),
            _ if record.status == Status::Closed => Err(MerchantRejection::Closed),
            Command::ChangeTier { tier, effective_from, at } => change_tier(record, tier, effective_from, at),
            Command::ChangeTerms { changes, at } => change_terms(record, *changes, at),
            Command::Suspend { at } => suspend(record, at),
            Command::Activate { at } => activate(record, at),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Onboarded(terms)) => State::Exists(Box::new(Record::of(terms))),
            (State::Exists(mut record), event) => {
                record.evolve(event);
                State::Exists(record)
            }
            (State::Absent, _) => State::Absent,
        }
    }
}

fn onboard(terms: Terms) -> Result<Vec<Event>, MerchantRejection> {
    if !(1..=200).contains(&terms.name.trim().chars().count()) || terms.name.chars().any(char::is_control) {
        return Err(MerchantRejection::InvalidName);
    }
    if terms.time_zone.as_ref().is_some_and(|time_zone| !calendar::is_known(time_zone)) {
        return Err(MerchantRejection::InvalidTimeZone);
    }

    Ok(vec![Event::Onboarded(terms)])
}

fn change_tier(
    record: &Record,
    tier: TierName,
    effective_from: Option<Timestamp>,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantRejection> {
    let effective_from = effective_from.unwrap_or(at);
    if effective_from < at {
        return Err(MerchantRejection::InvalidEffectiveFrom);
    }
    let from = record.tier_at(effective_from);
    let nothing_later = record.tiers.iter().all(|known| known.effective_from <= effective_from);
    if from == tier && nothing_later {
        return Ok(vec![]);
    }

    Ok(vec![Event::TierChanged(TierChanged {
        merchant_id: record.merchant_id,
        from,
        tier,
        effective_from,
        changed_at: at,
    })])
}

fn change_terms(record: &Record, changes: Changes, at: Timestamp) -> Result<Vec<Event>, MerchantRejection> {
    let agreement = changes.applied_to(&record.agreement);
    agreement.validate()?;
    if agreement == record.agreement {
        return Ok(vec![]);
    }

    Ok(vec![Event::TermsChanged(Box::new(TermsChanged { merchant_id: record.merchant_id, agreement, changed_at: at }))])
}

fn suspend(record: &Record, at: Timestamp) -> Result<Vec<Event>, MerchantRejection> {
    Ok(match record.status {
        Status::Active => vec![Event::Suspended { merchant_id: record.merchant_id, suspended_at: at }],
        Status::Suspended | Status::Closed => vec![],
    })
}

fn activate(record: &Record, at: Timestamp) -> Result<Vec<Event>, MerchantRejection> {
    Ok(match record.status {
        Status::Suspended => vec![Event::Activated { merchant_id: record.merchant_id, activated_at: at }],
        Status::Active | Status::Closed => vec![],
    })
}

fn close(record: &Record, at: Timestamp) -> Result<Vec<Event>, MerchantRejection> {
    Ok(match record.status {
        Status::Active | Status::Suspended => {
            vec![Event::Closed { merchant_id: record.merchant_id, closed_at: at }]
        }
        Status::Closed => vec![],
    })
}

impl State {
    pub fn record(&self) -> Option<&Record> {
        match self {
            State::Absent => None,
            State::Exists(record) => Some(record),
        }
    }
}

impl Record {
    fn of(terms: &Terms) -> Record {
        Record {
            merchant_id: terms.merchant_id,
            name: terms.name.clone(),
            status: Status::Active,
            tiers: vec![TierFrom { tier: terms.tier, effective_from: terms.onboarded_at }],
            agreement: Agreement::of(terms),
            onboarded_at: terms.onboarded_at,
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Onboarded(_) => {}
            Event::TierChanged(changed) => self.change_tier(changed),
            Event::TermsChanged(changed) => self.agreement = changed.agreement.clone(),
            Event::Suspended { .. } => self.status = Status::Suspended,
            Event::Activated { .. } => self.status = Status::Active,
            Event::Closed { .. } => self.status = Status::Closed,
        }
    }

    /// A change replaces whatever was agreed for its time or later; what is in force no more is forgotten.
    fn change_tier(&mut self, changed: &TierChanged) {
        let in_force = TierFrom { tier: self.tier_at(changed.changed_at), ..self.tiers[0] };
        self.tiers
            .retain(|known| changed.changed_at < known.effective_from && known.effective_from < changed.effective_from);
        self.tiers.insert(0, in_force);
        self.tiers.push(TierFrom { tier: changed.tier, effective_from: changed.effective_from });
    }

    pub fn tier_at(&self, at: Timestamp) -> TierName {
        let begun = self.tiers.iter().rev().find(|known| known.effective_from <= at);
        begun.unwrap_or(&self.tiers[0]).tier
    }

    /// The change that comes next after `at`.
    pub fn next_tier(&self, at: Timestamp) -> Option<TierFrom> {
        self.tiers.iter().find(|known| known.effective_from > at).copied()
    }

    pub fn may_begin_new_business(&self) -> bool {
        self.status == Status::Active
    }
}

impl Status {
    pub fn as_str(&self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Suspended => "suspended",
            Status::Closed => "closed",
        }
    }
}
