//! A stretch of time cut into the hours, days or months of a place, as reports are. Knows time zones and no clock.

use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;

use crate::{TimeZone, Timestamp};

/// How long one bucket of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    Hour,
    Day,
    Month,
}

impl Bucket {
    pub fn as_str(&self) -> &'static str {
        match self {
            Bucket::Hour => "hour",
            Bucket::Day => "day",
            Bucket::Month => "month",
        }
    }
}

impl FromStr for Bucket {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Bucket, &'static str> {
        let known = [Bucket::Hour, Bucket::Day, Bucket::Month];
        known.into_iter().find(|bucket| bucket.as_str() == text).ok_or("must be hour, day or month")
    }
}

/// A place whose clocks and calendar count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(Tz);

impl Place {
    /// None if there is no zone of this name.
    pub fn of(time_zone: &TimeZone) -> Option<Place> {
        Tz::from_str(time_zone.as_str()).ok().map(Place)
    }

    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    pub fn day_of(&self, at: Timestamp) -> NaiveDate {
        at.to_datetime().with_timezone(&self.0).date_naive()
    }

    /// The first moment of a local day. Where clocks skip midnight it is the moment that they skip to.
    pub fn start_of(&self, day: NaiveDate) -> Timestamp {
        let midnight = day.and_time(NaiveTime::MIN);
        let quarters = (0..=12).filter_map(|quarters| midnight.checked_add_signed(TimeDelta::minutes(15 * quarters)));
        let first = quarters.into_iter().find_map(|local| local.and_local_timezone(self.0).earliest());
        first.map_or_else(|| midnight.and_utc().into(), |moment| moment.to_utc().into())
    }

    /// The bounds of all buckets between `from` and `to`, ascending, both included: one more than there are buckets. The
    /// first and the last bucket may be cut short. None if there would be more than `most`.
    pub fn bounds(&self, bucket: Bucket, from: Timestamp, to: Timestamp, most: usize) -> Option<Vec<Timestamp>> {
        let mut bounds = vec![from];
        let mut reached = from;
        while reached < to {
            if bounds.len() > most {
                return None;
            }
            reached = self.end_of_bucket(bucket, reached).min(to);
            bounds.push(reached);
        }
        Some(bounds)
    }

    /// Where the bucket that `at` lies in ends; always behind `at`.
    fn end_of_bucket(&self, bucket: Bucket, at: Timestamp) -> Timestamp {
        let day = self.day_of(at);
        let end = match bucket {
            Bucket::Hour => self.end_of_hour(at),
            Bucket::Day => day.checked_add_days(Days::new(1)).map_or(at, |next| self.start_of(next)),
            Bucket::Month => {
                let next = day.with_day(1).and_then(|first| first.checked_add_months(Months::new(1)));
                next.map_or(at, |next| self.start_of(next))
            }
        };
        if end > at { end } else { at.plus(Duration::from_secs(60 * 60)) }
    }

    /// By the minutes on the local clock, which some places have half an hour or a quarter beside the others.
    fn end_of_hour(&self, at: Timestamp) -> Timestamp {
        let local = at.to_datetime().with_timezone(&self.0);
        let past = Duration::from_secs(u64::from(local.minute() * 60 + local.second()));
        let micros = Duration::from_micros(u64::from(local.nanosecond() % 1_000_000_000 / 1_000));
        at.minus(past).minus(micros).plus(Duration::from_secs(60 * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(name: &str) -> Place {
        Place::of(&name.parse().unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn bounds(name: &str, bucket: Bucket, from: &str, to: &str) -> Vec<String> {
        let bounds = place(name).bounds(bucket, at(from), at(to), 100).unwrap();
        bounds.iter().map(|bound| bound.to_string()[..16].to_owned()).collect()
    }

    #[test]
    fn buckets_begin_where_the_place_says() {
        let table: [(&str, Bucket, &str, &str, &[&str]); 7] = [
            (
                "UTC",
                Bucket::Day,
                "2026-11-20T00:00:00Z",
                "2026-11-21T00:00:00Z",
                &["2026-11-20T00:00", "2026-11-21T00:00"],
            ),
            (
                "Asia/Kathmandu",
                Bucket::Day,
                "2026-11-20T00:00:00Z",
                "2026-11-21T00:00:00Z",
                &["2026-11-20T00:00", "2026-11-20T18:15", "2026-11-21T00:00"],
            ),
            (
                "Asia/Kolkata",
                Bucket::Hour,
                "2026-11-20T00:00:00Z",
                "2026-11-20T02:00:00Z",
                &["2026-11-20T00:00", "2026-11-20T00:30", "2026-11-20T01:30", "2026-11-20T02:00"],
            ),
            // The day on which clocks are set back has 25 hours.
            (
                "Europe/Berlin",
                Bucket::Day,
                "2026-10-24T22:00:00Z",
                "2026-10-26T23:00:00Z",
                &["2026-10-24T22:00", "2026-10-25T23:00", "2026-10-26T23:00"],
            ),
            // Midnight is skipped.
            (
                "Africa/Cairo",
                Bucket::Day,
                "2026-04-23T12:00:00Z",
                "2026-04-24T12:00:00Z",
                &["2026-04-23T12:00", "2026-04-23T22:00", "2026-04-24T12:00"],
            ),
            (
                "America/New_York",
                Bucket::Month,
                "2026-10-15T00:00:00Z",
                "2026-12-01T05:00:00Z",
                &["2026-10-15T00:00", "2026-11-01T04:00", "2026-12-01T05:00"],
            ),
            ("UTC", Bucket::Month, "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z", &["2026-11-20T00:00"]),
        ];
        for (name, bucket, from, to, expected) in table {
            assert_eq!(bounds(name, bucket, from, to), expected, "{name} {from}");
        }
    }

    #[test]
    fn too_many_buckets_are_none() {
        let bounds =
            |most| place("UTC").bounds(Bucket::Hour, at("2026-11-20T00:00:00Z"), at("2026-11-21T00:00:00Z"), most);
        assert_eq!(bounds(24).map(|bounds| bounds.len()), Some(25));
        assert_eq!(bounds(23), None);
        assert_eq!(Place::of(&"Mars/Olympus".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn buckets_leave_no_gap(
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            bucket in prop::sample::select(vec![Bucket::Hour, Bucket::Day, Bucket::Month]),
            from in 0_i64..4_000_000_000_000_000,
            length in 0_i64..40 * 86_400 * 1_000_000,
        ) {
            let (from, to) = (Timestamp::from_micros(from), Timestamp::from_micros(from + length));
            let bounds = Place(zone).bounds(bucket, from, to, 1_000).unwrap();
            prop_assert_eq!((bounds.first(), bounds.last()), (Some(&from), Some(&to)));
            prop_assert!(bounds.is_sorted_by(|a, b| a < b), "{:?}", bounds);
        }
    }
}
