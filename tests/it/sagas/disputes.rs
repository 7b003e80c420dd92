//! Every way that a dispute can go, from the channel's news to its verdict.

use std::time::Duration;

use commands::dispute::Disputes;
use commands::ports::{Channel, ReportedStage};
use domain::dispute::{Answer, Dispute, Record};
use domain::{DisputeId, PaymentId};
use test_support::scripted_channel::Loss;

use super::scenarios::{Driver, Scenario, paid, pass};
use super::stage::{AMOUNT, Stage, issued};

const WON: ReportedStage = ReportedStage::Closed { won: AMOUNT, fee_returned: 0 };
const LOST: ReportedStage = ReportedStage::Closed { won: 0, fee_returned: 0 };
const PARTLY_WON: ReportedStage = ReportedStage::Closed { won: AMOUNT / 4, fee_returned: 0 };
const MINUTE: Duration = Duration::from_secs(60);

/// 9820 of 10000 are earned; a dispute takes the 10000 and costs 1500.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "disputed, and the merchant's evidence wins",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = disputed(stage, driver).await;
                submit_evidence(stage, payment_id).await;
                driver.settle(stage).await;
                decided(stage, driver, payment_id, WON).await
            })
        },
        end: "won, 1 answers, 8320 pending",
    },
    Scenario {
        name: "disputed, and the merchant never answers",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = disputed(stage, driver).await;
                decided(stage, driver, payment_id, LOST).await
            })
        },
        end: "lost, 0 answers, -1680 pending",
    },
    Scenario {
        name: "disputed, and accepted by the merchant",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = disputed(stage, driver).await;
                accept(stage, payment_id).await;
                driver.settle(stage).await;
                end(stage, payment_id).await
            })
        },
        end: "lost, 1 answers, -1680 pending",
    },
    Scenario {
        name: "disputed, and the channel loses the answers to the evidence, for a while",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = disputed(stage, driver).await;
                stage.channel.lose_answers(Some(Loss::AfterEffect));
                submit_evidence(stage, payment_id).await;
                driver.settle(stage).await;
                stage.channel.lose_answers(None);
                pass(stage, driver, MINUTE).await;
                decided(stage, driver, payment_id, PARTLY_WON).await
            })
        },
        end: "partly_won, 1 answers, 820 pending",
    },
    Scenario {
        name: "disputed, and the acceptance is lost on its way",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = disputed(stage, driver).await;
                stage.channel.lose_next([Loss::BeforeEffect]);
                accept(stage, payment_id).await;
                driver.settle(stage).await;
                pass(stage, driver, MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "lost, 1 answers, -1680 pending",
    },
    Scenario {
        name: "disputed, and the evidence comes after the verdict",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = disputed(stage, driver).await;
                stage.channel.dispute(payment_id, AMOUNT, LOST);
                submit_evidence(stage, payment_id).await;
                driver.settle(stage).await;
                end(stage, payment_id).await
            })
        },
        end: "lost, 0 answers and one unsent, -1680 pending",
    },
    Scenario {
        name: "asked about, and no dispute comes of it",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = told(stage, driver, ReportedStage::Inquiry).await;
                decided(stage, driver, payment_id, ReportedStage::InquiryClosed).await
            })
        },
        end: "inquiry_closed, 0 answers, 9820 pending",
    },
    Scenario {
        name: "asked about, and disputed without another word",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = told(stage, driver, ReportedStage::Inquiry).await;
                stage.channel.dispute(payment_id, AMOUNT, ReportedStage::NeedsResponse);
                pass(stage, driver, MINUTE).await;
                submit_evidence(stage, payment_id).await;
                driver.settle(stage).await;
                decided(stage, driver, payment_id, WON).await
            })
        },
        end: "won, 1 answers, 8320 pending",
    },
];

fn disputes(stage: &Stage) -> Disputes {
    Disputes { payments: stage.payments.clone() }
}

fn dispute_id(stage: &Stage, payment_id: PaymentId) -> DisputeId {
    let news = stage.channel.dispute_news(payment_id);
    DisputeId::of(payment_id, stage.channel.name(), &news.channel_reference)
}

/// A payment of which the channel says this by webhook.
async fn told(stage: &Stage, driver: &mut dyn Driver, news: ReportedStage) -> PaymentId {
    let payment_id = paid(stage, driver, "tok_success").await;
    stage.channel.dispute(payment_id, AMOUNT, news);
    let report = stage.channel.dispute_news(payment_id);
    let issued = issued(&format!("webhook {payment_id}"));
    let receipt = disputes(stage).record(issued, stage.channel.name(), report).await.unwrap();
    assert_eq!(receipt.rejection, None);
    driver.settle(stage).await;
    payment_id
}

async fn disputed(stage: &Stage, driver: &mut dyn Driver) -> PaymentId {
    told(stage, driver, ReportedStage::NeedsResponse).await
}

async fn submit_evidence(stage: &Stage, payment_id: PaymentId) {
    let (issued, dispute_id) = (issued(&format!("evidence {payment_id}")), dispute_id(stage, payment_id));
    let receipt = disputes(stage).submit_evidence(issued, dispute_id, stage.merchant_id, "signed for").await.unwrap();
    assert_eq!(receipt.rejection, None);
}

async fn accept(stage: &Stage, payment_id: PaymentId) {
    let (issued, dispute_id) = (issued(&format!("accept {payment_id}")), dispute_id(stage, payment_id));
    let receipt = disputes(stage).accept(issued, dispute_id, stage.merchant_id).await.unwrap();
    assert_eq!(receipt.rejection, None);
}

/// The channel decides, and no webhook tells.
async fn decided(stage: &Stage, driver: &mut dyn Driver, payment_id: PaymentId, verdict: ReportedStage) -> String {
    stage.channel.dispute(payment_id, AMOUNT, verdict);
    pass(stage, driver, 5 * MINUTE).await;
    end(stage, payment_id).await
}

async fn record(stage: &Stage, payment_id: PaymentId) -> Record {
    let stream = disputes(stage).load(dispute_id(stage, payment_id)).await.unwrap();
    stream.of::<Dispute>().and_then(|state| state.record()).unwrap().clone()
}

/// How it stands, how many answers the channel has taken, whether one is on its way, and what the merchant is left with.
async fn end(stage: &Stage, payment_id: PaymentId) -> String {
    let record = record(stage, payment_id).await;
    let is_unsent =
        matches!(record.answer, Answer::Evidence { sent: false, .. } | Answer::Accepted { sent: false, .. });
    let (status, unsent) = (record.status(), if is_unsent { " and one unsent" } else { "" });
    let pending = stage.pending(&stage.assert_books().await);
    format!("{}, {} answers{unsent}, {pending} pending", status.as_str(), stage.channel.dispute_answers(payment_id))
}
