//! Single courses of events, told from the payment's own history.

use std::time::Duration;

use commands::ports::{ChannelAnswer, SagaState};
use domain::Account;
use domain::payment::PaymentStatus;
use test_support::scripted_channel::Loss;

use super::stage::{AMOUNT, Stage, TRACEPARENT, issued};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_happy_payment_leaves_nothing_to_do() {
    let stage = Stage::new().await;
    let _node = stage.node();
    let payment_id = stage.create("tok_success").await;
    stage.until_quiet().await;
    assert_eq!(stage.history(payment_id).await, ["created", "captured"]);
    assert_eq!(stage.agenda.list(None, 10).await.unwrap(), []);
    assert_eq!(stage.channel.calls(), [format!("charge {payment_id}")]);
    assert_eq!(stage.channel.effects()[0].key, format!("{payment_id}:charge"));
    // 10000 at 1 % channel fee and 0.8 % markup, cost plus.
    assert_eq!(stage.pending(&stage.assert_books().await), 9_820);
}

#[tokio::test]
async fn one_trace_joins_the_request_and_what_the_saga_did() {
    let stage = Stage::new().await;
    let payment_id = stage.create("tok_async").await;
    let _node = stage.node();
    stage.until_quiet().await;
    stage.channel.complete_charge(payment_id);
    stage.pass(MINUTE).await;
    let events = stage.store.read_all(0, 100).await.unwrap();
    let events = events.iter().filter(|event| event.stream.id == payment_id.to_string());
    let followed: Vec<_> = events.map(|event| (event.event_type.as_str(), event.metadata().unwrap())).collect();
    assert_eq!(
        followed.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["payment.created", "payment.accepted", "payment.captured"]
    );
    for (version, (_, metadata)) in (1..).zip(&followed[1..]) {
        assert_eq!(metadata.correlation_id, followed[0].1.correlation_id);
        assert_eq!(metadata.traceparent.as_deref(), Some(TRACEPARENT));
        assert_eq!(metadata.causation_id, Some(format!("payment/{payment_id}@{version}")));
        assert_eq!(metadata.actor, "saga:payment");
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_ever_more_rarely_and_never_given_up() {
    let stage = Stage::new().await;
    stage.channel.lose_answers(Some(Loss::AfterEffect));
    let _node = stage.node();
    let payment_id = stage.create("tok_requires_action").await;
    stage.until_quiet().await;
    assert_eq!(stage.history(payment_id).await, ["created", "outcome_unknown"]);

    let waits = [5, 30, 300].map(Duration::from_secs);
    for wait in waits {
        let calls = stage.channel.calls().len();
        stage.pass(wait - Duration::from_secs(1)).await;
        assert_eq!(stage.channel.calls().len(), calls, "not before {wait:?}");
        stage.pass(Duration::from_secs(1)).await;
        // Who comes back first insists once more, then each asks once.
        let asked = if wait == waits[0] { 4 } else { 1 };
        assert_eq!(stage.channel.calls().len(), calls + asked, "after {wait:?}");
    }
    // The payment expires; from then on the channel is asked to void it, until it answers.
    stage.pass(HOUR).await;
    for wait in [5, 30, 300, 3_600, 21_600].map(Duration::from_secs) {
        assert_eq!(stage.agenda.list(Some(SagaState::Stuck), 10).await.unwrap(), [], "before {wait:?}");
        stage.pass(wait).await;
    }
    let stuck = stage.agenda.list(Some(SagaState::Stuck), 10).await.unwrap();
    assert_eq!(stuck.len(), 1);
    assert_eq!(stuck[0].last_error.as_deref(), Some("lost after the effect"));
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Processing);

    stage.channel.lose_answers(None);
    stage.pass(24 * HOUR).await;
    assert_eq!(stage.history(payment_id).await, ["created", "outcome_unknown", "cancellation_requested", "expired"]);
    assert_eq!(stage.agenda.list(None, 10).await.unwrap(), []);
    assert_eq!(stage.channel.effects(), []);
}

#[tokio::test]
async fn a_success_after_the_cancellation_is_booked_and_refunded() {
    let stage = Stage::new().await;
    stage.channel.lose_answers(Some(Loss::AfterEffect));
    let _node = stage.node();
    let payment_id = stage.create("tok_success").await;
    stage.until_quiet().await;
    stage.cancel(payment_id).await;
    stage.channel.lose_answers(None);
    stage.until_quiet().await;
    let history =
        ["created", "outcome_unknown", "cancellation_requested", "captured", "refund_requested", "refund_succeeded"];
    assert_eq!(stage.history(payment_id).await, history);
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
    let amounts: Vec<i64> = stage.channel.effects().iter().map(|effect| effect.amount).collect();
    assert_eq!(amounts, [AMOUNT, AMOUNT]);
    stage.assert_books().await;
}

#[tokio::test]
async fn a_success_after_the_end_is_booked_and_refunded() {
    let stage = Stage::new().await;
    let _node = stage.node();
    let payment_id = stage.create("tok_requires_action").await;
    stage.pass(31 * MINUTE).await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Expired);
    // The channel goes back on its word.
    let told = ChannelAnswer::Captured { channel_reference: "ch_late".to_owned(), amount: AMOUNT, fee: Some(100) };
    stage.payments.record_charge(issued("webhook"), payment_id, told).await.unwrap();
    stage.until_quiet().await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
    assert_eq!(stage.history(payment_id).await.last().unwrap(), "refund_succeeded");
    stage.assert_books().await;
}

