//! One page of a list and the place where the next one begins. Knows no table and no filter.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Rows, newest first, and where to go on if there are more.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<Cursor>,
}

/// The sort key of a page's last row: what comes behind it stays the same while new rows arrive in front. Written
/// as one opaque text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Microseconds or a position, whatever the list is sorted by; never negative.
    pub key: i64,
    /// Tells rows with the same key apart.
    pub id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list")]
pub struct NotACursor;

impl<T> Page<T> {
    /// A page of at most `limit` rows out of one more than that, if there are.
    pub(crate) fn cut(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(cursor) } else { None };
        Page { rows, next }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}:{}", self.key, self.id)))
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotACursor)?;
        let decoded = String::from_utf8(bytes).map_err(|_| NotACursor)?;
        let (key, id) = decoded.split_once(':').ok_or(NotACursor)?;
        match key.parse() {
            Ok(key @ 0..) if !id.contains('\0') => Ok(Cursor { key, id: id.to_owned() }),
            _ => Err(NotACursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(key: i64, id: &str) -> Cursor {
        Cursor { key, id: id.to_owned() }
    }

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        for cursor in [cursor(0, ""), cursor(5, "pay_1"), cursor(i64::MAX, "a:b:c"), cursor(1, "ü")] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn other_texts_are_no_cursors() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in [
            "",
            "!",
            "====",
            &encoded("1"),
            &encoded("x:pay_1"),
            &encoded("1:\0"),
            &encoded("-1:pay_1"),
            &URL_SAFE_NO_PAD.encode([255]),
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }

    #[test]
    fn a_full_page_knows_whether_more_follows() {
        let key = |row: &i64| cursor(*row, "");
        assert_eq!(Page::cut(vec![3, 2, 1], 2, key), Page { rows: vec![3, 2], next: Some(cursor(2, "")) });
        assert_eq!(Page::cut(vec![3, 2], 2, key), Page { rows: vec![3, 2], next: None });
        assert_eq!(Page::cut(vec![], 2, key), Page { rows: vec![], next: None });
    }
}
