//! `projections verify`: each read model beside a rebuild of it, table by table. Ends with 3 on a difference.

use std::process::ExitCode;

use ::projections::shadow::{self, Comparison};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::operator::Operator;
use crate::{cli, output};

pub(super) async fn run(database: &cli::Database, name: Option<String>, as_json: bool) -> anyhow::Result<ExitCode> {
    let names = super::names(name)?;
    let operator = Operator::open(database).await?;
    let ledger = &operator.ledger;
    let style = ProgressStyle::with_template("rebuilding {msg} {wide_bar} {pos}/{len} events {per_sec} eta {eta}")?;
    let mut comparisons = vec![];
    for name in names {
        let bar = ProgressBar::new(0).with_style(style.clone()).with_message(name);
        let reached = |position, target| {
            bar.set_length(target);
            bar.set_position(position);
        };
        comparisons.push(shadow::compare(&ledger.pool, ledger.store.as_ref(), name, reached).await?);
        bar.finish_and_clear();
    }
    operator.close().await?;
    let ok = comparisons.iter().all(Comparison::is_clean);
    if as_json {
        output::json(&json!({"ok": ok, "projections": comparisons}))?;
    } else {
        show(&comparisons);
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(output::DIFFERENCE) })
}

fn show(comparisons: &[Comparison]) {
    let rows: Vec<Vec<String>> = comparisons
        .iter()
        .flat_map(|comparison| {
            comparison.tables.iter().map(|table| {
                vec![
                    comparison.projection.to_owned(),
                    table.table.to_owned(),
                    comparison.position.to_string(),
                    table.rows.to_string(),
                    table.digest.clone(),
                    if table.is_equal { "equal" } else { "DIFFERENT" }.to_owned(),
                ]
            })
        })
        .collect();
    output::table(&["PROJECTION", "TABLE", "POSITION", "ROWS", "DIGEST", "REBUILD"], &rows);
    for comparison in comparisons {
        for difference in &comparison.differences {
            println!("{}: {difference}", comparison.projection);
        }
    }
}
