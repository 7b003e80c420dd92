//! A merchant, a provider, a log and an agenda, and nodes that run the sagas between them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use adapters::agenda::MemoryAgenda;
use adapters::bank::{FolderBank, SandboxBank};
use adapters::channel_calls::MemoryChannelCalls;
use adapters::event_store::MemoryEventStore;
use adapters::vault::MemoryVault;
use async_trait::async_trait;
use backon::ExponentialBuilder;
use commands::aggregates;
use commands::payment::{CreatePayment, PaymentDetails, Payments, RefundPayment};
use commands::ports::funds::FundsUnavailable;
use commands::ports::{
    Agenda, Channel, Clock, EventStore, MerchantFunds, PendingActivity, PendingBalance, Receipt, RecordedEvent,
    Subject, Vault, VaultError,
};
use commands::settlement::Settlements;
use commands::withdrawal::{WithdrawalPolicy, Withdrawals};
use commands::{Channels, CommandError, Executor, Issued};
use domain::invariants::{self, Books};
use domain::merchant::Terms;
use domain::merchant_account::Holder;
use domain::payment::{Event, Payment, Record};
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::settlement::{Item, Tally};
use domain::{Account, Currency, Decider, DomainEvent, MerchantId, Money, PaymentId, RefundId, Sealed};
use projections::books::activity_of;
use sagas::{Patience, SagaConfig, SagaRunner, UseCases};
use test_support::manual_clock::ManualClock;
use test_support::scripted_channel::ScriptedChannel;
use test_support::wait::until;
use tokio::sync::watch;
use uuid::Uuid;

pub const AMOUNT: i64 = 10_000;
/// Of the requests that create payments.
pub const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Of each withdrawal in USD.
pub const WITHDRAWAL_FEE: i64 = 100;
/// Of new bank accounts.
pub const COOLING_OFF: Duration = Duration::from_secs(60 * 60);
const LIMIT: Duration = Duration::from_secs(20);

/// Clones share everything.
#[derive(Clone)]
pub struct Stage {
    pub clock: ManualClock,
    pub store: Arc<dyn EventStore>,
    pub channel: Arc<ScriptedChannel>,
    pub agenda: Arc<dyn Agenda>,
    pub payments: Payments,
    pub merchant_id: MerchantId,
    pub bank: Arc<StageBank>,
    pub calls: Arc<MemoryChannelCalls>,
}

impl Stage {
    pub async fn new() -> Stage {
        Stage::with(Arc::new(MemoryAgenda::default())).await
    }

