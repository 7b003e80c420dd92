//! Every way that a withdrawal can go through the bank.

use std::time::Duration;

use adapters::bank::iso20022::camt053::{self, Booking, EntrySide};
use commands::ports::{Category, Clock, Decision, Expected, NewEvent, Request, StreamRef, nth_state, state_of};
use commands::withdrawal::RequestWithdrawal;
use domain::bank_details::{BankDetails, BankNumber};
use domain::merchant_account::{Action, Adjust, Command, Holder, MerchantAccount};
use domain::withdrawal::{Record, Withdrawal};
use domain::{Account, AdjustmentId, Currency, Decider, Money, WithdrawalId};
use std::sync::Arc;
use uuid::Uuid;

use super::scenarios::{Driver, Scenario, pass};
use super::stage::{COOLING_OFF, Stage, WITHDRAWAL_FEE, issued};

const FUNDS: i64 = 20_000;
const AMOUNT: i64 = 5_000;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "withdrawal paid",
        play: |stage, driver| Box::pin(withdrawn(stage, driver, "Acme")),
        end: "paid, 14900 available, 1 instructions",
    },
    Scenario {
        name: "withdrawal refused by the bank",
        play: |stage, driver| Box::pin(withdrawn(stage, driver, "Reject")),
        end: "failed, 20000 available, 1 instructions",
    },
    Scenario {
        name: "withdrawal that the bank never speaks of",
        play: |stage, driver| Box::pin(withdrawn(stage, driver, "Silent")),
        end: "sent, 14900 available, 1 instructions",
    },
];

fn holder(stage: &Stage) -> Holder {
    Holder { merchant_id: stage.merchant_id, currency: Currency::USD }
}

/// Money that the merchant can withdraw, by an adjustment.
async fn fund(stage: &Stage) {
    let adjust =
        Adjust { adjustment_id: AdjustmentId::from_uuid(Uuid::now_v7()), counter: Account::EquityOwner, amount: FUNDS };
    let command = Command { holder: holder(stage), action: Action::CreditAvailable(adjust), at: stage.clock.now() };
    let issued = issued("fund");
    let request = Request {
        metadata: issued.metadata,
        fingerprint: None,
        object: "funds".to_owned(),
        streams: vec![StreamRef::new::<MerchantAccount>(holder(stage).stream_id(), Expected::Any)],
        decide: Arc::new(move |states| {
            let events = MerchantAccount::decide(nth_state::<MerchantAccount>(states, 0), command.clone()).unwrap();
            Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect())
        }),
    };
    stage.store.execute(request).await.unwrap();
}

async fn record(stage: &Stage, withdrawal_id: WithdrawalId) -> Record {
    let stream = stage.use_cases().withdrawals.load(withdrawal_id).await.unwrap();
    stream.of::<Withdrawal>().and_then(|state| state.record()).unwrap().clone()
}

async fn requested(stage: &Stage, name: &str, amount: i64) -> WithdrawalId {
    let withdrawal_id = WithdrawalId::from_uuid(Uuid::now_v7());
    let number = BankNumber::Iban("GB29NWBK60161331926819".parse().unwrap());
    let asked = RequestWithdrawal {
        withdrawal_id,
        merchant_id: stage.merchant_id,
        amount: Money::new(amount, Currency::USD).unwrap(),
        bank_account: BankDetails::new(number, None, name).unwrap(),
        requested_by: "merchant".to_owned(),
    };
    let issued = issued(&format!("withdraw {withdrawal_id}"));
    let receipt = stage.use_cases().withdrawals.request(issued, asked).await.unwrap();
    assert_eq!(receipt.rejection, None);
    withdrawal_id
}

async fn approve(stage: &Stage, withdrawal_id: WithdrawalId) {
    let issued = issued(&format!("approve {withdrawal_id}"));
    let receipt = stage.use_cases().withdrawals.approve(issued, withdrawal_id, "finance").await.unwrap();
    assert_eq!(receipt.rejection, None);
}

/// Requested and approved, sent once the new account has cooled off, and heard of from the bank.
async fn withdrawn(stage: &Stage, driver: &mut dyn Driver, name: &str) -> String {
    fund(stage).await;
    let withdrawal_id = requested(stage, name, AMOUNT).await;
    driver.settle(stage).await;
    approve(stage, withdrawal_id).await;
    driver.settle(stage).await;
    stage.bank.sandbox.work(stage.clock.now()).unwrap();
    assert_eq!(instructions(stage), 0, "the account cools off");

    pass(stage, driver, COOLING_OFF).await;
    stage.bank.sandbox.work(stage.clock.now()).unwrap();
    pass(stage, driver, Duration::from_secs(10 * 60)).await;
    let available = available(stage).await;
    let status = record(stage, withdrawal_id).await.status();
    format!("{}, {available} available, {} instructions", status.as_str(), instructions(stage))
}

