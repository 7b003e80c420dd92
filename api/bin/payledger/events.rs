//! `payledger events`: an auditor's replay of the log.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, bail};
use api::auth::roles::ObjectReader;
use api::render::event::EventObject;
use api::render::story::entries;
use commands::aggregates;
use commands::ports::{Category, EventStore, RecordedEvent, StreamId};
use commands::story::{Reach, Story};
use domain::payment::Payment;
use domain::pre_auth::PreAuth;
use domain::{Decider, Timestamp};
use projections::as_of::position_at;
use projections::books::Books;
use projections::refunds::{self, Refunds};
use serde_json::{Value, json};

use crate::cli::{self, Events, ExportFormat};
use crate::operator::Operator;
use crate::{output, signals, story as text};

/// Events read at once.
const PAGE: usize = 1_000;
/// Whose money is followed through batches.
const FOLLOWED: [&str; 2] = [Payment::CATEGORY, PreAuth::CATEGORY];

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
    let as_of = match as_of {
        None => None,
        Some(text) => Some(moment(operator.ledger.store.as_ref(), &text).await?),
    };
    let subject = subject(&operator, category, id).await?;
    if FOLLOWED.contains(&subject.category.as_ref()) {
        // Shares in batches are read from the books, which a ledger without a server has to catch up with first.
        operator.view(Arc::new(Books)).await?;
    }
    let story = operator.ledger.storyteller().tell(&subject, Reach::Money, as_of).await?;
    operator.close().await?;
    let Some(story) = story else { bail!("there is no {category}/{id}") };
    let state = fold(&subject.category, &story.own_events())?;
    print_story(&story, &state, as_json)
}

/// A refund lives in its payment.
async fn subject(operator: &Operator, category: &str, id: &str) -> anyhow::Result<StreamId> {
    if category != "refund" {
        return Ok(StreamId::new(category.to_owned(), id));
    }
    let missing = || format!("there is no refund {id}");
    let refund_id = id.parse().map_err(|_| anyhow::anyhow!(missing()))?;
    let mut view = operator.view(Arc::new(Refunds)).await?;
    let refund = refunds::find(&mut view, refund_id).await?.with_context(missing)?;
    Ok(Category::of::<Payment>().stream(refund.payment_id.to_string()))
}

fn print_story(story: &Story, state: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let events = story.own_events().into_iter().map(object).collect::<anyhow::Result<Vec<_>>>()?;
        let entries = entries(story, ObjectReader::All).map_err(|_| anyhow::anyhow!("the story cannot be told"))?;
        let money = json!({"trails": story.trails, "made_of": story.made_of});
        return output::json(&json!({"events": events, "state": state, "story": entries, "money": money}));
    }
    println!("{}\nState\n{}", text::text(story)?, serde_json::to_string_pretty(state)?);
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
