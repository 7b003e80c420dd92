//! Which amounts Stripe can express, and how. Conversions are exact or refused. Knows no HTTP.
//! Source of every table: <https://docs.stripe.com/currencies>.

use domain::{Currency, Money};

/// Charged in their major unit.
const ZERO_DECIMAL: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];

/// Charged in thousandths, of which the last digit must be 0.
const THREE_DECIMAL: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// Without decimals in the real world, and charged in hundredths ending in 00 for compatibility. UGX stands in
/// Stripe's list of zero-decimal currencies too; this special case is the one that holds.
const TWO_DECIMAL_WHOLE: [&str; 2] = ["ISK", "UGX"];

/// Charged in hundredths.
const TWO_DECIMAL: [&str; 118] = [
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BMD", "BND",
    "BOB", "BRL", "BSD", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP", "CRC", "CVE", "CZK", "DKK", "DOP",
    "DZD", "EGP", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF",
    "IDR", "ILS", "INR", "JMD", "KES", "KGS", "KHR", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL",
    "MKD", "MMK", "MNT", "MOP", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD",
    "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SEK", "SGD", "SHP",
    "SLE", "SOS", "SRD", "STD", "SZL", "THB", "TJS", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "UYU", "UZS",
    "WST", "XCD", "XCG", "YER", "ZAR", "ZMW",
];

/// The smallest charge in Stripe's units, where the account settles in the same currency. Others have none of their own.
const MINIMUM: [(&str, i64); 31] = [
    ("AED", 200),
    ("ARS", 50),
    ("AUD", 50),
    ("BRL", 50),
    ("CAD", 50),
    ("CHF", 50),
    ("COP", 50),
    ("CZK", 1_500),
    ("DKK", 250),
    ("EUR", 50),
    ("GBP", 30),
    ("HKD", 400),
    ("HUF", 17_500),
    ("IDR", 50),
    ("ILS", 50),
    ("INR", 50),
    ("JPY", 50),
    ("KRW", 50),
    ("MXN", 1_000),
    ("MYR", 200),
    ("NOK", 300),
    ("NZD", 50),
    ("PHP", 50),
    ("PLN", 200),
    ("RON", 200),
    ("RUB", 50),
    ("SEK", 300),
    ("SGD", 50),
    ("THB", 1_000),
    ("USD", 50),
    ("ZAR", 50),
];

/// Cards of some networks go further; these hold for every payment method, so that the method need not be known.
const MAXIMUM: [(&str, i64); 3] = [("COP", 9_999_999_999), ("IDR", 999_999_999_999), ("INR", 999_999_999)];
const MAXIMUM_DEFAULT: i64 = 99_999_999;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AmountRefusal {
    #[error("Stripe does not take {0}")]
    Currency(Currency),
    #[error("Stripe takes {currency} in steps of {step} minor units only")]
    Step { currency: Currency, step: i64 },
    #[error("the amount is below the {0} that Stripe charges at least")]
    TooSmall(Currency),
    #[error("the amount is above the {0} that Stripe charges at most")]
    TooLarge(Currency),
}

/// How Stripe counts a currency: decimal places, and the step between the amounts that it takes.
#[derive(Debug, Clone, Copy)]
struct Scale {
    exponent: u8,
    step: i64,
}

fn scale(currency: Currency) -> Option<Scale> {
    let code = currency.code();
    let is_in = |table: &[&str]| table.contains(&code);
    if is_in(&ZERO_DECIMAL) {
        Some(Scale { exponent: 0, step: 1 })
    } else if is_in(&THREE_DECIMAL) {
        Some(Scale { exponent: 3, step: 10 })
    } else if is_in(&TWO_DECIMAL_WHOLE) {
        Some(Scale { exponent: 2, step: 100 })
    } else if is_in(&TWO_DECIMAL) {
        Some(Scale { exponent: 2, step: 1 })
    } else {
        None
    }
}

/// Can Stripe charge this amount?
pub(super) fn check_charge(amount: Money) -> Result<(), AmountRefusal> {
    let currency = amount.currency();
    let value = to_stripe(amount)?;
    let of = |table: &[(&str, i64)]| table.iter().find(|(code, _)| *code == currency.code()).map(|(_, limit)| *limit);
    if value < of(&MINIMUM).unwrap_or(1) {
        return Err(AmountRefusal::TooSmall(currency));
    }
    if value > of(&MAXIMUM).unwrap_or(MAXIMUM_DEFAULT) {
        return Err(AmountRefusal::TooLarge(currency));
    }
    Ok(())
}

