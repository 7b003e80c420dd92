//! A story as people read it: a line for each happening, what it posted below it, then what is still due and where the
//! money went. Reads nothing: it is handed the story.

use std::collections::BTreeMap;
use std::fmt::Write;

use api::render::story::{facts, postings};
use commands::ports::channel_calls::ChannelCall;
use commands::ports::inbox::{WebhookOutcome, WebhookRecord};
use commands::ports::{RecordedEvent, SagaStatus};
use commands::story::{BatchShare, Flow, Happening, Mover, Story, Trail};
use domain::{Currency, Timestamp};
use serde_json::{Map, Value};

/// As wide as the longest type of an event.
const WHAT_WIDTH: usize = 38;
const AMOUNT_WIDTH: usize = 14;
const FACTS_WIDTH: usize = 96;
/// Facts that are amounts in minor units, by the last part of their names.
const AMOUNTS: [&str; 29] = [
    "actual",
    "amount",
    "available",
    "bank_fee",
    "captured",
    "channel_fee_returned",
    "covered",
    "estimate",
    "estimated",
    "excess",
    "fee",
    "fee_passed_back",
    "fee_passed_on",
    "fee_returned",
    "gross_captured",
    "known",
    "lost",
    "markup",
    "markup_returned",
    "net",
    "receivable",
    "released",
    "repaid",
    "reserved",
    "told",
    "won",
    "actual_fee",
    "approval_threshold",
    "owed",
];
/// Moments that lie elsewhere than the event's own line says.
const TIMES: [&str; 6] =
    ["authorize_before", "cut_off_at", "evidence_due_by", "expires_at", "release_due", "send_not_before"];
/// Said by the line itself, by the heading, or for machines only.
const UNTOLD: [&str; 4] = ["currency", "items_digest", "merchant_id", "since"];
const RULE: &str =
    "  Money in one account bears no marks: what came in first is taken to have left first, and of a batch a
  payment has the share that it brought, by its place in the order of the log.";

/// The whole story but for the state at its end.
pub fn text(story: &Story) -> anyhow::Result<String> {
    let page = Page { subject: &story.subject.id, currency: currency(story) };
    let mut out = format!("{} {}\n", story.subject.category, story.subject.id);
    if let Some(merchant) = first_fact(story, "merchant_id") {
        writeln!(out, "of {merchant}")?;
    }
    let width = story.events().map(|event| event.position).max().unwrap_or(0).to_string().len() + 1;
    let mut day = String::new();
    for happening in &story.happenings {
        let (date, time) = date_and_time(happening.at());
        if date != day {
            writeln!(out, "\n{date}")?;
            day = date;
        }
        let (mark, what, who, below) = match happening {
            Happening::Event(event) => page.event(event)?,
            Happening::Call(call) => page.call(call),
            Happening::Webhook(webhook) => page.webhook(webhook),
        };
        writeln!(out, "  {time}  {mark:>width$}  {}", format!("{what:<WHAT_WIDTH$}  {who}").trim_end())?;
        for line in below {
            writeln!(out, "  {:12}  {:width$}  {line}", "", "")?;
        }
    }
    page.due(&mut out, &story.due)?;
    page.money(&mut out, story)?;
    Ok(out)
}

struct Page<'a> {
    subject: &'a str,
    /// Everything that one story tells of is in one currency.
    currency: Option<Currency>,
}

/// What stands before it, what it is, who did it, and the lines below.
type Line = (String, String, String, Vec<String>);

