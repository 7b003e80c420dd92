//! Merchants' pending money, event by event: what is settled of it, and what a settlement was made of.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::funds::FundsUnavailable;
use commands::ports::{BatchPart, BatchParts, PendingActivity, RecordedEvent};
use domain::merchant_account::{Holder, MerchantAccount, Window};
use domain::settlement::{Item, Tally};
use domain::{Account, BalancedEntry, Currency, Decider, MerchantId, Side};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{QueryBuilder, Row};

use super::Books;
use crate::database::{parsed, position, to_sql};
use crate::{Cursor, Page, ReadError, Reader, Snapshot};

/// How long a settlement waits for the books before it is told that they are not available.
const WAIT: Duration = Duration::from_secs(5);

/// The event as an item of settlements; none if it moves no pending money, or if a merchant's own account moves it.
pub fn of(event: &RecordedEvent, entry: &BalancedEntry) -> Vec<(Holder, Item)> {
    if event.stream.category == MerchantAccount::CATEGORY {
        return vec![];
    }
    let mut items: BTreeMap<Holder, Item> = BTreeMap::new();
    for leg in entry.legs() {
        let Account::MerchantPending(merchant_id) = leg.account else { continue };
        let item = items.entry(Holder { merchant_id, currency: leg.currency }).or_insert_with(|| Item {
            position: event.position,
            event_type: event.event_type.clone(),
            object: event.stream.id.clone(),
            debit: 0,
            credit: 0,
        });
        match leg.side {
            Side::Debit => item.debit += leg.amount,
            Side::Credit => item.credit += leg.amount,
        }
    }
    items.into_iter().collect()
}

/// A page of what a settlement was made of, oldest first; the cursor's key is the last position of the page before.
pub async fn items(
    view: &mut Snapshot,
    holder: Holder,
    window: Window,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<Item>, ReadError> {
    let to = view.up_to(Some(window.to))?;
    let from = cursor.map_or(to_sql(window.from), |cursor| cursor.key.max(to_sql(window.from)));
    let mut query = window_query(holder, from, to);
    query.push(" LIMIT ").push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |item: &Item| Cursor { key: to_sql(item.position), id: item.object.clone() }))
}

fn window_query(holder: Holder, from: i64, to: i64) -> QueryBuilder<'static, sqlx::Postgres> {
    let mut query = QueryBuilder::new("SELECT position, event_type, object, debit, credit FROM (");
    push_brought(&mut query, holder, from, to);
    query.push(") AS brought ORDER BY position");
    query
}

/// What each event brought, except the postings of merchants' own accounts.
fn push_brought(query: &mut QueryBuilder<'_, sqlx::Postgres>, holder: Holder, from: i64, to: i64) {
    query.push(
        "SELECT position, event_type, object, sum(debit)::bigint AS debit, sum(credit)::bigint AS credit
           FROM journal WHERE account = ",
    );
    query.push_bind(Account::MerchantPending(holder.merchant_id).to_string());
    query.push(" AND currency = ").push_bind(holder.currency.to_string());
    query.push(" AND position > ").push_bind(from).push(" AND position <= ").push_bind(to);
    query.push(" AND category <> ").push_bind(MerchantAccount::CATEGORY);
    query.push(" GROUP BY position, event_type, object");
}

fn read(row: &PgRow) -> Result<Item, sqlx::Error> {
    Ok(Item {
        position: position(row, "position")?,
        event_type: row.try_get("event_type")?,
        object: row.try_get("object")?,
        debit: row.try_get("debit")?,
        credit: row.try_get("credit")?,
    })
}

/// The activity as the command side reads it.
#[derive(Debug, Clone)]
pub struct BooksActivity {
    reader: Reader,
}

impl BooksActivity {
    pub fn new(reader: Reader) -> BooksActivity {
        BooksActivity { reader }
    }

    async fn view(&self, position: u64) -> Result<Snapshot, FundsUnavailable> {
        let view = self.reader.at_least(&[&Books], Some(position), WAIT).await;
        let view = view.map_err(|error| FundsUnavailable(error.to_string()))?;
        Ok(view)
    }
}

fn unavailable(error: sqlx::Error) -> FundsUnavailable {
    FundsUnavailable(error.to_string())
}

#[async_trait]
impl PendingActivity for BooksActivity {
    async fn holders(
        &self,
        merchant_id: Option<MerchantId>,
        currency: Option<Currency>,
        position: u64,
    ) -> Result<Vec<Holder>, FundsUnavailable> {
        let mut view = self.view(position).await?;
        let mut query = QueryBuilder::new("SELECT merchant_id, currency FROM balances WHERE true");
        if let Some(merchant_id) = merchant_id {
            query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
        }
        if let Some(currency) = currency {
            query.push(" AND currency = ").push_bind(currency.to_string());
        }
        query.push(" ORDER BY merchant_id, currency");
        let rows = query.build().fetch_all(view.connection()).await.map_err(unavailable)?;
        let read = |row| Ok(Holder { merchant_id: parsed(row, "merchant_id")?, currency: parsed(row, "currency")? });
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unavailable)
    }

    async fn tally(&self, holder: Holder, from: u64, to: u64) -> Result<Tally, FundsUnavailable> {
        let mut view = self.view(to).await?;
        let mut query = window_query(holder, to_sql(from), to_sql(to));
        let mut rows = query.build().fetch(view.connection());
        let mut tally = Tally::default();
        while let Some(row) = rows.try_next().await.map_err(unavailable)? {
            tally.add(&read(&row).map_err(unavailable)?);
        }
        Ok(tally)
    }
}

#[async_trait]
impl BatchParts for BooksActivity {
    async fn part_of(&self, holder: Holder, window: Window, payment: &str) -> Result<BatchPart, FundsUnavailable> {
        let mut view = self.view(window.to).await?;
        let mut query = QueryBuilder::new("WITH items AS (");
        push_brought(&mut query, holder, to_sql(window.from), to_sql(window.to));
        query.push(
            "), brought AS (SELECT object, min(position) AS first, sum(credit::numeric - debit) AS net FROM items
                             GROUP BY object),
                own AS (SELECT first, net FROM brought WHERE object = ",
        );
        query.push_bind(payment.to_owned()).push(
            ") SELECT coalesce((SELECT net FROM own), 0)::bigint AS net,
                      coalesce(sum(net) FILTER (WHERE net > 0 AND first < (SELECT first FROM own)), 0)::text AS before,
                      coalesce(sum(net) FILTER (WHERE net > 0), 0)::text AS total
                 FROM brought",
        );
        let row = query.build().fetch_one(view.connection()).await.map_err(unavailable)?;
        let part = || {
            Ok(BatchPart { net: row.try_get("net")?, before: parsed(&row, "before")?, total: parsed(&row, "total")? })
        };
        part().map_err(unavailable)
    }
}
