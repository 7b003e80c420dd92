//! What a batch adds to the figures of each owner and day. Pure.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use domain::Timestamp;
use sqlx::types::chrono::NaiveDate;

use super::sheet::{Key, Sheet, Value};

/// The edges of every bucket fall on a multiple of it: no clock on earth differs from UTC by anything finer.
pub const QUARTER: Duration = Duration::from_secs(15 * 60);

pub(super) const QUARTER_MICROS: i64 = 15 * 60 * 1_000_000;
pub(super) const HOUR_MICROS: i64 = 4 * QUARTER_MICROS;
pub(super) const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// One owner's figures of one day of UTC.
#[derive(Debug, Clone)]
pub(super) struct Day<K, V> {
    /// In slot 0.
    pub totals: Sheet<K, V>,
    pub hours: Sheet<K, V>,
    pub quarters: Sheet<K, V>,
}

impl<K, V> Default for Day<K, V> {
    fn default() -> Self {
        Day { totals: Sheet::default(), hours: Sheet::default(), quarters: Sheet::default() }
    }
}

pub(super) struct PackedDay {
    pub totals: Vec<u8>,
    pub hours: Vec<u8>,
    pub quarters: Vec<u8>,
}

impl PackedDay {
    pub(super) fn is_empty(&self) -> bool {
        self.quarters.is_empty() && self.totals.is_empty() && self.hours.is_empty()
    }

    /// 64 bits of it: enough against mistakes, which is what is looked for.
    pub(super) fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.totals, &self.hours, &self.quarters).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

impl<K: Key, V: Value> Day<K, V> {
    pub(super) fn pack(&self) -> PackedDay {
        PackedDay { totals: self.totals.pack(), hours: self.hours.pack(), quarters: self.quarters.pack() }
    }
}

/// Under what something is counted for one owner.
pub(crate) struct Entry<'e, K> {
    pub owner: &'e str,
    /// In the day's totals, and in its hours and quarters.
    pub in_totals: &'e K,
    pub in_slots: &'e K,
    pub by_hours: bool,
}

/// Figures by day and owner, which is also the order in which they are written.
#[derive(Debug)]
pub(crate) struct Rollup<K, V>(pub(super) BTreeMap<(NaiveDate, String), Day<K, V>>);

impl<K, V> Default for Rollup<K, V> {
    fn default() -> Self {
        Rollup(BTreeMap::new())
    }
}

impl<K: Key, V: Value> Rollup<K, V> {
    pub(crate) fn add(&mut self, at: Timestamp, entry: &Entry<'_, K>, value: &V) {
        let day = self.0.entry((at.to_datetime().date_naive(), entry.owner.to_owned())).or_default();
        day.totals.add(entry.in_totals, 0, value);
        if entry.by_hours {
            day.hours.add(entry.in_slots, slot(at, HOUR_MICROS), value);
        }
        day.quarters.add(entry.in_slots, slot(at, QUARTER_MICROS), value);
    }

    /// What [`super::stored`] would read, had this been added to an empty table.
    pub(crate) fn written(&self) -> impl Iterator<Item = (String, String)> {
        let packed = self.0.iter().map(|((day, owner), figures)| (format!("{owner} on {day}"), figures.pack()));
        packed.filter(|(_, packed)| !packed.is_empty()).map(|(name, packed)| (name, packed.digest()))
    }
}

/// Day, owner, quarter of the day and key.
#[cfg(test)]
pub(crate) type Place<K> = (NaiveDate, String, u8, K);

#[cfg(test)]
impl<K: Key, V: Value> Rollup<K, V> {
    pub(crate) fn merge(&mut self, other: Rollup<K, V>) {
        for (key, day) in other.0 {
            let packed = day.pack();
            let known = self.0.entry(key).or_default();
            known.totals.absorb(&packed.totals).unwrap();
            known.hours.absorb(&packed.hours).unwrap();
            known.quarters.absorb(&packed.quarters).unwrap();
        }
    }

    /// By quarters, what comes to nothing left out. Hours and totals have to agree with them.
    pub(crate) fn cells(&self) -> BTreeMap<Place<K>, V> {
        let mut cells = BTreeMap::new();
        for ((day, owner), figures) in &self.0 {
            for (key, slot, value) in figures.quarters.cells() {
                cells.insert((*day, owner.clone(), slot, key), value);
            }
        }
        cells
    }
}

fn slot(at: Timestamp, length: i64) -> u8 {
    u8::try_from(at.as_micros().rem_euclid(DAY_MICROS) / length).expect("a day has 96 quarters of an hour")
}
