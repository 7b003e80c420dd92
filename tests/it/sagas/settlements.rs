//! Settlements under every misfortune: their sagas' scenarios, and a run that dies at any moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::funds::FundsUnavailable;
use commands::ports::{Category, Clock, EventStore, PendingActivity};
use commands::settlement::{Idle, Scope, Settlements};
use domain::merchant::{Changes, ReservePlan};
use domain::merchant_account::{self, Holder, MerchantAccount};
use domain::settlement::{Item, Settlement, Status, Tally};
use domain::{Account, Currency, Decider, MerchantId, SettlementId};
use projections::books::activity_of;

use super::crash::{Crash, doomed_settlements};
use super::scenarios::{Scenario, paid, pass};
use super::stage::{Stage, issued};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The merchant's tier settles T+1. Of each payment of 10,000 the channel takes 100 and we take 80.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a batch is released on the next business day",
        play: |stage, driver| {
            Box::pin(async {
                paid(stage, driver, "tok_success").await;
                run(stage, "run").await;
                driver.settle(stage).await;
                let before = end(stage).await;
                pass(stage, driver, 4 * DAY).await;
                format!("{before}; {}", end(stage).await)
            })
        },
        end: "closed: pending 0, available 0, reserved 0; released: pending 0, available 9820, reserved 0",
    },
    Scenario {
        name: "what a batch withheld is released when its term ends",
        play: |stage, driver| {
            Box::pin(async {
                withhold(stage, ReservePlan { basis_points: 1_000, days: 30 }).await;
                paid(stage, driver, "tok_success").await;
                run(stage, "run").await;
                pass(stage, driver, 4 * DAY).await;
                let before = end(stage).await;
                pass(stage, driver, 30 * DAY).await;
                format!("{before}; {}", end(stage).await)
            })
        },
        end: "released: pending 0, available 8820, reserved 1000; released: pending 0, available 9820, reserved 0",
    },
    Scenario {
        name: "a batch that is held back waits for its approval",
        play: |stage, driver| {
            Box::pin(async {
                paid(stage, driver, "tok_success").await;
                run(stage, "run").await;
                let settlement_id = first_settlement(stage);
                let settlements = stage.settlements();
                assert_eq!(settlements.hold(issued("hold"), settlement_id).await.unwrap().rejection, None);
                pass(stage, driver, 4 * DAY).await;
                let before = end(stage).await;
                let mut by_another = issued("approve");
                by_another.metadata.actor = "finance:bob".to_owned();
                assert_eq!(settlements.approve(by_another, settlement_id).await.unwrap().rejection, None);
                driver.settle(stage).await;
                format!("{before}; {}", end(stage).await)
            })
        },
        end: "held: pending 0, available 0, reserved 0; released: pending 0, available 9820, reserved 0",
    },
];

async fn run(stage: &Stage, purpose: &str) {
    stage.settlements().run(issued(purpose), Scope::default()).await.unwrap();
}

async fn withhold(stage: &Stage, reserve: ReservePlan) {
    let (executor, changes) = (&stage.payments.executor, Changes { reserve: Some(reserve), ..Changes::default() });
    let changed =
        commands::merchant::change_terms(executor, issued("withhold"), stage.merchant_id, changes, stage.clock.now());
    assert_eq!(changed.await.unwrap().rejection, None);
}

fn first_settlement(stage: &Stage) -> SettlementId {
    SettlementId::of_window(stage.merchant_id, "USD", 0)
}

async fn status(stage: &Stage) -> Status {
    let stream = stage.settlements().load(first_settlement(stage)).await.unwrap();
    stream.of::<Settlement>().and_then(|state| state.record()).unwrap().status
}

/// How the first settlement stands, and the merchant's money.
async fn end(stage: &Stage) -> String {
    let books = stage.assert_books().await;
    let account = stage.store.load(Category::of::<MerchantAccount>(), &holder(stage).stream_id()).await.unwrap();
    let account = account.of::<MerchantAccount>().unwrap();
    let reserved: i64 = account.lots.iter().map(|lot| lot.amount).sum();
    let (status, pending) = (status(stage).await, stage.pending(&books));
    format!("{}: pending {pending}, available {}, reserved {reserved}", status.as_str(), account.available)
}

fn holder(stage: &Stage) -> Holder {
    Holder { merchant_id: stage.merchant_id, currency: Currency::USD }
}

