//! How many orders were made when, what has become of them by now and what they moved: each order counts in the quarter
//! of an hour in which it was made, under its status of today. So the counts of all statuses add up to the orders that
//! were made, as the list of orders with the same filter shows them. A batch takes off what each of its orders counted
//! before, and adds what it counts now.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Currency, MerchantId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::{OrderKey, OrderRow, OrderStatus};
use crate::database::{moment, parsed};
use crate::rollup::{self, Entry, Key, Owners, Packed, Rollup, Scan, TooMuch, Value, put_sparse, put_text, sparse};
use crate::{ReadError, Snapshot};

pub(crate) const TABLE: &str = "order_figures";
const EVERYBODY: &str = "all";
const MERCHANTS: &str = "mer_";

/// What an order counts as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    status: OrderStatus,
    currency: Currency,
    amount: i64,
    amount_paid: i64,
    amount_refunded: i64,
    created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    currency: Currency,
    /// By its place in [`OrderStatus::ALL`].
    status: u8,
}

/// Orders of one status and currency. Minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub orders: i64,
    /// That money was captured for, and that some of it went back for.
    pub paid: i64,
    pub refunded: i64,
    pub amount: i128,
    pub amount_paid: i128,
    pub amount_refunded: i128,
}

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        self.orders += other.orders;
        self.paid += other.paid;
        self.refunded += other.refunded;
        self.amount = self.amount.saturating_add(other.amount);
        self.amount_paid = self.amount_paid.saturating_add(other.amount_paid);
        self.amount_refunded = self.amount_refunded.saturating_add(other.amount_refunded);
    }
}

impl From<&OrderRow> for Counted {
    fn from(row: &OrderRow) -> Counted {
        Counted {
            status: row.status,
            currency: row.currency,
            amount: row.amount,
            amount_paid: row.amount_paid,
            amount_refunded: row.amount_refunded,
            created_at: row.created_at,
        }
    }
}

impl Counted {
    fn read(row: &PgRow) -> Result<Counted, sqlx::Error> {
        Ok(Counted {
            status: parsed(row, "status")?,
            currency: parsed(row, "currency")?,
            amount: row.try_get("amount")?,
            amount_paid: row.try_get("amount_paid")?,
            amount_refunded: row.try_get("amount_refunded")?,
            created_at: moment(row, "created_at")?,
        })
    }

    fn add_to(&self, rollup: &mut Rollup<Group, Sums>, merchant_id: MerchantId, sign: i64) {
        let status = OrderStatus::ALL.iter().position(|known| *known == self.status);
        let status = status.and_then(|index| u8::try_from(index).ok()).expect("every status is in the list of all");
        let group = Group { currency: self.currency, status };
        let sums = Sums {
            orders: sign,
            paid: sign * i64::from(self.amount_paid > 0),
            refunded: sign * i64::from(self.amount_refunded > 0),
            amount: i128::from(sign) * i128::from(self.amount),
            amount_paid: i128::from(sign) * i128::from(self.amount_paid),
            amount_refunded: i128::from(sign) * i128::from(self.amount_refunded),
        };
        for owner in [merchant_id.to_string().as_str(), EVERYBODY] {
            let entry = Entry { owner, in_totals: &group, in_slots: &group, by_hours: false };
            rollup.add(self.created_at, &entry, &sums);
        }
    }
}

/// What each of the orders counted as before the batch.
pub(super) async fn counted(
    connection: &mut PgConnection,
    keys: &BTreeSet<OrderKey>,
) -> Result<BTreeMap<OrderKey, Counted>, sqlx::Error> {
    let (merchants, order_nos): (Vec<String>, Vec<&str>) =
        keys.iter().map(|(merchant, order_no)| (merchant.to_string(), order_no.as_str())).unzip();
    let rows = sqlx::query(
        "SELECT merchant_id, order_no, status, currency, amount, amount_paid, amount_refunded, created_at
           FROM unnest($1::text[], $2::text[]) AS wanted (merchant_id, order_no)
           JOIN orders USING (merchant_id, order_no)",
    )
    .bind(merchants)
    .bind(order_nos)
    .fetch_all(connection)
    .await?;
    let counted = |row: &PgRow| Ok(((parsed(row, "merchant_id")?, parsed(row, "order_no")?), Counted::read(row)?));
    rows.iter().map(counted).collect()
}

/// Takes off what the orders counted before, and adds what they count now.
pub(crate) fn changes<'r>(
    before: &BTreeMap<OrderKey, Counted>,
    rows: impl IntoIterator<Item = &'r OrderRow>,
) -> Rollup<Group, Sums> {
    let mut rollup = Rollup::default();
    for row in rows {
        let (was, is) = (before.get(&row.key()), Counted::from(row));
        if was == Some(&is) {
            continue;
        }
        if let Some(was) = was {
            was.add_to(&mut rollup, row.merchant_id, -1);
        }
        is.add_to(&mut rollup, row.merchant_id, 1);
    }
    rollup
}

pub(super) async fn store(connection: &mut PgConnection, changes: Rollup<Group, Sums>) -> Result<(), sqlx::Error> {
    rollup::add(connection, TABLE, changes).await
}

impl Key for Group {
    fn pack(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.status);
        put_text(bytes, self.currency.code());
    }

    fn unpack(packed: &mut Packed<'_>) -> Option<Group> {
        let (status, currency) = (packed.byte()?, packed.text()?.parse().ok()?);
        Some(Group { currency, status })
    }
}

impl Value for Sums {
    fn add(&mut self, other: &Sums) {
        Sums::add(self, other);
    }

    fn is_nothing(&self) -> bool {
        *self == Sums::default()
    }

