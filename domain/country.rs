//! Countries as ISO 3166-1 alpha-2 writes them. Knows the shape of a code, not which ones were ever given out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Two upper-case letters: `DE`, `KW`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a country of ISO 3166-1 alpha-2 such as DE")]
pub struct NotACountry;

impl Country {
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("codes are made of ASCII letters only")
    }
}

impl FromStr for Country {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, NotACountry> {
        match text.as_bytes() {
            [first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                Ok(Country([*first, *second]))
            }
            _ => Err(NotACountry),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_one_spelling() {
        let kuwait: Country = "KW".parse().unwrap();
        assert_eq!((kuwait.to_string().as_str(), serde_json::to_string(&kuwait).unwrap().as_str()), ("KW", "\"KW\""));
        for text in ["", "K", "kw", "KWT", "K1", "É", " KW"] {
            assert_eq!(text.parse::<Country>(), Err(NotACountry), "{text}");
        }
    }
}
