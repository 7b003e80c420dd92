//! The books against the postings of every event: journal, accounts and merchants' balances each by itself.

use commands::ports::EventStore;
use domain::invariants;
use sqlx::Row;

use super::{Rows, Verification, compare, replay};
use crate::books::{Books, entry_of, merchants};
use crate::{ApplyError, ReadError, Reader, Snapshot};

pub(super) async fn verify(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Books]).await?;
    let (position, tables) = (view.position, tables(&mut view).await?);
    drop(view);
    let mut books = invariants::Books::default();
    replay(store, position, |event| {
        if let Some(entry) = entry_of(event)? {
            books.post(entry.legs()).map_err(|violation| ApplyError::inapplicable(event, violation.to_string()))?;
        }
        Ok(())
    })
    .await?;
    Ok(compare("books", position, &expected(&books), tables))
}

fn expected(books: &invariants::Books) -> Rows {
    let mut rows = Rows::new();
    for ((account, currency), totals) in &books.accounts {
        let sums = format!("{} / {}", totals.debits, totals.credits);
        rows.insert(format!("journal {account} {currency}"), sums.clone());
        rows.insert(format!("account {account} {currency}"), sums);
    }
    for ((merchant, currency), balance) in merchants(&books.accounts) {
        let figures = [balance.pending, balance.available, balance.reserved, balance.on_hold, balance.receivable]
            .map(|figure| figure.to_string());
        rows.insert(format!("balance {merchant} {currency}"), figures.join(" / "));
    }
    rows
}

async fn tables(view: &mut Snapshot) -> Result<Rows, ReadError> {
    let rows = sqlx::query(
        "SELECT 'account ' || account || ' ' || currency AS name, debits || ' / ' || credits AS sums
           FROM rm_books.accounts
         UNION ALL
         SELECT 'journal ' || account || ' ' || currency, sum(debit) || ' / ' || sum(credit)
           FROM rm_books.journal GROUP BY account, currency
         UNION ALL
         SELECT 'balance ' || merchant_id || ' ' || currency,
                concat_ws(' / ', pending, available, reserved, on_hold, receivable)
           FROM rm_books.balances",
    )
    .fetch_all(view.connection())
    .await?;
    Ok(rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("sums")?))).collect::<Result<_, sqlx::Error>>()?)
}
