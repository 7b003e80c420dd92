//! A calendar month in UTC, written `2026-11`.

use std::fmt;
use std::str::FromStr;

use chrono::{NaiveDate, NaiveTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// Of the years 1970 to 9998, whose ends can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i32,
    month: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a month such as 2026-11")]
pub struct NotAMonth;

impl Month {
    /// The first moment that lies behind the month.
    pub fn end(&self) -> Timestamp {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        let first = NaiveDate::from_ymd_opt(year, month, 1).expect("a month of these years has a first day");
        first.and_time(NaiveTime::MIN).and_utc().into()
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !is_number(year) || !is_number(month) {
            return Err(NotAMonth);
        }
        let (year, month) = (year.parse().map_err(|_| NotAMonth)?, month.parse().map_err(|_| NotAMonth)?);
        if (1970..=9998).contains(&year) && (1..=12).contains(&month) {
            Ok(Month { year, month })
        } else {
            Err(NotAMonth)
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_one_spelling_and_an_end() {
        for (text, end) in [
            ("2026-11", "2026-12-01T00:00:00Z"),
            ("2026-12", "2027-01-01T00:00:00Z"),
            ("2028-02", "2028-03-01T00:00:00Z"),
        ] {
            let month: Month = text.parse().unwrap();
            assert_eq!((month.to_string().as_str(), month.end()), (text, end.parse().unwrap()));
        }
        for text in ["", "2026", "2026-1", "2026-13", "2026-00", "26-11", "+026-11", "2026-11-01", "1969-12", "9999-12"]
        {
            assert_eq!(text.parse::<Month>(), Err(NotAMonth), "{text}");
        }
    }
}
