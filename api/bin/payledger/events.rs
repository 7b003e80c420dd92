//! `payledger events`: an auditor's replay of the log.

use std::io::Write;

use anyhow::{Context, bail};
use api::render::event::EventObject;
use commands::aggregates;
use commands::ports::{EventStore, RecordedEvent, StreamId};
use domain::Timestamp;
use projections::as_of::position_at;
use serde_json::{Value, json};

use crate::cli::{self, Events, ExportFormat};
use crate::operator::Operator;
use crate::{output, signals};

/// Events read at once.
const PAGE: usize = 1_000;

pub async fn run(command: Events, as_json: bool) -> anyhow::Result<()> {
    match command {
        Events::Show { database, category, id, as_of } => show(&database, &category, &id, as_of, as_json).await,
        Events::Tail { database, from } => {
            let operator = Operator::open(&database).await?;
            tokio::select! {
                tailed = tail(operator.ledger.store.as_ref(), from) => tailed?,
                stopped = signals::stopped() => stopped?,
            }
            operator.close().await
        }
        Events::Export { database, from, to, format: ExportFormat::Ndjson } => {
            let operator = Operator::open(&database).await?;
            export(operator.ledger.store.as_ref(), from, to).await?;
            operator.close().await
        }
    }
}

async fn show(
    database: &cli::Database,
    category: &str,
    id: &str,
    as_of: Option<String>,
    as_json: bool,
) -> anyhow::Result<()> {
    let operator = Operator::open(database).await?;
    let store = operator.ledger.store.as_ref();
    let until = match as_of {
        None => u64::MAX,
        Some(text) => moment(store, &text).await?,
    };
    let stream = StreamId::new(category.to_owned(), id);
    let mut events = vec![];
    loop {
        let after = events.last().map_or(0, |event: &RecordedEvent| event.version);
        let page = store.read_stream(&stream, after, PAGE).await?;
        let ended = page.len() < PAGE;
        events.extend(page.into_iter().filter(|event| event.position <= until));
        if ended || events.len() % PAGE != 0 {
            break;
        }
    }
    operator.close().await?;
    if events.is_empty() {
        bail!("there is no {category}/{id}");
    }
    let state = fold(category, &events)?;
    print_story(events, &state, as_json)
}

fn print_story(events: Vec<RecordedEvent>, state: &Value, as_json: bool) -> anyhow::Result<()> {
    let objects = events.into_iter().map(object).collect::<anyhow::Result<Vec<_>>>()?;
    if as_json {
        return output::json(&json!({"events": objects, "state": state}));
    }
    for event in &objects {
        println!(
            "#{} {} {} v{}\n    {}",
            event.position, event.recorded_at, event.event_type, event.version, event.data
        );
    }
    println!("\nstate: {}", serde_json::to_string_pretty(state)?);
    Ok(())
}

/// A position, or the last position at or before a time.
async fn moment(store: &dyn EventStore, text: &str) -> anyhow::Result<u64> {
    if let Ok(position) = text.parse() {
        return Ok(position);
    }
    let time: Timestamp = text.parse().context("--as-of takes a position or an RFC 3339 time")?;
    Ok(position_at(store, time).await?)
}

fn fold(category: &str, events: &[RecordedEvent]) -> anyhow::Result<Value> {
    let aggregate = aggregates::find(category).with_context(|| format!("there is no category {category}"))?;
    Ok(aggregate.show(&aggregate.fold(events)?))
}

fn object(event: RecordedEvent) -> anyhow::Result<EventObject> {
    let position = event.position;
    api::render::event::object(event).map_err(|_| anyhow::anyhow!("the event at position {position} cannot be read"))
}

async fn tail(store: &dyn EventStore, from: u64) -> anyhow::Result<()> {
    let mut head = store.watch_head();
    let mut after = from.saturating_sub(1);
    loop {
        let page = store.read_all(after, PAGE).await?;
        for event in page {
            after = event.position;
            output::json(&object(event)?)?;
        }
        std::io::stdout().flush()?;
        if *head.borrow_and_update() <= after {
            head.changed().await?;
        }
    }
}

async fn export(store: &dyn EventStore, from: u64, to: Option<u64>) -> anyhow::Result<()> {
    let to = to.unwrap_or(store.head().await?);
    let mut after = from.saturating_sub(1);
    while after < to {
        let page = store.read_all(after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for event in page.into_iter().filter(|event| event.position <= to) {
            output::json(&object(event)?)?;
        }
        after += u64::try_from(PAGE)?;
    }
    Ok(())
}
