//! What one pass leaves over for the next, kept in memory as long as it is not much: the database need not be read again
//! for a few lines out of a million.

use domain::reconciliation::matching::{Basis, Rules, Settled, join, settle};
use domain::reconciliation::{Line, Operation};

use super::sides::key_of;
use projections::channel_operations::{SortKey, key_of as key_of_operation};

pub(super) struct Left {
    pub(super) lines: Vec<Line>,
    /// Those that other statements have among them.
    pub(super) operations: Vec<Operation>,
    /// Of either side.
    max: usize,
    is_cut: bool,
}

impl Left {
    pub(super) fn of_at_most(max: usize) -> Left {
        Left { lines: vec![], operations: vec![], max, is_cut: false }
    }

    pub(super) fn add(&mut self, lines: Vec<Line>, operations: Vec<Operation>) {
        self.is_cut |= self.lines.len() + lines.len() > self.max;
        self.is_cut |= self.operations.len() + operations.len() > self.max;
        if self.is_cut {
            (self.lines, self.operations) = (vec![], vec![]);
        } else {
            self.lines.extend(lines);
            self.operations.extend(operations);
        }
    }

    /// All that is left over, unless it was too much.
    pub(super) fn whole(self) -> Option<Left> {
        (!self.is_cut).then_some(self)
    }

    /// One pass over what is left; what has no key under it stays.
    pub(super) fn pass(self, basis: Basis, rules: &Rules) -> (Vec<Settled>, Left) {
        let mut rest = Left::of_at_most(self.max);
        let lines: Vec<Line> = match basis {
            Basis::Reference | Basis::Amount => self.lines,
            Basis::OwnReference => {
                let (named, nameless) = self.lines.into_iter().partition(|line| line.own_reference.is_some());
                rest.lines = nameless;
                named
            }
        };
        let lines = sorted(lines, |line| (key_of(line, basis), line.occurred_at, u64::from(line.number)));
        let operations = sorted(self.operations, |one| (key_of_operation(one, basis), one.occurred_at, one.position));
        let mut settled = vec![];
        join(lines, operations, |lines, operations| settled.push(settle(basis, rules, lines, operations)));
        (settled, rest)
    }
}

/// With the first part of the order, which is what both sides are joined by.
fn sorted<T, R: Ord>(all: Vec<T>, order: impl Fn(&T) -> (SortKey, R, u64)) -> impl Iterator<Item = (SortKey, T)> {
    let mut keyed: Vec<_> = all.into_iter().map(|one| (order(&one), one)).collect();
    keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
    keyed.into_iter().map(|((key, ..), one)| (key, one))
}
