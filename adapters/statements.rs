//! Statements of channels and banks: a reader for each format, line by line and never the whole file, and where the
//! lines are kept and compared. Knows no rule of matching and no route.

mod alipay_bill;
mod book;
mod camt053;
mod column_csv;
mod compare;
mod copy;
mod paypal_stl;
mod records;
mod stripe_payout;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::fs::File;
use std::io::BufReader;

use commands::ports::StatementFormat;
use commands::ports::statements::BadLine;
use domain::reconciliation::Line;
use domain::{Currency, Timestamp};
use serde::Serialize;

pub use book::PostgresStatementBook;

/// What a reader finds in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    Line(Line),
    Bad(BadLine),
    Closing(Closing),
}

/// What the counterparty says was there, in minor units, when everything before a moment had happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Closing {
    pub(crate) currency: Currency,
    pub(crate) amount: i64,
    pub(crate) before: Timestamp,
}

/// Why nothing of a file can be kept. Carries no content of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("{0}")]
    Malformed(String),
    #[error("the file cannot be read: {0}")]
    Io(String),
    /// Whoever takes the lines wants no more.
    #[error("reading was given up")]
    GivenUp,
}

/// Takes what a reader finds; `false` ends the reading.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Found) -> bool;

/// Reads the whole file, in the order of its lines. Blocks.
pub(crate) fn read(format: &StatementFormat, file: File, take: Take<'_>) -> Result<(), Unreadable> {
    let file = BufReader::with_capacity(1 << 16, file);
    match format {
        StatementFormat::StripePayout => table::read(file, &mut stripe_payout::StripePayout::default(), take),
        StatementFormat::PaypalStl => table::read(file, &mut paypal_stl::PaypalStl::default(), take),
        StatementFormat::AlipayBill => table::read(file, &mut alipay_bill::AlipayBill::default(), take),
        StatementFormat::Csv(columns) => table::read(file, &mut column_csv::ColumnCsv::new(columns.clone()), take),
        StatementFormat::Camt053 => camt053::read(file, take),
    }
}
