//! Payments, refunds, orders and merchants against the fold of every stream. Refunds and orders, which fold events in
//! their own way, are compared with what the folded payment itself says of them.

use std::collections::HashMap;

use commands::ports::EventStore;
use domain::merchant::Merchant;
use domain::payment::{Payment, Record};
use domain::{Decider, merchant};

use super::{Rows, Verification, compare, digest, replay};
use crate::merchants::Merchants;
use crate::orders::{self, Attempt, Orders};
use crate::payments::{Folded, Payments, columns, fold, stored};
use crate::refunds::{self, Refunds};
use crate::{ReadError, Reader, merchants};

pub(super) async fn verify_payments(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Payments]).await?;
    let (position, mut tables) = (view.position, Rows::new());
    stored(&mut view, |row| {
        tables.insert(row.payment_id.clone(), digest(&row));
    })
    .await?;
    drop(view);
    let folded = fold_all(store, position).await?;
    let expected = columns(folded.values())?;
    let expected = expected.iter().map(|row| (row.payment_id.clone(), digest(row))).collect();
    Ok(compare("payments", position, &expected, tables))
}

pub(super) async fn verify_refunds(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Refunds]).await?;
    let (position, tables) = (view.position, refunds::stored(&mut view).await?);
    drop(view);
    let tables = tables.iter().map(|row| (row.refund_id.to_string(), row.facts())).collect();
    let folded = fold_all(store, position).await?;
    let expected = records(&folded).flat_map(|(record, _)| refunds::of_record(record));
    let expected = expected.map(|row| (row.refund_id.to_string(), row.facts())).collect();
    Ok(compare("refunds", position, &expected, tables))
}

pub(super) async fn verify_orders(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Orders]).await?;
    let (position, tables) = (view.position, orders::stored(&mut view).await?);
    drop(view);
    let named = |row: &orders::OrderRow| (format!("{} {}", row.merchant_id, row.order_no), format!("{row:?}"));
    let tables = tables.iter().map(named).collect();
    let folded = fold_all(store, position).await?;
    let attempts = records(&folded).map(|(record, folded)| Attempt::of_record(record, folded.updated_at));
    let expected = orders::of_attempts(attempts).iter().map(named).collect();
    Ok(compare("orders", position, &expected, tables))
}

pub(super) async fn verify_merchants(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Merchants]).await?;
    let (position, tables) = (view.position, merchants::stored(&mut view).await?);
    drop(view);
    let tables = tables.iter().map(|row| (row.record.merchant_id.to_string(), format!("{:?}", row.record))).collect();
    let mut states: HashMap<String, merchant::State> = HashMap::new();
    replay(store, position, |event| {
        if event.stream.category == Merchant::CATEGORY {
            let state = states.entry(event.stream.id.clone()).or_default();
            *state = Merchant::evolve(std::mem::take(state), &event.decode()?);
        }
        Ok(())
    })
    .await?;
    let records = states.values().filter_map(|state| state.record());
    let expected = records.map(|record| (record.merchant_id.to_string(), format!("{record:?}"))).collect();
    Ok(compare("merchants", position, &expected, tables))
}

/// Every payment folded up to `position`, by its id.
async fn fold_all(store: &dyn EventStore, position: u64) -> Result<HashMap<String, Folded>, ReadError> {
    let mut folded: HashMap<String, Folded> = HashMap::new();
    replay(store, position, |event| match event.stream.category.as_ref() {
        Payment::CATEGORY => fold(folded.entry(event.stream.id.clone()).or_default(), event),
        _ => Ok(()),
    })
    .await?;
    Ok(folded)
}

fn records(folded: &HashMap<String, Folded>) -> impl Iterator<Item = (&Record, &Folded)> {
    folded.values().filter_map(|folded| Some((folded.state.record()?, folded)))
}
