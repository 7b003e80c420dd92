//! What lines and operations come to: as a table, and over random sides.

use proptest::prelude::*;

use super::*;
use crate::{Currency, Timestamp};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

fn amounts(currency: Currency, gross: i64, fee: i64) -> Amounts {
    Amounts { currency, gross, fee }
}

fn line(number: u32, gross: i64, fee: i64, day: i64) -> Line {
    Line {
        number,
        kind: Kind::Charge,
        reference: Some("ch_1".to_owned()),
        own_reference: None,
        amounts: amounts(Currency::USD, gross, fee),
        occurred_at: Timestamp::from_micros(day * DAY),
    }
}

fn booked(position: u64, gross: i64, fee: i64, day: i64) -> Operation {
    Operation {
        position,
        kind: Kind::Charge,
        object: format!("pay_{position}"),
        reference: Some("ch_1".to_owned()),
        amounts: amounts(Currency::USD, gross, fee),
        fee_is_estimate: false,
        occurred_at: Timestamp::from_micros(day * DAY),
        is_taken: false,
    }
}

/// `exact 100 1=7` or `amount 1,2=7`, and `left 3=9` for what no finding speaks of.
fn told(settled: &Settled) -> Vec<String> {
    let numbers = |lines: &[Line]| lines.iter().map(|line| line.number.to_string()).collect::<Vec<_>>().join(",");
    let positions = |all: &[Operation]| all.iter().map(|one| one.position.to_string()).collect::<Vec<_>>().join(",");
    let tell = |finding: &Finding| match finding {
        Finding::Matched(one) => {
            format!("{} {} {}={}", one.how.as_str(), one.score, numbers(&one.lines), positions(&one.operations))
        }
        Finding::Differs(one) => format!("{} {}={}", one.kind, numbers(&one.lines), positions(&one.operations)),
    };
    let mut told: Vec<String> = settled.findings.iter().map(tell).collect();
    let operations_left: Vec<Operation> = settled.operations_left.iter().filter(|one| !one.is_taken).cloned().collect();
    if !settled.lines_left.is_empty() || !operations_left.is_empty() {
        told.push(format!("left {}={}", numbers(&settled.lines_left), positions(&operations_left)));
    }
    told
}

#[track_caller]
fn check(lines: &[Line], operations: &[Operation], expected: &[&str]) {
    let settled = settle(Basis::Reference, &Rules::default(), lines.to_vec(), operations.to_vec());
    assert_eq!(told(&settled), expected, "{lines:?} {operations:?}");
}