/// The types of the events of settlements, in order.
async fn settled(stage: &Stage) -> Vec<String> {
    let events = stage.store.read_all(0, usize::MAX).await.unwrap();
    let of_settlements = |category: &str| [Settlement::CATEGORY, MerchantAccount::CATEGORY].contains(&category);
    let events = events.into_iter().filter(|event| of_settlements(&event.stream.category));
    events.map(|event| event.event_type).collect()
}

/// Two people's runs: the first dies at every moment in turn, the second finds what is left to do.
#[tokio::test]
async fn a_run_that_dies_at_any_moment_settles_once() {
    for moment in 0.. {
        let stage = Stage::new().await;
        let node = stage.node();
        stage.create("tok_success").await;
        stage.create("tok_success").await;
        stage.until_quiet().await;
        let crash = Crash::at(moment);
        let doomed = doomed_settlements(&stage, &crash);
        let died = async {
            test_support::wait::until("the crash", DAY, || async { crash.has_happened().then_some(()) }).await;
        };
        tokio::select! {
            run = doomed.run(issued("doomed"), Scope::default()) => drop(run.unwrap()),
            () = died => {}
        }
        run(&stage, "doomed").await;
        run(&stage, "heir").await;
        stage.pass(4 * DAY).await;
        let expected = [
            "merchant_account.settlement_closed",
            "settlement.closed",
            "merchant_account.settlement_released",
            "settlement.released",
        ];
        assert_eq!(settled(&stage).await, expected, "crash at moment {moment}");
        assert_eq!(end(&stage).await, "released: pending 0, available 19640, reserved 0", "crash at moment {moment}");
        node.stop().await;
        if !crash.has_happened() {
            assert!(moment >= 6, "only {moment} moments to die at");
            return;
        }
    }
}

/// Cut-offs of a calendar, each settled at exactly its own moment, however late and however often.
#[tokio::test]
async fn what_is_due_is_settled_at_its_cut_off_once() {
    let stage = Stage::new().await;
    let node = stage.node();
    let settlements = stage.settlements();
    assert_eq!(settlements.settle_due(stage.clock.now(), &Idle::default()).await.unwrap(), []);
    stage.create("tok_success").await;
    stage.until_quiet().await;
    // Three days later the cut-offs of all three are caught up in one batch, which leaves out what came afterwards.
    stage.pass(3 * DAY).await;
    stage.create("tok_success").await;
    stage.until_quiet().await;
    let now = stage.clock.now();
    let closed = settlements.settle_due(now, &Idle::default()).await.unwrap();
    assert_eq!(closed, [first_settlement(&stage)]);
    assert_eq!(settlements.settle_due(now, &Idle::default()).await.unwrap(), []);
    let stream = settlements.load(first_settlement(&stage)).await.unwrap();
    let terms = stream.of::<Settlement>().and_then(|state| state.record()).unwrap().terms.clone();
    assert_eq!((terms.net, terms.requested_by), (9_820, None));
    assert!(terms.window.cut_off_at < now && terms.release_due > terms.window.cut_off_at);
    stage.pass(4 * DAY).await;
    assert_eq!(settlements.settle_due(stage.clock.now(), &Idle::default()).await.unwrap().len(), 1);
    stage.pass(4 * DAY).await;
    let books = stage.assert_books().await;
    assert_eq!(books.balance(&Account::MerchantAvailable(stage.merchant_id), Currency::USD), 19_640);
    node.stop().await;
}

/// What happened, a hundred thousand million times as large as it was, and how often it was tallied.
struct Magnified {
    store: Arc<dyn EventStore>,
    by: i64,
    tallies: AtomicUsize,
}

impl Magnified {
    fn of(stage: &Stage, by: i64) -> (Arc<Magnified>, Settlements) {
        let activity = Arc::new(Magnified { store: stage.store.clone(), by, tallies: AtomicUsize::new(0) });
        let settlements = Settlements { activity: activity.clone(), ..stage.settlements() };
        (activity, settlements)
    }

    async fn items(&self, to: u64) -> Vec<(Holder, Item)> {
        let mut items = vec![];
        for event in self.store.read_all(0, usize::MAX).await.unwrap().iter().filter(|event| event.position <= to) {
            let entry = commands::aggregates::find(&event.stream.category).and_then(|one| one.postings(event).unwrap());
            items.extend(entry.iter().flat_map(|entry| activity_of(event, entry)));
        }
        for (_, item) in &mut items {
            (item.debit, item.credit) = (item.debit * self.by, item.credit * self.by);
        }
        items
    }
}

