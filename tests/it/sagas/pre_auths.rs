//! Every way that a pre-auth can go, for the generic tests: authorisation, captures, and what is given back.

use std::time::Duration;

use commands::payment::PaymentDetails;
use commands::ports::Clock;
use commands::pre_auth::{CapturePreAuth, CreatePreAuth, PreAuths};
use domain::merchant::Terms;
use domain::pre_auth::{PreAuth, Record};
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::{Currency, MerchantId, Money, PaymentId, PreAuthId};
use test_support::scripted_channel::Loss;
use uuid::Uuid;

use super::scenarios::{Driver, Scenario};
use super::stage::{AMOUNT, Stage, issued};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A merchant that may hold money; its id is the same in each run of a stage.
async fn merchant(stage: &Stage) -> MerchantId {
    let merchant_id = MerchantId::from_uuid(Uuid::from_u128(99));
    let terms = Terms {
        merchant_id,
        name: "Hotel".to_owned(),
        tier: Tier::Enterprise,
        pricing_model: PricingModel::CostPlus,
        refund_fee_policy: RefundFeePolicy::Retain,
        home_currency: None,
        time_zone: None,
        onboarded_at: stage.clock.now(),
    };
    commands::merchant::onboard(&stage.payments.executor, issued("onboard the hotel"), terms).await.unwrap();
    merchant_id
}

async fn created(stage: &Stage, driver: &mut dyn Driver, token: &str) -> PreAuthId {
    let pre_auth_id = PreAuthId::from_uuid(Uuid::now_v7());
    let create = CreatePreAuth {
        pre_auth_id,
        merchant_id: merchant(stage).await,
        order_no: "room-1".parse().unwrap(),
        amount: Money::new(AMOUNT, Currency::USD).unwrap(),
        method: "card".to_owned(),
        channel: None,
        details: PaymentDetails { token: token.to_owned(), ..PaymentDetails::default() },
        expires_in: None,
    };
    let created = PreAuths::on(&stage.payments).create(issued(&format!("create {pre_auth_id}")), create).await;
    assert_eq!(created.unwrap().rejection, None);
    driver.settle(stage).await;
    pre_auth_id
}

/// Asks for it without doing anything of it yet.
async fn asked(stage: &Stage, pre_auth_id: PreAuthId, amount: i64, is_final: bool) -> PaymentId {
    let payment_id = PaymentId::from_uuid(Uuid::now_v7());
    let merchant_id = MerchantId::from_uuid(Uuid::from_u128(99));
    let capture = CapturePreAuth { pre_auth_id, payment_id, merchant_id, amount: Some(amount), is_final };
    let asked = PreAuths::on(&stage.payments).capture(issued(&format!("capture {payment_id}")), capture).await;
    assert_eq!(asked.unwrap().rejection, None);
    payment_id
}

async fn captured(stage: &Stage, driver: &mut dyn Driver, pre_auth_id: PreAuthId, amount: i64, is_final: bool) {
    asked(stage, pre_auth_id, amount, is_final).await;
    driver.settle(stage).await;
}

async fn cancelled(stage: &Stage, driver: &mut dyn Driver, pre_auth_id: PreAuthId) {
    let pre_auths = PreAuths::on(&stage.payments);
    let cancelled = pre_auths.cancel(issued(&format!("cancel {pre_auth_id}")), pre_auth_id, None).await;
    assert_eq!(cancelled.unwrap().rejection, None);
    driver.settle(stage).await;
}

async fn pass(stage: &Stage, driver: &mut dyn Driver, time: Duration) {
    stage.clock.advance(time);
    driver.settle(stage).await;
}

async fn record(stage: &Stage, pre_auth_id: PreAuthId) -> Record {
    let stream = PreAuths::on(&stage.payments).load(pre_auth_id).await.unwrap();
    stream.of::<PreAuth>().and_then(|state| state.record()).unwrap().clone()
}

