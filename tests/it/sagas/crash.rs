//! A process that dies at a chosen moment: before or after any call to the store, the channel or the agenda.
//! From then on nothing that it started goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use commands::ports::agenda::{Advanced, Census, Change, Claim, ClaimedSaga, Lead, Settlement};
use commands::ports::channel::{Webhook, WebhookError};
use commands::ports::{
    Agenda, AgendaUnavailable, AuthorizationAnswer, AuthorizationOrder, Authorizations, CaptureOrder, Category,
    Channel, ChannelAnswer, ChargeOrder, DisputeAnswer, DisputeOrder, EventStore, Receipt, RecordedEvent, RefundAnswer,
    RefundOrder, Request, SagaState, SagaStatus, StoreError, StreamId, StreamState,
};
use commands::settlement::Settlements;
use domain::{ChannelName, Money, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use super::stage::{Node, Stage, config, payments, settlements};

/// Counts the moments at which a process may die, and makes it die at one of them.
#[derive(Clone)]
pub struct Crash {
    left: Arc<AtomicI64>,
    happened: Arc<watch::Sender<bool>>,
}

impl Crash {
    pub fn at(moment: i64) -> Crash {
        Crash { left: Arc::new(AtomicI64::new(moment)), happened: Arc::new(watch::Sender::new(false)) }
    }

    pub fn has_happened(&self) -> bool {
        *self.happened.borrow()
    }

    async fn moment(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.happened.send_replace(true);
        }
        self.alive().await;
    }

    /// The dead do nothing any more.
    async fn alive(&self) {
        if self.has_happened() {
            std::future::pending::<()>().await;
        }
    }
}

/// A node on the stage that dies at its moment.
pub fn doomed_node(stage: &Stage, crash: &Crash) -> Node {
    let store = Arc::new(Mortal { inner: stage.store.clone(), crash: crash.clone() });
    let channel = Arc::new(Mortal { inner: stage.channel.clone() as Arc<dyn Channel>, crash: crash.clone() });
    let agenda = Arc::new(Mortal { inner: stage.agenda.clone(), crash: crash.clone() });
    let settlements = settlements(store.clone(), stage.clock.clone());
    let mut mortal = payments(store, channel, stage.clock.clone());
    mortal.vault = stage.payments.vault.clone();
    let use_cases = sagas::UseCases {
        withdrawals: stage.withdrawals(&mortal),
        payments: mortal,
        settlements,
        calls: stage.calls.clone(),
    };
    Node::start(sagas::SagaRunner::new(&use_cases, agenda, config()))
}

/// Settlements whose store dies at its moment.
pub fn doomed_settlements(stage: &Stage, crash: &Crash) -> Settlements {
    settlements(Arc::new(Mortal { inner: stage.store.clone(), crash: crash.clone() }), stage.clock.clone())
}

struct Mortal<T: ?Sized> {
    inner: Arc<T>,
    crash: Crash,
}

impl<T: ?Sized> Mortal<T> {
    async fn around<A>(&self, call: impl Future<Output = A>) -> A {
        self.crash.moment().await;
        let answer = call.await;
        self.crash.moment().await;
        answer
    }
}

#[async_trait]
impl EventStore for Mortal<dyn EventStore> {
    async fn execute(&self, request: Request) -> Result<Receipt, StoreError> {
        self.around(self.inner.execute(request)).await
    }

    async fn load(&self, category: Category, id: &str) -> Result<StreamState, StoreError> {
        self.inner.load(category, id).await
    }

    async fn load_at(&self, category: Category, id: &str, version: u64) -> Result<StreamState, StoreError> {
        self.inner.load_at(category, id, version).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read_stream(stream, after_version, limit).await
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read_all(after, limit).await
    }

    async fn find_command(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        self.inner.find_command(command_id).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.inner.head().await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.watch_head()
    }
}

#[async_trait]
impl Channel for Mortal<dyn Channel> {
    fn name(&self) -> &ChannelName {
        self.inner.name()
    }

    fn expected_fee_rate(&self) -> rust_decimal::Decimal {
        self.inner.expected_fee_rate()
    }

