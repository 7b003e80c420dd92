//! What must hold once the load has ended: the program's own checks find nothing, every list has what was
//! acknowledged, and nothing is left of the rebuilds but what is documented.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Run;
use super::known::Kind;
use super::line::PATIENCE;
use super::sweeps::walk;
use crate::wait;

/// Answers in words what was found.
pub(super) async fn check(run: &Run) -> Vec<String> {
    lists_are_exact(run).await;
    quiet(run).await;
    let mut told = vec![];
    let sandbox = ["--sandbox-url", &run.stage.sandbox_url];
    for command in [&[&["verify"][..], &sandbox].concat(), &vec!["projections", "verify"]] {
        let (code, text) = run.stage.binary.run(command).await.expect("the program runs");
        if code != 0 {
            run.line.faults.note(format!("{command:?} ended with {code}: {text}"));
        }
        told.push(format!("{}: exit {code}, {} lines", command.join(" "), text.lines().count()));
    }
    told.push(generations(run).await);
    told
}

/// A payment that succeeds after all when it was cancelled is refunded by nobody's command.
async fn lists_are_exact(run: &Run) {
    for (merchant, keys) in run.stage.merchants.iter().enumerate() {
        for kind in Kind::ALL {
            let listed = walk(run, kind.list(), &keys.secret, kind.name(), run.known.newest()).await;
            let made: BTreeSet<String> = run.known.made.pool(kind).of(merchant).into_iter().collect();
            let lost: Vec<&String> = made.iter().filter(|id| !listed.contains(*id)).collect();
            let is_more = matches!(kind, Kind::PreAuth | Kind::Withdrawal) && listed.len() > made.len();
            if !lost.is_empty() || is_more {
                run.line.faults.note(format!("{} of {} is not what was acknowledged: {lost:?}", kind.list(), keys.id));
            }
        }
    }
}

/// The channel's news have all come and are all acted on.
async fn quiet(run: &Run) {
    wait::until("the ledger agrees with the channel", PATIENCE * 3, async || {
        let arguments = ["verify", "--json", "--sandbox-url", &run.stage.sandbox_url];
        let (_, verdict) = run.stage.binary.run(&arguments).await.ok()?;
        let verdict: Value = serde_json::from_str(&verdict).ok()?;
        (verdict["ok"] == true || run.line.faults.are_many()).then_some(())
    })
    .await;
}

/// One serves, the one before it is kept for a day, what was before that is dropped within minutes; no tables without a
/// row and no row without tables.
async fn generations(run: &Run) -> String {
    let pool = &run.stage.database.pool;
    let rows: Vec<(String, i32, String)> =
        sqlx::query_as("SELECT name, generation, standing FROM projections").fetch_all(pool).await.expect("a database");
    for projection in projections::all() {
        let standing =
            |wanted: &str| rows.iter().filter(|(name, _, is)| name == projection.name() && is == wanted).count();
        let counted = ["live", "kept", "building", "shadow"].map(standing);
        if counted != [1, 1, 0, 0] {
            run.line.faults.note(format!("live, kept, building and shadow of {} are {counted:?}", projection.name()));
        }
    }
    // What was retired is dropped a minute later: here it has been so for long.
    let age =
        "UPDATE projections SET standing_since = standing_since - interval '10 minutes' WHERE standing = 'retired'";
    sqlx::query(age).execute(pool).await.expect("a database");
    wait::until("what was retired is dropped", PATIENCE, async || {
        let retired = "SELECT count(*) FROM projections WHERE standing = 'retired'";
        let retired: i64 = sqlx::query_scalar(retired).fetch_one(pool).await.expect("a database");
        (retired == 0).then_some(())
    })
    .await;
    let schemas: Vec<String> = sqlx::query_scalar("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'rm\\_%'")
        .fetch_all(pool)
        .await
        .expect("a database");
    let of_rows: Vec<String> = sqlx::query_scalar("SELECT format('rm_%s_%s', name, generation) FROM projections")
        .fetch_all(pool)
        .await
        .expect("a database");
    let (schemas, of_rows) = (BTreeSet::from_iter(schemas), BTreeSet::from_iter(of_rows));
    if schemas != of_rows {
        run.line.faults.note(format!("tables without a generation or the other way round: {schemas:?}, {of_rows:?}"));
    }
    format!("{} generations are left, of {} read models", of_rows.len(), projections::all().len())
}