#[tokio::test]
async fn a_state_that_comes_back_is_recorded_again() {
    let stage = Stage::new().await;
    let node = stage.node();
    let payment_id = stage.create("tok_requires_action").await;
    stage.until_quiet().await;
    for told in ["webhook 1", "webhook 2"] {
        // A lost answer was told by somebody else than the saga.
        let unknown = ChannelAnswer::Unknown { reason: "lost".to_owned() };
        stage.payments.record_charge(issued(told), payment_id, unknown).await.unwrap();
        node.runner.nudge(&payment_id.to_string()).await.unwrap();
        stage.until_quiet().await;
        assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::RequiresAction, "after {told}");
    }
}

#[tokio::test]
async fn a_nudge_asks_at_once() {
    let stage = Stage::new().await;
    let node = stage.node();
    let payment_id = stage.create("tok_async").await;
    stage.until_quiet().await;
    stage.channel.complete_charge(payment_id);
    node.runner.nudge(&payment_id.to_string()).await.unwrap();
    stage.until_quiet().await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
}

#[tokio::test]
async fn one_poisoned_payment_of_fifty_is_parked_and_does_not_stop_the_others() {
    let stage = Stage::new().await;
    let _node = stage.node();
    let mut payments = vec![];
    for number in 0..50 {
        payments.push(stage.create(if number == 17 { "tok_captures_too_much" } else { "tok_success" }).await);
    }
    let poisoned = payments.remove(17);
    stage.until_quiet().await;
    for payment_id in payments {
        assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
    }
    let stuck = stage.agenda.list(Some(SagaState::Stuck), 100).await.unwrap();
    assert_eq!(stuck.iter().map(|row| row.stream_id.clone()).collect::<Vec<_>>(), [poisoned.to_string()]);
    assert!(stuck[0].last_error.as_deref().unwrap().starts_with("capture_out_of_range"));
    assert_eq!(stage.agenda.list(None, 100).await.unwrap().len(), 1);

    let calls = stage.channel.calls().len();
    assert!(stage.agenda.retry(&poisoned.to_string(), stage.payments.clock.now()).await.unwrap());
    stage.until_quiet().await;
    assert!(stage.channel.calls().len() > calls, "a retry goes at it again");
}

#[tokio::test]
async fn one_stuck_refund_does_not_stop_the_others() {
    let stage = Stage::new().await;
    let _node = stage.node();
    let payment_id = stage.create("tok_success").await;
    stage.until_quiet().await;
    stage.channel.lose_answers(Some(Loss::BeforeEffect));
    let lost = stage.refund(payment_id, 1_000).await;
    stage.until_quiet().await;
    stage.channel.lose_answers(None);
    for _ in 0..5 {
        stage.refund(payment_id, 100).await;
    }
    stage.until_quiet().await;
    let books = stage.assert_books().await;
    let hold = Account::MerchantRefundHold(stage.merchant_id, lost);
    assert_eq!(books.balance(&hold, domain::Currency::USD), 1_000);
    assert_eq!(stage.channel.effects().len(), 6, "the charge and five refunds");
    stage.pass(5 * MINUTE).await;
    assert_eq!(stage.channel.effects().len(), 7);
    stage.assert_books().await;
}

#[tokio::test]
async fn a_charge_whose_customer_was_erased_is_voided() {
    let stage = Stage::new().await;
    let payment_id = stage.create("tok_success").await;
    let _node = stage.with_vault(Ok(None)).node();
    stage.until_quiet().await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Failed);
    assert_eq!(stage.channel.effects(), []);
}
