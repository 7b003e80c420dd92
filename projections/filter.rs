//! The filters that lists have in common, as SQL conditions. Each list names its own columns alike.

use domain::{ChannelName, Currency, MerchantId, OrderNo, Timestamp};
use sqlx::{Postgres, QueryBuilder};

use crate::Cursor;
use crate::streams::Columns;

/// What a status is called in the tables and to merchants.
pub trait StatusText {
    fn as_str(&self) -> &'static str;
}

/// Which rows of a list are wanted: all that meet every condition given. Bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter<S> {
    pub merchant_id: Option<MerchantId>,
    pub status: Option<S>,
    pub currency: Option<Currency>,
    pub channel: Option<ChannelName>,
    pub order_no: Option<OrderNo>,
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
    /// Minor units.
    pub amount_min: Option<i64>,
    pub amount_max: Option<i64>,
}

impl<S> Default for Filter<S> {
    fn default() -> Self {
        Filter {
            merchant_id: None,
            status: None,
            currency: None,
            channel: None,
            order_no: None,
            created_from: None,
            created_to: None,
            amount_min: None,
            amount_max: None,
        }
    }
}

impl<S: StatusText> Filter<S> {
    /// Appends ` AND ...` for each condition.
    pub(crate) fn push(&self, query: &mut QueryBuilder<'_, Postgres>) {
        self.push_identity(query, "created_at");
        self.push_status(query);
        self.push_terms(query);
    }

    /// The conditions on whose it is, of which order, and when it was created.
    pub(crate) fn push_identity(&self, query: &mut QueryBuilder<'_, Postgres>, created_at: &str) {
        if let Some(merchant_id) = self.merchant_id {
            query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
        }
        if let Some(order_no) = &self.order_no {
            query.push(" AND order_no = ").push_bind(order_no.to_string());
        }
        if let Some(from) = self.created_from {
            query.push(format_args!(" AND {created_at} >= ")).push_bind(from.to_datetime());
        }
        if let Some(to) = self.created_to {
            query.push(format_args!(" AND {created_at} <= ")).push_bind(to.to_datetime());
        }
    }

    pub(crate) fn push_status(&self, query: &mut QueryBuilder<'_, Postgres>) {
        if let Some(status) = &self.status {
            query.push(" AND status = ").push_bind(status.as_str());
        }
    }

    /// The conditions on currency, channel and amount. Amounts are indexed by currency, so a condition on them alone names
    /// every currency there is: a few hundred short looks at the index instead of one along all of it.
    pub(crate) fn push_terms(&self, query: &mut QueryBuilder<'_, Postgres>) {
        if let Some(currency) = self.currency {
            query.push(" AND currency = ").push_bind(currency.to_string());
        } else if self.amount_min.is_some() || self.amount_max.is_some() {
            let all: Vec<String> = Currency::all().iter().map(Currency::to_string).collect();
            query.push(" AND currency = ANY(").push_bind(all).push(")");
        }
        if let Some(channel) = &self.channel {
            query.push(" AND channel = ").push_bind(channel.to_string());
        }
        if let Some(minimum) = self.amount_min {
            query.push(" AND amount >= ").push_bind(minimum);
        }
        if let Some(maximum) = self.amount_max {
            query.push(" AND amount <= ").push_bind(maximum);
        }
    }

    /// Whether a row that was folded, and is in no table, meets every condition.
    pub(crate) fn admits(&self, row: &Columns) -> bool {
        fn met<T: PartialEq>(wanted: &Option<T>, found: &Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let amount = |is_met: fn(i64, i64) -> bool, bound: Option<i64>| {
            bound.is_none_or(|bound| row.amount.is_some_and(|amount| is_met(amount, bound)))
        };
        met(&self.merchant_id, &row.merchant_id)
            && met(&self.order_no, &row.order_no)
            && met(&self.currency, &row.currency)
            && met(&self.channel, &row.channel)
            && self.status.as_ref().is_none_or(|status| status.as_str() == row.status)
            && self.created_from.is_none_or(|from| row.created_at >= from)
            && self.created_to.is_none_or(|to| row.created_at <= to)
            && amount(|amount, minimum| amount >= minimum, self.amount_min)
            && amount(|amount, maximum| amount <= maximum, self.amount_max)
    }
}

/// Appends what turns a query into a page, newest first: at most `limit` rows behind `cursor`, and one more that tells
/// whether another page follows.
pub(crate) fn push_page(query: &mut QueryBuilder<'_, Postgres>, id: &str, limit: u32, cursor: Option<&Cursor>) {
    push_page_by(query, ("created_at", id), limit, cursor);
}

/// [`push_page`] of a list that is sorted by these two columns.
pub(crate) fn push_page_by(
    query: &mut QueryBuilder<'_, Postgres>,
    (created_at, id): (&str, &str),
    limit: u32,
    cursor: Option<&Cursor>,
) {
    if let Some(cursor) = cursor {
        let key = Timestamp::from_micros(cursor.key).to_datetime();
        query.push(format_args!(" AND ({created_at}, {id}) < (")).push_bind(key);
        query.push(", ").push_bind(cursor.id.clone()).push(")");
    }
    query.push(format_args!(" ORDER BY {created_at} DESC, {id} DESC LIMIT ")).push_bind(i64::from(limit) + 1);
}
