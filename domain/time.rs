//! A moment as the ledger writes it down. Knows no clock: moments come in with commands.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z; written as RFC 3339 in UTC with six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an RFC 3339 time such as 2026-11-20T09:30:00Z")]
pub struct NotATime;

impl Timestamp {
    /// The first microsecond after the range that chrono can render ends at year 262142; both ends are clamped here.
    const LIMIT_MICROS: i64 = 8_210_266_876_799_000_000;

    pub fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros.clamp(-Self::LIMIT_MICROS, Self::LIMIT_MICROS))
    }

    pub fn as_micros(&self) -> i64 {
        self.0
    }

    pub fn plus(self, duration: Duration) -> Timestamp {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.0.saturating_add(micros))
    }

    /// Time from `earlier` to here, zero if `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(datetime: DateTime<Utc>) -> Self {
        Timestamp::from_micros(datetime.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        DateTime::parse_from_rfc3339(text).map(|datetime| datetime.to_utc().into()).map_err(|_| NotATime)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_to_the_microsecond() {
        let moment: Timestamp = "2026-11-20T10:30:00.123456+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-20T09:30:00.123456Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for micros in [i64::MIN, i64::MAX] {
            let moment = Timestamp::from_micros(micros).plus(Duration::MAX);
            assert!(!moment.to_string().is_empty());
        }
    }
}
