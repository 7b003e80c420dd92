//! A settlement on its way from the closed batch to the money being available: who has to agree, and when it is due.
//! It posts nothing: the batch's money is the merchant's account's.
//!
//! ```text
//! absent ──closed──▶ closed ──approved──▶ approved ──released──▶ released
//!                     │  ▲ └──────(below the threshold)──────────▲
//!                     ▼  │
//!                    held ──approved──▶ approved ──held──▶ held ...
//! ```

mod event;
mod item;
mod rejection;
mod schedule;

#[cfg(test)]
mod tests;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use event::{Approved, Closed, Event, Held, Released};
pub use item::{Item, Tally};
pub use rejection::SettlementRejection;
pub use schedule::{last_cut_off, release_due};

use crate::{Decider, Timestamp};

#[derive(Debug)]
pub struct Settlement;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub terms: Closed,
    pub status: Status,
    pub released_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Closed,
    Approved,
    Held,
    Released,
}

/// `by` is the principal, as it stands in the metadata of what it does.
#[derive(Debug, Clone)]
pub enum Command {
    /// Only the first counts: it is sent with the batch that the account closes in the same entry.
    Close(Closed),
    Approve {
        by: String,
        at: Timestamp,
    },
    Hold {
        by: String,
        at: Timestamp,
    },
    Release {
        at: Timestamp,
    },
}

impl Decider for Settlement {
    const CATEGORY: &'static str = "settlement";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = SettlementRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, SettlementRejection> {
        match (command, state) {
            (Command::Close(terms), State::Absent) => Ok(close(terms)),
            (Command::Close(_), State::Exists(_)) => Ok(vec![]),
            (_, State::Absent) => Err(SettlementRejection::NotFound),
            (Command::Approve { by, at }, State::Exists(record)) => approve(record, by, at),
            (Command::Hold { by, at }, State::Exists(record)) => hold(record, by, at),
            (Command::Release { at }, State::Exists(record)) => release(record, at),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Closed(terms)) => {
                State::Exists(Box::new(Record { terms: (**terms).clone(), status: Status::Closed, released_at: None }))
            }
            (State::Exists(mut record), event) => {
                record.evolve(event);
                State::Exists(record)
            }
            (State::Absent, _) => State::Absent,
        }
    }
}

/// A batch that brings the merchant nothing has nothing to wait for.
fn close(terms: Closed) -> Vec<Event> {
    let released = Released { settlement_id: terms.settlement_id, released_at: terms.closed_at };
    let released = (terms.net <= 0).then_some(Event::Released(released));
    std::iter::once(Event::Closed(Box::new(terms))).chain(released).collect()
}

fn approve(record: &Record, by: String, at: Timestamp) -> Result<Vec<Event>, SettlementRejection> {
    match record.status {
        Status::Released => return Err(SettlementRejection::AlreadyReleased),
        Status::Approved => return Ok(vec![]),
        Status::Closed | Status::Held => {}
    }
    if record.terms.requested_by.as_ref() == Some(&by) {
        return Err(SettlementRejection::ApprovalByRequester);
    }

    let settlement_id = record.terms.settlement_id;
    Ok(vec![Event::Approved(Approved { settlement_id, approved_by: by, approved_at: at })])
}

fn hold(record: &Record, by: String, at: Timestamp) -> Result<Vec<Event>, SettlementRejection> {
    match record.status {
        Status::Released => return Err(SettlementRejection::AlreadyReleased),
        Status::Held => return Ok(vec![]),
        Status::Closed | Status::Approved => {}
    }

    Ok(vec![Event::Held(Held { settlement_id: record.terms.settlement_id, held_by: by, held_at: at })])
}

fn release(record: &Record, at: Timestamp) -> Result<Vec<Event>, SettlementRejection> {
    match record.status {
        Status::Released => return Ok(vec![]),
        Status::Held => return Err(SettlementRejection::Held),
        Status::Closed if record.terms.needs_approval => return Err(SettlementRejection::NotApproved),
        Status::Closed | Status::Approved => {}
    }
    if at < record.terms.release_due {
        return Err(SettlementRejection::NotDue);
    }

    Ok(vec![Event::Released(Released { settlement_id: record.terms.settlement_id, released_at: at })])
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
    /// When it is to be released; none while a person has to agree first, and once it is.
    pub fn release_at(&self) -> Option<Timestamp> {
        let free = match self.status {
            Status::Closed => !self.terms.needs_approval,
            Status::Approved => true,
            Status::Held | Status::Released => false,
        };
        free.then_some(self.terms.release_due)
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Closed(_) => {}
            Event::Approved(_) => self.status = Status::Approved,
            Event::Held(_) => self.status = Status::Held,
            Event::Released(released) => {
                self.status = Status::Released;
                self.released_at = Some(released.released_at);
            }
        }
    }
}

impl FromStr for Status {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let known = Status::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or("must be closed, approved, held or released")
    }
}

impl Status {
    pub const ALL: [Status; 4] = [Status::Closed, Status::Approved, Status::Held, Status::Released];

    pub fn as_str(&self) -> &'static str {
        match self {
            Status::Closed => "closed",
            Status::Approved => "approved",
            Status::Held => "held",
            Status::Released => "released",
        }
    }
}
