//! How amounts, moments, references and kinds are spelled in statements. A value that is not exact is no value.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use domain::money::AMOUNT_MAX;
use domain::{Currency, DisputeId, PaymentId, RefundId, Timestamp, WithdrawalId};

const REFERENCE_CHARACTERS_MAX: usize = 255;

/// Text of UTF-8, or of GBK where it is not. Blanks, tabs and the backtick that keeps spreadsheets from changing numbers
/// are taken off.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let trim = |text: &str| text.trim_matches(|letter: char| letter.is_whitespace() || letter == '`').to_owned();
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text.trim_matches(|letter: char| letter.is_whitespace() || letter == '`')),
        Err(_) => Cow::Owned(trim(&encoding_rs::GBK.decode_without_bom_handling(bytes).0)),
    }
}

/// Minor units of an amount in major ones: `-10.50` of USD is -1050.
pub(super) fn minor_of_major(text: &str, currency: Currency) -> Result<i64, &'static str> {
    const NOT_AN_AMOUNT: &str = "an amount is not one of its currency";
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let (major, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let places = usize::from(currency.exponent());
    let (kept, beyond) = fraction.split_at_checked(fraction.len().min(places)).ok_or(NOT_AN_AMOUNT)?;
    if major.is_empty() || !digits(major) || !digits(fraction) || beyond.bytes().any(|byte| byte != b'0') {
        return Err(NOT_AN_AMOUNT);
    }
    let major: i64 = major.parse().map_err(|_| NOT_AN_AMOUNT)?;
    let mut minor: i64 = if kept.is_empty() { 0 } else { kept.parse().map_err(|_| NOT_AN_AMOUNT)? };
    for _ in kept.len()..places {
        minor *= 10;
    }
    let whole = major.checked_mul(currency.minor_per_major()).and_then(|whole| whole.checked_add(minor));
    whole.filter(|whole| *whole <= AMOUNT_MAX).map(|whole| sign * whole).ok_or(NOT_AN_AMOUNT)
}

/// An amount that is written in minor units, without a sign.
pub(super) fn minor(text: &str) -> Result<i64, &'static str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let amount = text.parse().ok().filter(|amount| is_number && (0..=AMOUNT_MAX).contains(amount));
    amount.ok_or("an amount is not a number of minor units")
}

pub(super) fn currency(text: &str) -> Result<Currency, &'static str> {
    let known = text.parse().or_else(|_| text.to_ascii_uppercase().parse());
    known.map_err(|_| "the currency is not known")
}

/// RFC 3339, or a date with or without a time of day, `-` or `/` between its parts; `offset_hours` east of UTC where it
/// does not say so itself.
pub(super) fn moment(text: &str, offset_hours: i32) -> Result<Timestamp, &'static str> {
    const NOT_A_TIME: &str = "a date cannot be read";
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let text = text.replace('/', "-");
    if let Ok(moment) = DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S %z") {
        return Ok(moment.to_utc().into());
    }
    let local = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S")
        .or_else(|_| NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S"))
        .or_else(|_| NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M"))
        .or_else(|_| NaiveDate::parse_from_str(&text, "%Y-%m-%d").map(|day| day.and_time(chrono::NaiveTime::MIN)));
    let offset = FixedOffset::east_opt(offset_hours * 3_600).ok_or(NOT_A_TIME)?;
    let local = local.map_err(|_| NOT_A_TIME)?.and_local_timezone(offset).single().ok_or(NOT_A_TIME)?;
    Ok(local.to_utc().into())
}

/// The moment behind everything that is dated so: the end of a day, or of a second.
pub(super) fn end_of(text: &str, offset_hours: i32) -> Result<Timestamp, &'static str> {
    let length = if text.contains(':') { Duration::from_secs(1) } else { Duration::from_secs(24 * 3_600) };
    moment(text, offset_hours).map(|begin| begin.plus(length))
}

/// What a line is called, if it is called anything.
pub(super) fn reference(text: &str) -> Result<Option<String>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.chars().count() > REFERENCE_CHARACTERS_MAX || text.chars().any(char::is_control) {
        return Err("a reference has more than 255 characters, or control characters");
    }
    Ok(Some(text.to_owned()))
}

/// The text, if it is an id of ours.
pub(super) fn own_reference(text: &str) -> Option<String> {
    let is_ours = text.parse::<PaymentId>().is_ok()
        || text.parse::<RefundId>().is_ok()
        || text.parse::<DisputeId>().is_ok()
        || text.parse::<WithdrawalId>().is_ok();
    is_ours.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_none() {
        let of = |text: &str, code: &str| minor_of_major(text, code.parse().unwrap()).ok();
        for (text, code, expected) in [
            ("10.50", "USD", Some(1_050)),
            ("-10.5", "USD", Some(-1_050)),
            ("+3", "USD", Some(300)),
            ("0.00", "USD", Some(0)),
            ("1000", "JPY", Some(1_000)),
            ("1000.00", "JPY", Some(1_000)),
            ("1.050", "KWD", Some(1_050)),
            ("9999999999999.99", "USD", Some(AMOUNT_MAX)),
            ("10000000000000.00", "USD", None),
            ("99999999999999999999", "USD", None),
            ("10.505", "USD", None),
            ("1.5", "JPY", None),
            ("", "USD", None),
            ("-", "USD", None),
            (".5", "USD", None),
            ("1,000.00", "USD", None),
            ("1e3", "USD", None),
            ("１", "USD", None),
            ("1.é", "USD", None),
        ] {
            assert_eq!(of(text, code), expected, "{text} {code}");
        }
        for (text, expected) in [("3000", Some(3_000)), ("0", Some(0)), ("-1", None), ("", None), ("1.0", None)] {
            assert_eq!(minor(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn moments_say_where_they_are_or_are_told() {
        let of = |text: &str, offset| moment(text, offset).map(|moment| moment.to_string()).unwrap_or_default();
        for (text, offset, expected) in [
            ("2026-11-20 09:30:00", 0, "2026-11-20T09:30:00.000000Z"),
            ("2026-11-20 09:30:00", 8, "2026-11-20T01:30:00.000000Z"),
            ("2026/11/20 00:01:17 -0800", 0, "2026-11-20T08:01:17.000000Z"),
            ("2026-11-20T10:30:00+01:00", 8, "2026-11-20T09:30:00.000000Z"),
            ("2026-11-20", 0, "2026-11-20T00:00:00.000000Z"),
            ("20.11.2026", 0, ""),
            ("", 0, ""),
        ] {
            assert_eq!(of(text, offset), expected, "{text}");
        }
    }

    #[test]
    fn text_of_either_encoding_is_read() {
        assert_eq!(text("`A-1\t".as_bytes()), "A-1");
        assert_eq!(text(&[0xbd, 0xbb, 0xd2, 0xd7]), "交易");
        assert_eq!(text("交易".as_bytes()), "交易");
    }
}
