//! A counterparty's statement and the runs that compare it with what is booked. A statement is known by its content; its
//! lines are kept beside the log, and here stand their digest and what came of each run. What is done about a difference
//! is a `reconciliation_exception`.
//!
//! ```text
//! absent --statement_imported, run_requested--> running --run_completed--> reconciled --run_requested--> running ...
//! ```

mod difference;
mod event;
mod line;
pub mod matching;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use difference::{Ageing, Difference, DifferenceKind, Severity};
pub use event::{Counts, Event, Period, RunCompleted, RunRequested, StatementImported, Total};
pub use line::{Amounts, Counterparty, Kind, Line, Operation};
pub use matching::Rules;
pub use rejection::ReconciliationRejection;

use crate::{Decider, ReconciliationRunId, Timestamp};

#[derive(Debug)]
pub struct Reconciliation;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

/// A statement with its newest run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub statement: StatementImported,
    pub run: Option<Run>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub requested: RunRequested,
    pub completed: Option<RunCompleted>,
}

#[derive(Debug, Clone)]
pub enum Command {
    /// The same file again is the same statement, and runs once.
    Import {
        statement: Box<StatementImported>,
        rules: Rules,
    },
    /// Compares it again with what is booked by now.
    RunAgain {
        rules: Rules,
        by: String,
        at: Timestamp,
    },
    CompleteRun(Box<RunCompleted>),
}

impl Decider for Reconciliation {
    const CATEGORY: &'static str = "reconciliation";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = ReconciliationRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, ReconciliationRejection> {
        match (command, state) {
            (Command::Import { statement, rules }, State::Absent) => {
                let (by, at) = (statement.imported_by.clone(), statement.imported_at);
                let requested = request(&statement, None, rules, by, at);
                Ok(vec![Event::StatementImported(statement), Event::RunRequested(requested)])
            }
            (Command::Import { .. }, State::Exists(_)) => Ok(vec![]),
            (_, State::Absent) => Err(ReconciliationRejection::StatementNotFound),
            (Command::RunAgain { rules, by, at }, State::Exists(record)) => match &record.run {
                Some(run) if run.completed.is_none() => Err(ReconciliationRejection::RunInProgress),
                Some(run) if run.requested.number == u16::MAX => Err(ReconciliationRejection::TooManyRuns),
                run => Ok(vec![Event::RunRequested(request(&record.statement, run.as_ref(), rules, by, at))]),
            },
            (Command::CompleteRun(completed), State::Exists(record)) => complete(record, completed),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::StatementImported(statement)) => {
                State::Exists(Box::new(Record { statement: (**statement).clone(), run: None }))
            }
            (State::Exists(mut record), Event::RunRequested(requested)) => {
                record.run = Some(Run { requested: requested.clone(), completed: None });
                State::Exists(record)
            }
            (State::Exists(mut record), Event::RunCompleted(completed)) => {
                if let Some(run) = &mut record.run {
                    run.completed = Some((**completed).clone());
                }
                State::Exists(record)
            }
            (state, _) => state,
        }
    }
}

fn request(statement: &StatementImported, last: Option<&Run>, rules: Rules, by: String, at: Timestamp) -> RunRequested {
    let number = last.map_or(1, |run| run.requested.number.saturating_add(1));
    let run_id = ReconciliationRunId::of(statement.statement_id, number);
    RunRequested { run_id, number, rules, requested_by: by, requested_at: at }
}

/// Two nodes may have made the same run: the first one's word stands.
fn complete(record: &Record, completed: Box<RunCompleted>) -> Result<Vec<Event>, ReconciliationRejection> {
    match &record.run {
        Some(run) if run.requested.run_id != completed.run_id => Err(ReconciliationRejection::RunNotExpected),
        Some(run) if run.completed.is_some() => Ok(vec![]),
        Some(_) => Ok(vec![Event::RunCompleted(completed)]),
        None => Err(ReconciliationRejection::RunNotExpected),
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

impl Record {
    pub fn status(&self) -> ReconciliationStatus {
        let is_done = self.run.as_ref().is_some_and(|run| run.completed.is_some());
        if is_done { ReconciliationStatus::Completed } else { ReconciliationStatus::Running }
    }
}

/// What finance sees of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconciliationStatus {
    Running,
    Completed,
}

impl ReconciliationStatus {
    pub fn as_str(&self) -> &'static str {
        match self {
            ReconciliationStatus::Running => "running",
            ReconciliationStatus::Completed => "completed",
        }
    }
}

impl std::str::FromStr for ReconciliationStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let all = [ReconciliationStatus::Running, ReconciliationStatus::Completed];
        all.into_iter().find(|status| status.as_str() == text).ok_or("must be running or completed")
    }
}
