//! The deterministic simulation: nodes of the real ledger on a virtual clock, between a store, a channel and clients
//! that fail in every way a seed can think of, and an auditor that keeps its own books. The same seed is the same history.
//!
//! `PAYLEDGER_SIM_SEED=7` runs one seed and prints what happened; `PAYLEDGER_SIM_SEEDS=100000` runs so many.

#![allow(clippy::unwrap_used)]

mod agenda;
mod auditor;
mod bank;
mod board;
mod canary;
mod chance;
mod channel;
mod clients;
mod cluster;
mod finding;
mod funds;
mod inbox;
mod node;
mod store;
mod trace;
mod vault;
mod weather;
mod world;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use canary::Canary;
use commands::aggregates;
use finding::Finding;
use parking_lot::Mutex;
use world::{Outcome, World};

const SEEDS: u64 = 2_000;

/// What came of many worlds.
#[derive(Default)]
struct Census {
    /// The lowest seed that failed, and what was found.
    failure: Option<(u64, Finding)>,
    /// Every type of event that happened.
    types: BTreeSet<String>,
}

/// Runs seeds on every core until one fails.
fn run_until_failure(seeds: u64, canary: Option<Canary>) -> Census {
    let next = AtomicU64::new(0);
    let census: Mutex<Census> = Mutex::default();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || census.lock().failure.is_some() {
                return;
            }
            let outcome = World::run(seed, canary);
            let mut census = census.lock();
            census.types.extend(outcome.types);
            if let Err(finding) = outcome.verdict
                && census.failure.as_ref().is_none_or(|(known, _)| seed < *known)
            {
                census.failure = Some((seed, finding));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    census.into_inner()
}

/// What no world brings about, by the beginning of the type of event, and why.
const NOT_SIMULATED: [(&str, &str); 10] = [
    ("channel_account.exception_written_off", COMPARES_STATEMENTS),
    ("merchant.activated", MOVES_NOTHING),
    ("merchant.closed", MOVES_NOTHING),
    ("merchant.suspended", MOVES_NOTHING),
    ("merchant.tier_changed", MOVES_NOTHING),
    ("merchant_account.withdrawal_return_continued", "the world's bank returns a transfer in one piece"),
    ("order.", "an order follows its payments and moves no money of its own"),
    ("period.", "a period is closed for months, and a world lasts for days"),
    ("reconciliation.", COMPARES_STATEMENTS),
    ("reconciliation_exception.", COMPARES_STATEMENTS),
];
const COMPARES_STATEMENTS: &str = "statements are uploaded to tables of Postgres and compared there";
const MOVES_NOTHING: &str = "one command of an operator on one stream, which only new business asks about";

#[test]
fn money_survives_every_seed() {
    if let Ok(seed) = std::env::var("PAYLEDGER_SIM_SEED") {
        let outcome = World::run(seed.parse().expect("a seed is a number"), None);
        println!("{}", outcome.trace);
        outcome.verdict.unwrap();
        return;
    }
    let seeds = std::env::var("PAYLEDGER_SIM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let started = Instant::now();
    let census = run_until_failure(seeds, None);
    println!("{seeds} seeds in {:?}", started.elapsed());
    if let Some((seed, finding)) = census.failure {
        panic!("seed {seed}: {finding}\nprint its history with PAYLEDGER_SIM_SEED={seed}");
    }
    let types = aggregates::all().iter().flat_map(|aggregate| aggregate.types).map(|(name, _)| *name);
    let is_simulated = |name: &&str| !NOT_SIMULATED.iter().any(|(beginning, _)| name.starts_with(beginning));
    let unseen: Vec<&str> = types.filter(is_simulated).filter(|name| !census.types.contains(*name)).collect();
    assert!(seeds < SEEDS || unseen.is_empty(), "the simulation does not bring about {unseen:?}");
}

/// Without it a seed on a failure would be worth nothing.
#[test]
fn the_same_seed_is_the_same_history() {
    let run = |seed| {
        let Outcome { digest, events, .. } = World::run(seed, None);
        (digest, events)
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}

/// A simulation that finds nothing proves nothing: each of these bugs must be found, and by the invariant it breaks.
#[test]
fn every_canary_is_found_by_the_invariant_it_breaks() {
    for canary in Canary::ALL {
        let census = run_until_failure(canary.seeds_max(), Some(canary));
        let (seed, finding) =
            census.failure.unwrap_or_else(|| panic!("{canary:?} was not found in {} seeds", canary.seeds_max()));
        println!("{canary:?} is found on seed {seed}: {finding}");
        assert!(canary.breaks().contains(&finding.invariant), "{canary:?} on seed {seed}: {finding}");
    }
}
