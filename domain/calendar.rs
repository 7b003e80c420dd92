//! A merchant's calendar: its local days and months, the cut-off of a day, and which days are business days.
//! Knows time zones and no clock.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{TimeZone, Timestamp};

/// When a merchant's days begin and end, when its settlements are cut off, and on which days of the week it rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    pub time_zone: TimeZone,
    /// Local time of day.
    pub cut_off: TimeOfDay,
    /// The days without business; never all seven.
    pub weekend: BTreeSet<Weekday>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Hours and minutes, written `17:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(NaiveTime);

/// The weekend where nothing else was agreed.
pub fn saturday_and_sunday() -> BTreeSet<Weekday> {
    [Weekday::Saturday, Weekday::Sunday].into()
}

/// Is there a time zone of this name?
pub fn is_known(time_zone: &TimeZone) -> bool {
    Tz::from_str(time_zone.as_str()).is_ok()
}

/// The day that it is at `at` in `time_zone`; in UTC if there is no such zone.
pub fn local_day(time_zone: Option<&TimeZone>, at: Timestamp) -> NaiveDate {
    at.to_datetime().with_timezone(&zone(time_zone)).date_naive()
}

/// `2026-11`: the month of a day, as it stands in stream ids.
pub fn month_of(day: NaiveDate) -> String {
    day.format("%Y-%m").to_string()
}

fn zone(time_zone: Option<&TimeZone>) -> Tz {
    time_zone.and_then(|name| Tz::from_str(name.as_str()).ok()).unwrap_or(Tz::UTC)
}

impl Calendar {
    pub fn local_day(&self, at: Timestamp) -> NaiveDate {
        local_day(Some(&self.time_zone), at)
    }

    /// The moment of the cut-off on a local day. Where clocks are set back it is the first of the two; where they skip
    /// it, an hour later.
    pub fn cut_off_on(&self, day: NaiveDate) -> Timestamp {
        let (zone, local) = (zone(Some(&self.time_zone)), NaiveDateTime::new(day, self.cut_off.0));
        let moment = |local: NaiveDateTime| match local.and_local_timezone(zone) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => Some(Timestamp::from(moment.to_utc())),
            LocalResult::None => None,
        };
        let later = local.checked_add_signed(chrono::TimeDelta::hours(1)).unwrap_or(local);
        moment(local).or_else(|| moment(later)).unwrap_or_else(|| local.and_utc().into())
    }

    pub fn is_business_day(&self, day: NaiveDate) -> bool {
        !self.weekend.contains(&Weekday::of(day))
    }

    /// The first business day on `day` or after it.
    pub fn business_day_from(&self, day: NaiveDate) -> NaiveDate {
        let within_a_week = (0..7).filter_map(|days| day.checked_add_days(Days::new(days)));
        within_a_week.into_iter().find(|day| self.is_business_day(*day)).unwrap_or(day)
    }

    /// The first cut-off behind `at`, on a business day only if `business_days_only`.
    pub fn next_cut_off(&self, at: Timestamp, business_days_only: bool) -> Timestamp {
        let today = self.local_day(at);
        let days = (0..9).filter_map(|days| today.checked_add_days(Days::new(days)));
        let mut open = days.filter(|day| !business_days_only || self.is_business_day(*day));
        let next = open.find_map(|day| Some(self.cut_off_on(day)).filter(|cut_off| *cut_off > at));
        next.unwrap_or_else(|| at.plus(Duration::from_secs(24 * 60 * 60)))
    }
}

impl Weekday {
    fn of(day: NaiveDate) -> Weekday {
        match day.weekday() {
            chrono::Weekday::Mon => Weekday::Monday,
            chrono::Weekday::Tue => Weekday::Tuesday,
            chrono::Weekday::Wed => Weekday::Wednesday,
            chrono::Weekday::Thu => Weekday::Thursday,
            chrono::Weekday::Fri => Weekday::Friday,
            chrono::Weekday::Sat => Weekday::Saturday,
            chrono::Weekday::Sun => Weekday::Sunday,
        }
    }
}

impl TimeOfDay {
    /// The end of business where nothing else was agreed: 17:00.
    pub fn end_of_business() -> TimeOfDay {
        TimeOfDay(NaiveTime::from_hms_opt(17, 0, 0).unwrap_or_default())
    }
}

impl FromStr for TimeOfDay {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TimeOfDay, &'static str> {
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5);
        time.map(TimeOfDay).ok_or("must be a time of day such as 17:00")
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%H:%M"))
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(time_zone: &str, cut_off: &str) -> Calendar {
        Calendar {
            time_zone: time_zone.parse().unwrap(),
            cut_off: cut_off.parse().unwrap(),
            weekend: saturday_and_sunday(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_where_the_merchant_is() {
        let table = [
            ("UTC", "2026-10-31T23:59:59.999Z", "2026-10-31"),
            ("UTC", "2026-11-01T00:00:00Z", "2026-11-01"),
            ("Asia/Shanghai", "2026-10-31T15:59:59Z", "2026-10-31"),
            ("Asia/Shanghai", "2026-10-31T16:00:00Z", "2026-11-01"),
            ("America/New_York", "2026-11-01T03:59:59Z", "2026-10-31"),
            ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-01"),
            ("Mars/Olympus", "2026-11-01T00:00:00Z", "2026-11-01"),
        ];
        for (time_zone, moment, expected) in table {
            let calendar = calendar(time_zone, "17:00");
            assert_eq!(calendar.local_day(at(moment)), day(expected), "{time_zone} {moment}");
        }
        assert!(is_known(&"Europe/Berlin".parse().unwrap()) && !is_known(&"Mars/Olympus".parse().unwrap()));
        assert_eq!(month_of(day("2026-03-31")), "2026-03");
    }

    #[test]
    fn a_cut_off_is_a_local_time_whatever_the_clocks_do() {
        let table = [
            ("Europe/Berlin", "17:00", "2026-07-01", "2026-07-01T15:00:00Z"),
            ("Europe/Berlin", "17:00", "2026-12-01", "2026-12-01T16:00:00Z"),
            // Skipped on 29 March, twice there on 25 October.
            ("Europe/Berlin", "02:30", "2026-03-29", "2026-03-29T01:30:00Z"),
            ("Europe/Berlin", "02:30", "2026-10-25", "2026-10-25T00:30:00Z"),
        ];
        for (time_zone, cut_off, date, expected) in table {
            assert_eq!(calendar(time_zone, cut_off).cut_off_on(day(date)), at(expected), "{time_zone} {date}");
        }
    }

    #[test]
    fn business_rests_on_the_weekend() {
        let berlin = calendar("Europe/Berlin", "17:00");
        let table = [("2026-11-20", "2026-11-20"), ("2026-11-21", "2026-11-23"), ("2026-11-22", "2026-11-23")];
        for (date, expected) in table {
            assert_eq!(berlin.business_day_from(day(date)), day(expected));
        }
        let friday_evening = at("2026-11-20T16:00:00Z");
        assert_eq!(berlin.next_cut_off(friday_evening, true), at("2026-11-23T16:00:00Z"));
        assert_eq!(berlin.next_cut_off(friday_evening, false), at("2026-11-21T16:00:00Z"));
        assert_eq!(berlin.next_cut_off(at("2026-11-20T15:59:59Z"), true), friday_evening);
    }

    #[test]
    fn a_time_of_day_has_one_spelling() {
        assert_eq!("09:05".parse::<TimeOfDay>().unwrap().to_string(), "09:05");
        for text in ["9:05", "24:00", "09:60", "0905", "", "09:05:00"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }
}
