//! Invariant 8: every saga that the log says has something left to do is on the agenda, and none on it stays due while
//! sagas are being worked on, unless it has alerted.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use commands::ports::agenda::{ChangeKind, SagaStatus};
use commands::ports::{Category, SagaId, SagaState, StreamState};
use domain::Timestamp;
use domain::invariants::Violation;
use sagas::Processes;

use crate::ledger::Ledger;

/// Events read at once.
const PAGE: usize = 5_000;
/// Claims, retries and the watchdog's alert come long before.
const DUE_MAX: Duration = Duration::from_secs(10 * 60);

/// How many sagas the log knows, or which of them nobody would ever take up.
pub async fn moving(ledger: &Ledger) -> anyhow::Result<Result<u64, Violation>> {
    let processes = ledger.use_cases().processes();
    // What the log made due behind this is not expected on the agenda yet.
    let followed = ledger.agenda.census(Timestamp::default()).await?.position;
    let (known, open) = begun(ledger, &processes, followed).await?;
    let rows = ledger.agenda.list(None, usize::MAX >> 1).await?;
    if let Some(row) = overdue(&rows) {
        let detail = format!("{} ({}) has been due since {} and nobody works on it", row.saga_id, row.kind, row.due_at);
        return Ok(Err(Violation::of(8, detail)));
    }
    let entered: HashSet<&SagaId> = rows.iter().map(|row| &row.saga_id).collect();
    for saga in open.iter().filter(|saga| !entered.contains(saga)) {
        if is_forgotten(ledger, &processes, saga).await? {
            let detail = format!("{saga} ({}) has something left to do and is not on the agenda", saga.kind);
            return Ok(Err(Violation::of(8, detail)));
        }
    }
    Ok(Ok(known))
}

/// How many sagas ever began up to `to`, and those that no event has ended.
async fn begun(ledger: &Ledger, processes: &Processes, to: u64) -> anyhow::Result<(u64, HashSet<SagaId>)> {
    let (mut position, mut last) = (0, HashMap::new());
    while position < to {
        let mut page = ledger.store.read_all(position, PAGE).await?;
        page.retain(|event| event.position <= to);
        let Some(end) = page.last() else { break };
        position = end.position;
        last.extend(processes.changes(&page).into_iter().map(|change| (change.saga, change.kind)));
    }
    let known = last.len() as u64;
    let open = last.into_iter().filter(|(_, kind)| *kind == ChangeKind::Due).map(|(saga, _)| saga).collect();
    Ok((known, open))
}

/// One that stays due while others were worked on. A ledger that nobody serves stands still as a whole.
fn overdue(rows: &[SagaStatus]) -> Option<&SagaStatus> {
    let worked_on = rows.iter().map(|row| row.updated_at).max()?;
    let late = worked_on.minus(DUE_MAX);
    let is_held = |row: &SagaStatus| row.claimed_until.is_some_and(|until| until > worked_on);
    rows.iter().find(|row| row.due_at < late && row.state != SagaState::Stuck && !is_held(row))
}

/// Its stream says that a step is due, and still does after one more look at the agenda: it was not being finished.
async fn is_forgotten(ledger: &Ledger, processes: &Processes, saga: &SagaId) -> anyhow::Result<bool> {
    let Some(process) = processes.of_kind(&saga.kind) else { return Ok(true) };
    let now = ledger.payments.clock.now();
    let is_due = |stream: &StreamState| !matches!(process.due(saga, stream, now), Ok(None));
    let before = load(ledger, process.category(), saga).await?;
    if !is_due(&before) || ledger.agenda.find(&saga.object).await?.is_some() {
        return Ok(false);
    }
    let after = load(ledger, process.category(), saga).await?;
    Ok(after.version == before.version)
}

async fn load(ledger: &Ledger, category: Category, saga: &SagaId) -> anyhow::Result<StreamState> {
    Ok(ledger.store.load(category, &saga.stream_id).await?)
}
