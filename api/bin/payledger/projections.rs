//! `payledger projections`: how the read models stand, and folding one anew.

use std::io::{BufRead, Write};

use anyhow::bail;
use commands::ports::Clock;
use commands::ports::clock::SystemClock;

use crate::cli::Projections;
use crate::operator::Operator;
use crate::output;

pub async fn run(command: Projections, as_json: bool) -> anyhow::Result<()> {
    match command {
        Projections::List { database } => {
            let operator = Operator::open(&database).await?;
            let ledger = &operator.ledger;
            let list = ::projections::list(&ledger.pool, ledger.store.as_ref(), SystemClock.now()).await?;
            operator.close().await?;
            if as_json {
                return output::json(&list);
            }
            let row = |status: &::projections::ProjectionStatus| {
                vec![
                    status.name.clone(),
                    status.version.to_string(),
                    status.position.to_string(),
                    status.lag_events.to_string(),
                    format!("{} s", status.lag_seconds),
                    format!("{:?}", status.state).to_lowercase(),
                    status.error.clone().unwrap_or_default(),
                ]
            };
            let headings = ["NAME", "VERSION", "POSITION", "LAG EVENTS", "LAG", "STATE", "ERROR"];
            output::table(&headings, &list.iter().map(row).collect::<Vec<_>>());
            Ok(())
        }
        Projections::Rebuild { database, name, dry_run, yes } => {
            if ::projections::find(&name).is_none() {
                bail!("there is no projection {name}");
            }
            let operator = Operator::open(&database).await?;
            if dry_run {
                let head = operator.ledger.store.head().await?;
                eprintln!("{name} would be thrown away and folded again from {head} events.");
            } else if yes || confirmed(&format!("Throw {name} away and fold it again from the log?"))? {
                ::projections::rebuild(&operator.ledger.pool, &name).await?;
                eprintln!("{name} starts again from position 0; a server with the role projections folds it.");
            }
            operator.close().await
        }
    }
}

/// Asks on the terminal; anything but `yes` is no.
fn confirmed(question: &str) -> anyhow::Result<bool> {
    eprint!("{question} Type yes: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