impl Page<'_> {
    fn event(&self, event: &RecordedEvent) -> anyhow::Result<Line> {
        let told = unreadable(facts(event, false), event)?;
        let mut below = vec![];
        let mut words: Vec<String> = vec![];
        if event.stream.id != self.subject && event.stream.category != "merchant_account" {
            words.push(event.stream.id.clone());
        }
        self.words(&mut words, "", &told, &event.stream.id);
        below.extend(wrapped(&words));
        for posting in unreadable(postings(event), event)? {
            let currency: Currency = posting.currency.parse()?;
            let amount = currency.in_major(posting.amount);
            below.push(format!("{:<6} {amount:>AMOUNT_WIDTH$} {currency}  {}", posting.side, posting.account));
        }
        Ok((format!("#{}", event.position), event.event_type.clone(), event.metadata()?.actor, below))
    }

    fn words(&self, words: &mut Vec<String>, prefix: &str, told: &Map<String, Value>, own_id: &str) {
        for (name, value) in told {
            let path = format!("{prefix}{}", name.replace('_', " "));
            let is_other_time = name.ends_with("_at") && !TIMES.contains(&name.as_str());
            if UNTOLD.contains(&name.as_str()) || is_other_time {
                continue;
            }
            match value {
                Value::Object(inner) => self.words(words, &format!("{path} "), inner, own_id),
                Value::String(text) if text != own_id && !text.is_empty() => {
                    words.push(format!("{path} {}", plain(name, text)))
                }
                Value::Number(number) if number.as_i64() != Some(0) => {
                    let amount = number.as_i64().filter(|_| AMOUNTS.contains(&name.as_str()));
                    let text = amount.map_or_else(|| number.to_string(), |amount| self.amount(amount));
                    words.push(format!("{path} {text}"));
                }
                Value::Bool(true) => words.push(path),
                Value::Array(items) if !items.is_empty() => words.push(format!("{path} {value}")),
                _ => {}
            }
        }
    }

    fn amount(&self, minor: i64) -> String {
        match self.currency {
            Some(currency) => format!("{} {currency}", currency.in_major(minor)),
            None => minor.to_string(),
        }
    }

    fn call(&self, call: &ChannelCall) -> Line {
        let mut words = vec![format!("{} after {} ms", call.result.in_words(), call.latency_ms)];
        if call.stream_id != self.subject {
            words.insert(0, call.stream_id.clone());
        }
        if call.attempt > 1 {
            words.push(format!("attempt {}", call.attempt));
        }
        if call.number > 1 {
            words.push(format!("call {}", call.number));
        }
        words.extend(call.idempotency_key.iter().map(|key| format!("key {key}")));
        words.extend(call.request_id.iter().map(|id| format!("request {id}")));
        ("-->".to_owned(), format!("call {}", call.operation), call.called.clone(), vec![words.join(" · ")])
    }

    fn webhook(&self, webhook: &WebhookRecord) -> Line {
        let outcome = match &webhook.outcome {
            None => "not acted on yet".to_owned(),
            Some(WebhookOutcome::Acted) => "acted on".to_owned(),
            Some(WebhookOutcome::Ignored { reason }) => format!("ignored: {reason}"),
            Some(WebhookOutcome::Parked { reason }) => format!("parked, a person must look: {reason}"),
        };
        let about = webhook.stream_id.iter().filter(|id| *id != self.subject).cloned();
        let words: Vec<String> = about.chain([outcome, webhook.id.event_id.clone()]).collect();
        let who = format!("webhook:{}", webhook.id.channel);
        ("<--".to_owned(), format!("told {}", webhook.event_type), who, vec![words.join(" · ")])
    }

    fn due(&self, out: &mut String, due: &[SagaStatus]) -> std::fmt::Result {
        if due.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nStill due")?;
        for saga in due {
            let (date, time) = date_and_time(saga.due_at);
            let attempts = if saga.attempts > 0 { format!(" · tried {} times", saga.attempts) } else { String::new() };
            let error = saga.last_error.as_ref().map(|error| format!(" · {error}")).unwrap_or_default();
            let state = saga.state.as_str();
            writeln!(out, "  {date} {time}  saga:{} {} · {state}{attempts}{error}", saga.kind, saga.saga_id)?;
        }
        Ok(())
    }

    fn money(&self, out: &mut String, story: &Story) -> std::fmt::Result {
        if story.trails.is_empty() && story.made_of.is_empty() {
            return Ok(());
        }
        let ends = ends(story);
        if !story.trails.is_empty() {
            writeln!(out, "\nWhere the money went")?;
        }
        for trail in &story.trails {
            self.trail(out, trail, &ends)?;
        }
        if !story.made_of.is_empty() {
            writeln!(out, "\nWhat it was made of")?;
        }
        for flow in &story.made_of {
            self.sum(out, 1, flow.amount, &format!("from {}", flow.from))?;
        }
        writeln!(out, "\n{RULE}")
    }

    fn trail(&self, out: &mut String, trail: &Trail, ends: &BTreeMap<&str, &str>) -> std::fmt::Result {
        writeln!(out, "  {}", trail.of)?;
        for share in &trail.shares {
            self.share(out, trail, share, ends)?;
        }
        if trail.pending != 0 {
            self.sum(out, 1, trail.pending, "pending, until the next settlement")?;
        }
        Ok(())
    }

    fn share(
        &self,
        out: &mut String,
        trail: &Trail,
        share: &BatchShare,
        ends: &BTreeMap<&str, &str>,
    ) -> std::fmt::Result {
        let batch = if trail.of == share.settlement_id.to_string() {
            "the whole batch".to_owned()
        } else {
            format!("in settlement {} of {}", share.settlement_id, self.amount(share.batch_net))
        };
        let closed = if share.released.is_none() && share.brought > 0 { ", not released" } else { "" };
        self.sum(out, 1, share.brought, &format!("{batch}{closed}"))?;
        if let Some(parts) = share.released {
            for (amount, what) in [
                (parts.repaid, "repaid what the merchant owed"),
                (parts.reserved, "withheld as a reserve"),
                (parts.elsewhere, "into what others took out of the batch"),
                (parts.available, "made available"),
            ] {
                if amount != 0 {
                    self.sum(out, 2, amount, what)?;
                }
            }
        }
        share.flows.iter().try_for_each(|flow| self.flow(out, flow, ends))
    }

    fn flow(&self, out: &mut String, flow: &Flow, ends: &BTreeMap<&str, &str>) -> std::fmt::Result {
        if matches!(flow.from, Mover::Reserve(_)) {
            self.sum(out, 2, flow.amount, "made available when the reserve was released")?;
        }
        for portion in &flow.to {
            let id = portion.mover.to_string();
            let end = id.split(' ').next_back().and_then(|id| ends.get(id));
            self.sum(
                out,
                3,
                portion.amount,
                &format!("{id}{}", end.map(|end| format!(", {end}")).unwrap_or_default()),
            )?;
        }
        if flow.left > 0 {
            self.sum(out, 3, flow.left, "still available")?;
        }
        Ok(())
    }

    fn sum(&self, out: &mut String, depth: usize, amount: i64, what: &str) -> std::fmt::Result {
        let text = self.amount(amount);
        writeln!(out, "  {:indent$}{text:>width$}  {what}", "", indent = depth * 2, width = AMOUNT_WIDTH + 4)
    }
}

