//! `payledger projections`: how the read models stand, what waits in them, folding one anew, and comparing them with
//! what the log makes of them.

mod rebuild;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::projections::{Projection, ProjectionState, ProjectionStatus, Runner, Running};
use anyhow::{Context, bail};
use commands::ports::Clock;
use commands::ports::clock::SystemClock;

use crate::cli::Projections;
use crate::ledger::Ledger;
use crate::operator::Operator;
use crate::{cli, output};

/// How long a retry is waited for.
const RETRIED_WITHIN: Duration = Duration::from_secs(60);
/// What stands still is tried again within this time.
const GOES_ON_WITHIN: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub async fn run(command: Projections, as_json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Projections::List { database } => list(&database, as_json).await?,
        Projections::Parked { database, name } => parked(&database, name, as_json).await?,
        Projections::Rebuild { database, name, dry_run, yes } => rebuild::run(&database, &name, dry_run, yes).await?,
        Projections::Rollback { database, name, dry_run, yes } => {
            rebuild::roll_back(&database, &name, dry_run, yes).await?;
        }
        Projections::Retry { database, name } => return retry(&database, &name, as_json).await,
        Projections::Verify { database, name } => return verify::run(&database, name, as_json).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(database: &cli::Database, as_json: bool) -> anyhow::Result<()> {
    let operator = Operator::open(database).await?;
    let ledger = &operator.ledger;
    let list = ::projections::list(&ledger.pool, ledger.store.as_ref(), SystemClock.now()).await?;
    operator.close().await?;
    if as_json {
        return output::json(&list);
    }
    let row = |status: &ProjectionStatus| {
        vec![
            status.name.clone(),
            status.version.to_string(),
            status.position.to_string(),
            status.lag_events.to_string(),
            format!("{} s", status.lag_seconds),
            format!("{:?}", status.state).to_lowercase(),
            status.parked_streams.to_string(),
            status.error.clone().unwrap_or_default(),
        ]
    };
    let headings = ["NAME", "VERSION", "POSITION", "LAG EVENTS", "LAG", "STATE", "PARKED", "ERROR"];
    output::table(&headings, &list.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

async fn parked(database: &cli::Database, name: Option<String>, as_json: bool) -> anyhow::Result<()> {
    let names = names(name)?;
    let operator = Operator::open(database).await?;
    let mut streams = vec![];
    for name in names {
        let parked = ::projections::parked(&operator.ledger.pool, name).await?;
        streams.extend(parked.into_iter().map(|stream| (name, stream)));
    }
    operator.close().await?;
    show_parked(&streams, as_json)
}

fn show_parked(streams: &[(&str, ::projections::ParkedStream)], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let named = |(name, stream): &(&str, ::projections::ParkedStream)| -> anyhow::Result<serde_json::Value> {
            let mut named = serde_json::to_value(stream)?;
            named["projection"] = (*name).into();
            Ok(named)
        };
        return output::json(&streams.iter().map(named).collect::<Result<Vec<_>, _>>()?);
    }
    let row = |(name, stream): &(&str, ::projections::ParkedStream)| {
        vec![
            (*name).to_owned(),
            format!("{}/{}", stream.category, stream.id),
            stream.position.to_string(),
            stream.event_type.clone(),
            stream.waiting.to_string(),
            stream.parked_at.to_string(),
            stream.error.clone(),
        ]
    };
    let headings = ["PROJECTION", "STREAM", "POSITION", "EVENT", "WAITING", "SINCE", "ERROR"];
    output::table(&headings, &streams.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

/// Has the parked streams tried again and tells what is still parked; fails if anything is, or if the read model does
/// not go on.
async fn retry(database: &cli::Database, name: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let projection = find(name)?;
    let operator = Operator::open(database).await?;
    let pool = &operator.ledger.pool;
    ::projections::retry(pool, name).await?;
    let running = feed(&operator.ledger, projection.clone());
    let asked = Instant::now();
    while ::projections::retry_is_due(pool, name).await? {
        if asked.elapsed() > RETRIED_WITHIN {
            bail!("nobody has tried the parked streams of {name} within {} s", RETRIED_WITHIN.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let standing = standing(&operator.ledger, name).await?;
    running.stop().await;
    if let Some(error) = standing {
        bail!("{name} does not go on: {error}");
    }
    let parked = ::projections::parked(pool, name).await?;
    operator.close().await?;
    let nothing_waits = parked.is_empty();
    show_parked(&parked.into_iter().map(|stream| (name, stream)).collect::<Vec<_>>(), as_json)?;
    Ok(if nothing_waits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why the read model does not go on, if it does not.
async fn standing(ledger: &Ledger, name: &str) -> anyhow::Result<Option<String>> {
    let asked = Instant::now();
    loop {
        let list = ::projections::list(&ledger.pool, ledger.store.as_ref(), SystemClock.now()).await?;
        let stopped = list.into_iter().find(|one| one.name == name && one.state == ProjectionState::Stopped);
        let Some(stopped) = stopped else { return Ok(None) };
        if asked.elapsed() > GOES_ON_WITHIN {
            return Ok(stopped.error);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Feeds the projection from here too, so that what was asked for is done whether or not a server runs.
fn feed(ledger: &Ledger, projection: Arc<dyn Projection>) -> Running {
    let runner = Runner::new(ledger.pool.clone(), ledger.store.clone(), ledger.progress.clone());
    runner.start(vec![projection])
}

fn find(name: &str) -> anyhow::Result<Arc<dyn Projection>> {
    ::projections::find(name).with_context(|| format!("there is no projection {name}"))
}

/// The given one, or all.
fn names(name: Option<String>) -> anyhow::Result<Vec<&'static str>> {
    match name {
        Some(name) => Ok(vec![find(&name)?.name()]),
        None => Ok(::projections::all().iter().map(|projection| projection.name()).collect()),
    }
}
