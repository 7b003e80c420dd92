//! A merchant's account at a bank that withdrawals go to. Its id is derived from a keyed hash of what it is, so the same
//! account is recognised while its number stays sealed.
//!
//! ```text
//! absent --registered--> waits for approval --approved--> usable once it has cooled off
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BankAccountId, Decider, DomainEvent, MerchantId, Rejection, RejectionClass, Sealed, Timestamp};

#[derive(Debug)]
pub struct BankAccount;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "bank_account.registered")]
    Registered(Registered),
    #[serde(rename = "bank_account.approved")]
    Approved(Approved),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    pub bank_account_id: BankAccountId,
    pub merchant_id: MerchantId,
    /// Number, bank and holder as first told; withdrawals go to what is told here.
    pub sealed: Sealed,
    /// The principal who named the account first.
    pub registered_by: String,
    pub registered_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approved {
    pub bank_account_id: BankAccountId,
    pub merchant_id: MerchantId,
    pub approved_by: String,
    pub approved_at: Timestamp,
    /// Nothing is sent to the account before: time for the merchant to notice an account that is not its own.
    pub usable_from: Timestamp,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub terms: Registered,
    pub approval: Option<Approved>,
}

#[derive(Debug, Clone)]
pub enum Command {
    /// An account that is known already stays as it was registered first.
    Register(Registered),
    Approve {
        /// The principal who approves.
        by: String,
        cooling_off: Duration,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BankAccountRejection {
    #[error("there is no such bank account")]
    NotFound,
    #[error("whoever named the account cannot approve it")]
    ApproverIsRequester,
}

impl Decider for BankAccount {
    const CATEGORY: &'static str = "bank_account";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = BankAccountRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, BankAccountRejection> {
        match (command, state) {
            (Command::Register(terms), State::Absent) => Ok(vec![Event::Registered(terms)]),
            (Command::Register(_), State::Exists(_)) => Ok(vec![]),
            (Command::Approve { .. }, State::Absent) => Err(BankAccountRejection::NotFound),
            (Command::Approve { by, cooling_off, at }, State::Exists(record)) => approve(record, by, cooling_off, at),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Registered(terms)) => {
                State::Exists(Box::new(Record { terms: terms.clone(), approval: None }))
            }
            (State::Exists(mut record), Event::Approved(approved)) => {
                record.approval = Some(approved.clone());
                State::Exists(record)
            }
            (state, _) => state,
        }
    }
}

fn approve(
    record: &Record,
    by: String,
    cooling_off: Duration,
    at: Timestamp,
) -> Result<Vec<Event>, BankAccountRejection> {
    if record.approval.is_some() {
        return Ok(vec![]);
    }
    if by == record.terms.registered_by {
        return Err(BankAccountRejection::ApproverIsRequester);
    }

    Ok(vec![Event::Approved(Approved {
        bank_account_id: record.terms.bank_account_id,
        merchant_id: record.terms.merchant_id,
        approved_by: by,
        approved_at: at,
        usable_from: at.plus(cooling_off),
    })])
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
    pub fn status(&self) -> BankAccountStatus {
        match self.approval {
            None => BankAccountStatus::Requested,
            Some(_) => BankAccountStatus::Approved,
        }
    }
}

/// What people see of it. From when on an approved account is used stands beside it: a status does not change by
/// itself as time goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankAccountStatus {
    Requested,
    Approved,
}

impl BankAccountStatus {
    pub const ALL: [BankAccountStatus; 2] = [BankAccountStatus::Requested, BankAccountStatus::Approved];

    pub fn as_str(&self) -> &'static str {
        match self {
            BankAccountStatus::Requested => "requested",
            BankAccountStatus::Approved => "approved",
        }
    }
}

impl std::str::FromStr for BankAccountStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        BankAccountStatus::ALL.into_iter().find(|status| status.as_str() == text).ok_or("must be requested or approved")
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("bank_account.registered", 1), ("bank_account.approved", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Registered(_) => "bank_account.registered",
            Event::Approved(_) => "bank_account.approved",
        }
    }
}

impl Rejection for BankAccountRejection {
    fn code(&self) -> &'static str {
        match self {
            BankAccountRejection::NotFound => "bank_account_not_found",
            BankAccountRejection::ApproverIsRequester => "approver_is_requester",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            BankAccountRejection::NotFound => RejectionClass::NotFound,
            BankAccountRejection::ApproverIsRequester => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            BankAccountRejection::NotFound | BankAccountRejection::ApproverIsRequester => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn terms(data: &str, by: &str) -> Registered {
        Registered {
            bank_account_id: BankAccountId::from_uuid(Uuid::from_u128(1)),
            merchant_id: MerchantId::from_uuid(Uuid::from_u128(2)),
            sealed: Sealed { key: "k".into(), nonce: "n".into(), data: data.into() },
            registered_by: by.to_owned(),
            registered_at: at(0),
        }
    }

    fn approve(by: &str, at_seconds: i64) -> Command {
        Command::Approve { by: by.to_owned(), cooling_off: Duration::from_secs(86_400), at: at(at_seconds) }
    }

    fn given(commands: impl IntoIterator<Item = Command>) -> State {
        commands.into_iter().fold(State::Absent, |state, command| {
            let events = BankAccount::decide(&state, command).unwrap();
            events.iter().fold(state, BankAccount::evolve)
        })
    }

    #[test]
    fn an_account_is_registered_once_and_approved_by_another() {
        let registered = given([Command::Register(terms("first", "merchant"))]);
        let approved = given([Command::Register(terms("first", "merchant")), approve("finance", 10)]);
        let table = [
            (State::Absent, approve("finance", 10), Err(BankAccountRejection::NotFound)),
            (State::Absent, Command::Register(terms("first", "merchant")), Ok(registered.clone())),
            (registered.clone(), Command::Register(terms("second", "other")), Ok(registered.clone())),
            (registered.clone(), approve("merchant", 10), Err(BankAccountRejection::ApproverIsRequester)),
            (registered, approve("finance", 10), Ok(approved.clone())),
            (approved.clone(), approve("merchant", 20), Ok(approved.clone())),
            (approved.clone(), Command::Register(terms("third", "other")), Ok(approved.clone())),
        ];
        for (state, command, expected) in table {
            let told = format!("{command:?}");
            let end = BankAccount::decide(&state, command).map(|events| events.iter().fold(state, BankAccount::evolve));
            assert_eq!(end, expected, "{told}");
        }
        let approval = approved.record().and_then(|record| record.approval.clone()).unwrap();
        assert_eq!((approval.approved_at, approval.usable_from), (at(10), at(86_410)));
    }
}
