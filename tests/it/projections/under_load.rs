//! Read models are rebuilt, killed, and put back under load on two nodes: no query fails, goes back or tells anything
//! wrong. The same at 500 commands a second is `tests/bench/rebuild_under_load.rs`.

use std::time::Duration;

use test_support::under_load::{Plan, play};

/// What a debug build keeps up with on two busy cores.
const COMMANDS_PER_SECOND: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn every_read_model_is_rebuilt_under_load_and_nobody_notices() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let report = play(Plan {
        program: env!("CARGO_BIN_EXE_payledger").to_owned(),
        nodes: 2,
        commands_per_second: COMMANDS_PER_SECOND,
        writers: 8,
        askers: 1,
        before: Duration::from_secs(3),
        at_least: Duration::from_secs(10),
        at_most: Duration::from_secs(480),
        seed: 20_261_121,
    })
    .await;
    eprintln!("{report}");
    assert!(report.faults.is_empty(), "{report}");
    assert!(report.commands > 50 && report.followed > 50 && report.queries > 500, "{report}");
}
