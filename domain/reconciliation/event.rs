//! The facts of a statement's reconciliation, as stored. The lines themselves are no events: their digest is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::difference::DifferenceKind;
use super::line::Counterparty;
use super::matching::{How, Rules};
use crate::{Currency, DomainEvent, ReconciliationRunId, StatementId, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "reconciliation.statement_imported")]
    StatementImported(Box<StatementImported>),
    #[serde(rename = "reconciliation.run_requested")]
    RunRequested(RunRequested),
    #[serde(rename = "reconciliation.run_completed")]
    RunCompleted(Box<RunCompleted>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementImported {
    pub statement_id: StatementId,
    pub counterparty: Counterparty,
    pub format: String,
    /// SHA-256 of the file in hex, and its length in bytes.
    pub digest: String,
    pub bytes: u64,
    pub lines: u64,
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// What the lines that could be read add up to.
    pub totals: Vec<Total>,
    /// Of the earliest and the latest line; none of a statement without lines.
    pub period: Option<Period>,
    pub imported_by: String,
    pub imported_at: Timestamp,
}

/// Minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub currency: Currency,
    pub gross: i64,
    pub fee: i64,
}

/// Both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRequested {
    pub run_id: ReconciliationRunId,
    /// Counted from 1.
    pub number: u16,
    pub rules: Rules,
    pub requested_by: String,
    pub requested_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunCompleted {
    pub run_id: ReconciliationRunId,
    pub number: u16,
    /// Of the log: what was booked up to here was compared.
    pub position: u64,
    pub counts: Counts,
    /// SHA-256 of what every line and operation came to, in hex.
    pub outcome_digest: String,
    pub completed_at: Timestamp,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub matched_lines: u64,
    pub matched_operations: u64,
    /// Matches by how they came about.
    pub matches: BTreeMap<How, u64>,
    /// Exceptions by what differs.
    pub exceptions: BTreeMap<DifferenceKind, u64>,
    /// Exceptions of earlier runs and statements that nothing speaks for any more.
    pub cleared: u64,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("reconciliation.statement_imported", 1),
        ("reconciliation.run_requested", 1),
        ("reconciliation.run_completed", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::StatementImported(_) => "reconciliation.statement_imported",
            Event::RunRequested(_) => "reconciliation.run_requested",
            Event::RunCompleted(_) => "reconciliation.run_completed",
        }
    }
}