/// The words in lines of a width that a terminal has.
fn wrapped(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < FACTS_WIDTH => {
                line.push_str(" · ");
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

/// How each withdrawal stands at the story's end: the verb of its newest event.
fn ends(story: &Story) -> BTreeMap<&str, &str> {
    let withdrawals = story.events().filter(|event| event.stream.category == "withdrawal");
    withdrawals.map(|event| (event.stream.id.as_str(), event.event_type.trim_start_matches("withdrawal."))).collect()
}

fn currency(story: &Story) -> Option<Currency> {
    first_fact(story, "currency").and_then(|code| code.parse().ok())
}

/// The subject's own, if it tells it.
fn first_fact(story: &Story, name: &str) -> Option<String> {
    let mut told = story.own_events().into_iter().filter_map(|event| facts(&event, false).ok());
    told.find_map(|told| told.get(name).and_then(Value::as_str).map(str::to_owned))
}

/// A moment to the second; any other text as it is.
fn plain(name: &str, text: &str) -> String {
    let moment: Option<Timestamp> = TIMES.contains(&name).then(|| text.parse().ok()).flatten();
    moment.map_or_else(|| text.to_owned(), |moment| moment.to_datetime().format("%Y-%m-%d %H:%M:%S").to_string())
}

fn date_and_time(moment: Timestamp) -> (String, String) {
    let moment = moment.to_datetime();
    (moment.format("%Y-%m-%d").to_string(), moment.format("%H:%M:%S%.3f").to_string())
}

fn unreadable<T>(read: Result<T, api::problem::Problem>, event: &RecordedEvent) -> anyhow::Result<T> {
    read.map_err(|_| anyhow::anyhow!("the event at position {} cannot be read", event.position))
}
