//! The stretch of time of a report: from and to as callers write them, in the time zone of whoever they ask about.

use std::str::FromStr;
use std::time::Duration;

use chrono::{Datelike, Days, Months, NaiveDate};
use domain::buckets::{Bucket, Place};
use domain::{MerchantId, TimeZone, Timestamp};
use projections::QUARTER;

use crate::app::App;
use crate::errors;
use crate::problem::Problem;

/// Buckets of one report at most: three months of hours, five years of days.
const BUCKETS_MAX: usize = 2_500;

/// A local day, or a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Day(NaiveDate),
    Moment(Timestamp),
}

impl FromStr for Bound {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Bound, &'static str> {
        let day = (text.len() == 10).then(|| text.parse().ok()).flatten();
        let bound = day.map(Bound::Day).or_else(|| text.parse().ok().map(Bound::Moment));
        bound.ok_or("must be a date such as 2026-11-20 or an RFC 3339 time")
    }
}

/// What is asked for, as it stands in a query.
#[derive(Debug, Clone)]
pub struct Period {
    pub from: Option<Bound>,
    pub to: Option<Bound>,
    pub bucket: Bucket,
    pub time_zone: Option<TimeZone>,
    /// How many days are meant where none is named.
    pub days: u64,
}

impl Period {
    /// The place, and the edges of the buckets. Without `from` it is a day of hours, [`Self::days`] days or twelve months;
    /// without `to`, up to the end of today. The time zone is that of `merchant_id` unless another was named, else UTC.
    pub async fn resolve(
        &self,
        app: &App,
        merchant_id: Option<MerchantId>,
    ) -> Result<(Place, Vec<Timestamp>), Problem> {
        let place = self.place(app, merchant_id).await?;
        let today = place.day_of(app.clock().now());
        let to = match self.to.unwrap_or(Bound::Day(today)) {
            Bound::Day(day) => place.start_of(day.checked_add_days(Days::new(1)).unwrap_or(day)),
            Bound::Moment(moment) => on_quarter(moment, "to")?,
        };
        let from = match self.from {
            Some(Bound::Day(day)) => place.start_of(day),
            Some(Bound::Moment(moment)) => on_quarter(moment, "from")?,
            None => place.start_of(self.default_start(place.day_of(to.minus(Duration::from_micros(1))))),
        };
        if from >= to {
            let detail = "the period ends before it begins";
            return Err(Problem::new(errors::INVALID_PARAMETER, detail).in_parameter("to"));
        }
        let bounds = place.bounds(self.bucket, from, to, BUCKETS_MAX);
        let too_many = || Problem::new(errors::INVALID_PARAMETER, format!("more than {BUCKETS_MAX} buckets"));
        Ok((place, bounds.ok_or_else(|| too_many().in_parameter("from"))?))
    }

    fn default_start(&self, last: NaiveDate) -> NaiveDate {
        let start = match self.bucket {
            Bucket::Hour => Some(last),
            Bucket::Day => last.checked_sub_days(Days::new(self.days.saturating_sub(1))),
            Bucket::Month => last.checked_sub_months(Months::new(11)).and_then(|day| day.with_day(1)),
        };
        start.unwrap_or(last)
    }

    async fn place(&self, app: &App, merchant_id: Option<MerchantId>) -> Result<Place, Problem> {
        if let Some(named) = &self.time_zone {
            let unknown = || Problem::new(errors::INVALID_PARAMETER, "there is no such time zone");
            return Place::of(named).ok_or_else(|| unknown().in_parameter("time_zone"));
        }
        let merchant = match merchant_id {
            Some(merchant_id) => commands::merchant::find(app.executor(), merchant_id).await?,
            None => None,
        };
        let agreed = merchant.and_then(|merchant| Place::of(&merchant.agreement.time_zone?));
        Ok(agreed.unwrap_or_else(utc))
    }
}

fn utc() -> Place {
    Place::of(&"UTC".parse().expect("UTC is the name of a zone")).expect("there is a zone UTC")
}

/// Figures are kept by quarters of an hour, so that no finer moment can be asked for.
fn on_quarter(moment: Timestamp, parameter: &'static str) -> Result<Timestamp, Problem> {
    let quarter = i64::try_from(QUARTER.as_micros()).unwrap_or(i64::MAX);
    if moment.as_micros() % quarter == 0 {
        return Ok(moment);
    }
    let detail = format!("{parameter} must fall on a quarter of an hour");
    Err(Problem::new(errors::INVALID_PARAMETER, detail).in_parameter(parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_day_or_a_moment() {
        assert_eq!("2026-11-20".parse(), Ok(Bound::Day("2026-11-20".parse().unwrap())));
        let moment = "2026-11-20T10:15:00+01:00".parse();
        assert_eq!(moment, Ok(Bound::Moment("2026-11-20T09:15:00Z".parse().unwrap())));
        for text in ["", "2026-11", "2026-13-01", "20261120", "yesterday", "2026-1-1"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
        assert!(on_quarter("2026-11-20T10:15:00Z".parse().unwrap(), "from").is_ok());
        assert!(on_quarter("2026-11-20T10:15:01Z".parse().unwrap(), "from").is_err());
    }
}
