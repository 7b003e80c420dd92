//! Lists: which rows are asked for, how many a page has, where it begins, and the shape in which it is answered.

use std::fmt::Display;
use std::str::FromStr;

use projections::{Cursor, Page};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::errors;
use crate::position::AsOf;
use crate::problem::Problem;

/// Defines what a list of objects can be asked for: what every list can, and fields of its own.
macro_rules! list_query {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// 1 to 100, 20 unless told otherwise.
            #[serde(default)]
            #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
            pub limit: $crate::page::Limit,
            /// `next_cursor` of the page before.
            pub cursor: Option<String>,
            /// For everybody but merchants: whose objects.
            #[param(value_type = Option<String>)]
            pub merchant_id: Option<domain::MerchantId>,
            $($(#[$attribute])* pub $field: $type,)*
            /// One of the object's statuses.
            pub status: Option<String>,
            #[param(value_type = Option<String>)]
            pub currency: Option<domain::Currency>,
            #[param(value_type = Option<String>)]
            pub channel: Option<domain::ChannelName>,
            #[param(value_type = Option<String>)]
            pub order_no: Option<domain::OrderNo>,
            /// RFC 3339; both ends are included.
            #[param(value_type = Option<String>, format = DateTime)]
            pub created_from: Option<domain::Timestamp>,
            #[param(value_type = Option<String>, format = DateTime)]
            pub created_to: Option<domain::Timestamp>,
            /// Minor units; both ends are included.
            pub amount_min: Option<i64>,
            pub amount_max: Option<i64>,
        }

        impl $name {
            /// Where the page begins.
            pub fn begin(&self) -> Result<Option<projections::Cursor>, $crate::problem::Problem> {
                $crate::page::cursor(self.cursor.as_deref())
            }

            /// Which rows are wanted of those that `reader` may see; `S` is the objects' status.
            pub fn filter<S>(
                self,
                reader: $crate::auth::roles::ObjectReader,
            ) -> Result<projections::Filter<S>, $crate::problem::Problem>
            where
                S: std::str::FromStr,
                S::Err: std::fmt::Display,
            {
                Ok(projections::Filter {
                    merchant_id: reader.whose(self.merchant_id)?,
                    status: $crate::page::status(self.status.as_deref())?,
                    currency: self.currency,
                    channel: self.channel,
                    order_no: self.order_no,
                    created_from: self.created_from,
                    created_to: self.created_to,
                    amount_min: self.amount_min,
                    amount_max: self.amount_max,
                })
            }
        }
    };
}
pub(crate) use list_query;

list_query! {
    /// What every list of objects can be asked for.
    ListQuery {}
}

list_query! {
    /// [`ListQuery`] of a list that tells the past as well.
    PastListQuery {
        /// A `Ledger-Position` or an RFC 3339 time: what was there by then, as it was then. Together with a filter by what
        /// may have changed since, such as the status, a page may be shorter than `limit` although more follow.
        #[param(value_type = Option<String>)]
        as_of: Option<AsOf>,
    }
}

/// The status that is asked for.
pub fn status<S>(text: Option<&str>) -> Result<Option<S>, Problem>
where
    S: FromStr,
    S::Err: Display,
{
    let unknown = |error: S::Err| {
        Problem::new(errors::INVALID_PARAMETER, format!("the parameter status {error}")).in_parameter("status")
    };
    text.map(|status| status.parse().map_err(unknown)).transpose()
}

/// 1 to 100 rows, 20 unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub u32);

impl Default for Limit {
    fn default() -> Self {
        Limit(20)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let limit = text.parse().ok().filter(|limit| (1..=100).contains(limit));
        limit.map(Limit).ok_or_else(|| D::Error::custom("must be a number from 1 to 100"))
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: &'static str,
    pub data: Vec<T>,
    pub has_more: bool,
    /// The `cursor` of the next page.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    pub fn of<R>(page: Page<R>, render: impl Fn(R) -> T) -> List<T> {
        List::new(page.rows.into_iter().map(render).collect(), page.next)
    }

    pub fn new(data: Vec<T>, next: Option<Cursor>) -> List<T> {
        List { object: "list", data, has_more: next.is_some(), next_cursor: next.map(|cursor| cursor.to_string()) }
    }
}

/// The last microsecond of the year 9999: what lies beyond is no key that this server ever wrote.
const KEY_MAX: u64 = 253_402_300_799_999_999;

/// Where a page begins. The text is opaque to callers.
pub fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let invalid = || Problem::of(errors::INVALID_CURSOR).in_parameter("cursor");
    let cursor: Option<Cursor> = text.map(str::parse).transpose().map_err(|_| invalid())?;
    match cursor {
        Some(cursor) if cursor.key.unsigned_abs() > KEY_MAX => Err(invalid()),
        cursor => Ok(cursor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_cursor_is_refused() {
        let of = |key: i64| Cursor { key, id: "pay_1".to_owned() };
        assert_eq!(cursor(Some(&of(1_790_000_000_000_000).to_string())).unwrap(), Some(of(1_790_000_000_000_000)));
        assert_eq!(cursor(None).unwrap(), None);
        for text in ["", "x", "AAAA", &of(i64::MIN).to_string(), &of(i64::MAX).to_string()] {
            let problem = cursor(Some(text)).unwrap_err();
            assert_eq!((&*problem.code, problem.status.as_u16()), ("invalid_cursor", 400), "{text}");
        }
    }
}
