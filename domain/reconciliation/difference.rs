//! What the two sides can differ in, how grave that is, and how old it has become.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::line::{Line, Operation};
use crate::{Currency, ExceptionId, StatementId, Timestamp};

/// Major units from which on a difference is at least high, and from which on it is critical.
const HIGH_FROM_MAJOR: i128 = 100;
const CRITICAL_FROM_MAJOR: i128 = 10_000;
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $message:literal { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),*];

            pub fn as_str(&self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err($message),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    DifferenceKind, "must be missing_here, missing_there, amount, fee, currency, duplicate, split_incomplete or date" {
        /// The statement tells what we have not booked.
        MissingHere "missing_here",
        /// We have booked what the statement should tell and does not.
        MissingThere "missing_there",
        Amount "amount",
        Fee "fee",
        Currency "currency",
        /// The statement tells it again.
        Duplicate "duplicate",
        /// Several lines make up one operation, and something of it is still missing.
        SplitIncomplete "split_incomplete",
        /// All agrees but the day.
        Date "date",
    }

    Severity, "must be low, medium, high or critical" {
        Low "low",
        Medium "medium",
        High "high",
        Critical "critical",
    }

    Ageing, "must be 0-1, 2-7, 8-30 or 31+" {
        /// Days.
        UpToOne "0-1",
        UpToSeven "2-7",
        UpToThirty "8-30",
        Older "31+",
    }
}

impl Ageing {
    pub fn of(occurred_at: Timestamp, now: Timestamp) -> Ageing {
        match days_between(occurred_at, now) {
            ..=1 => Ageing::UpToOne,
            2..=7 => Ageing::UpToSeven,
            8..=30 => Ageing::UpToThirty,
            _ => Ageing::Older,
        }
    }
}

/// Whole days from `earlier` to `later`; negative if it is the other way round.
pub(super) fn days_between(earlier: Timestamp, later: Timestamp) -> i64 {
    (later.as_micros() - earlier.as_micros()) / DAY_MICROS
}

/// A disagreement between the lines and the operations that belong together; either side may be empty, not both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub lines: Vec<Line>,
    pub operations: Vec<Operation>,
}

impl Difference {
    /// The same whenever a run over this statement finds it.
    pub fn id(&self, statement: StatementId) -> ExceptionId {
        let amounts = |amounts: &super::Amounts| format!("{}:{}:{}", amounts.currency, amounts.gross, amounts.fee);
        let lines = self.lines.iter().map(|line| format!("{}={}", line.number, amounts(&line.amounts)));
        let operations = self.operations.iter().map(|one| format!("{}={}", one.position, amounts(&one.amounts)));
        let (lines, operations) = (lines.collect::<Vec<_>>().join(","), operations.collect::<Vec<_>>().join(","));
        ExceptionId::of_difference(&[&statement.to_string(), self.kind.as_str(), &lines, &operations])
    }

    /// In the currency that the statement tells, or ours where it tells nothing.
    pub fn currency(&self) -> Currency {
        let there = self.lines.first().map(|line| line.amounts.currency);
        let here = self.operations.first().map(|operation| operation.amounts.currency);
        there.or(here).expect("a difference has at least one line or one operation")
    }

    /// What the statement tells beyond what we have booked, net and in minor units of [`Difference::currency`].
    pub fn net(&self) -> i128 {
        let currency = self.currency();
        let there = self.lines.iter().filter(|line| line.amounts.currency == currency);
        let here = self.operations.iter().filter(|operation| operation.amounts.currency == currency);
        there.map(|line| line.amounts.net()).sum::<i128>() - here.map(|one| one.amounts.net()).sum::<i128>()
    }

    pub fn occurred_at(&self) -> Timestamp {
        let lines = self.lines.iter().map(|line| line.occurred_at);
        lines.chain(self.operations.iter().map(|operation| operation.occurred_at)).min().unwrap_or_default()
    }

    pub fn severity(&self) -> Severity {
        let least = match self.kind {
            DifferenceKind::Date => return Severity::Low,
            DifferenceKind::Currency => Severity::High,
            DifferenceKind::MissingHere | DifferenceKind::Duplicate => Severity::Medium,
            _ => Severity::Low,
        };
        let major = self.net().abs() / i128::from(self.currency().minor_per_major());
        let by_amount = match major {
            CRITICAL_FROM_MAJOR.. => Severity::Critical,
            HIGH_FROM_MAJOR.. => Severity::High,
            1.. => Severity::Medium,
            _ => Severity::Low,
        };
        least.max(by_amount)
    }

    pub fn reason(&self) -> &'static str {
        match self.kind {
            DifferenceKind::MissingHere => "nothing that is booked has this reference, amount and day",
            DifferenceKind::MissingThere => "the statement covers this day and does not tell it",
            DifferenceKind::Amount => "the reference is the same, the amounts are not",
            DifferenceKind::Fee if self.operations.iter().any(|operation| operation.fee_is_estimate) => {
                "the amount is the same; the fee that is booked is an estimate"
            }
            DifferenceKind::Fee => "the amount is the same, the fees are not",
            DifferenceKind::Currency => "the reference is the same, the currencies are not",
            DifferenceKind::Duplicate => "what it tells has been told by another line",
            DifferenceKind::SplitIncomplete => "the lines add up to less than what is booked",
            DifferenceKind::Date => "reference and amounts are the same, the days are too far apart",
        }
    }
}
