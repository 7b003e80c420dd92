//! The read model `analytics`: how many payments there were, what became of them and how much they moved, rolled up as
//! events arrive by time, merchant, channel, currency and country. An answer adds up rolled-up rows and never scans
//! payments.
//!
//! What happened is counted in the quarter of an hour in which the ledger recorded it: a refund of an old payment counts
//! today. One exception: a payment that had failed, expired or been cancelled and was captured after all is taken out of
//! the count of that outcome where it stood, so that each payment has one outcome.
//!
//! Each figure is kept for its merchant and for everybody, for everybody also told apart by channel, by country and by
//! both, in rows of [`crate::rollup`]: whatever is asked, an answer adds up rows that have little else in them.

mod fold;
mod latency;
mod measures;
mod query;
mod schema;
mod store;
mod tallied;

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::Decider;
use domain::payment::Payment;
use sqlx::PgConnection;

use crate::rollup::{self, rollup_table};
use crate::{ApplyError, Projection};
pub(crate) use fold::Changes;
pub use latency::Latencies;
pub use measures::Measures;
pub use query::{Answer, Figures, Groups, Question, figures};
pub(crate) use store::{stored, written};

const TABLE: &str = "figures";

#[derive(Debug, Clone, Copy)]
pub struct Analytics;

#[async_trait]
impl Projection for Analytics {
    fn name(&self) -> &'static str {
        "analytics"
    }

    fn version(&self) -> i32 {
        2
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Payment::CATEGORY]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["payment_facts", TABLE]
    }

    fn ddl(&self) -> &'static str {
        concat!(schema::facts!(), rollup_table!("figures"))
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        let mut changes = Changes::of(store::load_facts(connection, events).await?);
        for event in events {
            changes.fold(event)?;
        }
        store::store_facts(connection, &changes.facts).await?;
        Ok(rollup::add(connection, TABLE, changes.rollup()).await?)
    }
}
