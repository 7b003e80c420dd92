//! The read models, one file each (tables, apply and queries together), and the machinery that feeds, checkpoints and
//! rebuilds them. Everything here can be thrown away and folded again from the log; nothing here decides a command.

pub mod adjustments;
pub mod analytics;
mod batch;
pub mod books;
pub mod channel_operations;
mod checkpoint;
pub mod daily_assertions;
mod database;
pub mod disputes;
pub mod exports;
mod feeder;
mod filter;
mod generation;
pub mod merchants;
pub mod orders;
pub mod overdue;
mod page;
mod pages;
mod parking;
pub mod past;
pub mod payments;
mod poison;
pub mod pre_auths;
mod progress;
mod projection;
mod reader;
mod rebuild;
pub mod reconciliations;
pub mod refunds;
mod rollup;
mod runner;
pub mod settlements;
pub mod shadow;
pub mod statements;
mod status;
pub mod streams;
pub mod verify;
pub mod withdrawals;

use std::sync::Arc;

pub use commands::as_of;
pub use database::begin;
pub use filter::{Filter, StatusText};
pub use page::{Cursor, NotACursor, Page};
pub use parking::ParkedStream;
pub use progress::Progress;
pub use projection::{ApplyError, Order, Projection};
pub use reader::{ReadError, Reader, Snapshot};
pub use rebuild::{
    RebuildError, RebuildProgress, rebuild, rebuild_progress, rebuild_projection, retry, retry_is_due, rollback,
    rollback_projection,
};
pub use rollup::{QUARTER, TooMuch};
pub use runner::{Runner, Running};
pub use status::{ProjectionState, ProjectionStatus, list, parked};

/// Every projection of the ledger.
pub fn all() -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(adjustments::Adjustments),
        Arc::new(analytics::Analytics),
        Arc::new(withdrawals::BankAccounts),
        Arc::new(books::Books),
        Arc::new(channel_operations::ChannelOperations),
        Arc::new(disputes::Disputes),
        Arc::new(merchants::Merchants),
        Arc::new(orders::Orders),
        Arc::new(payments::Payments),
        Arc::new(pre_auths::PreAuths),
        Arc::new(reconciliations::ReconciliationExceptions),
        Arc::new(reconciliations::Reconciliations),
        Arc::new(refunds::Refunds),
        Arc::new(settlements::Settlements),
        Arc::new(statements::Statements),
        Arc::new(withdrawals::Withdrawals),
    ]
}

/// The projection called `name`.
pub fn find(name: &str) -> Option<Arc<dyn Projection>> {
    all().into_iter().find(|projection| projection.name() == name)
}
