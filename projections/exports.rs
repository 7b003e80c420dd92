//! Exports: files of the rows of one read model, each from one snapshot of the database. What can be asked for and what
//! has come of it stands here; `job` keeps the requests, `worker` makes the files, `chunks` holds them. There is no
//! port: only the database that holds the read models can give one snapshot of them, and nothing is decided here.

mod cell;
mod chunks;
mod columns;
mod ended;
mod job;
mod rows;
mod sheet;
mod worker;

use std::str::FromStr;

use domain::{ChannelName, Currency, ExportId, MerchantId, OrderNo, PaymentId, Timestamp};
use serde::{Deserialize, Serialize};

pub use chunks::read;
pub use ended::EndedExports;
pub use job::{Claim, find, request};
pub use worker::{ExportTerms, Exporter, Failure};

use crate::database::damaged;
use crate::{Filter, Projection, StatusText};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $word)] $variant,)* }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err(format!("is none of {}", [$($word),*].join(", "))),
                }
            }
        }
    )*};
}

words! {
    /// What the rows are.
    Kind {
        Payments "payments",
        Refunds "refunds",
        PreAuths "pre_auths",
        Orders "orders",
        Settlements "settlements",
        Withdrawals "withdrawals",
        Disputes "disputes",
        Movements "movements",
        Journal "journal",
    }

    Format {
        Csv "csv",
        Ndjson "ndjson",
    }

    ExportStatus {
        Pending "pending",
        Running "running",
        Ready "ready",
        Failed "failed",
        Expired "expired",
    }
}

impl Kind {
    /// Of the whole platform, so for those only who may read its books.
    pub fn is_of_the_books(self) -> bool {
        self == Kind::Journal
    }

    /// Says why rows of this kind cannot have the status.
    pub fn knows_status(self, status: &str) -> Result<(), String> {
        fn parsed<S: FromStr<Err: std::fmt::Display>>(status: &str) -> Result<(), String> {
            status.parse::<S>().map(drop).map_err(|reason| reason.to_string())
        }
        match self {
            Kind::Payments => parsed::<domain::payment::PaymentStatus>(status),
            Kind::Refunds => parsed::<crate::refunds::RefundState>(status),
            Kind::PreAuths => parsed::<domain::pre_auth::PreAuthStatus>(status),
            Kind::Orders => parsed::<crate::orders::OrderStatus>(status),
            Kind::Settlements => parsed::<domain::settlement::Status>(status),
            Kind::Withdrawals => parsed::<domain::withdrawal::WithdrawalStatus>(status),
            Kind::Disputes => parsed::<domain::dispute::DisputeStatus>(status),
            Kind::Movements | Kind::Journal => Err("these rows have no status".to_owned()),
        }
    }

    /// The read model that the rows are taken from.
    pub(crate) fn projection(self) -> &'static dyn Projection {
        match self {
            Kind::Payments => &crate::payments::Payments,
            Kind::Refunds => &crate::refunds::Refunds,
            Kind::PreAuths => &crate::pre_auths::PreAuths,
            Kind::Orders => &crate::orders::Orders,
            Kind::Settlements => &crate::settlements::Settlements,
            Kind::Withdrawals => &crate::withdrawals::Withdrawals,
            Kind::Disputes => &crate::disputes::Disputes,
            Kind::Movements => &crate::statements::Statements,
            Kind::Journal => &crate::books::Books,
        }
    }
}

/// Which rows are wanted: all that meet every condition given. Not every kind knows every condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<MerchantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_no: Option<OrderNo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The path of an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Both ends are included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_to: Option<Timestamp>,
    /// Minor units; both ends are included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_min: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_max: Option<i64>,
    /// Recorded at `from` or later, and before `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

impl Selection {
    /// The conditions that lists have in common.
    fn filter<S: StatusText + FromStr>(&self) -> Result<Filter<S>, sqlx::Error> {
        let status = |text: &String| text.parse().map_err(|_| damaged(format!("{text:?} is no status of these rows")));
        Ok(Filter {
            merchant_id: self.merchant_id,
            status: self.status.as_ref().map(status).transpose()?,
            currency: self.currency,
            channel: self.channel.clone(),
            order_no: self.order_no.clone(),
            created_from: self.created_from,
            created_to: self.created_to,
            amount_min: self.amount_min,
            amount_max: self.amount_max,
        })
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExport {
    pub export_id: ExportId,
    /// The merchant who asks; none if somebody of the platform does.
    pub owner: Option<MerchantId>,
    pub requested_by: String,
    pub kind: Kind,
    pub format: Format,
    pub selection: Selection,
    /// The file shall speak for this position at least.
    pub min_position: u64,
}

/// An export and what has come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    pub request: NewExport,
    pub status: ExportStatus,
    /// Of the attempt whose file it is.
    pub(crate) attempt: i32,
    pub file: Option<File>,
    pub created_at: Timestamp,
}

/// A whole file, or what is known of one whose term is over.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// The rows are those of this position of the log.
    pub position: u64,
    /// No stream was parked in the read model. Otherwise rows may be missing.
    pub is_complete: bool,
    /// SHA-256 of the bytes, as 64 hexadecimal digits.
    pub digest: String,
    /// Without the line of headings.
    pub rows: u64,
    pub bytes: u64,
    pub completed_at: Timestamp,
    pub expires_at: Timestamp,
}
