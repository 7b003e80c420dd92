//! Lists: how many rows a page has, where it begins, and the shape in which it is answered.

use projections::{Cursor, Page};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::errors;
use crate::problem::Problem;

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