/// The amount in Stripe's units, of a charge or a part of one.
pub(super) fn to_stripe(amount: Money) -> Result<i64, AmountRefusal> {
    let currency = amount.currency();
    let scale = scale(currency).ok_or(AmountRefusal::Currency(currency))?;
    let (up, down) = factors(currency, scale);
    let scaled = amount.minor().checked_mul(up).ok_or(AmountRefusal::TooLarge(currency))?;
    if scaled % down != 0 || (scaled / down) % scale.step != 0 {
        return Err(AmountRefusal::Step { currency, step: (scale.step * down / up).max(1) });
    }
    Ok(scaled / down)
}

/// An amount in Stripe's units in the ledger's; `None` where that is not exact or the currency is another.
pub(super) fn from_stripe(value: i64, currency: Currency) -> Option<i64> {
    let (up, down) = factors(currency, scale(currency)?);
    let scaled = value.checked_mul(down)?;
    (scaled % up == 0).then_some(scaled / up)
}

/// `stripe = ledger x up / down`, one of the two being 1.
fn factors(currency: Currency, scale: Scale) -> (i64, i64) {
    let power = |places: u8| 10_i64.pow(u32::from(places));
    (
        power(scale.exponent.saturating_sub(currency.exponent())),
        power(currency.exponent().saturating_sub(scale.exponent)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(code: &str, minor: i64) -> Money {
        Money::new(minor, code.parse().unwrap()).unwrap()
    }

    #[test]
    fn amounts_convert_exactly_both_ways() {
        let table = [
            ("USD", 1_099, 1_099),
            ("JPY", 500, 500),
            ("KRW", 50, 50),
            ("KWD", 5_120, 5_120),
            ("ISK", 5, 500),
            ("UGX", 5, 500),
            ("HUF", 17_550, 17_550),
            ("TWD", 80_045, 80_045),
            // Two decimals in ISO 4217, none at Stripe.
            ("MGA", 12_300, 123),
        ];
        for (code, minor, value) in table {
            let amount = money(code, minor);
            assert_eq!(to_stripe(amount), Ok(value), "{code} {minor}");
            assert_eq!(from_stripe(value, amount.currency()), Some(minor), "{code} {value}");
        }
    }

    #[test]
    fn what_stripe_cannot_express_is_refused() {
        for code in ["BTC", "ETH", "USDT", "USDC", "IRR", "CLF"] {
            let amount = money(code, 10_000);
            assert_eq!(check_charge(amount), Err(AmountRefusal::Currency(amount.currency())), "{code}");
            assert_eq!(from_stripe(100, amount.currency()), None, "{code}");
        }
        for (code, minor, step) in [("KWD", 5_124, 10), ("MGA", 150, 100), ("TND", 1, 10)] {
            let amount = money(code, minor);
            assert_eq!(to_stripe(amount), Err(AmountRefusal::Step { currency: amount.currency(), step }), "{code}");
        }
        // A fee of a fraction of a króna is no whole minor unit of ours.
        assert_eq!(from_stripe(1_450, "ISK".parse().unwrap()), None);
        assert_eq!(to_stripe(money("ISK", domain::money::AMOUNT_MAX)), Ok(99_999_999_999_999_900));
    }

    #[test]
    fn charges_keep_stripes_limits() {
        let table = [
            ("USD", 50, 99_999_999),
            ("GBP", 30, 99_999_999),
            ("JPY", 50, 99_999_999),
            ("ISK", 1, 999_999),
            ("KWD", 10, 99_999_990),
            ("COP", 50, 9_999_999_999),
            ("IDR", 50, 999_999_999_999),
            ("INR", 50, 999_999_999),
            ("HUF", 17_500, 99_999_999),
        ];
        for (code, least, most) in table {
            let step = scale(code.parse().unwrap()).unwrap().step.min(10);
            assert_eq!(check_charge(money(code, least)), Ok(()), "{code} {least}");
            assert_eq!(check_charge(money(code, most)), Ok(()), "{code} {most}");
            assert!(check_charge(money(code, least - step.min(least))).is_err(), "{code} below {least}");
            assert!(check_charge(money(code, most + step)).is_err(), "{code} above {most}");
        }
    }

    #[test]
    fn no_currency_stands_in_two_tables_and_each_is_one() {
        let mut codes: Vec<&str> = [&ZERO_DECIMAL[..], &THREE_DECIMAL, &TWO_DECIMAL_WHOLE, &TWO_DECIMAL].concat();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        for (code, _) in MINIMUM.iter().chain(&MAXIMUM) {
            assert!(codes.contains(code), "{code}");
        }
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())));
    }
}
