//! Currencies and how many minor units make one major unit. Knows no rates and no amounts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A currency of ISO 4217, or one of the four tokens the platform accepts.
///
/// The exponent is the number of decimal places of the minor unit: JPY 0, USD 2, KWD 3, BTC 8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 4],
    exponent: u8,
}

/// Tokens beside ISO 4217. Ether is kept in gwei (9 places), because its 18 do not fit an `i64`.
const TOKENS: [(&str, u8); 4] = [("BTC", 8), ("ETH", 9), ("USDT", 6), ("USDC", 6)];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a currency that this ledger keeps: upper-case ISO 4217 code, BTC, ETH, USDT or USDC expected")]
pub struct UnknownCurrency;

impl Currency {
    pub const USD: Currency = Currency { code: *b"USD\0", exponent: 2 };
    pub const EUR: Currency = Currency { code: *b"EUR\0", exponent: 2 };
    pub const JPY: Currency = Currency { code: *b"JPY\0", exponent: 0 };
    pub const KWD: Currency = Currency { code: *b"KWD\0", exponent: 3 };

    pub fn code(&self) -> &str {
        let length = if self.code[3] == 0 { 3 } else { 4 };
        std::str::from_utf8(&self.code[..length]).expect("codes are made of ASCII letters only")
    }

    /// Decimal places of the minor unit.
    pub fn exponent(&self) -> u8 {
        self.exponent
    }

    /// Minor units in one major unit: 100 for USD.
    pub fn minor_per_major(&self) -> i64 {
        10_i64.pow(u32::from(self.exponent))
    }

    /// An amount in major units, with all of the currency's decimals: `-1.05` of -105 USD cents, `105` of 105 JPY.
    pub fn in_major(&self, minor: i64) -> String {
        let per_major = self.minor_per_major().unsigned_abs();
        let sign = if minor < 0 { "-" } else { "" };
        let (major, rest) = (minor.unsigned_abs() / per_major, minor.unsigned_abs() % per_major);
        match usize::from(self.exponent()) {
            0 => format!("{sign}{major}"),
            decimals => format!("{sign}{major}.{rest:0decimals$}"),
        }
    }

    /// Every currency of the ledger, in the order of their codes.
    pub fn all() -> Vec<Currency> {
        let iso = <iso_currency::Currency as iso_currency::IntoEnumIterator>::iter().map(|iso| iso.code());
        let mut all: Vec<Currency> =
            iso.chain(TOKENS.iter().map(|(code, _)| *code)).filter_map(|code| code.parse().ok()).collect();
        all.sort();
        all
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let exponent = TOKENS
            .iter()
            .find(|(code, _)| *code == text)
            .map(|(_, exponent)| *exponent)
            .or_else(|| iso_exponent(text))
            .ok_or(UnknownCurrency)?;
        let mut code = [0_u8; 4];
        code[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Currency { code, exponent })
    }
}

/// Metals, test codes and the like have no minor unit, so no money can be kept in them.
fn iso_exponent(text: &str) -> Option<u8> {
    let iso = iso_currency::Currency::from_code(text)?;
    u8::try_from(iso.exponent()?).ok()
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_currencys_decimals() {
        let table = [
            ("USD", 12_000, "120.00"),
            ("USD", -105, "-1.05"),
            ("USD", -5, "-0.05"),
            ("JPY", 105, "105"),
            ("JPY", -1, "-1"),
            ("KWD", 1_005, "1.005"),
            ("USD", i64::MIN, "-92233720368547758.08"),
        ];
        for (code, minor, text) in table {
            assert_eq!(code.parse::<Currency>().unwrap().in_major(minor), text, "{minor} {code}");
        }
    }

    #[test]
    fn exponents_follow_iso_4217_and_the_token_table() {
        let table = [
            ("JPY", 0),
            ("USD", 2),
            ("EUR", 2),
            ("KWD", 3),
            ("BHD", 3),
            ("CLF", 4),
            ("BTC", 8),
            ("ETH", 9),
            ("USDT", 6),
            ("USDC", 6),
        ];
        for (code, exponent) in table {
            let currency: Currency = code.parse().unwrap();
            assert_eq!((currency.code(), currency.exponent()), (code, exponent));
        }
    }

    /// Amounts in the log are minor units: a currency that vanished, or whose exponent changed with the table of a
    /// dependency, would change what was written. New ones are added to the file, none is ever taken out.
    #[test]
    fn the_table_of_currencies_only_grows() {
        let golden = include_str!("../tests/golden/currencies.txt");
        let all = Currency::all().into_iter().map(|currency| format!("{currency} {}\n", currency.exponent()));
        assert_eq!(all.collect::<String>(), golden);
    }

    #[test]
    fn what_is_no_money_is_refused() {
        for text in ["", "usd", "US", "USDD", "XAU", "XXX", "XTS", "€", "USD ", "ABCDEFGH"] {
            assert_eq!(text.parse::<Currency>(), Err(UnknownCurrency), "{text}");
        }
    }

    #[test]
    fn constants_agree_with_the_table() {
        for currency in [Currency::USD, Currency::EUR, Currency::JPY, Currency::KWD] {
            assert_eq!(currency.code().parse(), Ok(currency));
        }
    }
}