/// Its status and sums, what became of each capture's payment, what the channel still holds, and whose the order is.
async fn end(stage: &Stage, pre_auth_id: PreAuthId) -> String {
    let record = record(stage, pre_auth_id).await;
    let mut text = record.status().as_str().to_owned();
    if let Some(hold) = record.hold() {
        text += &format!(", {} captured, {} released", hold.captured(), hold.released());
        for capture in &hold.captures {
            text += &format!(", {}", stage.record(capture.payment_id).await.status().as_str());
        }
    }
    let claim = domain::order_claim::stream_id(record.terms.merchant_id, &record.terms.order_no);
    let category = commands::ports::Category::of::<domain::order_claim::OrderClaim>();
    let claim = stage.store.load(category, &claim).await.unwrap();
    let is_free = claim.of::<domain::order_claim::OrderClaim>() == Some(&domain::order_claim::State::Free);
    let order = if is_free { "order free" } else { "order held" };
    text + &format!(", {} held, {} effects, {order}", stage.channel.held(pre_auth_id), stage.channel.effects().len())
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "held, captured in parts, and the last part is the final one",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_success").await;
                captured(stage, driver, id, 2_000, false).await;
                captured(stage, driver, id, 3_000, true).await;
                end(stage, id).await
            })
        },
        end: "captured, 5000 captured, 5000 released, succeeded, succeeded, 0 held, 2 effects, order held",
    },
    Scenario {
        name: "all of it is captured",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_success").await;
                captured(stage, driver, id, AMOUNT, false).await;
                end(stage, id).await
            })
        },
        end: "captured, 10000 captured, 0 released, succeeded, 0 held, 1 effects, order held",
    },
    Scenario {
        name: "the authorisation is declined",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_declined").await;
                end(stage, id).await
            })
        },
        end: "failed, 0 held, 0 effects, order free",
    },
    Scenario {
        name: "held and cancelled",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_success").await;
                cancelled(stage, driver, id).await;
                end(stage, id).await
            })
        },
        end: "cancelled, 0 captured, 10000 released, 0 held, 0 effects, order free",
    },
    Scenario {
        name: "cancelled while a capture is in flight",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_success").await;
                asked(stage, id, 4_000, false).await;
                cancelled(stage, driver, id).await;
                end(stage, id).await
            })
        },
        end: "captured, 4000 captured, 6000 released, succeeded, 0 held, 1 effects, order held",
    },
    Scenario {
        name: "held for a week and partly captured",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_success").await;
                captured(stage, driver, id, 4_000, false).await;
                pass(stage, driver, WEEK).await;
                end(stage, id).await
            })
        },
        end: "captured, 4000 captured, 6000 released, succeeded, 0 held, 1 effects, order held",
    },
    Scenario {
        name: "held for a week and never captured",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_success").await;
                pass(stage, driver, WEEK).await;
                end(stage, id).await
            })
        },
        end: "expired, 0 captured, 10000 released, 0 held, 0 effects, order free",
    },
    Scenario {
        name: "the customer acts and no webhook tells of the hold",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_requires_action").await;
                pass(stage, driver, 31 * SECOND).await;
                stage.channel.complete_authorization(id);
                pass(stage, driver, 5 * MINUTE).await;
                captured(stage, driver, id, 1_000, true).await;
                end(stage, id).await
            })
        },
        end: "captured, 1000 captured, 9000 released, succeeded, 0 held, 1 effects, order held",
    },
    Scenario {
        name: "the customer never acts on the hold",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_requires_action").await;
                pass(stage, driver, 31 * MINUTE).await;
                end(stage, id).await
            })
        },
        end: "expired, 0 held, 0 effects, order free",
    },
    Scenario {
        name: "the channel takes its time to hold",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_async").await;
                stage.channel.complete_authorization(id);
                pass(stage, driver, MINUTE).await;
                cancelled(stage, driver, id).await;
                end(stage, id).await
            })
        },
        end: "cancelled, 0 captured, 10000 released, 0 held, 0 effects, order free",
    },
    Scenario {
        name: "all answers about the hold are lost, for a while",
        play: |stage, driver| {
            Box::pin(async {
                stage.channel.lose_answers(Some(Loss::AfterEffect));
                let id = created(stage, driver, "tok_success").await;
                stage.channel.lose_answers(None);
                pass(stage, driver, MINUTE).await;
                captured(stage, driver, id, 2_500, true).await;
                end(stage, id).await
            })
        },
        end: "captured, 2500 captured, 7500 released, succeeded, 0 held, 1 effects, order held",
    },
    Scenario {
        name: "cancelled while nobody knows of the hold",
        play: |stage, driver| {
            Box::pin(async {
                stage.channel.lose_answers(Some(Loss::AfterEffect));
                let id = created(stage, driver, "tok_success").await;
                stage.channel.lose_answers(None);
                cancelled(stage, driver, id).await;
                end(stage, id).await
            })
        },
        end: "cancelled, 0 held, 0 effects, order free",
    },
    Scenario {
        name: "all answers about a capture are lost, for a while, and it expires meanwhile",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_success").await;
                pass(stage, driver, WEEK - MINUTE).await;
                stage.channel.lose_answers(Some(Loss::AfterEffect));
                captured(stage, driver, id, 4_000, false).await;
                pass(stage, driver, 6 * MINUTE).await;
                stage.channel.lose_answers(None);
                pass(stage, driver, 60 * MINUTE).await;
                end(stage, id).await
            })
        },
        end: "captured, 4000 captured, 6000 released, succeeded, 0 held, 1 effects, order held",
    },
    Scenario {
        name: "a capture is declined and what is held is given back",
        play: |stage, driver| {
            Box::pin(async {
                let id = created(stage, driver, "tok_capture_declined").await;
                captured(stage, driver, id, 4_000, true).await;
                asked(stage, id, AMOUNT, false).await;
                cancelled(stage, driver, id).await;
                end(stage, id).await
            })
        },
        end: "cancelled, 0 captured, 10000 released, failed, failed, 0 held, 0 effects, order free",
    },
];