#[async_trait]
impl PendingActivity for Magnified {
    async fn holders(
        &self,
        _: Option<MerchantId>,
        _: Option<Currency>,
        position: u64,
    ) -> Result<Vec<Holder>, FundsUnavailable> {
        let holders: BTreeSet<Holder> = self.items(position).await.into_iter().map(|(holder, _)| holder).collect();
        Ok(holders.into_iter().collect())
    }

    async fn tally(&self, wanted: Holder, from: u64, to: u64) -> Result<Tally, FundsUnavailable> {
        self.tallies.fetch_add(1, Ordering::Relaxed);
        let mut tally = Tally::default();
        let items = self.items(to).await;
        items
            .iter()
            .filter(|(holder, item)| *holder == wanted && item.position > from)
            .for_each(|(_, item)| tally.add(item));
        Ok(tally)
    }
}

/// More than one batch may hold is settled in several, one behind the other and all in one go; if that dies at any
/// moment, the next run settles the rest.
#[tokio::test]
async fn what_is_too_much_for_one_batch_is_settled_in_several() {
    for moment in 0.. {
        let stage = Stage::new().await;
        let node = stage.node();
        for _ in 0..3 {
            stage.create("tok_success").await;
        }
        stage.until_quiet().await;
        node.stop().await;
        stage.clock.advance(3 * DAY);
        let (activity, heir) = Magnified::of(&stage, 60_000_000_000);
        let (crash, now, idle) = (Crash::at(moment), stage.clock.now(), Idle::default());
        let doomed = Settlements { activity, ..doomed_settlements(&stage, &crash) };
        let died = async {
            test_support::wait::until("the crash", DAY, || async { crash.has_happened().then_some(()) }).await;
        };
        tokio::select! {
            closed = doomed.settle_due(now, &idle) => assert_eq!(closed.unwrap().len(), 3),
            () = died => {}
        }
        heir.settle_due(now, &Idle::default()).await.unwrap();
        let events = stage.store.read_all(0, usize::MAX).await.unwrap();
        let closed = events.iter().filter_map(|event| match event.decode::<merchant_account::Event>().ok()? {
            merchant_account::Event::SettlementClosed(closed) => Some(closed),
            _ => None,
        });
        let closed: Vec<_> = closed.collect();
        let sums: Vec<_> = closed.iter().map(|batch| (batch.net, batch.items)).collect();
        assert_eq!(sums, [(589_200_000_000_000, 1); 3], "crash at moment {moment}");
        assert_eq!(closed[0].window.from, 0);
        assert!(closed.windows(2).all(|pair| pair[0].window.to == pair[1].window.from), "{closed:?}");
        assert!(closed[..2].iter().all(|batch| batch.window.cut_off_at < closed[2].window.cut_off_at));
        let mut due = BTreeSet::new();
        for batch in &closed {
            let stream = heir.load(batch.settlement_id).await.unwrap();
            due.insert(stream.of::<Settlement>().and_then(|state| state.record()).unwrap().terms.release_due);
        }
        assert_eq!(due.len(), 1, "what one cut-off closed is released together: {due:?}");
        if !crash.has_happened() {
            assert!(moment >= 6, "only {moment} moments to die at");
            return;
        }
    }
}

#[tokio::test]
async fn an_account_with_nothing_open_is_not_tallied_again_before_its_next_cut_off() {
    let stage = Stage::new().await;
    let node = stage.node();
    stage.create("tok_success").await;
    stage.until_quiet().await;
    stage.pass(3 * DAY).await;
    node.stop().await;
    let (activity, settlements) = Magnified::of(&stage, 1);
    let idle = Idle::default();
    let settle = async || settlements.settle_due(stage.clock.now(), &idle).await.unwrap().len();
    let tallied = || activity.tallies.load(Ordering::Relaxed);
    assert_eq!((settle().await, tallied()), (1, 1));
    assert_eq!((settle().await, settle().await, tallied()), (0, 0, 1), "the cut-off is settled");
    stage.clock.advance(4 * DAY);
    assert_eq!((settle().await, tallied()), (0, 2), "another cut-off, and nothing in it");
    assert_eq!((settle().await, settle().await, tallied()), (0, 0, 2));
}