#[test]
fn what_stands_under_one_reference() {
    let in_euro = Line { amounts: amounts(Currency::EUR, 100, 3), ..line(1, 0, 0, 0) };
    let taken = Operation { is_taken: true, ..booked(7, 100, 3, 0) };
    check(&[line(1, 100, 3, 0)], &[booked(7, 100, 3, 0)], &["exact 100 1=7"]);
    check(&[line(1, 100, 3, 2)], &[booked(7, 100, 3, 0)], &["date_lag 94 1=7"]);
    check(&[line(1, 100, 3, 0)], &[booked(7, 100, 3, 5)], &["date_lag 88 1=7"]);
    check(&[line(1, 100, 3, 6)], &[booked(7, 100, 3, 0)], &["date 1=7"]);
    check(&[line(1, 100, 4, 0)], &[booked(7, 100, 3, 0)], &["tolerance 90 1=7"]);
    check(&[line(1, 101, 3, 0)], &[booked(7, 100, 3, 0)], &["tolerance 90 1=7"]);
    check(&[line(1, 102, 3, 0)], &[booked(7, 100, 3, 0)], &["amount 1=7"]);
    check(&[line(1, 100, 5, 0)], &[booked(7, 100, 3, 0)], &["fee 1=7"]);
    check(&[in_euro], &[booked(7, 100, 3, 0)], &["currency 1=7"]);
    check(&[line(1, 60, 3, 0), line(2, 40, 0, 0)], &[booked(7, 100, 3, 0)], &["one_to_many 85 1,2=7"]);
    check(&[line(1, 60, 3, 0), line(2, 30, 0, 0)], &[booked(7, 100, 3, 0)], &["split_incomplete 1,2=7"]);
    check(&[line(1, 60, 3, 0), line(2, 60, 0, 0)], &[booked(7, 100, 3, 0)], &["amount 1,2=7"]);
    check(&[line(1, 100, 3, 0)], &[booked(7, 60, 3, 0), booked(8, 40, 0, 0)], &["many_to_one 85 1=7,8"]);
    check(
        &[line(1, 50, 1, 0), line(2, 50, 1, 0)],
        &[booked(7, 60, 2, 0), booked(8, 40, 0, 0)],
        &["many_to_many 75 1,2=7,8"],
    );
    check(&[line(1, 100, 3, 0), line(2, 100, 3, 0)], &[booked(7, 100, 3, 0)], &["exact 100 1=7", "duplicate 2="]);
    check(&[line(1, 100, 3, 0)], std::slice::from_ref(&taken), &["duplicate 1="]);
    check(&[line(1, 90, 3, 0)], &[taken], &["left 1="]);
    check(&[line(1, 100, 3, 0), line(2, 5, 0, 0)], &[booked(7, 100, 3, 0)], &["exact 100 1=7", "left 2="]);
    check(&[line(1, 100, 3, 0)], &[], &["left 1="]);
    check(&[], &[booked(7, 100, 3, 0)], &["left =7"]);
    // One of two operations has its own line; the rest is a split of the other.
    check(
        &[line(1, 30, 0, 0), line(2, 100, 3, 0), line(3, 20, 1, 0)],
        &[booked(7, 100, 3, 0), booked(8, 50, 1, 0)],
        &["exact 100 2=7", "one_to_many 85 1,3=8"],
    );
}

#[test]
fn amount_and_day_pair_only_what_is_alone() {
    let nameless = |number, day| Line { reference: None, ..line(number, 100, 0, day) };
    let by_amount = |lines: &[Line], operations: &[Operation]| {
        told(&settle(Basis::Amount, &Rules::default(), lines.to_vec(), operations.to_vec()))
    };
    let one = [booked(7, 100, 0, 0)];
    assert_eq!(by_amount(&[nameless(1, 0)], &one), ["amount_and_day 70 1=7"]);
    assert_eq!(by_amount(&[nameless(1, 3)], &one), ["amount_and_day 64 1=7"]);
    assert_eq!(by_amount(&[nameless(1, 6)], &one), ["left 1=7"]);
    assert_eq!(by_amount(&[nameless(1, 0), nameless(2, 0)], &one), ["left 1,2=7"]);
    assert_eq!(by_amount(&[nameless(1, 0), nameless(2, 9)], &one), ["amount_and_day 70 1=7", "left 2="]);
    let two = [booked(7, 100, 0, 0), booked(8, 100, 0, 1)];
    assert_eq!(by_amount(&[nameless(1, 0)], &two), ["left 1=7,8"], "either could be it");
    assert_eq!(by_amount(&[line(1, 100, 0, 0)], &one), ["left 1=7"], "both have a name, under which they differ");
    let ours = Line { own_reference: Some("pay_9".to_owned()), ..nameless(1, 0) };
    assert_eq!(by_amount(&[ours], &one), ["left 1=7"], "it names another of ours");
}

#[test]
fn a_join_hands_on_every_key_once() {
    let left = [(1, 'a'), (1, 'b'), (3, 'c')];
    let right = [(1, 'x'), (2, 'y'), (4, 'z')];
    let mut groups = vec![];
    join(left.into_iter(), right.into_iter(), |lefts, rights| groups.push((lefts, rights)));
    let expected = [(vec!['a', 'b'], vec!['x']), (vec![], vec!['y']), (vec!['c'], vec![]), (vec![], vec!['z'])];
    assert_eq!(groups, expected);
    let mut sizes = vec![];
    let many = (0..GROUP_MAX * 2 + 1).map(|number| (0, number));
    join(many, [(0, 'x')].into_iter(), |lefts, rights| sizes.push((lefts.len(), rights.len())));
    assert_eq!(sizes, [(GROUP_MAX, 1), (GROUP_MAX, 0), (1, 0)]);
}

