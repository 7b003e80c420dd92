//! `payledger archive`: moves what has had its term to the archive now, as the jobs of a server do by the clock, and prints
//! what stands there.

use std::io::{BufRead, Write};

use anyhow::bail;
use commands::archive::Shelf;
use commands::ports::Clock;
use commands::ports::clock::SystemClock;
use serde_json::json;

use crate::cli;
use crate::operator::Operator;
use crate::output;

pub async fn run(flags: cli::Archive, as_json: bool) -> anyhow::Result<()> {
    let operator = Operator::open(&flags.database).await?;
    let archive = operator.ledger.archive(flags.terms.terms());
    if let Some(shelf) = flags.read {
        archive.read(shelf, |row| output::line(&row)).await?;
        return operator.close().await;
    }
    let now = SystemClock.now();
    let mut found = vec![];
    for shelf in Shelf::ALL {
        found.push((shelf, archive.count(shelf, now).await?));
    }
    if !flags.dry_run {
        let all: u64 = found.iter().map(|(_, count)| count).sum();
        if all > 0 && !flags.yes && !agreed(all)? {
            bail!("nothing was moved");
        }
        found.clear();
        for shelf in Shelf::ALL {
            found.push((shelf, archive.clear(shelf, now).await?));
        }
    }
    let lines: Vec<_> =
        found.iter().map(|(shelf, count)| (*shelf, archive.end_of_term(*shelf, now).to_string(), *count)).collect();
    operator.close().await?;
    if as_json {
        let line = |(shelf, before, count): &(Shelf, String, u64)| json!({"shelf": shelf.as_str(), "before": before, "count": count, "dry_run": flags.dry_run});
        return output::json(&lines.iter().map(line).collect::<Vec<_>>());
    }
    let row = |(shelf, before, count): &(Shelf, String, u64)| {
        vec![shelf.as_str().to_owned(), before.clone(), count.to_string()]
    };
    let heading = if flags.dry_run { "WOULD BE MOVED" } else { "MOVED" };
    output::table(&["SHELF", "OLDER THAN", heading], &lines.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn agreed(count: u64) -> anyhow::Result<bool> {
    eprint!("Move {count} rows to the archive? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
