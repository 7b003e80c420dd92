//! Random sequences of all commands on all aggregates, plausible and not, over one set of books. After every step
//! everything holds that can be told without a store: see [`ledger::Ledger::step`]. A new aggregate is one more file that
//! says what its commands look like, and one more line in [`ledger::Ledger::new`].

#![allow(clippy::unwrap_used)]

mod draw;
mod ledger;
mod merchant;
mod model;
mod order_claim;
mod payment;

use std::collections::BTreeSet;

use draw::Draw;
use ledger::Ledger;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_invariant_holds_after_every_command(draws in prop::collection::vec(Draw::any(), 1..60)) {
        let mut ledger = Ledger::new();
        for draw in &draws {
            if let Err(broken) = ledger.step(draw) {
                return Err(TestCaseError::fail(broken));
            }
        }
    }
}

/// A generator whose commands are all refused would prove nothing.
#[test]
fn every_event_of_every_aggregate_is_brought_about() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let sequences = prop::collection::vec(Draw::any(), 59..60);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for _ in 0..10_000 {
        let mut ledger = Ledger::new();
        for draw in sequences.new_tree(&mut runner).unwrap().current() {
            ledger.step(&draw).unwrap();
        }
        seen.extend(ledger.seen());
    }
    let unseen: Vec<&str> = Ledger::new().types().filter(|name| !seen.contains(name)).collect();
    assert!(unseen.is_empty(), "never happened: {unseen:?}");
}
