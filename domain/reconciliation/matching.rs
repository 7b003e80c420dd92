//! Matches the lines of a statement with what is booked. Both sides come sorted by a key and are joined group by group,
//! so that no more than a group is held at a time; what a group leaves over goes on to the next key: first the
//! counterparty's reference, then our own id, then amount and day. Pure, and the same whatever order the file had.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use serde::{Deserialize, Serialize};

use super::difference::{Difference, DifferenceKind, days_between};
use super::line::{Amounts, Kind, Line, Operation};

/// More under one key than this is no group that belongs together: what comes behind is left over.
pub const GROUP_MAX: usize = 2_000;

/// How far the two sides may be apart and still be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Minor units by which amounts and fees may differ.
    pub tolerance: i64,
    /// Days by which the two sides may date the same thing apart.
    pub lag_days_max: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { tolerance: 1, lag_days_max: 5 }
    }
}

/// What both sides of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The counterparty's reference, and the kind.
    Reference,
    /// Our own id, and the kind.
    OwnReference,
    /// Kind, currency and gross amount.
    Amount,
}

impl Basis {
    /// In the order in which they are tried.
    pub const ALL: [Basis; 3] = [Basis::Reference, Basis::OwnReference, Basis::Amount];
}

/// How lines and operations came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Exact,
    /// On another day, within the lag.
    DateLag,
    /// Amounts or fees differ by no more than the tolerance.
    Tolerance,
    /// One operation in several lines.
    OneToMany,
    /// Several operations in one line.
    ManyToOne,
    ManyToMany,
    /// No reference in common, but nothing else fits either side.
    AmountAndDay,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub how: How,
    /// 0 to 100.
    pub score: u8,
    pub lines: Vec<Line>,
    pub operations: Vec<Operation>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Matched(Match),
    Differs(Difference),
}

/// What a group came to. What is left over found no counterpart under this key; what other statements have is left over
/// too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    pub findings: Vec<Finding>,
    pub lines_left: Vec<Line>,
    pub operations_left: Vec<Operation>,
}

impl How {
    pub fn as_str(&self) -> &'static str {
        match self {
            How::Exact => "exact",
            How::DateLag => "date_lag",
            How::Tolerance => "tolerance",
            How::OneToMany => "one_to_many",
            How::ManyToOne => "many_to_one",
            How::ManyToMany => "many_to_many",
            How::AmountAndDay => "amount_and_day",
        }
    }

    fn score(self, days: u64) -> u8 {
        let days = u8::try_from(days.min(10)).unwrap_or(10);
        match self {
            How::Exact => 100,
            How::DateLag => 98 - 2 * days,
            How::Tolerance => 90,
            How::OneToMany | How::ManyToOne => 85,
            How::ManyToMany => 75,
            How::AmountAndDay => 70 - 2 * days,
        }
    }
}

/// Joins two sides that come in the order of their keys, and hands on what stands under each key, at most
/// [`GROUP_MAX`] of either side at once.
pub fn join<K: Ord, L, R>(
    left: impl Iterator<Item = (K, L)>,
    right: impl Iterator<Item = (K, R)>,
    mut each: impl FnMut(Vec<L>, Vec<R>),
) {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    loop {
        let key_is_left = match (left.peek(), right.peek()) {
            (Some((l, _)), Some((r, _))) => l <= r,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return,
        };
        let next = if key_is_left { left.next().map(|(key, one)| (key, Some(one), None)) } else { None };
        let next = next.or_else(|| right.next().map(|(key, one)| (key, None, Some(one))));
        let Some((key, first_left, first_right)) = next else { return };
        let mut lefts: Vec<L> = first_left.into_iter().collect();
        let mut rights: Vec<R> = first_right.into_iter().collect();
        take_group(&mut left, &key, &mut lefts);
        take_group(&mut right, &key, &mut rights);
        each(lefts, rights);
        // What is beyond the bound of a group comes next, under the same key and by itself.
        for_rest(&mut left, &key, |lefts| each(lefts, vec![]));
        for_rest(&mut right, &key, |rights| each(vec![], rights));
    }
}

fn take_group<K: Ord, T>(side: &mut Peekable<impl Iterator<Item = (K, T)>>, key: &K, group: &mut Vec<T>) {
    while group.len() < GROUP_MAX {
        match side.next_if(|(next, _)| next == key) {
            Some((_, one)) => group.push(one),
            None => return,
        }
    }
}

