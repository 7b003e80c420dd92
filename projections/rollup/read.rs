//! How the figures of many days are added up into buckets.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use domain::Timestamp;
use sqlx::Row;
use sqlx::types::chrono::NaiveDate;

use super::days::{DAY_MICROS, HOUR_MICROS, QUARTER_MICROS};
use super::sheet::{Key, Value, each_key, each_slot};
use crate::database::damaged;
use crate::{ReadError, Snapshot};

/// Whose rows are read: one owner's, or those of all whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owners {
    One(String),
    Under(String),
}

pub(crate) struct Scan<'s> {
    pub table: &'static str,
    pub owners: Owners,
    /// The edges of the buckets, ascending, one more than there are buckets, on quarters of an hour of UTC.
    pub bounds: &'s [Timestamp],
    /// The totals tell apart what is asked for.
    pub totals_serve: bool,
    pub has_hours: bool,
    /// Rows of the answer at most.
    pub rows_max: usize,
}

/// The answer would have more rows than were asked for, or more cells would have to be added up than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch;

/// Rows of the table that are asked for at once; behind each lot of them it may turn out to be too much.
const LOT: usize = 20_000;
/// So that no question occupies a node for long.
const CELLS_MAX: usize = 2_000_000;

/// What a day's figures are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grain {
    Day,
    Hour,
    Quarter,
}

impl Grain {
    fn number(self) -> i16 {
        match self {
            Grain::Day => 0,
            Grain::Hour => 1,
            Grain::Quarter => 2,
        }
    }

    fn micros(self) -> i64 {
        match self {
            Grain::Day => DAY_MICROS,
            Grain::Hour => HOUR_MICROS,
            Grain::Quarter => QUARTER_MICROS,
        }
    }
}

/// A day of UTC, and the bucket of each of its slots.
#[derive(Debug, PartialEq)]
struct Reading {
    day: NaiveDate,
    grain: Grain,
    buckets: Vec<Option<usize>>,
}

impl Scan<'_> {
    fn reading(&self, start: i64) -> Reading {
        let bucket = |at: i64| {
            let behind = self.bounds.partition_point(|bound| bound.as_micros() <= at);
            behind.checked_sub(1).filter(|_| behind < self.bounds.len())
        };
        let within = |at: i64| (start + 1..start + DAY_MICROS).contains(&at);
        let edges: Vec<i64> = self.bounds.iter().map(Timestamp::as_micros).filter(|at| within(*at)).collect();
        let grain = if edges.is_empty() && self.totals_serve {
            Grain::Day
        } else if self.has_hours && edges.iter().all(|at| at.rem_euclid(HOUR_MICROS) == 0) {
            Grain::Hour
        } else {
            Grain::Quarter
        };
        let slots = (0..DAY_MICROS / grain.micros()).map(|slot| bucket(start + slot * grain.micros()));
        let day = Timestamp::from_micros(start).to_datetime().date_naive();
        Reading { day, grain, buckets: slots.collect() }
    }

    /// Of each day of UTC between the bounds that `known` has.
    fn readings(&self, known: (NaiveDate, NaiveDate)) -> Vec<Reading> {
        let (Some(first), Some(last)) = (self.bounds.first(), self.bounds.last()) else { return vec![] };
        let start_of = |day: NaiveDate| Timestamp::from(day.and_time(Default::default()).and_utc()).as_micros();
        let floor = |micros: i64| micros - micros.rem_euclid(DAY_MICROS);
        let from = floor(first.as_micros()).max(start_of(known.0));
        let to = last.as_micros().min(start_of(known.1) + DAY_MICROS);
        let starts = (0..).map(|day| from + day * DAY_MICROS).take_while(|start| *start < to);
        starts.map(|start| self.reading(start)).collect()
    }

    fn statement(&self) -> String {
        // One look into the index for each day, whatever the planner thinks of the number of rows.
        format!(
            "SELECT wanted.number, found.owner,
                    CASE wanted.grain WHEN 0 THEN totals WHEN 1 THEN hours ELSE quarters END AS cells
               FROM unnest($1::date[], $2::smallint[]) WITH ORDINALITY AS wanted (day, grain, number)
              CROSS JOIN LATERAL (SELECT owner, totals, hours, quarters FROM {} AS rolled_up
                                   WHERE rolled_up.day = wanted.day AND owner >= $3 AND owner <= $4
                                  OFFSET 0) AS found",
            self.table
        )
    }

    fn owners(&self) -> (String, String) {
        match &self.owners {
            Owners::One(owner) => (owner.clone(), owner.clone()),
            // Names are ASCII; this is behind all of them.
            Owners::Under(prefix) => (prefix.clone(), format!("{prefix}\u{7f}")),
        }
    }
}

