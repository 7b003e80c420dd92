//! Lists: what they filter, and that their pages hold still while events arrive.

use std::sync::Arc;

use commands::ports::EventStore;
use domain::merchant::Status;
use domain::payment::{Created, PaymentStatus};
use domain::{Currency, PaymentId, RefundId};
use projections::merchants::Merchants;
use projections::orders::{self, OrderFilter, OrderStatus, Orders};
use projections::payments::Payments;
use projections::refunds::{self, RefundFilter, RefundState, Refunds};
use projections::{Cursor, Filter, StatusText, streams};
use test_support::histories::{
    at, capture, create, merchant_id, onboard, payment_id, refund, refund_succeeded, refunded, terms,
};
use test_support::read_models::ReadModels;
use uuid::Uuid;

fn refund_id(n: u128) -> RefundId {
    RefundId::from_uuid(Uuid::from_u128(n))
}

#[tokio::test]
async fn pages_hold_still_while_payments_arrive() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let _running = models.start(vec![Arc::new(Payments)]);
    for n in 1..=25 {
        // Several in one second, so that the cursor must tell them apart.
        create(store, Created { created_at: at(i64::from(n / 4)), ..terms(n) }).await;
    }
    let (mut seen, mut cursor): (Vec<PaymentId>, Option<Cursor>) = (vec![], None);
    for arriving in 100.. {
        let mut view = models.view(&[&Payments]).await;
        let page = streams::list::<Payments, _>(&mut view, &Filter::<PaymentStatus>::default(), 10, cursor.as_ref())
            .await
            .unwrap();
        seen.extend(page.rows.iter().map(|row| row.state.record().unwrap().payment_id()));
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse().unwrap());
        create(store, terms(arriving)).await;
    }
    let expected: Vec<PaymentId> = (1..=25).rev().map(payment_id).collect();
    assert_eq!(seen, expected);
}

/// Four payments that differ in everything.
async fn four_payments(store: &dyn EventStore) {
    let stripe = || "stripe".parse().unwrap();
    create(store, terms(1)).await;
    create(store, Created { merchant_id: merchant_id(2), ..terms(2) }).await;
    create(store, Created { currency: Currency::JPY, amount: 500, channel: stripe(), ..terms(3) }).await;
    create(store, Created { order_no: "A-1".parse().unwrap(), ..terms(4) }).await;
    capture(store, payment_id(3), 500, Some(5)).await;
    capture(store, payment_id(4), 10_000, Some(100)).await;
}

/// Every filter that lists share, and the payments of [`four_payments`] that meet it.
fn shared_filters<S: StatusText>() -> Vec<(Filter<S>, Vec<u128>)> {
    let filter = Filter::default;
    vec![
        (filter(), vec![4, 3, 2, 1]),
        (Filter { merchant_id: Some(merchant_id(2)), ..filter() }, vec![2]),
        (Filter { currency: Some(Currency::JPY), ..filter() }, vec![3]),
        (Filter { channel: "stripe".parse().ok(), ..filter() }, vec![3]),
        (Filter { order_no: "A-1".parse().ok(), ..filter() }, vec![4, 1]),
        (Filter { created_from: Some(at(3)), ..filter() }, vec![4, 3]),
        (Filter { created_to: Some(at(2)), ..filter() }, vec![2, 1]),
        (Filter { amount_min: Some(501), ..filter() }, vec![4, 2, 1]),
        (Filter { amount_max: Some(500), ..filter() }, vec![3]),
        (Filter { order_no: "A-1".parse().ok(), merchant_id: Some(merchant_id(2)), ..filter() }, vec![]),
    ]
}

#[tokio::test]
async fn payments_are_filtered() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Payments)]);
    four_payments(models.store.as_ref()).await;
    let mut view = models.view(&[&Payments]).await;
    let mut table = shared_filters();
    let status = |status| Filter { status: Some(status), ..Filter::default() };
    table.push((status(PaymentStatus::Succeeded), vec![4, 3]));
    table.push((status(PaymentStatus::Processing), vec![2, 1]));
    table.push((status(PaymentStatus::Failed), vec![]));
    for (filter, expected) in table {
        let page = streams::list::<Payments, _>(&mut view, &filter, 100, None).await.unwrap();
        let found: Vec<PaymentId> = page.rows.iter().map(|row| row.state.record().unwrap().payment_id()).collect();
        assert_eq!(found, expected.into_iter().map(payment_id).collect::<Vec<_>>(), "{filter:?}");
    }
}

