//! Every way that a withdrawal can go through the bank.

use std::time::Duration;

use commands::ports::{Category, Clock, Decision, Expected, NewEvent, Request, StreamRef, nth_state, state_of};
use commands::withdrawal::RequestWithdrawal;
use domain::bank_details::{BankDetails, BankNumber};
use domain::merchant_account::{Action, Adjust, Command, Holder, MerchantAccount};
use domain::withdrawal::{Record, Withdrawal};
use domain::{Account, AdjustmentId, Currency, Decider, Money, WithdrawalId};
use std::sync::Arc;
use uuid::Uuid;

use super::scenarios::{Driver, Scenario, pass};
use super::stage::{COOLING_OFF, Stage, issued};

const FUNDS: i64 = 20_000;
const AMOUNT: i64 = 5_000;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "withdrawal paid",
        play: |stage, driver| Box::pin(withdrawn(stage, driver, "Acme")),
        end: "paid, 15000 available, 1 instructions",
    },
    Scenario {
        name: "withdrawal refused by the bank",
        play: |stage, driver| Box::pin(withdrawn(stage, driver, "Reject")),
        end: "failed, 20000 available, 1 instructions",
    },
    Scenario {
        name: "withdrawal that the bank never speaks of",
        play: |stage, driver| Box::pin(withdrawn(stage, driver, "Silent")),
        end: "sent, 15000 available, 1 instructions",
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

/// Requested and approved, sent once the new account has cooled off, and heard of from the bank.
async fn withdrawn(stage: &Stage, driver: &mut dyn Driver, name: &str) -> String {
    fund(stage).await;
    let withdrawal_id = WithdrawalId::from_uuid(Uuid::now_v7());
    let number = BankNumber::Iban("GB29NWBK60161331926819".parse().unwrap());
    let asked = RequestWithdrawal {
        withdrawal_id,
        merchant_id: stage.merchant_id,
        amount: Money::new(AMOUNT, Currency::USD).unwrap(),
        bank_account: BankDetails::new(number, None, name).unwrap(),
        requested_by: "merchant".to_owned(),
    };
    let withdrawals = stage.use_cases().withdrawals;
    let receipt = withdrawals.request(issued("withdraw"), asked).await.unwrap();
    assert_eq!(receipt.rejection, None);
    driver.settle(stage).await;
    let receipt = withdrawals.approve(issued("approve"), withdrawal_id, "finance").await.unwrap();
    assert_eq!(receipt.rejection, None);
    driver.settle(stage).await;
    stage.bank.sandbox.work(stage.clock.now()).unwrap();
    assert_eq!(instructions(stage), 0, "the account cools off");

    pass(stage, driver, COOLING_OFF).await;
    stage.bank.sandbox.work(stage.clock.now()).unwrap();
    pass(stage, driver, Duration::from_secs(10 * 60)).await;
    let account = stage.store.load(Category::of::<MerchantAccount>(), &holder(stage).stream_id()).await.unwrap();
    let available = state_of::<MerchantAccount>(&account).available;
    let status = record(stage, withdrawal_id).await.status();
    format!("{}, {available} available, {} instructions", status.as_str(), instructions(stage))
}

/// Payment files that the bank has, taken or not.
fn instructions(stage: &Stage) -> usize {
    let files = |folder: &str| std::fs::read_dir(stage.bank.folder.path().join(folder)).unwrap().count();
    files("outbox") + files("taken")
}
