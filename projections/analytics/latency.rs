//! Waiting times in classes whose width grows with them, from which percentiles are told to within an eighth.

use std::time::Duration;

use crate::rollup::{Packed, put, put_signed};

/// How often each class was seen, by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies(Vec<i64>);

/// Classes between one power of two and the next.
const STEPS: u64 = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// More classes than 64 bits of milliseconds have.
const CLASSES: usize = 512;

/// The class of a waiting time: milliseconds below 8 have one each, each power of two above has 8.
pub(super) fn class_of(waited: Duration) -> u32 {
    let milliseconds = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    let Some(power) = milliseconds.checked_ilog2().filter(|power| *power >= STEP_BITS) else {
        return u32::try_from(milliseconds).expect("it is below 8");
    };
    let step = u32::try_from((milliseconds >> (power - STEP_BITS)) % STEPS).expect("it is below 8");
    (power - STEP_BITS + 1) * 8 + step
}

/// The longest waiting time of a class, in milliseconds.
fn longest_of(class: u32) -> u64 {
    let (octave, step) = (class / 8, u64::from(class % 8));
    match octave {
        0 => step,
        // The last class of 64 bits ends with them.
        1..=61 => u64::try_from((u128::from(STEPS + step + 1) << (octave - 1)) - 1).unwrap_or(u64::MAX),
        _ => u64::MAX,
    }
}

impl Latencies {
    pub(super) fn add(&mut self, class: u32, count: i64) {
        let index = usize::try_from(class).unwrap_or(usize::MAX).min(CLASSES - 1);
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] += count;
    }

    pub(super) fn add_all(&mut self, other: &Latencies) {
        for (class, count) in other.seen() {
            self.add(class, count);
        }
    }

    fn seen(&self) -> impl Iterator<Item = (u32, i64)> {
        (0_u32..).zip(self.0.iter().copied()).filter(|(_, count)| *count != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen().next().is_none()
    }

    pub(super) fn pack(&self, bytes: &mut Vec<u8>) {
        put(bytes, self.seen().map(|_| 1).sum());
        let mut before = 0;
        for (class, count) in self.seen() {
            put(bytes, u128::from(class - before));
            put_signed(bytes, count.into());
            before = class;
        }
    }

    /// Adds what [`Latencies::pack`] wrote.
    pub(super) fn absorb(&mut self, packed: &mut Packed<'_>) -> Option<()> {
        let mut class = 0_u32;
        for _ in 0..packed.size()? {
            class = class.checked_add(packed.number()?.try_into().ok()?)?;
            self.add(class, packed.count()?);
        }
        Some(())
    }

    /// How many were seen.
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// Milliseconds within which `percent` of all had their outcome: the longest time of the class, at most an eighth
    /// above the exact one. None where nothing was seen.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let total = self.total();
        // The nearest rank: the smallest that is no less than the part asked for.
        let rank = ((i128::from(total) * i128::from(percent) + 99) / 100).max(1);
        let mut seen = 0_i128;
        let reached = self.seen().find(|(_, count)| {
            seen += i128::from(*count);
            seen >= rank
        });
        reached.map(|(class, _)| longest_of(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), None);
        for milliseconds in [1, 2, 3, 4, 5, 6, 7, 100, 100, 10_000] {
            latencies.add(class_of(Duration::from_millis(milliseconds)), 1);
        }
        assert_eq!([10, 50, 70, 90, 99].map(|percent| latencies.percentile(percent)), [1, 5, 7, 103, 10_239].map(Some));
    }

    proptest! {
        #[test]
        fn a_class_is_never_wider_than_an_eighth(milliseconds in 0_u64..(1 << 40)) {
            let class = class_of(Duration::from_millis(milliseconds));
            let longest = longest_of(class);
            prop_assert!(longest >= milliseconds && longest - milliseconds <= milliseconds / 8, "{class} {longest}");
            prop_assert_eq!(class_of(Duration::from_millis(longest)), class);
            prop_assert_eq!(class_of(Duration::from_millis(longest + 1)), class + 1);
        }

        #[test]
        fn no_time_is_too_long(milliseconds in any::<u64>(), class in any::<u32>()) {
            prop_assert!(longest_of(class_of(Duration::from_millis(milliseconds))) >= milliseconds);
            longest_of(class);
        }
    }
}
