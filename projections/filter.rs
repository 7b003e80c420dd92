//! The filters that lists have in common, as SQL conditions. Each list names its own columns alike.

use domain::{ChannelName, Currency, MerchantId, OrderNo, Timestamp};
use sqlx::{Postgres, QueryBuilder};

use crate::Cursor;

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
        if let Some(merchant_id) = self.merchant_id {
            query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
        }
        if let Some(status) = &self.status {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        if let Some(currency) = self.currency {
            query.push(" AND currency = ").push_bind(currency.to_string());
        }
        if let Some(channel) = &self.channel {
            query.push(" AND channel = ").push_bind(channel.to_string());
        }
        if let Some(order_no) = &self.order_no {
            query.push(" AND order_no = ").push_bind(order_no.to_string());
        }
        if let Some(from) = self.created_from {
            query.push(" AND created_at >= ").push_bind(from.to_datetime());
        }
        if let Some(to) = self.created_to {
            query.push(" AND created_at <= ").push_bind(to.to_datetime());
        }
        if let Some(minimum) = self.amount_min {
            query.push(" AND amount >= ").push_bind(minimum);
        }
        if let Some(maximum) = self.amount_max {
            query.push(" AND amount <= ").push_bind(maximum);
        }
    }
}

/// Appends what turns a query into a page, newest first: at most `limit` rows behind `cursor`, and one more that tells
/// whether another page follows.
pub(crate) fn push_page(query: &mut QueryBuilder<'_, Postgres>, id: &str, limit: u32, cursor: Option<&Cursor>) {
    if let Some(cursor) = cursor {
        let created_at = Timestamp::from_micros(cursor.key).to_datetime();
        query.push(format_args!(" AND (created_at, {id}) < (")).push_bind(created_at);
        query.push(", ").push_bind(cursor.id.clone()).push(")");
    }
    query.push(format_args!(" ORDER BY created_at DESC, {id} DESC LIMIT ")).push_bind(i64::from(limit) + 1);
}
