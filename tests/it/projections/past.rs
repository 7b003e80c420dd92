//! Answers as of a past position are those of a replay: the log up to there, folded into fresh read models, answers the
//! same now as the full ones do `as_of`; and what is written later changes none of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use adapters::event_store::MemoryEventStore;
use async_trait::async_trait;
use commands::as_of::events_up_to;
use commands::ports::{Category, EventStore, Receipt, RecordedEvent, Request, StoreError, StreamId, StreamState};
use domain::merchant_account::Window;
use domain::order::{self, Item, Order};
use domain::payment::{Payment, PaymentStatus};
use domain::settlement::{self, Settlement};
use domain::{Account, Currency, OrderId, OrderNo, SettlementId};
use projections::books::{self, AccountFilter, Books};
use projections::orders::{self, OrderFilter, OrderRow, OrderStatus, Orders};
use projections::payments::Payments;
use projections::settlements::Settlements;
use projections::verify::verify;
use projections::{Cursor, Filter, Page, Progress, Projection, Reader, Runner, Running, Snapshot, StatusText};
use projections::{ReadError, past, streams};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use test_support::histories::{Story, at, capture, create, decide, merchant_id, sealed, terms};
use test_support::manual_clock::ManualClock;
use test_support::read_models::{PATIENCE, ReadModels};
use test_support::tampered_log::TamperedLog;
use test_support::{TestDatabase, volatile_test_database};
use tokio::sync::watch;
use uuid::Uuid;

const MODELS: [&dyn Projection; 4] = [&Books, &Orders, &Payments, &Settlements];

fn models() -> Vec<Arc<dyn Projection>> {
    vec![Arc::new(Books), Arc::new(Orders), Arc::new(Payments), Arc::new(Settlements)]
}

/// What somebody who asked then was told, by what they asked.
type Answers = BTreeMap<String, String>;

/// A log that grows, of payments, orders that are made before and after their first payments, and settlements.
struct Growing {
    models: ReadModels,
    clock: ManualClock,
    story: Story,
    random: StdRng,
}

impl Growing {
    async fn new(seed: u64) -> Growing {
        let clock = ManualClock::default();
        let models = ReadModels::over(MemoryEventStore::new(Arc::new(clock.clone()))).await;
        Growing { models, clock, story: Story::new(seed), random: StdRng::seed_from_u64(seed) }
    }

    async fn go_on(&mut self, steps: usize) {
        let store = self.models.store.clone();
        for _ in 0..steps {
            // Slower than what the payments say, so that some are dated ahead of the log, as by a clock that is set back.
            self.clock.advance(Duration::from_millis(self.random.random_range(0..300)));
            match self.random.random_range(0..8) {
                0 => self.change_order(store.as_ref()).await,
                1 => self.change_settlement(store.as_ref()).await,
                _ => self.story.go_on(store.as_ref(), 1).await,
            }
        }
    }

    async fn change_order(&mut self, store: &dyn EventStore) {
        let n = self.random.random_range(1..=12_u128);
        let (merchant, order_no) = (merchant_id(n % 3 + 1), order_no(n));
        let command = match self.random.random_range(0..4) {
            0 | 1 => order::Command::Create(order::Created {
                order_id: OrderId::from_uuid(Uuid::from_u128(n)),
                merchant_id: merchant,
                order_no: order_no.clone(),
                currency: if n.is_multiple_of(2) { Currency::USD } else { Currency::JPY },
                items: vec![Item { quantity: 1, unit_amount: i64::try_from(n).unwrap() * 1_000 }],
                total: i64::try_from(n).unwrap() * 1_000,
                sealed: sealed(),
                created_at: at(self.random.random_range(0..100)),
            }),
            2 => order::Command::Cancel { at: at(200) },
            _ => order::Command::Ship { at: at(200) },
        };
        decide::<Order>(store, &order::stream_id(merchant, &order_no), command).await;
    }

    async fn change_settlement(&mut self, store: &dyn EventStore) {
        let n = self.random.random_range(1..=8_u128);
        let id = SettlementId::from_uuid(Uuid::from_u128(n));
        let by = || "ann".to_owned();
        let command = match self.random.random_range(0..4) {
            0 => settlement::Command::Close(closed(id, n)),
            1 => settlement::Command::Approve { by: "ben".to_owned(), at: at(300) },
            2 => settlement::Command::Hold { by: by(), at: at(300) },
            _ => settlement::Command::Release { at: at(300) },
        };
        decide::<Settlement>(store, &id.to_string(), command).await;
    }

