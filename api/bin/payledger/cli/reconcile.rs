//! The command line of `payledger reconcile`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use commands::ports::statements::ColumnMap;
use domain::reconciliation::{DifferenceKind, Severity};
use domain::reconciliation_exception::ExceptionStatus;
use domain::{BankName, ChannelName, Currency, Timestamp};

use super::Database;

#[derive(Debug, Clone, Subcommand)]
pub enum Reconcile {
    /// Bring a statement in and compare it with what is booked. The same file again is the same statement.
    Import {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        statement: StatementFile,
    },
    /// Compare a statement again, with what is booked by now.
    Again {
        #[command(flatten)]
        database: Database,
        /// `stm_...`, or `rec_...` of any run over it.
        id: String,
        #[command(flatten)]
        rules: RunRules,
    },
    /// What the newest run over a statement came to, and what is open of it.
    Show {
        #[command(flatten)]
        database: Database,
        /// `stm_...`, or `rec_...` of any run over it.
        id: String,
    },
    /// List differences, the newest of their occasions first; ends with 3 if one of them is not settled.
    Differences {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        filter: DifferenceFilter,
    },
}

#[derive(Debug, Clone, Args)]
pub struct StatementFile {
    pub file: PathBuf,
    #[arg(long, value_enum)]
    pub format: StatementFormatName,
    /// Whose statement it is, if not that of the channel which the format names.
    #[arg(long, conflicts_with = "bank")]
    pub channel: Option<ChannelName>,
    /// Whose statement it is, if it is a bank's.
    #[arg(long)]
    pub bank: Option<BankName>,
    /// Of a csv: which column is what, `gross=Amount,reference=Transaction ID`.
    #[arg(long, value_name = "FIELD=HEADING,...")]
    pub columns: Option<ColumnMap>,
    #[command(flatten)]
    pub rules: RunRules,
}

#[derive(Debug, Clone, Args)]
pub struct RunRules {
    /// Minor units by which amounts and fees may differ.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(0..=1_000))]
    pub tolerance: i64,
    /// Days by which the two sides may date the same thing apart.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub lag_days_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StatementFormatName {
    StripePayout,
    PaypalStl,
    AlipayBill,
    Camt053,
    Csv,
}

#[derive(Debug, Clone, Args)]
pub struct DifferenceFilter {
    /// open, requested, resolved or cleared
    #[arg(long)]
    pub status: Option<ExceptionStatus>,
    /// missing_here, missing_there, amount, fee, currency, duplicate, split_incomplete or date
    #[arg(long)]
    pub kind: Option<DifferenceKind>,
    /// low, medium, high or critical
    #[arg(long)]
    pub severity: Option<Severity>,
    #[arg(long)]
    pub currency: Option<Currency>,
    #[arg(long)]
    pub channel: Option<ChannelName>,
    /// `stm_...`, or `rec_...` of any run over it.
    #[arg(long, value_name = "ID")]
    pub statement: Option<String>,
    /// What happened before this RFC 3339 time.
    #[arg(long, value_name = "TIME")]
    pub occurred_before: Option<Timestamp>,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}