fn any_amounts() -> impl Strategy<Value = Amounts> {
    let currency = prop::sample::select(vec![Currency::USD, Currency::USD, Currency::USD, Currency::EUR]);
    (currency, prop::sample::select(vec![100, 60, 40, 20, -100]), 0..3_i64)
        .prop_map(|(currency, gross, fee)| amounts(currency, gross, fee))
}

fn any_sides() -> impl Strategy<Value = (Vec<Line>, Vec<Operation>)> {
    let name = || prop::sample::select(vec![None, Some("ch_1".to_owned())]);
    let lines = prop::collection::vec((any_amounts(), 0..9_i64, name()), 0..8);
    let operations = prop::collection::vec((any_amounts(), 0..9_i64, name(), any::<bool>()), 0..8);
    (lines, operations).prop_map(|(lines, operations)| {
        let lines = lines.into_iter().zip(1..).map(|((amounts, day, reference), number)| Line {
            amounts,
            reference,
            ..line(number, 0, 0, day)
        });
        let operations = operations.into_iter().zip(1..).map(|((amounts, day, reference, is_taken), position)| {
            Operation { amounts, reference, is_taken, ..booked(position, 0, 0, day) }
        });
        (lines.collect(), operations.collect())
    })
}

fn net(amounts: impl Iterator<Item = Amounts>) -> i128 {
    amounts.map(|one| one.net()).sum()
}

proptest! {
    /// Every line and every operation that no other statement has ends in exactly one place, what is matched agrees
    /// within the rules, so that sums are kept, and neither order nor a second run changes anything.
    #[test]
    fn nothing_is_lost_and_order_does_not_matter(
        (lines, operations) in any_sides(), basis in prop::sample::select(Basis::ALL.to_vec()), turn in 0..8_usize
    ) {
        let rules = Rules::default();
        let settled = settle(basis, &rules, lines.clone(), operations.clone());

        let mut found_lines: Vec<Line> = settled.lines_left.clone();
        let mut found_operations: Vec<Operation> = settled.operations_left.clone();
        for finding in &settled.findings {
            let (of_lines, of_operations) = match finding {
                Finding::Matched(one) => {
                    prop_assert!(one.score <= 100 && !one.lines.is_empty() && !one.operations.is_empty());
                    let apart = net(one.lines.iter().map(|line| line.amounts))
                        - net(one.operations.iter().map(|operation| operation.amounts));
                    prop_assert!(
                        one.how == How::AmountAndDay || apart.abs() <= 2 * i128::from(rules.tolerance), "{one:?}"
                    );
                    (&one.lines, &one.operations)
                }
                Finding::Differs(one) => {
                    prop_assert!(!one.lines.is_empty() || !one.operations.is_empty());
                    (&one.lines, &one.operations)
                }
            };
            found_lines.extend(of_lines.iter().cloned());
            found_operations.extend(of_operations.iter().cloned());
        }
        found_lines.sort_by_key(|line| line.number);
        found_operations.sort_by_key(|operation| operation.position);
        prop_assert_eq!(&found_lines, &lines);
        prop_assert_eq!(found_operations, operations.clone());

        let (mut turned_lines, mut turned_operations) = (lines.clone(), operations.clone());
        turned_lines.rotate_left(turn.min(lines.len()));
        turned_operations.rotate_left(turn.min(operations.len()));
        turned_operations.reverse();
        let turned = settle(basis, &rules, turned_lines, turned_operations);
        prop_assert_eq!(&turned.findings, &settled.findings);
    }
}