async fn available(stage: &Stage) -> i64 {
    let account = stage.store.load(Category::of::<MerchantAccount>(), &holder(stage).stream_id()).await.unwrap();
    state_of::<MerchantAccount>(&account).available
}

/// Payment files that the bank has, taken or not.
fn instructions(stage: &Stage) -> usize {
    let files = |folder: &str| std::fs::read_dir(stage.bank.folder.path().join(folder)).unwrap().count();
    files("outbox") + files("taken")
}

/// Every node looks for the bank's news all the time: four that find the same messages record each of them once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_that_several_nodes_hear_at_once_are_recorded_once() {
    let stage = Stage::new().await;
    let node = stage.node();
    fund(&stage).await;
    let table = [
        ("Acme", vec!["sent", "paid"], 0),
        ("Reject", vec!["sent", "failed"], 3_100),
        ("Return", vec!["sent", "paid", "returned"], 3_100),
        // What the bank kept is ours to bear.
        ("Short return", vec!["sent", "paid", "returned"], 3_100),
    ];
    let mut sent = vec![];
    for (name, events, back) in &table {
        let withdrawal_id = requested(&stage, name, 3_000).await;
        approve(&stage, withdrawal_id).await;
        sent.push((withdrawal_id, events, back));
    }
    stage.until_quiet().await;
    stage.pass(COOLING_OFF).await;
    node.stop().await;
    let withdrawals = stage.use_cases().withdrawals;
    let ended = || async {
        stage.bank.sandbox.work(stage.clock.now()).unwrap();
        let hearing = (0..4).map(|_| {
            let withdrawals = withdrawals.clone();
            tokio::spawn(async move { withdrawals.record_news().await.unwrap() })
        });
        let heard = futures::future::join_all(hearing).await;
        assert!(heard.iter().all(Result::is_ok));
        for (withdrawal_id, events, _) in &sent {
            if history(&stage, *withdrawal_id).await.len() < events.len() {
                return None;
            }
        }
        Some(())
    };
    test_support::wait::until("the bank has told everything", Duration::from_secs(30), ended).await;
    for (withdrawal_id, events, _) in &sent {
        assert_eq!(history(&stage, *withdrawal_id).await, **events);
    }
    let back: i64 = sent.iter().map(|(.., back)| **back).sum();
    assert_eq!(available(&stage).await, FUNDS - 4 * (3_000 + WITHDRAWAL_FEE) + back);
    stage.assert_books().await;
}

/// A statement of money that cannot have moved is for a person to look at, and books nothing.
#[tokio::test]
async fn a_statement_of_another_amount_or_currency_is_not_believed() {
    let stage = Stage::new().await;
    let node = stage.node();
    fund(&stage).await;
    let withdrawal_id = requested(&stage, "Silent", 3_000).await;
    approve(&stage, withdrawal_id).await;
    stage.until_quiet().await;
    stage.pass(COOLING_OFF).await;
    node.stop().await;
    stage.bank.sandbox.work(stage.clock.now()).unwrap();
    let told = async |id: &str, side, amount, currency| {
        let amount = Money::new(amount, currency).unwrap();
        let booking = Booking { withdrawal_id, side, amount, return_reason: None };
        let statement = camt053::write(&booking, "DE02120300000000202051", id, stage.clock.now());
        std::fs::write(stage.bank.folder.path().join("inbox").join(format!("{id}.xml")), statement).unwrap();
        assert!(stage.use_cases().withdrawals.record_news().await.unwrap() > 0);
        history(&stage, withdrawal_id).await
    };
    for (id, side, amount, currency) in [
        ("less", EntrySide::Debit, 2_999, Currency::USD),
        ("more", EntrySide::Debit, 3_001, Currency::USD),
        ("elsewhere", EntrySide::Debit, 3_000, Currency::EUR),
        ("back-elsewhere", EntrySide::Credit, 3_000, Currency::EUR),
        ("too-much-back", EntrySide::Credit, 3_001, Currency::USD),
    ] {
        assert_eq!(told(id, side, amount, currency).await, ["sent"], "{id}");
    }
    assert_eq!(told("right", EntrySide::Debit, 3_000, Currency::USD).await, ["sent", "paid"]);
    assert_eq!(available(&stage).await, FUNDS - 3_000 - WITHDRAWAL_FEE);
    stage.assert_books().await;
}

/// What the bank did, in order.
async fn history(stage: &Stage, withdrawal_id: WithdrawalId) -> Vec<String> {
    let events = stage.store.read_all(0, usize::MAX).await.unwrap();
    let events = events.into_iter().filter(|event| event.stream.id == withdrawal_id.to_string());
    let types = events.map(|event| event.event_type.trim_start_matches("withdrawal.").to_owned());
    types.skip_while(|name| name != "sent").collect()
}
