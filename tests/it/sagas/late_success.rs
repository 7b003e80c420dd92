//! Money that comes after a payment has ended: its refunds, and its order number.

use std::time::Duration;

use commands::payment::refund_order;
use commands::ports::{Category, Channel, ChannelAnswer, Clock, RefundAnswer, SagaState, VaultError, state_of};
use domain::PaymentId;
use domain::order_claim::{self, Holder, OrderClaim, State};
use domain::payment::PaymentStatus;
use test_support::scripted_channel::failure;
use uuid::Uuid;

use super::stage::{AMOUNT, Stage, issued};

const HOUR: Duration = Duration::from_secs(3_600);

/// A payment that was declined and then captured all the same.
async fn late(stage: &Stage, token: &str) -> PaymentId {
    let payment_id = stage.create(token).await;
    let declined = ChannelAnswer::Declined { channel_reference: None, failure: failure("card_declined") };
    told(stage, payment_id, "declined", declined).await;
    payment_id
}

async fn told(stage: &Stage, payment_id: PaymentId, what: &str, answer: ChannelAnswer) {
    let issued = issued(&format!("{what} {payment_id}"));
    assert_eq!(stage.payments.record_charge(issued, payment_id, answer).await.unwrap().rejection, None);
}

fn captured() -> ChannelAnswer {
    ChannelAnswer::Captured { channel_reference: "ch_1".to_owned(), amount: AMOUNT, fee: Some(100) }
}

async fn holder(stage: &Stage, payment_id: PaymentId) -> State {
    let terms = stage.record(payment_id).await.terms;
    let stream = order_claim::stream_id(terms.merchant_id, &terms.order_no);
    let category = Category::of::<OrderClaim>();
    let claim = stage.store.load(category, &stream).await.unwrap();
    state_of::<OrderClaim>(&claim).clone()
}

#[tokio::test]
async fn a_late_success_claims_its_order_again_if_it_is_free() {
    let stage = Stage::new().await;
    let payment_id = late(&stage, "tok_success").await;
    assert_eq!(holder(&stage, payment_id).await, State::Free);
    told(&stage, payment_id, "captured", captured()).await;
    assert_eq!(holder(&stage, payment_id).await, State::HeldBy(Holder::Payment(payment_id)));
}

#[tokio::test]
async fn a_success_while_cancelling_keeps_its_order() {
    let stage = Stage::new().await;
    let payment_id = stage.create("tok_success").await;
    stage.cancel(payment_id).await;
    told(&stage, payment_id, "captured", captured()).await;
    assert_eq!(holder(&stage, payment_id).await, State::HeldBy(Holder::Payment(payment_id)));
}

#[tokio::test]
async fn a_late_success_is_booked_though_another_payment_has_the_order() {
    let stage = Stage::new().await;
    let payment_id = late(&stage, "tok_success").await;
    let order_no = stage.record(payment_id).await.terms.order_no;
    let other = PaymentId::from_uuid(Uuid::now_v7());
    stage.create_for(other, order_no.as_str(), "tok_success").await.unwrap();
    told(&stage, payment_id, "captured", captured()).await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
    assert_eq!(holder(&stage, payment_id).await, State::HeldBy(Holder::Payment(other)));
}

#[tokio::test]
async fn a_refund_that_always_fails_is_tried_ever_more_rarely_and_a_person_is_told() {
    let stage = Stage::new().await;
    let _node = stage.node();
    let payment_id = stage.create("tok_async_refund_fails").await;
    stage.until_quiet().await;
    stage.channel.complete_charge(payment_id);
    stage.cancel(payment_id).await;
    stage.until_quiet().await;
    let refunds = async || stage.record(payment_id).await.capture().unwrap().refunds.len();
    assert_eq!(refunds().await, 2, "one failed, and the next is due");
    for (tried, wait_s) in [5, 30, 300, 3_600, 21_600].into_iter().enumerate() {
        stage.pass(Duration::from_secs(wait_s) - Duration::from_secs(1)).await;
        assert_eq!(refunds().await, tried + 2, "not before {wait_s} s");
        assert_eq!(stage.agenda.list(Some(SagaState::Stuck), 10).await.unwrap(), []);
        stage.pass(Duration::from_secs(1)).await;
        assert_eq!(refunds().await, tried + 3, "after {wait_s} s");
    }
    assert_eq!(stage.agenda.list(Some(SagaState::Stuck), 10).await.unwrap().len(), 1);
    stage.pass(24 * HOUR).await;
    assert_eq!(refunds().await, 8);

    // A person who asks for it does not wait, and asks for one try only.
    let stuck = stage.agenda.list(Some(SagaState::Stuck), 10).await.unwrap();
    assert!(stage.agenda.retry(&stuck[0].saga_id.object, stage.clock.now()).await.unwrap());
    stage.until_quiet().await;
    assert_eq!(refunds().await, 9);
    stage.assert_books().await;
}

/// The channel made the refund, took it back, and its news of that come in the wrong order.
#[tokio::test]
async fn a_success_told_after_a_failure_is_believed_only_if_the_channel_says_so_when_asked() {
    for (in_its_book, expected) in [("tok_success", "succeeded"), ("tok_refund_fails", "failed")] {
        let stage = Stage::new().await;
        let node = stage.node();
        let payment_id = stage.create(in_its_book).await;
        stage.until_quiet().await;
        node.stop().await;
        let refund_id = stage.refund(payment_id, AMOUNT / 2).await;
        let tell = async |what: &str, answer: RefundAnswer| {
            let issued = issued(&format!("{what} {refund_id}"));
            stage.payments.record_refund(issued, payment_id, refund_id, answer).await.map(drop)
        };
        let made = || RefundAnswer::Succeeded { channel_reference: "rf_1".to_owned(), fee_returned: 0 };
        tell("failed", RefundAnswer::Failed { failure: failure("refund_failed") }).await.unwrap();
        assert!(tell("made", made()).await.is_err(), "what the channel does not know is to be told again");
        let record = stage.record(payment_id).await;
        let order = refund_order(&record, record.capture().and_then(|c| c.refund(refund_id)).unwrap()).unwrap();
        stage.channel.refund(&order).await;
        tell("made", made()).await.unwrap();
        let record = stage.record(payment_id).await;
        assert_eq!(record.capture().and_then(|c| c.refund(refund_id)).map(|r| r.status.as_str()), Some(expected));
        stage.assert_books().await;
    }
}

#[tokio::test]
async fn a_repeated_creation_is_answered_though_nothing_can_be_gathered_any_more() {
    let stage = Stage::new().await;
    let payment_id = stage.create("tok_success").await;
    let closed = stage.with_vault(Err(VaultError::Unavailable("closed".to_owned())));
    let order_no = payment_id.to_string();
    let repeated = closed.create_for(payment_id, &order_no, "tok_success").await.unwrap();
    assert!(repeated.replayed);
    let fresh = PaymentId::from_uuid(Uuid::now_v7());
    assert!(closed.create_for(fresh, "A-2", "tok_success").await.is_err());
}
