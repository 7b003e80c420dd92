//! Read models can be thrown away at any time and come back the same; what was tampered with is named.

use std::sync::Arc;

use projections::books::{Books, trial_balance};
use projections::orders::Orders;
use projections::payments::Payments;
use projections::streams;
use projections::verify::{verify, verify_all};
use projections::{ProjectionState, RebuildError, rebuild};
use sqlx::PgPool;
use test_support::histories::{Story, at, create, onboard, terms};
use test_support::read_models::{PATIENCE, ReadModels};
use test_support::wait;

const TABLES: [&str; 9] = [
    "rm_books.journal",
    "rm_books.accounts",
    "rm_books.balances",
    "rm_merchants.merchants",
    "rm_orders.orders",
    "rm_orders.payments",
    "rm_payments.payments",
    "rm_refunds.payments",
    "rm_refunds.refunds",
];

async fn dump(pool: &PgPool) -> Vec<String> {
    let mut dumped = vec![];
    for table in TABLES {
        let rows =
            format!("SELECT count(*) || ' ' || md5(string_agg(row::text, ' ' ORDER BY row::text)) FROM {table} AS row");
        dumped.push(format!("{table} {}", sqlx::query_scalar::<_, String>(&rows).fetch_one(pool).await.unwrap()));
    }
    dumped
}

#[tokio::test]
async fn a_rebuild_under_running_runners_comes_to_the_same_rows() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let _one = models.start(projections::all());
    let _other = models.start_elsewhere(projections::all());
    let mut story = Story::new(11);
    onboard(store, 1).await;
    for _ in 0..20 {
        story.go_on(store, 50).await;
        models.view_all().await;
    }
    let before = dump(&models.database.pool).await;
    for projection in projections::all() {
        rebuild(&models.database.pool, projection.name()).await.unwrap();
    }
    models.view_all().await;
    assert_eq!(dump(&models.database.pool).await, before);
    wait::until("all run again", PATIENCE, async || {
        let list = projections::list(&models.database.pool, store, at(0)).await.unwrap();
        list.iter().all(|status| status.state == ProjectionState::Running).then_some(())
    })
    .await;

    story.go_on(store, 200).await;
    models.view_all().await;
    let of_payments = ["books", "merchants", "orders", "payments", "refunds", "statements"];
    for verification in verify_all(&models.reader, store).await.unwrap() {
        let checked = verification.checked > 0 || !of_payments.contains(&verification.projection);
        assert!(verification.is_clean() && checked, "{verification:?}");
    }
    assert!(matches!(rebuild(&models.database.pool, "nothing").await, Err(RebuildError::Unknown)));
}

#[tokio::test]
async fn a_rebuild_never_empties_a_table_under_a_reader() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Payments)]);
    let payment = create(models.store.as_ref(), terms(1)).await;
    let mut view = models.view(&[&Payments]).await;
    let pool = models.database.pool.clone();
    let rebuilding = tokio::spawn(async move { rebuild(&pool, "payments").await });
    wait::until("the rebuild waits for the reader", PATIENCE, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation
              WHERE relname = 'payments' AND NOT granted",
        )
        .fetch_one(&models.database.pool)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    assert!(streams::find::<Payments>(&mut view, payment).await.unwrap().is_some());
    drop(view);
    rebuilding.await.unwrap().unwrap();
    let mut view = models.view(&[&Payments]).await;
    assert!(streams::find::<Payments>(&mut view, payment).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilds_readers_and_runners_do_not_block_each_other() {
    let models = ReadModels::new().await;
    let _one = models.start(vec![Arc::new(Books), Arc::new(Orders)]);
    let _other = models.start_elsewhere(vec![Arc::new(Books), Arc::new(Orders)]);
    Story::new(13).go_on(models.store.as_ref(), 5_000).await;
    models.view(&[&Orders, &Books]).await;
    let reading = (0..3).map(|_| {
        let reader = models.reader.clone();
        tokio::spawn(async move {
            let mut views = 0;
            loop {
                let mut view = reader.at_least(&[&Orders, &Books], None, PATIENCE).await.unwrap();
                let trial = trial_balance(&mut view, None).await.unwrap();
                assert!(trial.iter().all(|currency| currency.debits == currency.credits));
                views += 1;
                if views == 200 {
                    return;
                }
            }
        })
    });
    let reading: Vec<_> = reading.collect();
    for _ in 0..15 {
        rebuild(&models.database.pool, "books").await.unwrap();
        rebuild(&models.database.pool, "orders").await.unwrap();
    }
    for reader in reading {
        reader.await.unwrap();
    }
    let view = models.view(&[&Orders, &Books]).await;
    drop(view);
    for name in ["books", "orders"] {
        assert!(verify(&models.reader, models.store.as_ref(), name).await.unwrap().unwrap().is_clean());
    }
}

#[tokio::test]
async fn tampered_rows_are_named() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let running = models.start(projections::all());
    onboard(store, 1).await;
    Story::new(12).go_on(store, 300).await;
    models.view_all().await;
    running.stop().await;
    let table = [
        (
            "payments",
            "UPDATE rm_payments.payments SET amount = amount + 1 WHERE id = (SELECT min(id) FROM rm_payments.payments)",
        ),
        ("payments", "DELETE FROM rm_payments.payments WHERE id = (SELECT max(id) FROM rm_payments.payments)"),
        (
            "refunds",
            "UPDATE rm_refunds.refunds SET status = 'failed' WHERE refund_id = (SELECT min(refund_id) FROM rm_refunds.refunds WHERE status <> 'failed')",
        ),
        (
            "orders",
            "UPDATE rm_orders.orders SET amount_paid = amount_paid + 1 WHERE first_id = (SELECT min(first_id) FROM rm_orders.orders)",
        ),
        ("merchants", "DELETE FROM rm_merchants.merchants"),
        (
            "books",
            "UPDATE rm_books.accounts SET debits = debits + 1 WHERE account = 'revenue:processing' AND currency = 'USD'",
        ),
        (
            "books",
            "UPDATE rm_books.balances SET pending = pending + 1 WHERE (merchant_id, currency) = (SELECT min(merchant_id), 'USD' FROM rm_books.balances)",
        ),
    ];
    let mut expected = std::collections::HashMap::new();
    for (name, tamper) in table {
        let tampered = sqlx::query(tamper).execute(&models.database.pool).await.unwrap();
        assert_eq!(tampered.rows_affected(), 1, "{tamper}");
        *expected.entry(name).or_insert(0) += 1;
        let verification = verify(&models.reader, store, name).await.unwrap().unwrap();
        assert_eq!(verification.differences.len(), expected[name], "{tamper}: {verification:?}");
    }
    assert_eq!(verify(&models.reader, store, "nothing").await, Ok(None));
}
