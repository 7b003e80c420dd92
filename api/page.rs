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

/// Where a page begins. The text is opaque to callers.
pub fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let cursor = text.map(str::parse).transpose();
    cursor.map_err(|_| Problem::of(errors::INVALID_CURSOR).in_parameter("cursor"))
}
