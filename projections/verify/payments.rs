//! Refunds, orders and merchants against the fold of every stream. Refunds and orders, which fold events in
//! their own way, are compared with what the folded payment itself says of them.

use commands::ports::EventStore;
use domain::payment::Record;

use super::streams::{Folded, fold_all};
use super::{Seen, Verification, compare};
use crate::orders::{self, Attempt, Orders};
use crate::payments::{PaymentRow, Payments};
use crate::refunds::{self, Refunds};
use crate::{ReadError, Reader};

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
    drop(view);
    let named = |row: &orders::OrderRow| (format!("{} {}", row.merchant_id, row.order_no), format!("{row:?}"));
    let tables = tables.iter().map(named).collect();
    let folded = fold_all::<Payments>(store, &seen).await?;
    let attempts = records(&folded).map(|(record, folded)| Attempt::of_record(record, folded.updated_at));
    let expected = orders::of_attempts(attempts).iter().map(named).collect();
    Ok(compare("orders", &seen, &expected, tables))
}

fn records(folded: &Folded<Payments>) -> impl Iterator<Item = (&Record, &PaymentRow)> {
    folded.values().filter_map(|row| Some((row.state.record()?, row)))
}