#[tokio::test]
async fn orders_are_derived_found_and_filtered() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let _running = models.start(vec![Arc::new(Orders)]);
    four_payments(store).await;
    refund(store, payment_id(4), refund_id(1), Some(4_000)).await;
    refunded(store, payment_id(4), refund_id(1), refund_succeeded(0)).await;
    let mut view = models.view(&[&Orders]).await;

    let order = orders::find(&mut view, merchant_id(1), &"A-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(order.status, OrderStatus::PartiallyRefunded);
    assert_eq!((order.amount, order.amount_paid, order.amount_refunded), (10_000, 10_000, 4_000));
    assert_eq!(order.payment_ids, [payment_id(1), payment_id(4)]);
    assert_eq!(order.created_at, at(1));
    assert_eq!(orders::find(&mut view, merchant_id(2), &"A-1".parse().unwrap()).await.unwrap(), None);

    let status = |status| OrderFilter { status: Some(status), ..OrderFilter::default() };
    let table = [
        (OrderFilter::default(), vec!["A-3", "A-2", "A-1"]),
        (status(OrderStatus::Paid), vec!["A-3"]),
        (status(OrderStatus::Pending), vec!["A-2"]),
        (OrderFilter { merchant_id: Some(merchant_id(1)), ..OrderFilter::default() }, vec!["A-3", "A-1"]),
        (OrderFilter { currency: Some(Currency::USD), ..OrderFilter::default() }, vec!["A-2", "A-1"]),
        (OrderFilter { amount_max: Some(500), ..OrderFilter::default() }, vec!["A-3"]),
    ];
    for (filter, expected) in table {
        let page = orders::list(&mut view, &filter, 100, None).await.unwrap();
        let found: Vec<&str> = page.rows.iter().map(|row| row.order_no.as_str()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let first = orders::list(&mut view, &OrderFilter::default(), 2, None).await.unwrap();
    let rest = orders::list(&mut view, &OrderFilter::default(), 2, first.next.as_ref()).await.unwrap();
    assert_eq!((first.rows.len(), rest.rows.len(), rest.next), (2, 1, None));
}

#[tokio::test]
async fn an_order_adds_up_what_is_of_its_newest_captured_payment_s_currency() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let _running = models.start(vec![Arc::new(Orders)]);
    let under_one_number = |n| Created { order_no: "A-1".parse().unwrap(), ..terms(n) };
    create(store, Created { currency: Currency::JPY, amount: 500, ..under_one_number(1) }).await;
    for n in 2..=4 {
        create(store, under_one_number(n)).await;
    }
    capture(store, payment_id(1), 500, Some(5)).await;
    capture(store, payment_id(2), 3_000, Some(30)).await;
    capture(store, payment_id(3), 4_000, Some(40)).await;
    let mut view = models.view(&[&Orders]).await;
    let order = orders::find(&mut view, merchant_id(1), &"A-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((order.currency, order.amount_paid, order.status), (Currency::USD, 7_000, OrderStatus::Paid));
    assert_eq!(order.payment_ids, [1, 2, 3, 4].map(payment_id), "in the order of the log");
}

#[tokio::test]
async fn refunds_are_found_and_filtered() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let _running = models.start(vec![Arc::new(Refunds)]);
    four_payments(store).await;
    refund(store, payment_id(3), refund_id(1), None).await;
    refund(store, payment_id(4), refund_id(2), Some(1_000)).await;
    refunded(store, payment_id(4), refund_id(2), refund_succeeded(0)).await;
    let mut view = models.view(&[&Refunds]).await;

    let found = refunds::find(&mut view, refund_id(2)).await.unwrap().unwrap();
    assert_eq!((found.payment_id, found.amount, found.status), (payment_id(4), 1_000, RefundState::Succeeded));
    assert_eq!((found.order_no.as_str(), found.version), ("A-1", 4));
    assert_eq!(refunds::find(&mut view, refund_id(3)).await.unwrap(), None);

    let common = |common| RefundFilter { common, payment_id: None };
    let none = Filter::default;
    let table = [
        (common(none()), vec![2, 1]),
        (RefundFilter { common: none(), payment_id: Some(payment_id(3)) }, vec![1]),
        (common(Filter { status: Some(RefundState::Pending), ..none() }), vec![1]),
        (common(Filter { currency: Some(Currency::USD), ..none() }), vec![2]),
        (common(Filter { order_no: "A-3".parse().ok(), ..none() }), vec![1]),
        (common(Filter { channel: "sandbox".parse().ok(), ..none() }), vec![2]),
        (common(Filter { amount_min: Some(501), ..none() }), vec![2]),
        (common(Filter { created_from: Some(at(6_001)), ..none() }), vec![]),
        (common(Filter { merchant_id: Some(merchant_id(2)), ..none() }), vec![]),
    ];
    for (filter, expected) in table {
        let page = refunds::list(&mut view, &filter, 100, None).await.unwrap();
        let found: Vec<RefundId> = page.rows.iter().map(|row| row.refund_id).collect();
        assert_eq!(found, expected.into_iter().map(refund_id).collect::<Vec<_>>(), "{filter:?}");
    }
}

#[tokio::test]
async fn merchants_are_listed_newest_first() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Merchants)]);
    for n in 1..=3 {
        onboard(models.store.as_ref(), n).await;
    }
    let mut view = models.view(&[&Merchants]).await;
    let first = streams::list::<Merchants, Status>(&mut view, &Filter::default(), 2, None).await.unwrap();
    let rest = streams::list::<Merchants, Status>(&mut view, &Filter::default(), 2, first.next.as_ref()).await.unwrap();
    let names: Vec<&str> =
        first.rows.iter().chain(&rest.rows).map(|row| row.state.record().unwrap().name.as_str()).collect();
    assert_eq!(names, ["Merchant 3", "Merchant 2", "Merchant 1"]);
    let found = streams::find::<Merchants>(&mut view, merchant_id(2)).await.unwrap();
    assert_eq!(found.map(|row| row.state.record().unwrap().name.clone()), Some("Merchant 2".to_owned()));
    assert_eq!(streams::find::<Merchants>(&mut view, merchant_id(9)).await.unwrap(), None);
}
