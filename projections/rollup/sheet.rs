//! Figures of a stretch of time, cut into slots and told apart by keys, and the bytes that they are kept as. Pure.

use std::collections::BTreeMap;

use super::packing::{Packed, put, put_bytes};

/// What figures are told apart by within a sheet.
pub(crate) trait Key: Clone + Ord {
    fn pack(&self, bytes: &mut Vec<u8>);

    fn unpack(packed: &mut Packed<'_>) -> Option<Self>;
}

/// Figures that can be added up.
pub(crate) trait Value: Clone + Default {
    fn add(&mut self, other: &Self);

    /// Adding it changes nothing.
    fn is_nothing(&self) -> bool;

    /// The same bytes for equal figures.
    fn pack(&self, bytes: &mut Vec<u8>);

    /// Adds what is packed.
    fn absorb(&mut self, packed: &mut Packed<'_>) -> Option<()>;
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sheet<K, V>(BTreeMap<K, BTreeMap<u8, V>>);

impl<K, V> Default for Sheet<K, V> {
    fn default() -> Self {
        Sheet(BTreeMap::new())
    }
}

impl<K: Key, V: Value> Sheet<K, V> {
    pub(crate) fn add(&mut self, key: &K, slot: u8, value: &V) {
        if !self.0.contains_key(key) {
            self.0.insert(key.clone(), BTreeMap::new());
        }
        let slots = self.0.get_mut(key).expect("it was just put there");
        slots.entry(slot).or_default().add(value);
    }

    /// What comes to nothing leaves no trace, so that equal figures are equal bytes however they came about.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let (mut bytes, mut cells) = (vec![], vec![]);
        for (key, slots) in &self.0 {
            cells.clear();
            for (slot, value) in slots.iter().filter(|(_, value)| !value.is_nothing()) {
                cells.push(*slot);
                value.pack(&mut cells);
            }
            if !cells.is_empty() {
                key.pack(&mut bytes);
                put_bytes(&mut bytes, &cells);
            }
        }
        bytes
    }

    #[cfg(test)]
    pub(crate) fn cells(&self) -> Vec<(K, u8, V)> {
        let cells = self
            .0
            .iter()
            .flat_map(|(key, slots)| slots.iter().map(|(slot, value)| (key.clone(), *slot, value.clone())));
        cells.filter(|(_, _, value)| !value.is_nothing()).collect()
    }

    /// Adds what is packed.
    pub(crate) fn absorb(&mut self, bytes: &[u8]) -> Option<()> {
        each_key(bytes, |key: K, cells| {
            let slots = self.0.entry(key).or_default();
            each_slot(cells, |slot, packed| slots.entry(slot).or_default().absorb(packed))
        })
    }
}

/// Hands every key, and the cells beneath it, to `each`.
pub(crate) fn each_key<K: Key>(bytes: &[u8], mut each: impl FnMut(K, Packed<'_>) -> Option<()>) -> Option<()> {
    let mut packed = Packed::new(bytes);
    while !packed.is_empty() {
        let key = K::unpack(&mut packed)?;
        each(key, Packed::new(packed.bytes()?))?;
    }
    Some(())
}

/// Hands every slot and its figures to `each`, which has to read all of them.
pub(crate) fn each_slot(mut cells: Packed<'_>, mut each: impl FnMut(u8, &mut Packed<'_>) -> Option<()>) -> Option<()> {
    while !cells.is_empty() {
        let slot = cells.byte()?;
        each(slot, &mut cells)?;
    }
    Some(())
}

/// Numbers of which most are 0, in a fixed order: which there are, then these.
pub(crate) fn put_sparse(bytes: &mut Vec<u8>, numbers: &[i128]) {
    debug_assert!(numbers.len() <= 64, "there is a bit for each");
    let present = numbers.iter().rev().fold(0_u64, |mask, number| mask << 1 | u64::from(*number != 0));
    put(bytes, present.into());
    for number in numbers.iter().filter(|number| **number != 0) {
        super::packing::put_signed(bytes, *number);
    }
}

/// What [`put_sparse`] wrote.
pub(crate) fn sparse<const N: usize>(packed: &mut Packed<'_>) -> Option<[i128; N]> {
    let mut present = u64::try_from(packed.number()?).ok()?;
    let mut numbers = [0; N];
    for number in &mut numbers {
        if present & 1 == 1 {
            *number = packed.signed()?;
        }
        present >>= 1;
    }
    (present == 0).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Key for u8 {
        fn pack(&self, bytes: &mut Vec<u8>) {
            bytes.push(*self);
        }

        fn unpack(packed: &mut Packed<'_>) -> Option<u8> {
            packed.byte()
        }
    }

    #[derive(Debug, Clone, Copy, Default, PartialEq)]
    struct Sums([i128; 3]);

    impl Value for Sums {
        fn add(&mut self, other: &Sums) {
            for (sum, added) in self.0.iter_mut().zip(other.0) {
                *sum += added;
            }
        }

        fn is_nothing(&self) -> bool {
            self.0 == [0; 3]
        }

        fn pack(&self, bytes: &mut Vec<u8>) {
            put_sparse(bytes, &self.0);
        }

        fn absorb(&mut self, packed: &mut Packed<'_>) -> Option<()> {
            self.add(&Sums(sparse(packed)?));
            Some(())
        }
    }

    type Figures = Vec<(u8, u8, [i128; 3])>;

    fn figures() -> impl Strategy<Value = Figures> {
        let number = || prop_oneof![Just(0_i128), -2_i128..3, -1_000_000_i128..1_000_000];
        prop::collection::vec((0_u8..3, 0_u8..4, [number(), number(), number()]), 0..30)
    }

    fn sheet(figures: &[(u8, u8, [i128; 3])]) -> Sheet<u8, Sums> {
        let mut sheet = Sheet::default();
        for (key, slot, sums) in figures {
            sheet.add(key, *slot, &Sums(*sums));
        }
        sheet
    }

    proptest! {
        #[test]
        fn bytes_are_the_same_in_whatever_batches_figures_come(figures in figures(), cut in 0_usize..30) {
            let (first, second) = figures.split_at(cut.min(figures.len()));
            let mut batches = sheet(second);
            prop_assert_eq!(batches.absorb(&sheet(first).pack()), Some(()));
            prop_assert_eq!(batches.pack(), sheet(&figures).pack());
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_panic(bytes: Vec<u8>) {
            sheet(&[]).absorb(&bytes);
        }
    }

    #[test]
    fn what_comes_to_nothing_leaves_no_trace() {
        assert_eq!(sheet(&[(1, 2, [5, 0, -7]), (1, 2, [-5, 0, 7])]).pack(), Vec::<u8>::new());
        // Key, length of the cells, slot, which numbers there are, and these, signs lowest.
        assert_eq!(sheet(&[(1, 2, [5, 0, -7])]).pack(), [1, 4, 2, 0b101, 10, 13]);
        assert_eq!(sheet(&[]).absorb(&[1, 4, 2, 0b101, 10]), None);
        assert_eq!(sheet(&[]).absorb(&[1, 3, 2, 0b1000, 10]), None);
    }
}
