//! Statements of channels and banks: their formats, their lines, which are kept beside the log because there are many of
//! them, and the run that compares them with what is booked.

use std::path::Path;

use async_trait::async_trait;
use domain::reconciliation::{Counterparty, Counts, Kind, Period, Rules, Total};
use domain::reconciliation_exception::Facts;
use domain::{ExceptionId, ReconciliationRunId, StatementId, Timestamp};

/// - A statement is kept once: the same one again is answered with what it held.
/// - A run replaces what the run before it said, as a whole or not at all.
#[async_trait]
pub trait StatementBook: Send + Sync {
    /// Reads the file and keeps its lines. Lines that cannot be read are kept by their number.
    async fn import(&self, statement: &NewStatement, file: &Path) -> Result<Imported, ImportError>;

    /// Compares a statement with what was booked up to a position, `order.at_least` or behind it.
    async fn reconcile(&self, order: &RunOrder) -> Result<RunOutcome, StatementsUnavailable>;

    /// A difference that a run has found.
    async fn find_exception(&self, exception_id: ExceptionId) -> Result<Option<Facts>, StatementsUnavailable>;

    /// Lines that could not be read behind the line `after`, at most `limit`.
    async fn bad_lines(
        &self,
        statement_id: StatementId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<BadLine>, StatementsUnavailable>;
}

/// How a file is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementFormat {
    StripePayout,
    PaypalStl,
    AlipayBill,
    Camt053,
    Csv(ColumnMap),
}

/// Which column of a CSV says what, by its heading. What is not named is looked for under its own name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMap {
    pub columns: Vec<(CsvField, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CsvField {
    Reference,
    OwnReference,
    Kind,
    Gross,
    Fee,
    Net,
    Currency,
    Date,
    /// What was there behind the line.
    Balance,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewStatement {
    pub statement_id: StatementId,
    pub counterparty: Counterparty,
    pub format: StatementFormat,
    pub imported_at: Timestamp,
}

/// What a file held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    pub lines: u64,
    pub bad_lines: u64,
    pub totals: Vec<Total>,
    pub period: Option<Period>,
}

/// A line that could not be read, and why; nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    pub number: u32,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunOrder {
    pub run_id: ReconciliationRunId,
    pub statement_id: StatementId,
    pub rules: Rules,
    pub at_least: u64,
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunOutcome {
    pub position: u64,
    pub counts: Counts,
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Nothing was kept. The reason carries no content of the file.
    #[error("{0}")]
    Unreadable(String),
    #[error(transparent)]
    Unavailable(#[from] StatementsUnavailable),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the statements are not available: {0}")]
pub struct StatementsUnavailable(pub String);

impl StatementFormat {
    pub fn as_str(&self) -> &'static str {
        match self {
            StatementFormat::StripePayout => "stripe_payout",
            StatementFormat::PaypalStl => "paypal_stl",
            StatementFormat::AlipayBill => "alipay_bill",
            StatementFormat::Camt053 => "camt053",
            StatementFormat::Csv(_) => "csv",
        }
    }

    /// What a statement of this format always tells, so that what it leaves out is missing.
    pub fn covers(&self) -> &'static [Kind] {
        match self {
            StatementFormat::StripePayout | StatementFormat::PaypalStl => {
                &[Kind::Charge, Kind::Refund, Kind::RefundFailure, Kind::Dispute, Kind::DisputeReversal]
            }
            StatementFormat::AlipayBill | StatementFormat::Csv(_) => &[Kind::Charge, Kind::Refund],
            StatementFormat::Camt053 => &[Kind::Withdrawal, Kind::WithdrawalReturn, Kind::Transfer],
        }
    }
}

impl CsvField {
    pub const ALL: [CsvField; 9] = [
        CsvField::Reference,
        CsvField::OwnReference,
        CsvField::Kind,
        CsvField::Gross,
        CsvField::Fee,
        CsvField::Net,
        CsvField::Currency,
        CsvField::Date,
        CsvField::Balance,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            CsvField::Reference => "reference",
            CsvField::OwnReference => "own_reference",
            CsvField::Kind => "kind",
            CsvField::Gross => "gross",
            CsvField::Fee => "fee",
            CsvField::Net => "net",
            CsvField::Currency => "currency",
            CsvField::Date => "date",
            CsvField::Balance => "balance",
        }
    }
}

/// `gross=Amount,reference=Transaction ID`.
impl std::str::FromStr for ColumnMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut map = ColumnMap::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (field, heading) = pair.split_once('=').ok_or("columns are written field=heading,field=heading")?;
            let known = CsvField::ALL.into_iter().find(|known| known.as_str() == field.trim());
            let field = known
                .ok_or_else(|| format!("a field is one of {}", CsvField::ALL.map(|field| field.as_str()).join(", ")))?;
            if map.columns.iter().any(|(other, _)| *other == field) || heading.trim().is_empty() {
                return Err(format!("the column of {} is named once", field.as_str()));
            }
            map.columns.push((field, heading.trim().to_owned()));
        }
        Ok(map)
    }
}
