//! How long the stretches are that figures are rolled up by.

use std::time::Duration;

use domain::Timestamp;

/// The edges of every bucket fall on a multiple of it: no clock on earth differs from UTC by anything finer.
pub const QUARTER: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Grain {
    Quarter,
    Hour,
    Day,
}

impl Grain {
    pub(crate) const ALL: [Grain; 3] = [Grain::Quarter, Grain::Hour, Grain::Day];

    pub(crate) fn minutes(self) -> i16 {
        match self {
            Grain::Quarter => 15,
            Grain::Hour => 60,
            Grain::Day => 24 * 60,
        }
    }

    /// Where the stretch begins that `at` lies in.
    pub(crate) fn start(self, at: Timestamp) -> Timestamp {
        let length = i64::from(self.minutes()) * 60 * 1_000_000;
        Timestamp::from_micros(at.as_micros() - at.as_micros().rem_euclid(length))
    }

    /// The coarsest whose edges all bounds fall on; none if they do not even fall on quarters of an hour.
    pub(crate) fn of(bounds: &[Timestamp]) -> Option<Grain> {
        let fits = |grain: &Grain| bounds.iter().all(|bound| grain.start(*bound) == *bound);
        Grain::ALL.into_iter().rev().find(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarsest_that_fits_is_taken() {
        let table = [
            (&["2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"][..], Some(Grain::Day)),
            (&["2026-11-20T00:00:00Z", "2026-11-20T23:00:00Z"], Some(Grain::Hour)),
            (&["2026-11-20T18:15:00Z"], Some(Grain::Quarter)),
            (&["2026-11-20T18:15:00.000001Z"], None),
            (&["1969-12-31T23:45:00Z"], Some(Grain::Quarter)),
        ];
        for (bounds, expected) in table {
            let bounds: Vec<Timestamp> = bounds.iter().map(|bound| bound.parse().unwrap()).collect();
            assert_eq!(Grain::of(&bounds), expected, "{bounds:?}");
        }
        assert_eq!(Grain::Quarter.minutes().unsigned_abs() * 60, u16::try_from(QUARTER.as_secs()).unwrap());
    }
}