    async fn head(&self) -> u64 {
        self.models.store.head().await.unwrap()
    }
}

fn order_no(n: u128) -> OrderNo {
    format!("A-{n}").parse().unwrap()
}

fn closed(settlement_id: SettlementId, n: u128) -> settlement::Closed {
    let small = i64::try_from(n).unwrap();
    settlement::Closed {
        settlement_id,
        merchant_id: merchant_id(n % 3 + 1),
        currency: Currency::USD,
        window: Window { from: 0, to: 10, cut_off_at: at(0) },
        net: small * 100,
        gross_captured: small * 110,
        items: 1,
        items_digest: "0".repeat(64),
        needs_approval: n.is_multiple_of(2),
        release_due: at(0),
        requested_by: None,
        closed_at: at(small * 10),
    }
}

/// The log as it stood once: it ends where it is told to.
struct Cut {
    log: Arc<MemoryEventStore>,
    head: watch::Sender<u64>,
}

#[async_trait]
impl EventStore for Cut {
    async fn execute(&self, _: Request) -> Result<Receipt, StoreError> {
        Err(StoreError::Unavailable("the past takes no commands".to_owned()))
    }

    async fn load(&self, category: Category, id: &str) -> Result<StreamState, StoreError> {
        self.log.load(category, id).await
    }

    async fn load_at(&self, category: Category, id: &str, version: u64) -> Result<StreamState, StoreError> {
        self.log.load_at(category, id, version).await
    }

    async fn read_stream(&self, stream: &StreamId, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.log.read_stream(stream, after, limit).await
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let (mut events, head) = (self.log.read_all(after, limit).await?, *self.head.borrow());
        events.retain(|event| event.position <= head);
        Ok(events)
    }

    async fn find_command(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        self.log.find_command(command_id).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        Ok(*self.head.borrow())
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
}

/// Fresh read models of a log that is cut.
struct Replay {
    _database: TestDatabase,
    cut: Arc<Cut>,
    reader: Reader,
    running: Running,
}

impl Replay {
    async fn of(log: Arc<MemoryEventStore>) -> Replay {
        let database = volatile_test_database().await;
        let cut = Arc::new(Cut { log, head: watch::Sender::new(0) });
        let progress = Progress::default();
        let running = Runner::new(database.pool.clone(), cut.clone(), progress.clone()).start(models());
        let reader = Reader::new(database.pool.clone(), progress);
        Replay { _database: database, cut, reader, running }
    }

