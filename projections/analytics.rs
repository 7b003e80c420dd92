//! The read model `analytics`: how many payments there were, what became of them and how much they moved, rolled up as
//! events arrive by time, merchant, channel, currency and country. An answer adds up rolled-up rows and never scans
//! payments.
//!
//! What happened is counted in the quarter of an hour in which the ledger recorded it: a refund of an old payment counts
//! today. One exception: a payment that had failed, expired or been cancelled and was captured after all is taken out of
//! the count of that outcome where it stood, so that each payment has one outcome.
//!
//! Each figure is kept three times, by quarters, hours and days of UTC, and again for all merchants together: an answer
//! is read from the coarsest rows whose edges fall on those of its buckets, so that it costs little for any time zone.

mod fold;
mod grain;
mod latency;
mod measures;
mod query;
mod schema;
mod store;

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::Decider;
use domain::payment::Payment;
use sqlx::PgConnection;

use crate::{ApplyError, Projection};
pub(crate) use fold::Changes;
pub use grain::QUARTER;
pub use latency::Latencies;
pub use measures::Measures;
pub use query::{Figures, Groups, Question, RowsExceeded, failures, figures};
pub(crate) use store::{stored, written};

#[derive(Debug, Clone, Copy)]
pub struct Analytics;

#[async_trait]
impl Projection for Analytics {
    fn name(&self) -> &'static str {
        "analytics"
    }

    fn version(&self) -> i32 {
        1
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Payment::CATEGORY]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["payment_facts", "rollup", "tallies"]
    }

    fn ddl(&self) -> &'static str {
        schema::DDL
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        let mut changes = Changes::of(store::load_facts(connection, events).await?);
        for event in events {
            changes.fold(event)?;
        }
        Ok(store::store(connection, &changes).await?)
    }
}