    pub async fn with(agenda: Arc<dyn Agenda>) -> Stage {
        let clock = ManualClock::default();
        let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new(Arc::new(clock.clone())));
        let channel = Arc::new(ScriptedChannel::default());
        let payments = payments(store.clone(), channel.clone(), clock.clone());
        let merchant_id = MerchantId::from_uuid(Uuid::now_v7());
        let terms = Terms {
            merchant_id,
            name: "Acme".to_owned(),
            tier: Tier::Starter,
            pricing_model: PricingModel::CostPlus,
            refund_fee_policy: RefundFeePolicy::Retain,
            home_currency: None,
            time_zone: None,
            onboarded_at: clock.now(),
        };
        test_support::seeds::sow(&payments.executor).await;
        commands::merchant::onboard(&payments.executor, issued("onboard"), terms).await.unwrap();
        let (bank, calls) = (Arc::new(StageBank::open()), Arc::default());
        Stage { clock, store, channel, agenda, payments, merchant_id, bank, calls }
    }

    pub async fn create(&self, token: &str) -> PaymentId {
        let payment_id = PaymentId::from_uuid(Uuid::now_v7());
        self.create_for(payment_id, &payment_id.to_string(), token).await.unwrap();
        payment_id
    }

    /// The same command again if it is told the same id.
    pub async fn create_for(
        &self,
        payment_id: PaymentId,
        order_no: &str,
        token: &str,
    ) -> Result<Receipt, CommandError> {
        let create = CreatePayment {
            payment_id,
            merchant_id: self.merchant_id,
            order_no: order_no.parse().unwrap(),
            amount: Money::new(AMOUNT, Currency::USD).unwrap(),
            method: "card".to_owned(),
            channel: None,
            details: PaymentDetails { token: token.to_owned(), ..PaymentDetails::default() },
            expires_in: None,
        };
        let mut issued = issued(&format!("create {payment_id}"));
        issued.metadata.traceparent = Some(TRACEPARENT.to_owned());
        let receipt = self.payments.create(issued, create).await?;
        assert_eq!(receipt.rejection, None);
        Ok(receipt)
    }

    pub async fn cancel(&self, payment_id: PaymentId) {
        let receipt = self.payments.cancel(issued(&format!("cancel {payment_id}")), payment_id, None).await.unwrap();
        assert_eq!(receipt.rejection, None);
    }

    pub async fn refund(&self, payment_id: PaymentId, amount: i64) -> RefundId {
        let refund_id = RefundId::from_uuid(Uuid::now_v7());
        let refund =
            RefundPayment { refund_id, payment_id, merchant_id: self.merchant_id, amount: Some(amount), reason: None };
        let receipt = self.payments.request_refund(issued(&format!("refund {refund_id}")), refund).await.unwrap();
        assert_eq!(receipt.rejection, None);
        refund_id
    }

    pub async fn record(&self, payment_id: PaymentId) -> Record {
        let stream = self.payments.load(payment_id).await.unwrap();
        stream.of::<Payment>().and_then(|state| state.record()).unwrap().clone()
    }

    /// The types of the payment's events, in order.
    pub async fn history(&self, payment_id: PaymentId) -> Vec<String> {
        let events = self.store.read_all(0, usize::MAX).await.unwrap();
        let events = events.into_iter().filter(|event| event.stream.id == payment_id.to_string());
        events.map(|event| event.event_type.trim_start_matches("payment.").to_owned()).collect()
    }

    /// The same stage with a vault that opens nothing: everybody was erased, or it is not available.
    pub fn with_vault(&self, opens: Result<Option<Vec<u8>>, VaultError>) -> Stage {
        let mut stage = self.clone();
        stage.payments.vault = Arc::new(ClosedVault(opens));
        stage
    }

    pub fn use_cases(&self) -> UseCases {
        UseCases {
            payments: self.payments.clone(),
            settlements: self.settlements(),
            withdrawals: self.withdrawals(&self.payments),
            calls: self.calls.clone(),
        }
    }

    /// What a node with these payments does with withdrawals, over the stage's bank.
    pub fn withdrawals(&self, payments: &Payments) -> Withdrawals {
        Withdrawals {
            executor: payments.executor.clone(),
            vault: payments.vault.clone(),
            index: Arc::new(MemoryVault::in_memory()),
            pending: Arc::new(FundsOfLog(self.store.clone())),
            bank: Some(Arc::new(self.bank.bank.clone())),
            policy: Arc::new(WithdrawalPolicy {
                cooling_off: COOLING_OFF,
                fees: BTreeMap::from([(Currency::USD, WITHDRAWAL_FEE)]),
                ..WithdrawalPolicy::default()
            }),
            clock: payments.clock.clone(),
        }
    }

    pub fn settlements(&self) -> Settlements {
        settlements(self.store.clone(), self.clock.clone())
    }

    /// A node on this stage, running.
    pub fn node(&self) -> Node {
        Node::start(SagaRunner::new(&self.use_cases(), self.agenda.clone(), config()))
    }

    /// The log was followed to its end, and nothing is due now. In this order: what was entered before the first look
    /// is seen by the second.
    pub async fn is_quiet(&self) -> bool {
        let now = self.clock.now();
        let census = self.agenda.census(now).await.unwrap();
        if census.position != self.store.head().await.unwrap() {
            return false;
        }
        let rows = self.agenda.list(None, usize::MAX).await.unwrap();
        rows.iter().all(|row| row.due_at > now)
    }

    pub async fn until_quiet(&self) {
        until("the sagas have nothing due", LIMIT, || async { self.is_quiet().await.then_some(()) }).await;
    }

    /// Lets the time pass and then everything that it made due.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.until_quiet().await;
    }

    /// The books balance, holds are what is pending, and the channel's receivable is what its own book says.
    pub async fn assert_books(&self) -> Books {
        let mut books = Books::default();
        let mut streams = std::collections::HashMap::new();
        for event in self.store.read_all(0, usize::MAX).await.unwrap() {
            let aggregate = aggregates::find(&event.stream.category).unwrap();
            if let Some(entry) = aggregate.postings(&event).unwrap() {
                books.post(entry.legs()).unwrap();
            }
            let (_, stream) =
                streams.entry(event.stream.clone()).or_insert_with(|| (aggregate, aggregate.category.empty()));
            *stream = aggregate.category.apply_recorded(stream, &event).unwrap();
        }
        books.available_balances().unwrap();
        for totals in books.totals().values() {
            assert_eq!(totals.debits, totals.credits);
        }
        let mut guarded = vec![];
        for (aggregate, stream) in streams.values() {
            aggregate.check(stream).unwrap();
            guarded.extend(aggregate.guarded(stream));
        }
        invariants::holds(&books, guarded.into_iter()).unwrap();
        let mut keys = std::collections::HashSet::new();
        for effect in self.channel.effects() {
            assert!(keys.insert(effect.key.clone()), "{} took effect twice", effect.key);
        }
        books
    }

    pub fn pending(&self, books: &Books) -> i128 {
        books.balance(&Account::MerchantPending(self.merchant_id), Currency::USD)
    }
}

pub fn payments(store: Arc<dyn EventStore>, channel: Arc<dyn Channel>, clock: ManualClock) -> Payments {
    Payments {
        executor: Executor::new(store.clone()),
        channels: Channels::of([channel]),
        vault: Arc::new(MemoryVault::in_memory()),
        funds: Arc::new(FundsOfLog(store)),
        clock: Arc::new(clock),
    }
}

