//! How `payledger reconcile` tells what it found: JSON for programs, a summary and a table for people.

use commands::ports::Clock;
use commands::ports::clock::SystemClock;
use domain::Timestamp;
use domain::reconciliation::{Ageing, Record, RunCompleted};
use projections::reconciliations::ExceptionRow;
use serde_json::{Value, json};

use super::Outcome;
use crate::output;

pub(super) fn outcome(outcome: &Outcome, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(&value_of(outcome));
    }
    for line in summary(&outcome.record) {
        println!("{line}");
    }
    for bad in &outcome.bad_lines {
        println!("line {} cannot be read: {}", bad.number, bad.reason);
    }
    if !outcome.differences.is_empty() {
        table(&outcome.differences);
    }
    Ok(())
}

pub(super) fn differences(found: &[ExceptionRow], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(&values(found));
    }
    table(found);
    Ok(())
}

fn value_of(outcome: &Outcome) -> Value {
    let Record { statement, run } = &outcome.record;
    let completed = run.as_ref().and_then(|run| run.completed.as_ref());
    let bad_lines = outcome.bad_lines.iter().map(|bad| json!({"line": bad.number, "reason": bad.reason}));
    json!({
        "ok": outcome.is_clean(),
        "run_id": run.as_ref().map(|run| run.requested.run_id),
        "number": run.as_ref().map(|run| run.requested.number),
        "status": outcome.record.status().as_str(),
        "statement": statement,
        "result": completed,
        "bad_lines": bad_lines.collect::<Vec<_>>(),
        "differences": values(&outcome.differences),
    })
}

fn values(found: &[ExceptionRow]) -> Vec<Value> {
    let now = SystemClock.now();
    found.iter().map(|row| value(row, now)).collect()
}

fn value(row: &ExceptionRow, now: Timestamp) -> Value {
    json!({
        "id": row.exception_id,
        "statement_id": row.statement_id,
        "counterparty": row.counterparty,
        "kind": row.kind,
        "severity": row.severity,
        "status": row.status().as_str(),
        "ageing": Ageing::of(row.occurred_at, now).as_str(),
        "currency": row.currency,
        "amount": row.amount,
        "reason": row.reason,
        "there": row.there,
        "here": row.here,
        "occurred_at": row.occurred_at,
        "opened_at": row.opened_at,
    })
}

fn summary(record: &Record) -> Vec<String> {
    let Record { statement, run } = record;
    let mut lines = vec![format!(
        "{} of {}: {} lines, {} of them unreadable",
        statement.statement_id,
        statement.counterparty,
        statement.lines + statement.bad_lines,
        statement.bad_lines
    )];
    match run.as_ref().and_then(|run| run.completed.as_ref()) {
        Some(completed) => lines.extend(counted(completed)),
        None => lines.push("its run is not completed: a server with the role sagas makes it".to_owned()),
    }
    lines
}

fn counted(completed: &RunCompleted) -> Vec<String> {
    let RunCompleted { run_id, number, position, counts, .. } = completed;
    let of = |counts: Vec<String>| if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let matches = counts.matches.iter().map(|(how, count)| format!("{count} {}", how.as_str()));
    let differences = counts.exceptions.iter().map(|(kind, count)| format!("{count} {kind}"));
    vec![
        format!("{run_id}, run {number}, on what was booked up to position {position}"),
        format!("matched: {} lines ({})", counts.matched_lines, of(matches.collect())),
        format!("differences: {}; cleared: {}", of(differences.collect()), counts.cleared),
    ]
}

fn table(found: &[ExceptionRow]) {
    let now = SystemClock.now();
    let row = |row: &ExceptionRow| {
        vec![
            row.exception_id.to_string(),
            row.kind.to_string(),
            row.severity.to_string(),
            row.status().as_str().to_owned(),
            Ageing::of(row.occurred_at, now).to_string(),
            row.amount.to_string(),
            row.currency.to_string(),
            row.counterparty.clone(),
            row.reason.clone(),
        ]
    };
    let headings = ["DIFFERENCE", "KIND", "SEVERITY", "STATUS", "DAYS", "AMOUNT", "", "OF", "WHY"];
    output::table(&headings, &found.iter().map(row).collect::<Vec<_>>());
}
