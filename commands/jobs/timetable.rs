//! When a job is due: slots that follow from the clock alone, so that all nodes agree on them without talking. Pure.
//! In UTC, where every day has 24 hours.

use std::fmt;
use std::time::Duration;

use domain::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Every so many seconds, counted from an offset to 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timetable {
    period_s: u64,
    offset_s: u64,
}

impl Timetable {
    /// # Panics
    /// If the period is no whole number of seconds above zero.
    pub const fn every(period: Duration) -> Timetable {
        assert!(period.as_secs() > 0 && period.subsec_nanos() == 0, "a period is whole seconds");
        Timetable { period_s: period.as_secs(), offset_s: 0 }
    }

    /// # Panics
    /// If there is no such time of day.
    pub const fn daily_at(hour: u64, minute: u64) -> Timetable {
        assert!(hour < 24 && minute < 60, "a time of day");
        Timetable { period_s: DAY, offset_s: hour * HOUR + minute * MINUTE }
    }

    /// The newest slot that is not after `now`.
    pub fn latest(&self, now: Timestamp) -> Timestamp {
        let past = (now.as_micros() - micros(self.offset_s)).rem_euclid(micros(self.period_s));
        Timestamp::from_micros(now.as_micros() - past)
    }

    /// The first slot after `moment`.
    pub fn after(&self, moment: Timestamp) -> Timestamp {
        self.latest(moment).plus(Duration::from_secs(self.period_s))
    }

    /// How many periods lie between.
    pub fn between(&self, earlier: Timestamp, later: Timestamp) -> u64 {
        later.since(earlier).as_secs() / self.period_s
    }
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(Duration::from_secs(seconds).as_micros()).unwrap_or(i64::MAX)
}

/// `every 5 min`, `daily at 02:30 UTC`.
impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timetable { period_s, offset_s } = self;
        match *period_s {
            DAY => write!(f, "daily at {:02}:{:02} UTC", offset_s / HOUR, offset_s % HOUR / MINUTE),
            period if period % HOUR == 0 => write!(f, "every {} h", period / HOUR),
            period if period % MINUTE == 0 => write!(f, "every {} min", period / MINUTE),
            period => write!(f, "every {period} s"),
        }
    }
}
