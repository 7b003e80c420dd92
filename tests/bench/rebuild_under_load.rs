//! Rebuilds every read model, one after another and all at once, under a steady load of commands on two nodes, while
//! every read route is asked; prints the rate reached and every fault, and ends with 3 if there was one:
//! `cargo bench -p payledger --bench rebuild_under_load -- [COMMANDS_PER_SECOND] [SECONDS]`. What is asked and what has
//! to hold stands in `tests/support/under_load.rs`; an ordinary test of the suite does the same at a smaller rate.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use test_support::under_load::{Plan, play};

const COMMANDS_PER_SECOND: u32 = 500;
const SECONDS: u64 = 60;

#[tokio::main]
async fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u32>().ok());
    let commands_per_second = numbers.next().unwrap_or(COMMANDS_PER_SECOND);
    let seconds = numbers.next().map_or(SECONDS, u64::from);
    let report = play(Plan {
        program: env!("CARGO_BIN_EXE_payledger").to_owned(),
        nodes: 2,
        commands_per_second,
        writers: 64,
        askers: 2,
        before: Duration::from_secs(seconds / 4),
        at_least: Duration::from_secs(seconds),
        at_most: Duration::from_secs(seconds * 10 + 600),
        seed: 20_261_121,
    })
    .await;
    println!("asked for {commands_per_second} commands a second");
    println!("{report}");
    if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) }
}
