//! Refunds, orders and merchants against the fold of every stream. Refunds and orders, which fold events in
//! their own way, are compared with what the folded payment itself says of them.

use std::collections::BTreeMap;

use commands::ports::EventStore;
use domain::Decider;
use domain::order::Order;
use domain::payment::{Record, State};

use super::streams::{Folded, fold_all};
use super::{Rows, Seen, Verification, compare, replay};
use crate::orders::{self, Attempt, ListedOrder, MadeRow, OrderKey, Orders};
use crate::payments::Payments;
use crate::refunds::{self, Refunds};
use crate::streams::Begun;
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
    let named = |listed: &ListedOrder| {
        let row = &listed.row;
        (format!("{} {}", row.merchant_id, row.order_no), format!("{listed:?}"))
    };
    let mut tables: Rows = tables.iter().map(named).collect();
    rollup::stored(&mut view, orders::FIGURES, |name, row| {
        tables.insert(name, row);
    })
    .await?;
    drop(view);
    let folded = fold_all::<Payments>(store, &seen).await?;
    let attempts = records(&folded)
        .map(|(record, begun)| Attempt::of_record(record, begun.recorded_at, begun.row.updated_at))
        .collect::<Vec<_>>();
    drop(folded);
    let rows = orders::listed(attempts, &orders_made(store, &seen).await?);
    let figures = orders::changes(&BTreeMap::new(), rows.iter().map(|listed| &listed.row));
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

fn records(folded: &Folded<Payments>) -> impl Iterator<Item = (&Record, &Begun<State>)> {
    folded.values().filter_map(|begun| Some((begun.row.state.record()?, begun)))
}
