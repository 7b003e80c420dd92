//! The sagas' agenda in memory, for tests and simulation. It lives as long as its process.

use std::collections::BTreeMap;

use async_trait::async_trait;
use commands::ports::agenda::{
    Advanced, Agenda, AgendaUnavailable, Census, Change, ChangeKind, Claim, ClaimedSaga, Lead, SagaId, SagaState,
    SagaStatus, Settlement,
};
use domain::Timestamp;
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub struct MemoryAgenda {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    rows: BTreeMap<SagaId, Row>,
    position: u64,
    epoch: u64,
    leader: Option<(String, Timestamp)>,
}

#[derive(Debug, Clone)]
struct Row {
    state: SagaState,
    due_at: Timestamp,
    attempts: u32,
    last_error: Option<String>,
    by_hand: bool,
    claim: Option<(String, Timestamp)>,
    position: u64,
    revision: u64,
    updated_at: Timestamp,
}

impl Row {
    fn due(position: u64, now: Timestamp) -> Row {
        Row {
            state: SagaState::Running,
            due_at: now,
            attempts: 0,
            last_error: None,
            by_hand: false,
            claim: None,
            position,
            revision: 1,
            updated_at: now,
        }
    }

    fn make_due(&mut self, now: Timestamp) {
        self.state = SagaState::Running;
        self.due_at = now;
        self.attempts = 0;
        self.revision += 1;
        self.updated_at = now;
    }

    fn is_free(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_none_or(|(_, until)| *until <= now)
    }

    fn claimed_by(&mut self, saga: SagaId, claim: &Claim) -> ClaimedSaga {
        self.claim = Some((claim.node.clone(), claim.until));
        let Row { attempts, revision, by_hand, .. } = *self;
        ClaimedSaga { saga, attempts, revision, by_hand, metadata: None }
    }

    fn status(&self, saga: &SagaId) -> SagaStatus {
        SagaStatus {
            saga_id: saga.clone(),
            kind: saga.kind.clone(),
            stream_id: saga.stream_id.clone(),
            state: self.state,
            due_at: self.due_at,
            attempts: self.attempts,
            last_error: self.last_error.clone(),
            claimed_by: self.claim.as_ref().map(|(node, _)| node.clone()),
            claimed_until: self.claim.as_ref().map(|(_, until)| *until),
            position: self.position,
            updated_at: self.updated_at,
        }
    }
}

impl Book {
    fn enter(&mut self, change: &Change, claim: &Claim, may_claim: bool) -> Option<ClaimedSaga> {
        if let Some(row) = self.rows.get_mut(&change.saga) {
            if change.position > row.position {
                row.position = change.position;
                row.make_due(claim.now);
            }
            return None;
        }
        let row = self.rows.entry(change.saga.clone()).or_insert(Row::due(change.position, claim.now));
        may_claim.then(|| {
            row.claim = Some((claim.node.clone(), claim.until));
            ClaimedSaga::anew(change)
        })
    }
}

#[async_trait]
impl Agenda for MemoryAgenda {
    async fn lead(&self, claim: &Claim) -> Result<Option<Lead>, AgendaUnavailable> {
        let mut book = self.book.lock();
        match &book.leader {
            Some((node, until)) if *node != claim.node && *until > claim.now => return Ok(None),
            Some((node, _)) if *node == claim.node => {}
            _ => book.epoch += 1,
        }
        book.leader = Some((claim.node.clone(), claim.until));
        Ok(Some(Lead { epoch: book.epoch, position: book.position }))
    }