pub fn settlements(store: Arc<dyn EventStore>, clock: ManualClock) -> Settlements {
    let activity = Arc::new(ActivityOfLog(store.clone()));
    Settlements { executor: Executor::new(store), activity, clock: Arc::new(clock) }
}

pub fn issued(purpose: &str) -> Issued {
    Issued::internally("test", purpose, purpose)
}

/// A bank over folders of its own, whose other side works when it is told to.
pub struct StageBank {
    pub folder: tempfile::TempDir,
    pub bank: FolderBank,
    pub sandbox: SandboxBank,
}

impl StageBank {
    fn open() -> StageBank {
        let folder = tempfile::tempdir().unwrap();
        let counter = payledger::bank::sandbox(folder.path().into()).unwrap();
        let sandbox = SandboxBank::open(counter.sandbox.unwrap()).unwrap();
        StageBank { folder, bank: counter.bank, sandbox }
    }
}

/// Real time passes in milliseconds here; what waits longer waits for the clock of the stage.
pub fn config() -> SagaConfig {
    SagaConfig {
        poll_every: Duration::from_millis(2),
        lead_for: Duration::from_secs(3),
        stop_within: Duration::from_secs(5),
        patience: Patience {
            quick_rounds: ExponentialBuilder::default().with_min_delay(Duration::from_millis(1)).with_max_times(3),
            ..Patience::default()
        },
        ..SagaConfig::default()
    }
}

/// A running node. Dropped, it dies as a process does: at once, wherever it is.
pub struct Node {
    pub runner: SagaRunner,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Node {
    pub fn start(runner: SagaRunner) -> Node {
        let (stop, mut stopped) = watch::channel(false);
        let running = runner.clone();
        let task = tokio::spawn(async move {
            running.run(async { drop(stopped.wait_for(|stop| *stop).await) }).await;
        });
        Node { runner, stop, task }
    }

    pub async fn stop(mut self) {
        self.stop.send(true).unwrap();
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct ClosedVault(Result<Option<Vec<u8>>, VaultError>);

#[async_trait]
impl Vault for ClosedVault {
    async fn seal_beside(&self, _: &Sealed, _: &str, _: &[u8]) -> Result<Option<Sealed>, VaultError> {
        self.0.clone().map(|_| None)
    }

    async fn seal(&self, _: &Subject, _: &str, _: &[u8]) -> Result<Sealed, VaultError> {
        Err(VaultError::Unavailable("closed".to_owned()))
    }

    async fn open(&self, _: &str, _: &Sealed) -> Result<Option<Vec<u8>>, VaultError> {
        self.0.clone()
    }
}

/// The merchant's balance, folded from the log.
struct FundsOfLog(Arc<dyn EventStore>);

#[async_trait]
impl MerchantFunds for FundsOfLog {
    async fn net_balance(&self, merchant: MerchantId, currency: Currency, _: u64) -> Result<i128, FundsUnavailable> {
        let mut books = Books::default();
        let events = self.0.read_all(0, usize::MAX).await.map_err(|error| FundsUnavailable(error.to_string()))?;
        for event in events.iter().filter(|event| event.stream.category == Payment::CATEGORY) {
            if let Some(entry) = event.decode::<Event>().ok().and_then(|event| event.postings()) {
                books.post(entry.legs()).map_err(|violation| FundsUnavailable(violation.to_string()))?;
            }
        }
        Ok(books.balance(&Account::MerchantPending(merchant), currency))
    }
}

#[async_trait]
impl PendingBalance for FundsOfLog {
    async fn pending(&self, merchant: MerchantId, currency: Currency, _: u64) -> Result<i128, FundsUnavailable> {
        self.net_balance(merchant, currency, 0).await
    }
}

/// What was earned, read from the log.
struct ActivityOfLog(Arc<dyn EventStore>);

impl ActivityOfLog {
    async fn items(&self) -> Result<Vec<(Holder, Item)>, FundsUnavailable> {
        let events = self.0.read_all(0, usize::MAX).await.map_err(|error| FundsUnavailable(error.to_string()))?;
        let of = |event: &RecordedEvent| {
            let entry = aggregates::find(&event.stream.category)?.postings(event).ok()??;
            Some(activity_of(event, &entry))
        };
        Ok(events.iter().filter_map(of).flatten().collect())
    }
}

#[async_trait]
impl PendingActivity for ActivityOfLog {
    async fn holders(
        &self,
        _: Option<MerchantId>,
        _: Option<Currency>,
        _: u64,
    ) -> Result<Vec<Holder>, FundsUnavailable> {
        let holders: BTreeSet<Holder> = self.items().await?.into_iter().map(|(holder, _)| holder).collect();
        Ok(holders.into_iter().collect())
    }

    async fn tally(&self, wanted: Holder, from: u64, to: u64) -> Result<Tally, FundsUnavailable> {
        let mut tally = Tally::default();
        for (holder, item) in self.items().await? {
            if holder == wanted && from < item.position && item.position <= to {
                tally.add(&item);
            }
        }
        Ok(tally)
    }
}

pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
