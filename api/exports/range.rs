//! Which part of a file is wanted (RFC 9110, section 14): one range of bytes, or the whole. Knows no file.

use std::ops::Range;

use axum::http::{HeaderMap, header};

#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    /// Never empty.
    Part(Range<u64>),
    /// The file does not reach as far.
    Beyond,
}

/// What is no range of bytes, or several, asks for the whole, as does a range of another file than that of `etag`.
pub fn wanted(headers: &HeaderMap, etag: &str, length: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_of_another = text(header::IF_RANGE).is_some_and(|condition| condition != etag);
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes="));
    match range.filter(|_| !is_of_another).and_then(|range| range.trim().split_once('-')) {
        Some((first, last)) => part(first, last, length).unwrap_or(Wanted::Whole),
        None => Wanted::Whole,
    }
}

fn part(first: &str, last: &str, length: u64) -> Option<Wanted> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let range = match (first, last) {
        // So many bytes at the end.
        ("", count) => length.saturating_sub(number(count)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some(if range.start < range.end { Wanted::Part(range) } else { Wanted::Beyond })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(range: &'static str, if_range: Option<&'static str>, length: u64) -> Wanted {
        let mut headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
        if let Some(condition) = if_range {
            headers.insert(header::IF_RANGE, HeaderValue::from_static(condition));
        }
        wanted(&headers, "\"a\"", length)
    }

    #[test]
    fn one_range_is_served_and_everything_else_is_the_whole() {
        let table = [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=5-", Wanted::Part(5..100)),
            ("bytes=-7", Wanted::Part(93..100)),
            ("bytes=-200", Wanted::Part(0..100)),
            ("bytes=90-500", Wanted::Part(90..100)),
            ("bytes=99-99", Wanted::Part(99..100)),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=100-200", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=9-5", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("rows=0-1", Wanted::Whole),
            ("bytes=0-99999999999999999999", Wanted::Whole),
        ];
        for (range, expected) in table {
            assert_eq!(of(range, None, 100), expected, "{range}");
        }
        assert_eq!(of("bytes=0-9", Some("\"a\""), 100), Wanted::Part(0..10));
        assert_eq!(of("bytes=0-9", Some("\"b\""), 100), Wanted::Whole);
        assert_eq!(of("bytes=0-", None, 0), Wanted::Beyond);
        assert_eq!(wanted(&HeaderMap::new(), "\"a\"", 100), Wanted::Whole);
    }
}
