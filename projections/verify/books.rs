//! The books against the postings of every event: journal, accounts, merchants' balances and what settlements are made
//! of, each by itself.

use std::collections::BTreeMap;

use commands::ports::EventStore;
use domain::merchant_account::{Holder, MerchantAccount};
use domain::{Decider, invariants};
use sqlx::Row;

use super::{Rows, Seen, Verification, compare, replay};
use crate::books::{Books, activity_of, entry_of, merchants};
use crate::{ApplyError, ReadError, Reader, Snapshot};

/// The sum of the items' positions, and of what they add to the pending balance.
type Activity = BTreeMap<Holder, (u64, i128)>;

pub(super) async fn verify(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Books]).await?;
    let (seen, tables) = (Seen::by(&mut view, &Books).await?, tables(&mut view).await?);
    drop(view);
    let mut books = invariants::Books::default();
    let mut activity = Activity::new();
    replay(store, &seen, |event| {
        if let Some(entry) = entry_of(event)? {
            for (holder, item) in activity_of(event, &entry) {
                let sums = activity.entry(holder).or_insert((0_u64, 0_i128));
                *sums = (sums.0 + item.position, sums.1 + i128::from(item.amount()));
            }
            books.post(entry.legs()).map_err(|violation| ApplyError::inapplicable(event, violation.to_string()))?;
        }
        Ok(())
    })
    .await?;
    let mut rows = expected(&books);
    rows.extend(activity.iter().map(|(holder, (positions, net))| {
        (format!("activity {} {}", holder.merchant_id, holder.currency), format!("{positions} / {net}"))
    }));
    Ok(compare("books", &seen, &rows, tables))
}

fn expected(books: &invariants::Books) -> Rows {
    let mut rows = Rows::new();
    for ((account, currency), totals) in &books.accounts {
        let sums = format!("{} / {}", totals.debits, totals.credits);
        rows.insert(format!("journal {account} {currency}"), sums.clone());
        rows.insert(format!("account {account} {currency}"), sums);
    }
    for ((merchant, currency), balance) in
        merchants(books.accounts.iter().map(|((account, currency), totals)| (account, *currency, totals)))
    {
        let figures = [balance.pending, balance.available, balance.reserved, balance.on_hold, balance.receivable]
            .map(|figure| figure.to_string());
        rows.insert(format!("balance {merchant} {currency}"), figures.join(" / "));
    }
    rows
}

async fn tables(view: &mut Snapshot) -> Result<Rows, ReadError> {
    let rows = sqlx::query(
        "SELECT 'account ' || account || ' ' || currency AS name, debits || ' / ' || credits AS sums
           FROM accounts
         UNION ALL
         SELECT 'journal ' || account || ' ' || currency, sum(debit) || ' / ' || sum(credit)
           FROM journal GROUP BY account, currency
         UNION ALL
         SELECT 'balance ' || merchant_id || ' ' || currency,
                concat_ws(' / ', pending, available, reserved, on_hold, receivable)
           FROM balances
         UNION ALL
         SELECT 'activity ' || merchant_id || ' ' || currency, sum(position) || ' / ' || sum(net)
           FROM (SELECT merchant_id, currency, position, sum(credit - debit) AS net FROM journal
                  WHERE account = 'merchant:' || merchant_id || ':pending' AND category <> $1
                  GROUP BY merchant_id, currency, position) AS items GROUP BY merchant_id, currency",
    )
    .bind(MerchantAccount::CATEGORY)
    .fetch_all(view.connection())
    .await?;
    Ok(rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("sums")?))).collect::<Result<_, sqlx::Error>>()?)
}
