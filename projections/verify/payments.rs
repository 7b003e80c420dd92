//! Refunds, orders and merchants against the fold of every stream. Refunds and orders, which fold events in
//! their own way, are compared with what the folded payment itself says of them.

use std::collections::BTreeMap;

use commands::ports::EventStore;
use domain::Decider;
use domain::order::Order;
use domain::payment::Record;

use super::streams::{Folded, fold_all};
use super::{Rows, Seen, Verification, compare, replay};
use crate::orders::{self, Attempt, MadeRow, OrderKey, OrderRow, Orders};
use crate::payments::{PaymentRow, Payments};
use crate::refunds::{self, Refunds};
use crate::{ReadError, Reader, rollup};

pub(super) async fn verify_refunds(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Refunds]).await?;
    let (seen, tables) = (Seen::by(&mut view, &Refunds).await?, refunds::stored(&mut view).await?);
    drop(view);
    let tables = tables.iter().map(|row| (row.refund_id.to_string(), row.facts())).collect();
    let folded = fold_all::<Payments>(store, &seen).await?;
    let expected = records(&folded).flat_map(|(record, _)| refunds::of_record(record));
    let expected = expected.map(|row| (row.refund_id.to_string(), row.facts())).collect();
    Ok(compare("refunds", &seen, &expected, tables))
}

pub(super) async fn verify_orders(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Orders]).await?;
    let (seen, tables) = (Seen::by(&mut view, &Orders).await?, orders::stored(&mut view).await?);
    let named = |row: &OrderRow| (format!("{} {}", row.merchant_id, row.order_no), format!("{row:?}"));
    let mut tables: Rows = tables.iter().map(named).collect();
    rollup::stored(&mut view, orders::FIGURES, |name, row| {
        tables.insert(name, row);
    })
    .await?;
    drop(view);
    let folded = fold_all::<Payments>(store, &seen).await?;
    let attempts = records(&folded).map(|(record, folded)| Attempt::of_record(record, folded.updated_at));
    let simple = orders::of_attempts(attempts);
    drop(folded);
    let made = orders_made(store, &seen).await?;
    let simple = simple.into_iter().filter(|row| !made.contains_key(&row.key()));
    let rows: Vec<OrderRow> = simple.chain(made.values().map(OrderRow::from)).collect();
    let figures = orders::changes(&BTreeMap::new(), &rows);
    Ok(compare("orders", &seen, &rows.iter().map(named).chain(figures.written()).collect(), tables))
}

/// The orders that were made before their payments, as far as they were seen.
async fn orders_made(store: &dyn EventStore, seen: &Seen) -> Result<BTreeMap<OrderKey, MadeRow>, ReadError> {
    let mut made = BTreeMap::new();
    replay(store, seen, |event| {
        let is_of_order = event.stream.category == Order::CATEGORY;
        if is_of_order { orders::fold_all(&mut made, &[event]) } else { Ok(()) }
    })
    .await?;
    Ok(made)
}

fn records(folded: &Folded<Payments>) -> impl Iterator<Item = (&Record, &PaymentRow)> {
    folded.values().filter_map(|row| Some((row.state.record()?, row)))
}
