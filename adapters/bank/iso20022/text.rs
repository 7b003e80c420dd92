//! How ids, amounts and moments are spelled in the messages.

use domain::{Currency, Money, Timestamp, WithdrawalId};

use super::Malformed;

/// Decimal places that an amount may have in ISO 20022.
const FRACTION_DIGITS_MAX: u8 = 5;

/// A withdrawal's id as message, payment and end-to-end id. Banks of the SEPA take no underscore there.
pub fn end_to_end_id(withdrawal_id: WithdrawalId) -> String {
    withdrawal_id.to_string().replace('_', "-")
}

/// The withdrawal that an end-to-end id names; none if it is not one of ours.
pub fn withdrawal_of(end_to_end_id: &str) -> Option<WithdrawalId> {
    end_to_end_id.trim().replacen('-', "_", 1).parse().ok()
}

/// Whether the messages can say it: a currency of three letters with at most five decimal places.
pub fn expresses(amount: Money) -> bool {
    let currency = amount.currency();
    amount.minor() > 0 && currency.code().len() == 3 && currency.exponent() <= FRACTION_DIGITS_MAX
}

/// Major units with the currency's own decimal places: `1050.00`, `1050`, `1.050`.
pub fn amount_text(amount: Money) -> String {
    let (per_major, exponent) = (amount.currency().minor_per_major(), usize::from(amount.currency().exponent()));
    let (major, minor) = (amount.minor() / per_major, amount.minor() % per_major);
    if exponent == 0 { major.to_string() } else { format!("{major}.{minor:0exponent$}") }
}

/// Exact, or nothing: a digit beyond the currency's decimal places must be a zero.
pub(super) fn amount_of(text: &str, currency: &str) -> Result<Money, Malformed> {
    let malformed = || Malformed(format!("an amount is not one of {currency}"));
    let currency: Currency = currency.parse().map_err(|_| malformed())?;
    let text = text.trim();
    let (major, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let places = usize::from(currency.exponent());
    let (kept, beyond) = fraction.split_at(fraction.len().min(places));
    if major.is_empty() || !digits(major) || !digits(fraction) || beyond.bytes().any(|byte| byte != b'0') {
        return Err(malformed());
    }
    let minor: i64 = format!("{major}{kept:0<places$}").parse().map_err(|_| malformed())?;
    Money::new(minor, currency).map_err(|_| malformed())
}

/// An ISO date and time, to the second.
pub(super) fn date_time(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn date(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money::new(minor, currency.parse().unwrap()).unwrap()
    }

    #[test]
    fn amounts_have_the_places_of_their_currency() {
        for (minor, currency, text) in [
            (105_000, "USD", "1050.00"),
            (5, "EUR", "0.05"),
            (1_050, "JPY", "1050"),
            (1_050, "KWD", "1.050"),
            (999_999_999_999_999, "USD", "9999999999999.99"),
        ] {
            assert_eq!(amount_text(money(minor, currency)), text);
            assert_eq!(amount_of(text, currency), Ok(money(minor, currency)));
        }
        for (text, currency, minor) in [("1050", "USD", 105_000), ("10.5", "USD", 1_050), ("1.0500", "KWD", 1_050)] {
            assert_eq!(amount_of(text, currency), Ok(money(minor, currency)), "{text} {currency}");
        }
        for (text, currency) in [
            ("10.505", "USD"),
            ("1.5", "JPY"),
            ("-1", "USD"),
            ("1,00", "USD"),
            ("", "USD"),
            (".5", "USD"),
            ("1", "XXX"),
        ] {
            assert!(amount_of(text, currency).is_err(), "{text} {currency}");
        }
    }

    #[test]
    fn tokens_are_not_for_banks() {
        for (currency, can) in
            [("USD", true), ("JPY", true), ("KWD", true), ("BTC", false), ("ETH", false), ("USDC", false)]
        {
            assert_eq!(expresses(money(1, currency)), can, "{currency}");
        }
        assert!(!expresses(money(0, "USD")));
    }

    #[test]
    fn an_id_reads_back() {
        let id: WithdrawalId = "wd_0190a7mx5qrvdsyejb8tfqn3c2".parse().unwrap();
        assert_eq!(end_to_end_id(id), "wd-0190a7mx5qrvdsyejb8tfqn3c2");
        assert_eq!(withdrawal_of(&end_to_end_id(id)), Some(id));
        for other in ["", "NOTPROVIDED", "wd-1", "INVOICE-2026-7"] {
            assert_eq!(withdrawal_of(other), None, "{other}");
        }
    }
}