    /// What is answered now by read models that have seen the log up to `position` and nothing of the rest.
    async fn answers_at(&self, position: u64) -> Answers {
        self.cut.head.send_replace(position);
        asked(&self.reader, position, None, self.cut.as_ref()).await
    }
}

/// Everything that can be asked about the past, of read models that stand at `position` or behind it.
async fn asked(reader: &Reader, position: u64, as_of: Option<u64>, store: &dyn EventStore) -> Answers {
    let mut answers = Answers::new();
    let view = async || {
        let view = reader.at_least(&MODELS, Some(position), PATIENCE).await.unwrap();
        assert!(as_of.is_some() || view.position == position, "{} is not {position}", view.position);
        view
    };
    ask_books(&mut view().await, as_of, &mut answers).await;
    for n in 0..FILTERS {
        let found = all_payments(&view, store, &filter(n), as_of).await;
        answers.insert(format!("payments {n}"), found);
        let found = all_settlements(&view, store, &filter(n), as_of).await;
        answers.insert(format!("settlements {n}"), found);
        let found = all_orders(&view, store, &filter(n), as_of).await;
        answers.insert(format!("orders {n}"), found);
    }
    ask_singles(&view, store, as_of, &mut answers).await;
    answers
}

async fn ask_books(view: &mut Snapshot, as_of: Option<u64>, answers: &mut Answers) {
    for n in 1..=3 {
        let balances = books::balances(view, merchant_id(n), as_of).await.unwrap();
        answers.insert(format!("balances of {n}"), format!("{balances:?}"));
    }
    let trial_balance = books::trial_balance(view, as_of).await.unwrap();
    answers.insert("trial balance".to_owned(), format!("{trial_balance:?}"));
    let accounts = books::accounts(view, &AccountFilter::default(), as_of, 1_000, None).await.unwrap();
    for line in &accounts.rows {
        let account: Account = line.account.parse().unwrap();
        let entries = books::entries(view, &account, as_of, 1_000, None).await.unwrap();
        answers.insert(format!("entries of {account}"), format!("{entries:?}"));
    }
    answers.insert("accounts".to_owned(), format!("{accounts:?}"));
}

const FILTERS: u32 = 26;

/// No condition, each alone, and some together.
fn filter<S: StatusText + Named>(n: u32) -> Filter<S> {
    let none = Filter::default;
    match n {
        0 => none(),
        1..=3 => Filter { merchant_id: Some(merchant_id(u128::from(n))), ..none() },
        4..=13 => Filter { status: Some(S::nth(n - 4)), ..none() },
        14 => Filter { currency: Some(Currency::JPY), ..none() },
        15 => Filter { channel: "stripe".parse().ok(), ..none() },
        16..=18 => Filter { order_no: Some(order_no(u128::from(n - 15))), ..none() },
        19 => Filter { created_from: Some(at(15)), ..none() },
        20 => Filter { created_to: Some(at(15)), ..none() },
        21 => Filter { amount_min: Some(5_000), ..none() },
        22 => Filter { amount_max: Some(400_000), ..none() },
        23 => Filter { merchant_id: Some(merchant_id(1)), status: Some(S::nth(2)), ..none() },
        24 => Filter { currency: Some(Currency::USD), amount_min: Some(300), status: Some(S::nth(2)), ..none() },
        _ => Filter { created_from: Some(at(3)), created_to: Some(at(40)), channel: "sandbox".parse().ok(), ..none() },
    }
}

trait Named {
    fn nth(n: u32) -> Self;
}

impl Named for PaymentStatus {
    fn nth(n: u32) -> Self {
        PaymentStatus::ALL[n as usize % PaymentStatus::ALL.len()]
    }
}

impl Named for OrderStatus {
    fn nth(n: u32) -> Self {
        OrderStatus::ALL[n as usize % OrderStatus::ALL.len()]
    }
}

impl Named for settlement::Status {
    fn nth(n: u32) -> Self {
        let all = [
            settlement::Status::Closed,
            settlement::Status::Approved,
            settlement::Status::Held,
            settlement::Status::Released,
        ];
        all[n as usize % all.len()]
    }
}

/// The rows of all pages, each page's end told.
async fn all_pages<R: Debug>(mut page: impl AsyncFnMut(Option<Cursor>) -> Page<R>) -> String {
    let (mut rows, mut cursor) = (vec![], None);
    loop {
        let Page { rows: found, next } = page(cursor).await;
        assert!(next.is_none() || !found.is_empty(), "an empty page of a short list is its last");
        rows.extend(found.iter().map(|row| format!("{row:?}")));
        match next {
            Some(next) => cursor = Some(next),
            None => return format!("{} rows: {}", rows.len(), rows.join("\n")),
        }
    }
}

async fn all_payments(
    view: &impl AsyncFn() -> Snapshot,
    store: &dyn EventStore,
    filter: &Filter<PaymentStatus>,
    as_of: Option<u64>,
) -> String {
    all_pages(async |cursor| match as_of {
        None => streams::list::<Payments, _>(&mut view().await, filter, 7, cursor.as_ref()).await.unwrap(),
        Some(as_of) => past::list::<Payments, _>(view().await, store, filter, as_of, 7, cursor.as_ref()).await.unwrap(),
    })
    .await
}

async fn all_settlements(
    view: &impl AsyncFn() -> Snapshot,
    store: &dyn EventStore,
    filter: &Filter<settlement::Status>,
    as_of: Option<u64>,
) -> String {
    all_pages(async |cursor| match as_of {
        None => streams::list::<Settlements, _>(&mut view().await, filter, 3, cursor.as_ref()).await.unwrap(),
        Some(as_of) => {
            past::list::<Settlements, _>(view().await, store, filter, as_of, 3, cursor.as_ref()).await.unwrap()
        }
    })
    .await
}

async fn all_orders(
    view: &impl AsyncFn() -> Snapshot,
    store: &dyn EventStore,
    filter: &OrderFilter,
    as_of: Option<u64>,
) -> String {
    all_pages(async |cursor| match as_of {
        None => orders::list(&mut view().await, filter, 5, cursor.as_ref()).await.unwrap(),
        Some(as_of) => orders::list_at(view().await, store, filter, as_of, 5, cursor.as_ref()).await.unwrap(),
    })
    .await
}

/// Each payment, order and settlement by itself.
async fn ask_singles(
    view: &impl AsyncFn() -> Snapshot,
    store: &dyn EventStore,
    as_of: Option<u64>,
    answers: &mut Answers,
) {
    for n in 1..=40_u128 {
        let id = test_support::histories::payment_id(n).to_string();
        let row = streams::find::<Payments>(&mut view().await, &id).await.unwrap().unwrap_or_default();
        let told = match as_of {
            None => format!("{:?}", (row.version, row.updated_at, row.state)),
            Some(as_of) => {
                let category = Category::of::<Payment>();
                let events = events_up_to(store, &category.stream(id), as_of).await.unwrap();
                let folded = events
                    .iter()
                    .fold(category.empty(), |state, event| category.apply_recorded(&state, event).unwrap());
                format!("{:?}", (folded.version, folded.updated_at, folded.of::<Payment>().unwrap()))
            }
        };
        answers.insert(format!("payment {n}"), told);
    }
    for (merchant, n) in (1..=3).flat_map(|merchant| (1..=12).map(move |n| (merchant, n))) {
        let (merchant_id, order_no) = (merchant_id(merchant), order_no(n));
        let order: Option<OrderRow> = match as_of {
            None => orders::find(&mut view().await, merchant_id, &order_no).await.unwrap(),
            Some(as_of) => orders::find_at(view().await, store, (merchant_id, &order_no), as_of).await.unwrap(),
        };
        answers.insert(format!("order {n} of {merchant}"), format!("{order:?}"));
    }
}

#[track_caller]
fn assert_same(then: &Answers, told: &Answers, when: &str) {
    for (question, answer) in then {
        assert_eq!(told.get(question), Some(answer), "{question}, {when}");
    }
    assert_eq!(then.len(), told.len(), "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_what_a_replay_says_and_stays_so() {
    for seed in 0..4 {
        let mut growing = Growing::new(seed).await;
        let (store, reader) = (growing.models.store.clone(), growing.models.reader.clone());
        let running = growing.models.start(models());
        growing.go_on(150).await;
        let head = growing.head().await;
        let replay = Replay::of(store.clone()).await;
        let mut told: Vec<(u64, Answers)> = vec![];
        for position in [0, 1, head / 4, head / 2, head * 3 / 4, head] {
            let then = replay.answers_at(position).await;
            let when = format!("seed {seed}, position {position} of {head}");
            assert_same(&then, &asked(&reader, head, Some(position), store.as_ref()).await, &when);
            told.push((position, then));
        }
        replay.running.stop().await;

        growing.go_on(100).await;
        growing.story.finish(store.as_ref()).await;
        let later = growing.head().await;
        for (position, then) in told {
            let when = format!("seed {seed}, position {position}, told again at {later}");
            assert_same(&then, &asked(&reader, later, Some(position), store.as_ref()).await, &when);
        }
        for name in ["books", "orders", "payments", "settlements"] {
            let verified = verify(&reader, store.as_ref(), name).await.unwrap().unwrap();
            assert_eq!(verified.differences, [""; 0], "seed {seed}, {name}");
        }
        running.stop().await;
    }
}

/// What is parked will be applied some day, and the answer about then must be the same after as before.
#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_not_told_while_something_of_it_is_parked() {
    let models = ReadModels::new().await;
    let log = Arc::new(TamperedLog::over(&models.store));
    let runner = Runner::new(models.database.pool.clone(), log.clone(), models.progress.clone());
    let paid = create(models.store.as_ref(), terms(1)).await;
    capture(models.store.as_ref(), paid, 10_000, Some(100)).await;
    create(models.store.as_ref(), terms(2)).await;
    log.tamper(2, |event| event.payload.clear());
    let running = runner.start(vec![Arc::new(Orders), Arc::new(Payments)]);
    let payments = async |as_of| {
        let view = models.view(&[&Payments]).await;
        let filter = Filter::<PaymentStatus>::default();
        past::list::<Payments, _>(view, models.store.as_ref(), &filter, as_of, 9, None)
            .await
            .map(|page| page.rows.len())
    };
    let orders = async |as_of| {
        let (view, filter) = (models.view(&[&Orders]).await, OrderFilter::default());
        orders::list_at(view, models.store.as_ref(), &filter, as_of, 9, None).await.map(|page| page.rows.len())
    };
    for (as_of, expected) in [
        (0, Ok(0)),
        (1, Ok(1)),
        (2, Err(ReadError::Behind { position: 1 })),
        (3, Err(ReadError::Behind { position: 1 })),
        (4, Err(ReadError::Behind { position: 3 })),
    ] {
        assert_eq!(payments(as_of).await, expected, "payments, {as_of}");
        assert_eq!(orders(as_of).await, expected, "orders, {as_of}");
    }
    running.stop().await;
}
