//! Lists: how many rows a page has, where it begins, and the shape in which it is answered.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::errors;
use crate::problem::Problem;

/// 1 to 100 rows, 20 unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub usize);

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
    /// A page of at most `limit` of the `rows`, which are one more than that if there are more. `key` is what the next
    /// page begins behind.
    pub fn of<R>(mut rows: Vec<R>, limit: Limit, key: impl Fn(&R) -> String, render: impl Fn(R) -> T) -> List<T> {
        let has_more = rows.len() > limit.0;
        rows.truncate(limit.0);
        let next_cursor = rows.last().filter(|_| has_more).map(|last| encode(&key(last)));
        List { object: "list", data: rows.into_iter().map(render).collect(), has_more, next_cursor }
    }
}

const VERSION: &str = "c1:";

/// A cursor is opaque to callers, so that what stands in it may change.
pub fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{VERSION}{key}"))
}

/// The key in a cursor, read as `T`.
pub fn decode<T: std::str::FromStr>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.as_deref().and_then(|text| text.strip_prefix(VERSION)).and_then(|key| key.parse().ok());
    key.map(Some).ok_or_else(|| Problem::of(errors::INVALID_CURSOR).in_parameter("cursor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let page = |rows: Vec<u64>| List::of(rows, Limit(2), u64::to_string, |row| row);
        let last = page(vec![9, 8]);
        assert_eq!((last.data, last.has_more, last.next_cursor), (vec![9, 8], false, None));
        let more = page(vec![9, 8, 7]);
        assert_eq!((more.data, more.has_more), (vec![9, 8], true));
        assert_eq!(decode::<u64>(more.next_cursor.as_deref()).unwrap(), Some(8));
    }

    #[test]
    fn a_cursor_of_another_kind_is_refused() {
        for cursor in ["", "x", "AAAA", &encode("x"), &URL_SAFE_NO_PAD.encode("8"), &URL_SAFE_NO_PAD.encode([255])] {
            let problem = decode::<u64>(Some(cursor)).unwrap_err();
            assert_eq!((&*problem.code, problem.status.as_u16()), ("invalid_cursor", 400), "{cursor}");
        }
        assert_eq!(decode::<u64>(None).unwrap(), None);
    }
}