/// The figures of each bucket and group, in their order. Buckets and groups without any have no row. `group` says under
/// what an owner's key is told, none if it was not asked for.
pub(crate) async fn sum<K: Key, V: Value, G: Clone + Eq + Hash + Ord>(
    view: &mut Snapshot,
    scan: &Scan<'_>,
    group: impl Fn(&str, &K) -> Option<G>,
) -> Result<Result<Vec<(usize, G, V)>, TooMuch>, ReadError> {
    let Some(known) = known_days(view, scan.table).await? else { return Ok(Ok(vec![])) };
    let readings = scan.readings(known);
    let (statement, (least, greatest)) = (scan.statement(), scan.owners());
    let mut sums = Sums { by_group: HashMap::new(), rows: 0, cells: 0 };
    let (mut rest, mut at_once) = (readings.as_slice(), 4);
    while !rest.is_empty() {
        let (lot, later) = rest.split_at(at_once.min(rest.len()));
        let rows = sqlx::query(&statement)
            .bind(lot.iter().map(|reading| reading.day).collect::<Vec<_>>())
            .bind(lot.iter().map(|reading| reading.grain.number()).collect::<Vec<_>>())
            .bind(&least)
            .bind(&greatest)
            .fetch_all(view.connection())
            .await?;
        for row in &rows {
            let number: i64 = row.try_get("number")?;
            let reading = usize::try_from(number - 1).ok().and_then(|index| lot.get(index));
            let read = reading.and_then(|reading| {
                let (owner, cells) = (row.try_get("owner").ok()?, row.try_get("cells").ok()?);
                sums.absorb(&reading.buckets, cells, |key: &K| group(owner, key))
            });
            read.ok_or_else(|| damaged(format!("{}: figures that cannot be read", scan.table)))?;
            if sums.rows > scan.rows_max || sums.cells > CELLS_MAX {
                return Ok(Err(TooMuch));
            }
        }
        at_once = (LOT * lot.len() / rows.len().max(1)).clamp(1, 1_000);
        rest = later;
    }
    Ok(Ok(sums.in_order()))
}

struct Sums<G, V> {
    by_group: HashMap<G, BTreeMap<usize, V>>,
    rows: usize,
    cells: usize,
}

impl<G: Clone + Eq + Hash + Ord, V: Value> Sums<G, V> {
    fn absorb<K: Key>(
        &mut self,
        buckets: &[Option<usize>],
        bytes: &[u8],
        group: impl Fn(&K) -> Option<G>,
    ) -> Option<()> {
        let Sums { by_group, rows, cells } = self;
        each_key(bytes, |key: K, content| {
            let Some(group) = group(&key) else { return Some(()) };
            let sums = by_group.entry(group).or_default();
            let before = sums.len();
            each_slot(content, |slot, packed| {
                *cells += 1;
                match buckets.get(usize::from(slot))? {
                    Some(bucket) => sums.entry(*bucket).or_default().absorb(packed),
                    None => V::default().absorb(packed),
                }
            })?;
            *rows += sums.len() - before;
            Some(())
        })
    }

    fn in_order(self) -> Vec<(usize, G, V)> {
        let buckets = self
            .by_group
            .into_iter()
            .flat_map(|(group, sums)| sums.into_iter().map(move |(bucket, value)| (bucket, group.clone(), value)));
        let mut rows: Vec<_> = buckets.filter(|(_, _, value)| !value.is_nothing()).collect();
        rows.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        rows
    }
}