    fn accepts(&self, amount: Money) -> Result<(), String> {
        self.inner.accepts(amount)
    }

    async fn charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        self.around(self.inner.charge(order)).await
    }

    async fn find_charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        self.around(self.inner.find_charge(order)).await
    }

    async fn void_charge(&self, order: &ChargeOrder, key: &str) -> ChannelAnswer {
        self.around(self.inner.void_charge(order, key)).await
    }

    async fn refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.around(self.inner.refund(order)).await
    }

    async fn find_refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.around(self.inner.find_refund(order)).await
    }

    async fn find_dispute(&self, channel_reference: &str) -> DisputeAnswer {
        self.around(self.inner.find_dispute(channel_reference)).await
    }

    async fn submit_evidence(&self, order: &DisputeOrder, text: &str) -> DisputeAnswer {
        self.around(self.inner.submit_evidence(order, text)).await
    }

    async fn accept_dispute(&self, order: &DisputeOrder) -> DisputeAnswer {
        self.around(self.inner.accept_dispute(order)).await
    }

    fn authorizations(&self) -> Option<&dyn Authorizations> {
        Some(self)
    }

    fn read_webhook(
        &self,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        self.inner.read_webhook(header, body, now)
    }
}

impl Mortal<dyn Channel> {
    fn holding(&self) -> &dyn Authorizations {
        self.inner.authorizations().expect("the scripted channel holds money")
    }
}

#[async_trait]
impl Authorizations for Mortal<dyn Channel> {
    fn takes_several_captures(&self) -> bool {
        self.holding().takes_several_captures()
    }

    async fn authorize(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        self.around(self.holding().authorize(order)).await
    }

    async fn find_authorization(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        self.around(self.holding().find_authorization(order)).await
    }

    async fn release(&self, order: &AuthorizationOrder, key: &str) -> AuthorizationAnswer {
        self.around(self.holding().release(order, key)).await
    }

    async fn capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        self.around(self.holding().capture(order)).await
    }

    async fn find_capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        self.around(self.holding().find_capture(order)).await
    }
}

/// Keeping the lead and asking in vain go on all the time and change nothing: no moments to die at. But whoever is dead
/// takes neither lead nor work: a task is stopped only where it waits, and until then it would take them as of a time
/// that has gone on since, for which nobody waits.
#[async_trait]
impl Agenda for Mortal<dyn Agenda> {
    async fn lead(&self, claim: &Claim) -> Result<Option<Lead>, AgendaUnavailable> {
        self.crash.alive().await;
        self.inner.lead(claim).await
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
        self.around(self.inner.advance(lead, to, changes, keep_until, claim, claim_at_most)).await
    }

    async fn claim_due(&self, claim: &Claim, limit: usize) -> Result<Vec<ClaimedSaga>, AgendaUnavailable> {
        self.crash.alive().await;
        let claimed = self.inner.claim_due(claim, limit).await?;
        if !claimed.is_empty() {
            self.crash.moment().await;
        }
        Ok(claimed)
    }

    async fn settle(&self, claimed: &ClaimedSaga, by: &Claim, end: &Settlement) -> Result<(), AgendaUnavailable> {
        self.around(self.inner.settle(claimed, by, end)).await
    }

    async fn leave(&self, node: &str) -> Result<(), AgendaUnavailable> {
        self.inner.leave(node).await
    }

    async fn hasten(&self, stream_id: &str, now: Timestamp) -> Result<u64, AgendaUnavailable> {
        self.inner.hasten(stream_id, now).await
    }

    async fn retry(&self, saga_id: &str, now: Timestamp) -> Result<bool, AgendaUnavailable> {
        self.inner.retry(saga_id, now).await
    }

    async fn find(&self, saga_id: &str) -> Result<Option<SagaStatus>, AgendaUnavailable> {
        self.inner.find(saga_id).await
    }

    async fn list(&self, state: Option<SagaState>, limit: usize) -> Result<Vec<SagaStatus>, AgendaUnavailable> {
        self.inner.list(state, limit).await
    }

    async fn census(&self, overdue_before: Timestamp) -> Result<Census, AgendaUnavailable> {
        self.inner.census(overdue_before).await
    }
}
