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
    /// The years 0000 to 9999, which are all that RFC 3339 can write; moments beyond are clamped to them.
    const FIRST_MICROS: i64 = -62_167_219_200_000_000;
    const LAST_MICROS: i64 = 253_402_300_799_999_999;

    pub fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros.clamp(Self::FIRST_MICROS, Self::LAST_MICROS))
    }

    pub fn as_micros(&self) -> i64 {
        self.0
    }

    pub fn plus(self, duration: Duration) -> Timestamp {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.0.saturating_add(micros))
    }

    pub fn minus(self, duration: Duration) -> Timestamp {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.0.saturating_sub(micros))
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
    use proptest::prelude::*;

    #[test]
    fn text_round_trips_to_the_microsecond() {
        let moment: Timestamp = "2026-11-20T10:30:00.123456+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-20T09:30:00.123456Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    proptest! {
        #[test]
        fn every_moment_reads_back_from_its_text(
            micros in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)], more in any::<u64>()
        ) {
            let moment = Timestamp::from_micros(micros).plus(Duration::from_micros(more));
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }
}
