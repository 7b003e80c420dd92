//! Settlements under every misfortune: their sagas' scenarios, and a run that dies at any moment.

use std::time::Duration;

use commands::ports::{Category, Clock};
use commands::settlement::Scope;
use domain::merchant::{Changes, ReservePlan};
use domain::merchant_account::{Holder, MerchantAccount};
use domain::settlement::{Settlement, Status};
use domain::{Account, Currency, Decider, SettlementId};

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
    let of_settlements =
        |category: &str| [Settlement::CATEGORY, MerchantAccount::CATEGORY].iter().any(|known| *known == category);
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
    assert_eq!(settlements.settle_due(stage.clock.now()).await.unwrap(), []);
    stage.create("tok_success").await;
    stage.until_quiet().await;
    // Three days later the cut-offs of all three are caught up in one batch, which leaves out what came afterwards.
    stage.pass(3 * DAY).await;
    stage.create("tok_success").await;
    stage.until_quiet().await;
    let now = stage.clock.now();
    let closed = settlements.settle_due(now).await.unwrap();
    assert_eq!(closed, [first_settlement(&stage)]);
    assert_eq!(settlements.settle_due(now).await.unwrap(), []);
    let stream = settlements.load(first_settlement(&stage)).await.unwrap();
    let terms = stream.of::<Settlement>().and_then(|state| state.record()).unwrap().terms.clone();
    assert_eq!((terms.net, terms.requested_by), (9_820, None));
    assert!(terms.window.cut_off_at < now && terms.release_due > terms.window.cut_off_at);
    stage.pass(4 * DAY).await;
    assert_eq!(settlements.settle_due(stage.clock.now()).await.unwrap().len(), 1);
    stage.pass(4 * DAY).await;
    let books = stage.assert_books().await;
    assert_eq!(books.balance(&Account::MerchantAvailable(stage.merchant_id), Currency::USD), 19_640);
    node.stop().await;
}
