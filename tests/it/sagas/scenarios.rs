//! Every way that a saga can go, told once, so that the generic tests can run all of them under every misfortune.
//! Here: charges and refunds; what a noun adds stands in its own file. A new saga brings a table of its own and enters it in `all`.

use std::time::Duration;

use async_trait::async_trait;
use domain::payment::RefundStatus;
use domain::{PaymentId, RefundId};
use test_support::scripted_channel::{Loss, failure};

use super::stage::{AMOUNT, Boxed, Stage, issued};

/// Whoever does the sagas' steps in a test.
#[async_trait]
pub trait Driver: Send {
    /// Does everything that is due now.
    async fn settle(&mut self, stage: &Stage);
}

pub struct Scenario {
    pub name: &'static str,
    /// Goes through it and tells in words how it ended.
    pub play: for<'a> fn(&'a Stage, &'a mut dyn Driver) -> Boxed<'a, String>,
    pub end: &'static str,
}

/// Every scenario of every saga.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let tables = [
        SCENARIOS,
        super::disputes::SCENARIOS,
        super::pre_auths::SCENARIOS,
        super::settlements::SCENARIOS,
        super::withdrawals::SCENARIOS,
    ];
    tables.into_iter().flatten()
}

/// How a payment ended: its status, its refunds in the order in which they were asked for, and how many operations
/// took effect at the channel.
async fn end(stage: &Stage, payment_id: PaymentId) -> String {
    let record = stage.record(payment_id).await;
    let refunds = record.capture().into_iter().flat_map(|capture| &capture.refunds);
    let refunds: String = refunds.map(|refund| format!(", refund {}", RefundStatus::as_str(&refund.status))).collect();
    format!("{}{refunds}, {} effects", record.status().as_str(), stage.channel.effects().len())
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub async fn paid(stage: &Stage, driver: &mut dyn Driver, token: &str) -> PaymentId {
    let payment_id = stage.create(token).await;
    driver.settle(stage).await;
    payment_id
}

pub async fn pass(stage: &Stage, driver: &mut dyn Driver, time: Duration) {
    stage.clock.advance(time);
    driver.settle(stage).await;
}

/// Refunds half and then goes through what happens at the channel.
async fn refunded(stage: &Stage, driver: &mut dyn Driver, token: &str) -> (PaymentId, RefundId) {
    let payment_id = paid(stage, driver, token).await;
    let refund_id = stage.refund(payment_id, AMOUNT / 2).await;
    driver.settle(stage).await;
    (payment_id, refund_id)
}

/// The channel loses all answers of the charge, until the payment is known to be unknown.
async fn unknown(stage: &Stage, driver: &mut dyn Driver, loss: Loss) -> PaymentId {
    stage.channel.lose_answers(Some(loss));
    let payment_id = paid(stage, driver, "tok_success").await;
    stage.channel.lose_answers(None);
    payment_id
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "success",
        play: |stage, driver| Box::pin(async { end(stage, paid(stage, driver, "tok_success").await).await }),
        end: "succeeded, 1 effects",
    },
    Scenario {
        name: "declined",
        play: |stage, driver| Box::pin(async { end(stage, paid(stage, driver, "tok_declined").await).await }),
        end: "failed, 0 effects",
    },
    Scenario {
        name: "the customer acts and no webhook tells",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = paid(stage, driver, "tok_requires_action").await;
                pass(stage, driver, 31 * SECOND).await;
                stage.channel.complete_charge(payment_id);
                pass(stage, driver, 5 * MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, 1 effects",
    },
    Scenario {
        name: "the customer never acts",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = paid(stage, driver, "tok_requires_action").await;
                pass(stage, driver, 31 * MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "expired, 0 effects",
    },
    Scenario {
        name: "the channel takes its time and no webhook tells",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = paid(stage, driver, "tok_async").await;
                stage.channel.complete_charge(payment_id);
                pass(stage, driver, MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, 1 effects",
    },
    Scenario {
        name: "one answer is lost after the charge",
        play: |stage, driver| {
            Box::pin(async {
                stage.channel.lose_next([Loss::AfterEffect]);
                end(stage, paid(stage, driver, "tok_success").await).await
            })
        },
        end: "succeeded, 1 effects",
    },
    Scenario {
        name: "two calls are lost before the charge",
        play: |stage, driver| {
            Box::pin(async {
                stage.channel.lose_next([Loss::BeforeEffect, Loss::BeforeEffect]);
                end(stage, paid(stage, driver, "tok_success").await).await
            })
        },
        end: "succeeded, 1 effects",
    },
    Scenario {
        name: "all answers are lost after the charge, for a while",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = unknown(stage, driver, Loss::AfterEffect).await;
                pass(stage, driver, MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, 1 effects",
    },
    Scenario {
        name: "all calls are lost before the charge, for a while",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = unknown(stage, driver, Loss::BeforeEffect).await;
                pass(stage, driver, MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, 1 effects",
    },
    Scenario {
        name: "cancelled before the charge was called",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = stage.create("tok_success").await;
                stage.cancel(payment_id).await;
                driver.settle(stage).await;
                end(stage, payment_id).await
            })
        },
        end: "cancelled, 0 effects",
    },
    Scenario {
        name: "cancelled while the customer acts, and the answer to the void is lost",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = paid(stage, driver, "tok_requires_action").await;
                stage.cancel(payment_id).await;
                stage.channel.lose_answers(Some(Loss::AfterEffect));
                driver.settle(stage).await;
                stage.channel.lose_answers(None);
                pass(stage, driver, MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "cancelled, 0 effects",
    },
    Scenario {
        name: "cancelled, but it had succeeded",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = unknown(stage, driver, Loss::AfterEffect).await;
                stage.cancel(payment_id).await;
                driver.settle(stage).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, refund succeeded, 2 effects",
    },
    Scenario {
        name: "expired, but it had succeeded",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = paid(stage, driver, "tok_requires_action").await;
                stage.channel.complete_charge(payment_id);
                pass(stage, driver, 31 * MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, refund succeeded, 2 effects",
    },
    Scenario {
        name: "refunded",
        play: |stage, driver| Box::pin(async { end(stage, refunded(stage, driver, "tok_success").await.0).await }),
        end: "succeeded, refund succeeded, 2 effects",
    },
    Scenario {
        name: "the refund's answers are lost, for a while",
        play: |stage, driver| {
            Box::pin(async {
                let payment_id = paid(stage, driver, "tok_success").await;
                stage.channel.lose_answers(Some(Loss::AfterEffect));
                stage.refund(payment_id, AMOUNT).await;
                driver.settle(stage).await;
                stage.channel.lose_answers(None);
                pass(stage, driver, MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, refund succeeded, 2 effects",
    },
    Scenario {
        name: "the refund takes its time and no webhook tells",
        play: |stage, driver| {
            Box::pin(async {
                let (payment_id, refund_id) = refunded(stage, driver, "tok_refund_async").await;
                stage.channel.complete_refund(refund_id);
                pass(stage, driver, MINUTE).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, refund succeeded, 2 effects",
    },
    Scenario {
        name: "the refund fails",
        play: |stage, driver| Box::pin(async { end(stage, refunded(stage, driver, "tok_refund_fails").await.0).await }),
        end: "succeeded, refund failed, 1 effects",
    },
    Scenario {
        name: "the refund fails late, and another one succeeds",
        play: |stage, driver| {
            Box::pin(async {
                let (payment_id, refund_id) = refunded(stage, driver, "tok_success").await;
                let told = commands::ports::RefundAnswer::Failed { failure: failure("account_closed") };
                let issued = issued(&format!("webhook {refund_id}"));
                stage.payments.record_refund(issued, payment_id, refund_id, told).await.unwrap();
                stage.refund(payment_id, AMOUNT).await;
                driver.settle(stage).await;
                end(stage, payment_id).await
            })
        },
        end: "succeeded, refund failed, refund succeeded, 3 effects",
    },
];
