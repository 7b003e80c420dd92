//! A node's line to the sagas' agenda: slow, and losing answers. The agenda behind it is the real one in memory.

use std::sync::Arc;

use adapters::agenda::MemoryAgenda;
use async_trait::async_trait;
use commands::ports::agenda::{Advanced, Census, Change, Claim, ClaimedSaga, Lead, Settlement};
use commands::ports::{Agenda, AgendaUnavailable, SagaState, SagaStatus};
use domain::Timestamp;

use crate::canary::Tampering;
use crate::weather::{Fate, Weather};

pub struct AgendaLine {
    agenda: Arc<MemoryAgenda>,
    weather: Weather,
    tampering: Arc<Tampering>,
}

impl AgendaLine {
    pub fn new(agenda: Arc<MemoryAgenda>, weather: Weather, tampering: Arc<Tampering>) -> AgendaLine {
        AgendaLine { agenda, weather, tampering }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, AgendaUnavailable>>) -> Result<T, AgendaUnavailable> {
        let lost = || AgendaUnavailable("the line was cut".to_owned());
        let fate = self.weather.there().await;
        if fate == Fate::LostBefore {
            return Err(lost());
        }
        let answer = call.await;
        self.weather.back().await;
        if fate == Fate::LostAfter { Err(lost()) } else { answer }
    }
}

#[async_trait]
impl Agenda for AgendaLine {
    async fn lead(&self, claim: &Claim) -> Result<Option<Lead>, AgendaUnavailable> {
        self.call(self.agenda.lead(claim)).await
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
        let changes = if self.tampering.forgets_what_is_due() { &[] } else { changes };
        self.call(self.agenda.advance(lead, to, changes, keep_until, claim, claim_at_most)).await
    }

    async fn claim_due(&self, claim: &Claim, limit: usize) -> Result<Vec<ClaimedSaga>, AgendaUnavailable> {
        self.call(self.agenda.claim_due(claim, limit)).await
    }

    async fn settle(&self, claimed: &ClaimedSaga, by: &Claim, end: &Settlement) -> Result<(), AgendaUnavailable> {
        self.call(self.agenda.settle(claimed, by, end)).await
    }

    async fn leave(&self, node: &str) -> Result<(), AgendaUnavailable> {
        self.call(self.agenda.leave(node)).await
    }

    async fn hasten(&self, stream_id: &str, now: Timestamp) -> Result<u64, AgendaUnavailable> {
        self.call(self.agenda.hasten(stream_id, now)).await
    }

    async fn retry(&self, saga_id: &str, now: Timestamp) -> Result<bool, AgendaUnavailable> {
        self.call(self.agenda.retry(saga_id, now)).await
    }

    async fn find(&self, saga_id: &str) -> Result<Option<SagaStatus>, AgendaUnavailable> {
        self.call(self.agenda.find(saga_id)).await
    }

    async fn list(&self, state: Option<SagaState>, limit: usize) -> Result<Vec<SagaStatus>, AgendaUnavailable> {
        self.call(self.agenda.list(state, limit)).await
    }

    async fn census(&self, overdue_before: Timestamp) -> Result<Census, AgendaUnavailable> {
        self.call(self.agenda.census(overdue_before)).await
    }
}
