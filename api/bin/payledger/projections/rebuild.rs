//! `projections rebuild` and `projections rollback`, with what is to be seen of them meanwhile.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use ::projections::RebuildProgress;
use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::{feed, find};
use crate::cli;
use crate::ledger::Ledger;
use crate::operator::Operator;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Where there is no terminal, a line of progress so often.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn run(database: &cli::Database, name: &str, dry_run: bool, yes: bool) -> anyhow::Result<()> {
    let projection = find(name)?;
    let operator = Operator::open(database).await?;
    let head = operator.ledger.store.head().await?;
    if dry_run {
        eprintln!("{name} would be built anew from {head} events beside the one that serves.");
    } else if yes || confirmed(&format!("Build {name} anew from {head} events?"))? {
        let running = feed(&operator.ledger, projection);
        ::projections::rebuild(&operator.ledger.pool, name).await?;
        wait(&operator.ledger, name).await?;
        running.stop().await;
        eprintln!("The new {name} serves. The one before is kept for a day: `projections rollback {name}`.");
    }
    operator.close().await
}

pub(super) async fn roll_back(database: &cli::Database, name: &str, dry_run: bool, yes: bool) -> anyhow::Result<()> {
    let projection = find(name)?;
    let operator = Operator::open(database).await?;
    if dry_run {
        eprintln!("The generation of {name} before its last rebuild would serve again.");
    } else if yes || confirmed(&format!("Put the generation of {name} before its last rebuild back?"))? {
        let running = feed(&operator.ledger, projection);
        ::projections::rollback(&operator.ledger.pool, name).await?;
        running.stop().await;
        eprintln!("The {name} before the last rebuild serves again; the other one is kept.");
    }
    operator.close().await
}

/// Shows how far a rebuild has got, until it serves. Left alone, it goes on wherever projections run.
pub(super) async fn wait(ledger: &Ledger, name: &str) -> anyhow::Result<()> {
    let style = "rebuilding {msg} {wide_bar} {pos}/{len} events {per_sec} eta {eta}";
    let bar = ProgressBar::new(ledger.store.head().await?)
        .with_style(ProgressStyle::with_template(style)?)
        .with_message(name.to_owned());
    let (began, mut told) = (Instant::now(), Instant::now());
    while let RebuildProgress::Building { position } = ::projections::rebuild_progress(&ledger.pool, name).await? {
        let head = ledger.store.head().await?;
        bar.set_length(head);
        bar.set_position(position);
        if bar.is_hidden() && told.elapsed() >= TELL_EVERY {
            eprintln!("{}", line(name, position, head, began.elapsed()));
            told = Instant::now();
        }
        if let Some(blocked) = blocked(ledger, name, position, head).await? {
            bail!(blocked);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bar.finish_and_clear();
    Ok(())
}

/// A rebuild that parks what the serving generation does not is not put in its place.
async fn blocked(ledger: &Ledger, name: &str, position: u64, head: u64) -> anyhow::Result<Option<String>> {
    if position < head {
        return Ok(None);
    }
    let parked = ::projections::parked(&ledger.pool, name).await?;
    Ok((!parked.is_empty()).then(|| {
        format!(
            "{} streams are parked, so the new {name} does not serve yet: `projections parked {name}`",
            parked.len()
        )
    }))
}

fn line(name: &str, position: u64, head: u64, elapsed: Duration) -> String {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = position.saturating_mul(1_000) / milliseconds;
    let left = head.saturating_sub(position).checked_div(per_second).unwrap_or_default();
    format!("rebuilding {name}: {position} of {head} events, {per_second} events/s, {left} s left")
}

/// Asks on the terminal; anything but `yes` is no.
fn confirmed(question: &str) -> anyhow::Result<bool> {
    eprint!("{question} Type yes: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let table = [
            ((500, 1_000, 5_000), "rebuilding books: 500 of 1000 events, 100 events/s, 5 s left"),
            ((0, 1_000, 0), "rebuilding books: 0 of 1000 events, 0 events/s, 0 s left"),
            ((1_000, 1_000, 1), "rebuilding books: 1000 of 1000 events, 1000000 events/s, 0 s left"),
        ];
        for ((position, head, milliseconds), expected) in table {
            assert_eq!(line("books", position, head, Duration::from_millis(milliseconds)), expected);
        }
    }
}
