//! Invariant 10: what names a person or opens a door does not stand in the log in clear. Knows what such things look
//! like, not where they are supposed to be sealed: whatever is sealed does not look like them any more.

use serde_json::Value;

use super::Violation;
use crate::iban::Iban;

/// What a merchant calls its order is its own, and may be a number of any shape.
const NAMED_BY_MERCHANTS: &[&str] = &["order_no"];
/// How the secrets of channels and of people who sign begin.
const SECRETS: &[&str] = &["sk_live_", "sk_test_", "rk_live_", "whsec_", "Bearer ", "-----BEGIN "];
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Looks through every text of a payload that could hold any of it. The violation names the field, never what stands in it.
pub fn nothing_in_clear(position: u64, payload: &str) -> Result<(), Violation> {
    if !may_hold(payload) {
        return Ok(());
    }
    let Ok(value) = serde_json::from_str::<Value>(payload) else {
        return Err(Violation::of(10, format!("the payload of position {position} is no JSON")));
    };
    match find(&value, "") {
        Some((field, what)) => Err(Violation::of(10, format!("position {position} has {what} in clear in {field}"))),
        None => Ok(()),
    }
}

/// Most payloads have nothing that begins to look like it: they need not be taken apart.
fn may_hold(payload: &str) -> bool {
    let (mut digits, mut capitals) = (0, 0);
    payload.contains('@')
        || SECRETS.iter().any(|secret| payload.contains(secret))
        || payload.bytes().any(|byte| {
            let begins_an_iban = capitals == 2 && byte.is_ascii_digit();
            capitals = if byte.is_ascii_uppercase() { capitals + 1 } else { 0 };
            digits = match byte {
                b'0'..=b'9' => digits + 1,
                b' ' | b'-' => digits,
                _ => 0,
            };
            begins_an_iban || digits >= *CARD_DIGITS.start()
        })
}

fn find(value: &Value, field: &str) -> Option<(String, &'static str)> {
    match value {
        Value::String(text) => what_is(text, field).map(|what| (field.to_owned(), what)),
        Value::Array(all) => all.iter().find_map(|one| find(one, field)),
        Value::Object(fields) => fields.iter().find_map(|(name, one)| find(one, name)),
        _ => None,
    }
}

fn what_is(text: &str, field: &str) -> Option<&'static str> {
    if SECRETS.iter().any(|secret| text.contains(secret)) {
        return Some("a secret");
    }
    if NAMED_BY_MERCHANTS.contains(&field) {
        return None;
    }
    if text.split(|letter: char| letter.is_whitespace() || "<>,;()".contains(letter)).any(is_e_mail_address) {
        Some("an e-mail address")
    } else if is_card_number(text) {
        Some("a card number")
    } else if text.starts_with(|letter: char| letter.is_ascii_uppercase()) && text.parse::<Iban>().is_ok() {
        Some("an IBAN")
    } else {
        None
    }
}

fn is_e_mail_address(word: &str) -> bool {
    let Some((local, host)) = word.split_once('@') else { return false };
    !local.is_empty() && host.split_once('.').is_some_and(|(name, rest)| !name.is_empty() && !rest.is_empty())
}

/// Digits of a length and with a beginning that cards have, and the check digit that follows from them.
fn is_card_number(text: &str) -> bool {
    let is_digit_or_gap = |letter: char| letter.is_ascii_digit() || letter == ' ' || letter == '-';
    if !text.chars().all(is_digit_or_gap) {
        return false;
    }
    let digits: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(10)).collect();
    if !CARD_DIGITS.contains(&digits.len()) || !matches!(digits.first(), Some(2..=6)) {
        return false;
    }
    let doubled = |(place, digit): (usize, &u32)| match (place % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) if twice > 9 => twice - 9,
        (_, twice) => twice,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_person_or_opens_a_door_is_told_by_its_field() {
        for (payload, expected) in [
            (r#"{"a.b": {"reason": "asked by ann@example.com"}}"#, "an e-mail address in clear in reason"),
            (r#"{"a.b": {"by": "<ann@mail.example.com>"}}"#, "an e-mail address in clear in by"),
            (r#"{"a.b": {"lines": [{"note": "4242 4242 4242 4242"}]}}"#, "a card number in clear in note"),
            (r#"{"a.b": {"pan": "5555555555554444"}}"#, "a card number in clear in pan"),
            (r#"{"a.b": {"to": "DE89 3704 0044 0532 0130 00"}}"#, "an IBAN in clear in to"),
            (r#"{"a.b": {"order_no": "sk_live_abc"}}"#, "a secret in clear in order_no"),
            (r#"{"a.b": {"key": "-----BEGIN PRIVATE KEY-----"}}"#, "a secret in clear in key"),
        ] {
            let violation = nothing_in_clear(7, payload).unwrap_err();
            assert_eq!(
                (violation.invariant, violation.detail),
                (10, format!("position 7 has {expected}")),
                "{payload}"
            );
        }
        assert_eq!(nothing_in_clear(7, "{@").unwrap_err().invariant, 10);
    }

    #[test]
    fn everything_else_may_stand_there() {
        for payload in [
            r#"{"a.b": {"order_no": "4242424242424242", "amount": 4242424242424242}}"#,
            r#"{"a.b": {"reference": "4242424242424241", "by": "cli:ann", "at": "2026-11-18T00:00:00.000000Z"}}"#,
            r#"{"a.b": {"reference": "1100000000000000", "trade": "2026111822001456780501000001"}}"#,
            r#"{"a.b": {"handle": "@ann", "mail": "ann@localhost", "to": "DE89370400440532013001", "none": null}}"#,
            r#"{"a.b": {"sealed": {"key": "k", "nonce": "n", "data": "AbC+/=="}}}"#,
        ] {
            assert_eq!(nothing_in_clear(7, payload), Ok(()), "{payload}");
        }
    }
}