fn for_rest<K: Ord, T>(side: &mut Peekable<impl Iterator<Item = (K, T)>>, key: &K, mut each: impl FnMut(Vec<T>)) {
    loop {
        let mut group = vec![];
        take_group(side, key, &mut group);
        if group.is_empty() {
            return;
        }
        each(group);
    }
}

/// Decides what becomes of the lines and operations under one key.
pub fn settle(basis: Basis, rules: &Rules, lines: Vec<Line>, operations: Vec<Operation>) -> Settled {
    if lines.is_empty() || operations.is_empty() {
        return Settled { findings: vec![], lines_left: lines, operations_left: operations };
    }
    let mut group = Group::of(*rules, lines, operations);
    match basis {
        Basis::Reference | Basis::OwnReference => group.by_reference(),
        Basis::Amount => group.by_amount_and_day(),
    }
    group.settled.operations_left.append(&mut group.taken);
    group.settled
}

struct Group {
    rules: Rules,
    lines: Vec<Line>,
    operations: Vec<Operation>,
    /// Those that other statements have: nothing here is matched with them.
    taken: Vec<Operation>,
    /// What lines told that found their counterpart, here or in another statement.
    told: BTreeSet<Amounts>,
    settled: Settled,
}

impl Group {
    fn of(rules: Rules, mut lines: Vec<Line>, operations: Vec<Operation>) -> Group {
        let (taken, mut operations): (Vec<_>, Vec<_>) = operations.into_iter().partition(|one| one.is_taken);
        let told = taken.iter().map(|one| one.amounts).collect();
        lines.sort_by_key(|line| (line.occurred_at, line.number));
        operations.sort_by_key(|operation| (operation.occurred_at, operation.position));
        Group { rules, lines, operations, taken, told, settled: Settled::default() }
    }