/// The first and the last day with figures.
async fn known_days(view: &mut Snapshot, table: &str) -> Result<Option<(NaiveDate, NaiveDate)>, ReadError> {
    let statement = format!("SELECT min(day) AS first, max(day) AS last FROM {table}");
    let row = sqlx::query(&statement).fetch_one(view.connection()).await?;
    let (first, last): (Option<NaiveDate>, Option<NaiveDate>) = (row.try_get("first")?, row.try_get("last")?);
    Ok(first.zip(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Grain and number of buckets of each day that is read.
    fn grains(bounds: &[&str], totals_serve: bool, has_hours: bool) -> Vec<(Grain, usize)> {
        let bounds: Vec<Timestamp> = bounds.iter().map(|bound| at(bound)).collect();
        let owners = Owners::One(String::new());
        let scan = Scan { table: "t", owners, bounds: &bounds, totals_serve, has_hours, rows_max: 1 };
        let known = ("2026-11-01".parse().unwrap(), "2026-11-30".parse().unwrap());
        let count = |reading: &Reading| {
            let mut buckets: Vec<usize> = reading.buckets.iter().flatten().copied().collect();
            buckets.dedup();
            (reading.grain, buckets.len())
        };
        scan.readings(known).iter().map(count).collect()
    }

    #[test]
    fn each_day_is_read_from_the_coarsest_that_serves() {
        let utc = ["2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"];
        let berlin = ["2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"];
        let kathmandu = ["2026-11-19T18:15:00Z", "2026-11-20T18:15:00Z"];
        let three_days = ["2026-11-19T23:00:00Z", "2026-11-21T22:00:00Z"];
        use Grain::{Day, Hour, Quarter};
        assert_eq!(grains(&utc, true, true), [(Day, 1), (Day, 1)]);
        assert_eq!(grains(&utc, false, true), [(Hour, 1), (Hour, 1)]);
        assert_eq!(grains(&utc, false, false), [(Quarter, 1), (Quarter, 1)]);
        assert_eq!(grains(&berlin, true, true), [(Hour, 1), (Hour, 2), (Hour, 1)]);
        assert_eq!(grains(&berlin, true, false), [(Quarter, 1), (Quarter, 2), (Quarter, 1)]);
        assert_eq!(grains(&kathmandu, true, true), [(Quarter, 1), (Quarter, 1)]);
        assert_eq!(grains(&three_days, true, true), [(Hour, 1), (Day, 1), (Hour, 1)]);
        assert_eq!(grains(&["2020-01-01T00:00:00Z", "2026-11-03T00:00:00Z"], true, true).len(), 2);
        assert_eq!(grains(&["2026-11-29T00:00:00Z", "2099-01-01T00:00:00Z"], true, true).len(), 2);
        assert_eq!(grains(&["2030-01-01T00:00:00Z", "2099-01-01T00:00:00Z"], true, true), []);
    }

    #[test]
    fn a_slot_counts_where_it_begins() {
        let bounds = [at("2026-11-20T18:15:00Z"), at("2026-11-20T19:15:00Z"), at("2026-11-21T01:00:00Z")];
        let owners = Owners::One(String::new());
        let scan = Scan { table: "t", owners, bounds: &bounds, totals_serve: true, has_hours: true, rows_max: 1 };
        let reading = scan.reading(at("2026-11-20T00:00:00Z").as_micros());
        let expected = |slot: usize| match slot {
            0..73 => None,
            73..77 => Some(0),
            _ => Some(1),
        };
        assert_eq!(reading.grain, Grain::Quarter);
        assert_eq!(reading.buckets, (0..96).map(expected).collect::<Vec<_>>());
        let next = scan.reading(at("2026-11-21T00:00:00Z").as_micros());
        assert_eq!((next.grain, &next.buckets[..2]), (Grain::Hour, &[Some(1), None][..]));
    }
}