    async fn advance(
        &self,
        lead: &Lead,
        to: u64,
        changes: &[Change],
        keep_until: Timestamp,
        claim: &Claim,
        claim_at_most: usize,
    ) -> Result<Advanced, AgendaUnavailable> {
        let mut book = self.book.lock();
        if book.epoch != lead.epoch || book.position != lead.position {
            return Ok(Advanced::Fenced);
        }
        book.position = to;
        book.leader = Some((claim.node.clone(), keep_until));
        let (due, finished): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|change| change.kind == ChangeKind::Due);
        for change in finished {
            book.rows.remove(&change.saga);
        }
        let due = due.into_iter().enumerate();
        Ok(Advanced::To(due.filter_map(|(index, change)| book.enter(change, claim, index < claim_at_most)).collect()))
    }

    async fn claim_due(&self, claim: &Claim, limit: usize) -> Result<Vec<ClaimedSaga>, AgendaUnavailable> {
        let mut book = self.book.lock();
        let due = |row: &Row| row.due_at <= claim.now && row.is_free(claim.now);
        let mut rows: Vec<(SagaId, &mut Row)> =
            book.rows.iter_mut().filter(|(_, row)| due(row)).map(|(saga, row)| (saga.clone(), row)).collect();
        rows.sort_by_key(|(_, row)| row.due_at);
        Ok(rows.into_iter().take(limit).map(|(saga, row)| row.claimed_by(saga, claim)).collect())
    }

    async fn settle(&self, claimed: &ClaimedSaga, by: &Claim, end: &Settlement) -> Result<(), AgendaUnavailable> {
        let mut book = self.book.lock();
        if *end == Settlement::Finished {
            book.rows.remove(&claimed.saga);
            return Ok(());
        }
        let Some(row) = book.rows.get_mut(&claimed.saga) else {
            return Ok(());
        };
        if row.claim.as_ref().is_none_or(|(node, _)| *node != by.node) {
            return Ok(());
        }
        row.claim = None;
        match end {
            _ if row.revision != claimed.revision => return Ok(()),
            Settlement::Finished | Settlement::LetGo => return Ok(()),
            Settlement::ComeBack { state, due_at, attempts, error } => {
                row.state = *state;
                row.due_at = *due_at;
                row.attempts = *attempts;
                row.last_error = error.clone();
                row.by_hand = false;
            }
            Settlement::Postponed { until, error } => {
                row.claim = Some((by.node.clone(), *until));
                row.last_error = Some(error.clone());
            }
        }
        row.updated_at = by.now;
        Ok(())
    }

    async fn leave(&self, node: &str) -> Result<(), AgendaUnavailable> {
        let mut book = self.book.lock();
        if book.leader.as_ref().is_some_and(|(leader, _)| leader == node) {
            book.leader = None;
        }
        for row in book.rows.values_mut() {
            if row.claim.as_ref().is_some_and(|(holder, _)| holder == node) {
                row.claim = None;
            }
        }
        Ok(())
    }

    async fn hasten(&self, stream_id: &str, now: Timestamp) -> Result<u64, AgendaUnavailable> {
        let mut book = self.book.lock();
        let rows = book.rows.iter_mut().filter(|(saga, _)| saga.stream_id == stream_id);
        let hastened = rows.map(|(_, row)| row.make_due(now)).count();
        Ok(u64::try_from(hastened).unwrap_or(u64::MAX))
    }

    async fn retry(&self, saga_id: &str, now: Timestamp) -> Result<bool, AgendaUnavailable> {
        let mut book = self.book.lock();
        let row = book.rows.iter_mut().find(|(saga, _)| saga.to_string() == saga_id);
        let Some((_, row)) = row else { return Ok(false) };
        row.make_due(now);
        row.by_hand = true;
        Ok(true)
    }

    async fn find(&self, saga_id: &str) -> Result<Option<SagaStatus>, AgendaUnavailable> {
        let book = self.book.lock();
        let row = book.rows.iter().find(|(saga, _)| saga.to_string() == saga_id);
        Ok(row.map(|(saga, row)| row.status(saga)))
    }

    async fn list(&self, state: Option<SagaState>, limit: usize) -> Result<Vec<SagaStatus>, AgendaUnavailable> {
        let book = self.book.lock();
        let mut rows: Vec<SagaStatus> = book.rows.iter().map(|(saga, row)| row.status(saga)).collect();
        rows.retain(|row| state.is_none_or(|state| row.state == state));
        rows.sort_by_key(|row| (row.due_at, row.saga_id.to_string()));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn census(&self, overdue_before: Timestamp) -> Result<Census, AgendaUnavailable> {
        let book = self.book.lock();
        let mut census = Census { position: book.position, ..Census::default() };
        for row in book.rows.values() {
            match row.state {
                SagaState::Running => census.running += 1,
                SagaState::Waiting => census.waiting += 1,
                SagaState::Stuck => census.stuck += 1,
            }
            census.overdue += u64::from(row.due_at < overdue_before);
        }
        Ok(census)
    }
}