    fn by_reference(&mut self) {
        self.pair(|amounts| (amounts.currency, amounts.gross, amounts.fee));
        self.pair(|amounts| (amounts.currency, amounts.gross));
        if !self.lines.is_empty() && !self.operations.is_empty() {
            self.settle_rest();
        }
        let told = std::mem::take(&mut self.told);
        let lines = std::mem::take(&mut self.lines);
        let (again, left): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| told.contains(&line.amounts));
        for line in again {
            self.differs(DifferenceKind::Duplicate, vec![line], vec![]);
        }
        self.settled.lines_left = left;
        self.settled.operations_left = std::mem::take(&mut self.operations);
    }

    /// Pairs lines and operations whose amounts agree in what `of` tells of them, in the order of their days.
    fn pair<K: Ord>(&mut self, of: impl Fn(&Amounts) -> K) {
        let mut waiting: BTreeMap<K, Vec<Operation>> = BTreeMap::new();
        // Turned round, so that the earliest is taken from the end.
        for operation in std::mem::take(&mut self.operations).into_iter().rev() {
            waiting.entry(of(&operation.amounts)).or_default().push(operation);
        }
        for line in std::mem::take(&mut self.lines) {
            match waiting.get_mut(&of(&line.amounts)).and_then(Vec::pop) {
                Some(operation) => self.paired(line, operation),
                None => self.lines.push(line),
            }
        }
        self.operations = waiting.into_values().flatten().collect();
        self.operations.sort_by_key(|operation| (operation.occurred_at, operation.position));
    }

    fn paired(&mut self, line: Line, operation: Operation) {
        let days = days_between(operation.occurred_at, line.occurred_at).unsigned_abs();
        let fees_apart = (i128::from(line.amounts.fee) - i128::from(operation.amounts.fee)).abs();
        self.told.insert(line.amounts);
        let (lines, operations) = (vec![line], vec![operation]);
        if fees_apart > i128::from(self.rules.tolerance) {
            self.differs(DifferenceKind::Fee, lines, operations);
        } else if days > u64::from(self.rules.lag_days_max) {
            self.differs(DifferenceKind::Date, lines, operations);
        } else if fees_apart > 0 {
            self.matched(How::Tolerance, days, lines, operations);
        } else {
            self.matched(if days == 0 { How::Exact } else { How::DateLag }, days, lines, operations);
        }
    }

    /// Both sides have something left that no single counterpart fits: they are told as one.
    fn settle_rest(&mut self) {
        let (lines, operations) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.operations));
        let currency = lines[0].amounts.currency;
        let all = lines.iter().map(|line| line.amounts).chain(operations.iter().map(|one| one.amounts));
        if all.clone().any(|amounts| amounts.currency != currency) {
            return self.differs(DifferenceKind::Currency, lines, operations);
        }
        let there = sum(lines.iter().map(|line| line.amounts));
        let here = sum(operations.iter().map(|operation| operation.amounts));
        let tolerance = i128::from(self.rules.tolerance);
        let gross_agrees = (there.0 - here.0).abs() <= tolerance;
        let fee_agrees = (there.1 - here.1).abs() <= tolerance;
        match (lines.len(), operations.len()) {
            _ if gross_agrees && !fee_agrees => self.differs(DifferenceKind::Fee, lines, operations),
            (1, 1) if gross_agrees => self.matched(How::Tolerance, 0, lines, operations),
            (_, 1) if gross_agrees => self.matched(How::OneToMany, 0, lines, operations),
            (1, _) if gross_agrees => self.matched(How::ManyToOne, 0, lines, operations),
            _ if gross_agrees => self.matched(How::ManyToMany, 0, lines, operations),
            (2.., 1) if there.0.signum() == here.0.signum() && there.0.abs() < here.0.abs() => {
                self.differs(DifferenceKind::SplitIncomplete, lines, operations);
            }
            _ => self.differs(DifferenceKind::Amount, lines, operations),
        }
    }

    /// Pairs what is alone within the lag on both sides; where a choice would be a guess, none is made.
    fn by_amount_and_day(&mut self) {
        let lag = i64::from(self.rules.lag_days_max);
        let near = |line: &Line, operation: &Operation| {
            days_between(operation.occurred_at, line.occurred_at).abs() <= lag && may_be_the_same(line, operation)
        };
        let (lines, operations) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.operations));
        let mut of_lines: Vec<Option<usize>> = vec![None; lines.len()];
        let mut near_lines: Vec<usize> = vec![0; operations.len()];
        let mut from = 0;
        for (index, line) in lines.iter().enumerate() {
            // Both are in the order of their days: what is too early for this line is too early for the next ones.
            while operations.get(from).is_some_and(|one| days_between(one.occurred_at, line.occurred_at) > lag) {
                from += 1;
            }
            let reachable = operations[from..].iter().enumerate();
            let reachable = reachable.take_while(|(_, one)| days_between(line.occurred_at, one.occurred_at) <= lag);
            let mut found: Vec<usize> = vec![];
            for (offset, _) in reachable.filter(|(_, operation)| near(line, operation)) {
                near_lines[from + offset] += 1;
                found.push(from + offset);
            }
            of_lines[index] = if found.len() == 1 { found.first().copied() } else { None };
        }
        let mut operations: Vec<Option<Operation>> = operations.into_iter().map(Some).collect();
        for (line, chosen) in lines.into_iter().zip(of_lines) {
            let alone = chosen.filter(|index| near_lines[*index] == 1);
            match alone.and_then(|index| operations[index].take()) {
                Some(operation) => {
                    let days = days_between(operation.occurred_at, line.occurred_at).unsigned_abs();
                    self.matched(How::AmountAndDay, days, vec![line], vec![operation]);
                }
                None => self.settled.lines_left.push(line),
            }
        }
        self.settled.operations_left = operations.into_iter().flatten().collect();
    }

    fn matched(&mut self, how: How, days: u64, lines: Vec<Line>, operations: Vec<Operation>) {
        self.told.extend(lines.iter().map(|line| line.amounts));
        self.settled.findings.push(Finding::Matched(Match { how, score: how.score(days), lines, operations }));
    }

    fn differs(&mut self, kind: DifferenceKind, lines: Vec<Line>, operations: Vec<Operation>) {
        self.settled.findings.push(Finding::Differs(Difference { kind, lines, operations }));
    }
}

/// Two things that both sides name, and name differently, are not the same; a bank has names of its own for transfers.
fn may_be_the_same(line: &Line, operation: &Operation) -> bool {
    let both_named = line.reference.is_some() && operation.reference.is_some() && line.kind != Kind::Transfer;
    line.own_reference.is_none() && !both_named
}

/// Gross and fees.
fn sum(amounts: impl Iterator<Item = Amounts>) -> (i128, i128) {
    amounts.fold((0, 0), |(gross, fee), one| (gross + i128::from(one.gross), fee + i128::from(one.fee)))
}
