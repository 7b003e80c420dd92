//! The read model `books`: the journal of all postings, and the accounts and merchants' balances that follow from it.
//! One event's postings are one transaction, known by the event's position. The database itself refuses a transaction
//! that does not balance and any change of what is booked.

mod activity;
mod at;
mod balances;
mod entries;
mod funds;
mod schema;
mod sums;
mod trial_balance;

use async_trait::async_trait;
use commands::aggregates;
use commands::ports::RecordedEvent;
use domain::BalancedEntry;
use sqlx::PgConnection;

pub use activity::{BooksActivity, items, of as activity_of};
pub use at::At;
pub use balances::{MerchantBalance, balances};
pub use entries::{EntryLine, entries, transaction};
pub(crate) use entries::{SELECT as ENTRIES, read as read_entry};
pub use funds::BooksFunds;
pub(crate) use sums::merchants;
pub use trial_balance::{AccountFilter, AccountLine, CurrencyBalance, accounts, trial_balance};

use crate::{ApplyError, Order, Projection};

#[derive(Debug, Clone, Copy)]
pub struct Books;

#[async_trait]
impl Projection for Books {
    fn name(&self) -> &'static str {
        "books"
    }

    fn version(&self) -> i32 {
        4
    }

    fn categories(&self) -> &'static [&'static str] {
        aggregates::categories()
    }

    /// A category that only a newer program knows may move money too.
    fn folds(&self, _category: &str) -> bool {
        true
    }

    fn order(&self) -> Order {
        Order::OfLog
    }

    fn tables(&self) -> &'static [&'static str] {
        &["journal_transactions", "journal_lines", "accounts", "balances"]
    }

    fn ddl(&self) -> &'static str {
        schema::DDL
    }

    fn indexes(&self) -> &'static str {
        schema::INDEXES
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        let mut transactions = Vec::new();
        for event in events {
            if let Some(entry) = entry_of(event)? {
                transactions.push((*event, entry));
            }
        }
        if transactions.is_empty() {
            return Ok(());
        }
        let accounts = sums::add(connection, &transactions).await?;
        entries::append(connection, &transactions, accounts).await?;
        Ok(())
    }
}

/// What the event does to the books, if anything.
pub(crate) fn entry_of(event: &RecordedEvent) -> Result<Option<BalancedEntry>, ApplyError> {
    match aggregates::find(&event.stream.category) {
        Some(aggregate) => Ok(aggregate.postings(event)?),
        None => Err(ApplyError::inapplicable(event, "its category is unknown here")),
    }
}
