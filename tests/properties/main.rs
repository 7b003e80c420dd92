//! Random sequences of all commands on all aggregates, plausible and not, over one set of books. After every step
//! everything holds that can be told without a store: see [`ledger::Ledger::step`]. A new aggregate is one more file that
//! says what its commands look like, and one more line in [`ledger::Ledger::new`].

#![allow(clippy::unwrap_used)]

mod adjustment;
mod bank_account;
mod channel_account;
mod dispute;
mod draw;
mod ledger;
mod merchant;
mod merchant_account;
mod merchant_limits;
mod model;
mod order;
mod order_claim;
mod payment;
mod period;
mod pre_auth;
mod rates;
mod reconciliation;
mod reconciliation_exception;
mod settlement;
mod tier;
mod withdrawal;

use std::collections::BTreeSet;

use draw::Draw;
use ledger::Ledger;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_invariant_holds_after_every_command(
        turn in any::<u8>(), draws in prop::collection::vec(Draw::any(), 1..80)
    ) {
        let mut ledger = Ledger::new(turn.into());
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
    let sequences = prop::collection::vec(Draw::any(), 79..80);
    let types: BTreeSet<&str> = Ledger::new(0).types().collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    // The rarest need several things to go wrong with one withdrawal.
    for turn in 0..100_000 {
        if seen.is_superset(&types) {
            break;
        }
        let mut ledger = Ledger::new(turn);
        for draw in sequences.new_tree(&mut runner).unwrap().current() {
            ledger.step(&draw).unwrap();
        }
        seen.extend(ledger.seen());
    }
    let unseen: BTreeSet<&&str> = types.difference(&seen).collect();
    assert!(unseen.is_empty(), "never happened: {unseen:?}");
}