    fn pack(&self, bytes: &mut Vec<u8>) {
        let counts = [self.orders, self.paid, self.refunded].map(i128::from);
        put_sparse(bytes, &[&counts[..], &[self.amount, self.amount_paid, self.amount_refunded]].concat());
    }

    fn absorb(&mut self, packed: &mut Packed<'_>) -> Option<()> {
        let [orders, paid, refunded, amount, amount_paid, amount_refunded] = sparse(packed)?;
        let [orders, paid, refunded] = [orders.try_into().ok()?, paid.try_into().ok()?, refunded.try_into().ok()?];
        Sums::add(self, &Sums { orders, paid, refunded, amount, amount_paid, amount_refunded });
        Some(())
    }
}

/// What is asked: of whose orders, made in which buckets. Currencies and statuses are always told apart.
#[derive(Debug, Clone)]
pub struct OrderQuestion {
    pub merchant_id: Option<MerchantId>,
    pub currency: Option<Currency>,
    /// The edges of the buckets, ascending, one more than there are buckets, on quarters of an hour of UTC.
    pub bounds: Vec<Timestamp>,
    pub by_merchant: bool,
    /// Rows at most.
    pub rows_max: usize,
}

/// Orders that were made in one bucket, of one currency and status.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderFigures {
    /// Which bucket, from 0.
    pub bucket: usize,
    pub currency: Currency,
    /// None if merchants were not told apart.
    pub merchant_id: Option<MerchantId>,
    pub status: OrderStatus,
    pub sums: Sums,
}

/// By bucket, then by currency, merchant and status.
pub async fn figures(
    view: &mut Snapshot,
    question: &OrderQuestion,
) -> Result<Result<Vec<OrderFigures>, TooMuch>, ReadError> {
    let owners = match question.merchant_id {
        Some(merchant_id) => Owners::One(merchant_id.to_string()),
        None if question.by_merchant => Owners::Under(MERCHANTS.to_owned()),
        None => Owners::One(EVERYBODY.to_owned()),
    };
    let scan = Scan {
        table: TABLE,
        owners,
        bounds: &question.bounds,
        totals_serve: true,
        has_hours: false,
        rows_max: question.rows_max,
    };
    let told = |owner: &str, group: &Group| {
        let is_asked = question.currency.is_none_or(|currency| currency == group.currency);
        let merchant_id: Option<MerchantId> = if question.by_merchant { owner.parse().ok() } else { None };
        is_asked.then_some((group.currency, merchant_id, group.status))
    };
    let sums = rollup::sum(view, &scan, told).await?;
    let row = |(bucket, (currency, merchant_id, status), sums): (usize, (_, _, u8), Sums)| {
        let status = *OrderStatus::ALL.get(usize::from(status))?;
        Some(OrderFigures { bucket, currency, merchant_id, status, sums })
    };
    Ok(sums.map(|sums| sums.into_iter().filter_map(row).collect()))
}

#[cfg(test)]
mod tests {
    use domain::{OrderNo, PaymentId};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn row(order: u128, status: usize, paid: i64, created_at: i64) -> OrderRow {
        let created_at = Timestamp::from_micros(created_at * 3_600_000_000);
        OrderRow {
            merchant_id: MerchantId::from_uuid(Uuid::from_u128(order % 3)),
            order_no: format!("A-{order}").parse::<OrderNo>().unwrap(),
            status: OrderStatus::ALL[status],
            currency: if paid % 2 == 0 { Currency::USD } else { Currency::EUR },
            amount: 100,
            amount_paid: paid,
            amount_refunded: paid / 3,
            channel: None,
            created_at,
            updated_at: created_at,
            payment_ids: vec![PaymentId::from_uuid(Uuid::from_u128(order))],
            made: None,
        }
    }

    proptest! {
        /// Whatever orders were before, and in however many batches they became what they are.
        #[test]
        fn figures_are_those_of_the_orders_as_they_are_now(
            first in prop::collection::vec((0_u128..6, 0_usize..10, 0_i64..9, 0_i64..3), 0..20),
            then in prop::collection::vec((0_u128..6, 0_usize..10, 0_i64..9, 0_i64..3), 0..20),
        ) {
            let mut known: BTreeMap<OrderKey, OrderRow> = BTreeMap::new();
            let mut total = Rollup::default();
            for (order, status, paid, created_at) in first.into_iter().chain(then) {
                let row = row(order, status, paid, created_at);
                let before = known.values().map(|row| (row.key(), Counted::from(row))).collect();
                total.merge(changes(&before, [&row]));
                known.insert(row.key(), row);
            }
            let rows: Vec<OrderRow> = known.into_values().collect();
            prop_assert_eq!(total.cells(), changes(&BTreeMap::new(), &rows).cells());
        }
    }

    #[test]
    fn an_order_counts_under_what_it_is() {
        let counted = |status: usize, paid: i64| {
            let mut sums = vec![];
            let changed = changes(&BTreeMap::new(), [&row(1, status, paid, 5)]);
            for ((_, owner, slot, key), value) in changed.cells() {
                assert_eq!(slot, 20);
                if owner == EVERYBODY {
                    sums.push((OrderStatus::ALL[usize::from(key.status)], value));
                }
            }
            sums
        };
        let pending = Sums { orders: 1, amount: 100, ..Sums::default() };
        assert_eq!(counted(0, 0), [(OrderStatus::Pending, pending)]);
        let kept = Sums { paid: 1, amount_paid: 2, ..pending };
        assert_eq!(counted(2, 2), [(OrderStatus::Paid, kept)]);
        let paid = Sums { paid: 1, refunded: 1, amount_paid: 8, amount_refunded: 2, ..pending };
        assert_eq!(counted(3, 8), [(OrderStatus::PartiallyRefunded, paid)]);
    }
}
