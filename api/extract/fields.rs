//! Types of single request fields: each is valid by construction, and its message says what it must be.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use domain::money::AMOUNT_MAX;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// Minor units of one object: 1 to 10^15 - 1, written as a JSON integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub i64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = Integer { min: 1, max: AMOUNT_MAX, unit: "minor units" };
        deserializer.deserialize_any(range).map(Amount)
    }
}

/// What one of an item costs: 0 to 10^15 - 1 minor units.
pub struct UnitAmount(pub i64);

impl<'de> Deserialize<'de> for UnitAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = Integer { min: 0, max: AMOUNT_MAX, unit: "minor units" };
        deserializer.deserialize_any(range).map(UnitAmount)
    }
}

/// How many of an item: 1 to 1,000,000.
pub struct Quantity(pub u32);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = Integer { min: 1, max: 1_000_000, unit: "pieces" };
        let pieces = deserializer.deserialize_any(range)?;
        u32::try_from(pieces).map(Quantity).map_err(D::Error::custom)
    }
}

/// Seconds until a payment without an outcome expires: one minute to 30 days.
pub struct ExpiresIn(pub Duration);

impl<'de> Deserialize<'de> for ExpiresIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = Integer { min: 60, max: 30 * 24 * 60 * 60, unit: "seconds" };
        let seconds = deserializer.deserialize_any(range)?;
        Ok(ExpiresIn(Duration::from_secs(seconds.unsigned_abs())))
    }
}

struct Integer {
    min: i64,
    max: i64,
    unit: &'static str,
}

impl Integer {
    fn fault<E: Error>(&self) -> E {
        E::custom(format_args!("must be a whole number of {} from {} to {}", self.unit, self.min, self.max))
    }
}

/// What is no integer is refused with the same words as an integer out of range.
impl<'de> Visitor<'de> for Integer {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number of {} from {} to {}", self.unit, self.min, self.max)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        if (self.min..=self.max).contains(&value) { Ok(value) } else { Err(self.fault()) }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(self.fault()),
        }
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<i64, E> {
        Err(self.fault())
    }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $message:literal $check:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name(pub String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let valid: fn(&str) -> bool = $check;
                if valid(&text) { Ok($name(text)) } else { Err(D::Error::custom($message)) }
            }
        }
    )*};
}

texts! {
    /// The kind of payment method, such as `card`.
    MethodType "must be 1 to 32 lower-case letters, digits or underscores"
        |text| (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');

    /// The payment method's token at the channel: a bearer secret.
    Token "must be 1 to 255 visible ASCII characters"
        |text| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());

    Email "must be an e-mail address of at most 254 characters"
        |text| text.len() <= 254
            && text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
            && !text.chars().any(|letter| letter.is_control() || letter.is_whitespace());

    PersonName "must be 1 to 200 characters without control characters"
        |text| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);

    /// What an item of an order is called.
    ItemName "must be 1 to 200 characters without control characters"
        |text| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);

    /// The merchant's own number of what it sells.
    Sku "must be 1 to 64 characters without control characters"
        |text| (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);

    /// A description or a reason.
    FreeText "must be at most 1000 characters"
        |text| text.chars().count() <= 1000;

    /// What a merchant hands in for a dispute.
    EvidenceText "must be 1 to 20000 characters"
        |text| (1..=20_000).contains(&text.chars().count());

    HttpUrl "must be an absolute http or https URL of at most 2000 characters"
        |text| text.len() <= 2000 && is_http_url(text);
}

fn is_http_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The merchant's own notes on an object: up to 50 texts of up to 500 characters under keys of up to 40.
pub struct Metadata(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor).map(Metadata)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut metadata = BTreeMap::new();
        while let Some(MetadataKey(name)) = fields.next_key()? {
            let MetadataValue(value) = fields.next_value()?;
            metadata.insert(name, value);
            if metadata.len() > 50 {
                return Err(A::Error::custom("must have at most 50 fields"));
            }
        }
        Ok(metadata)
    }
}

texts! {
    MetadataKey "must have a name of 1 to 40 characters without control characters"
        |text| (1..=40).contains(&text.chars().count()) && !text.chars().any(char::is_control);

    MetadataValue "must be at most 500 characters"
        |text| text.chars().count() <= 500;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn check<T: DeserializeOwned>(good: &[Value], bad: &[Value]) {
        for value in good {
            assert!(serde_json::from_value::<T>(value.clone()).is_ok(), "{value}");
        }
        for value in bad {
            assert!(serde_json::from_value::<T>(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn texts_have_bounds() {
        check::<MethodType>(
            &[json!("card"), json!("bank_transfer2")],
            &[json!(""), json!("Card"), json!("a".repeat(33))],
        );
        check::<Token>(&[json!("tok_success")], &[json!(""), json!("a b"), json!("é"), json!("a".repeat(256))]);
        check::<Email>(
            &[json!("a@b"), json!("jürgen@example.com")],
            &[json!("a"), json!("@b"), json!("a@"), json!("a b@c"), json!("a@b\n")],
        );
        check::<HttpUrl>(
            &[json!("https://shop.example/back?x=1"), json!("http://localhost:80")],
            &[
                json!("javascript:alert(1)"),
                json!("ftp://x"),
                json!("/relative"),
                json!("http://"),
                json!("shop.example"),
            ],
        );
        check::<FreeText>(
            &[json!(""), json!("é".repeat(1000)), json!("two\nlines")],
            &[json!("a".repeat(1001)), json!(1)],
        );
    }

    #[test]
    fn items_have_bounds() {
        check::<Quantity>(
            &[json!(1), json!(1_000_000)],
            &[json!(0), json!(-1), json!(1_000_001), json!(1.5), json!("1")],
        );
        check::<UnitAmount>(
            &[json!(0), json!(999_999_999_999_999_i64)],
            &[json!(-1), json!(1_000_000_000_000_000_i64), json!(0.5)],
        );
        check::<ItemName>(&[json!("Teapot")], &[json!(""), json!("a\nb"), json!("a".repeat(201))]);
        check::<Sku>(&[json!("TP-1")], &[json!(""), json!("a".repeat(65))]);
    }

    #[test]
    fn durations_have_bounds() {
        check::<ExpiresIn>(
            &[json!(60), json!(2_592_000)],
            &[json!(59), json!(2_592_001), json!(60.5), json!("60"), json!(-60)],
        );
    }

    #[test]
    fn metadata_is_bounded() {
        let fields = |count: usize| Value::Object((0..count).map(|n| (n.to_string(), json!("x"))).collect());
        check::<Metadata>(
            &[json!({}), fields(50), json!({"k".repeat(40): "v".repeat(500)})],
            &[
                fields(51),
                json!({"a": 1}),
                json!({"a": {}}),
                json!({"": "x"}),
                json!({"k".repeat(41): ""}),
                json!({"a": "v".repeat(501)}),
                json!([]),
            ],
        );
    }
}
