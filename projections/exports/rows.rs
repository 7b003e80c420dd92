//! Which rows an export of each kind has: those of the kind's list, in its order, read one at a time.

use domain::payment::PaymentStatus;
use domain::pre_auth::PreAuthStatus;
use domain::withdrawal::WithdrawalStatus;
use domain::{Decider, dispute, settlement};
use futures::TryStreamExt;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder};

use super::job::Claim;
use super::sheet::{Column, Sheet};
use super::{Failure, Kind, Selection, columns};
use crate::orders::OrderStatus;
use crate::refunds::RefundState;
use crate::streams::{self, StreamReadModel, StreamRow};
use crate::{Snapshot, StatusText, books, orders, refunds, statements};

pub(super) async fn write(view: &mut Snapshot, claim: &Claim, sheet: &mut Sheet<'_>) -> Result<(), Failure> {
    let wanted = &claim.selection;
    match claim.kind {
        Kind::Payments => {
            of_streams::<crate::payments::Payments, PaymentStatus, _>(view, wanted, columns::PAYMENTS, sheet).await
        }
        Kind::PreAuths => {
            of_streams::<crate::pre_auths::PreAuths, PreAuthStatus, _>(view, wanted, columns::PRE_AUTHS, sheet).await
        }
        Kind::Settlements => {
            type Model = crate::settlements::Settlements;
            of_streams::<Model, settlement::Status, _>(view, wanted, columns::SETTLEMENTS, sheet).await
        }
        Kind::Withdrawals => {
            type Model = crate::withdrawals::Withdrawals;
            of_streams::<Model, WithdrawalStatus, _>(view, wanted, columns::WITHDRAWALS, sheet).await
        }
        Kind::Disputes => {
            type Model = crate::disputes::Disputes;
            of_streams::<Model, dispute::DisputeStatus, _>(view, wanted, columns::DISPUTES, sheet).await
        }
        Kind::Refunds => of_refunds(view, wanted, sheet).await,
        Kind::Orders => of_orders(view, wanted, sheet).await,
        Kind::Movements => of_movements(view, wanted, sheet).await,
        Kind::Journal => of_journal(view, wanted, sheet).await,
    }
}

async fn of_streams<M, T, S>(
    view: &mut Snapshot,
    wanted: &Selection,
    columns: &[Column<StreamRow<S>>],
    sheet: &mut Sheet<'_>,
) -> Result<(), Failure>
where
    M: StreamReadModel,
    M::Aggregate: Decider<State = S>,
    S: DeserializeOwned + Send + Sync,
    T: StatusText + std::str::FromStr,
{
    let mut query = streams::select::<M>();
    wanted.filter::<T>()?.push(&mut query);
    query.push(" ORDER BY created_at DESC, id DESC");
    each(view, query, streams::read, columns, sheet).await
}

async fn of_refunds(view: &mut Snapshot, wanted: &Selection, sheet: &mut Sheet<'_>) -> Result<(), Failure> {
    let mut query = QueryBuilder::new(refunds::SELECT);
    wanted.filter::<RefundState>()?.push(&mut query);
    if let Some(payment_id) = wanted.payment_id {
        query.push(" AND payment_id = ").push_bind(payment_id.to_string());
    }
    query.push(" ORDER BY created_at DESC, refund_id DESC");
    each(view, query, refunds::read, columns::REFUNDS, sheet).await
}

async fn of_orders(view: &mut Snapshot, wanted: &Selection, sheet: &mut Sheet<'_>) -> Result<(), Failure> {
    let mut query = QueryBuilder::new(orders::SELECT);
    wanted.filter::<OrderStatus>()?.push(&mut query);
    query.push(" ORDER BY created_at DESC, first_id DESC");
    each(view, query, orders::read, columns::ORDERS, sheet).await
}

/// Statement after statement, each oldest first.
async fn of_movements(view: &mut Snapshot, wanted: &Selection, sheet: &mut Sheet<'_>) -> Result<(), Failure> {
    let mut query = QueryBuilder::new(statements::SELECT);
    query.push(" WHERE true");
    push_of_the_books(&mut query, wanted);
    query.push(" ORDER BY merchant_id, currency, position");
    each(view, query, statements::read, columns::MOVEMENTS, sheet).await
}

async fn of_journal(view: &mut Snapshot, wanted: &Selection, sheet: &mut Sheet<'_>) -> Result<(), Failure> {
    let mut query = QueryBuilder::new(books::ENTRIES);
    query.push(" WHERE true");
    if let Some(account) = &wanted.account {
        query.push(" AND account = ").push_bind(account.clone());
    }
    push_of_the_books(&mut query, wanted);
    query.push(" ORDER BY position, line");
    each(view, query, books::read_entry, columns::JOURNAL, sheet).await
}

fn push_of_the_books(query: &mut QueryBuilder<'_, Postgres>, wanted: &Selection) {
    if let Some(merchant_id) = wanted.merchant_id {
        query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
    }
    if let Some(currency) = wanted.currency {
        query.push(" AND currency = ").push_bind(currency.to_string());
    }
    if let Some(from) = wanted.from {
        query.push(" AND recorded_at >= ").push_bind(from.to_datetime());
    }
    if let Some(to) = wanted.to {
        query.push(" AND recorded_at < ").push_bind(to.to_datetime());
    }
}

/// The driver asks the socket for the next row only when this one is written, so rows never pile up here.
async fn each<R: Send + Sync>(
    view: &mut Snapshot,
    mut query: QueryBuilder<'_, Postgres>,
    read: fn(&PgRow) -> Result<R, sqlx::Error>,
    columns: &[Column<R>],
    sheet: &mut Sheet<'_>,
) -> Result<(), Failure> {
    sheet.begin(columns);
    let mut rows = query.build().fetch(view.connection());
    while let Some(row) = rows.try_next().await? {
        sheet.row(columns, &read(&row)?).await?;
    }
    Ok(())
}
