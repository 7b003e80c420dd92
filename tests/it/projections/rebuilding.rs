//! Read models can be thrown away at any time and come back the same; what was tampered with is named.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use projections::books::{Books, trial_balance};
use projections::orders::Orders;
use projections::payments::Payments;
use projections::streams;
use projections::verify::{verify, verify_all};
use projections::{Filter, Progress, ProjectionState, Reader, RebuildError, rebuild, rebuild_projection, rollback};
use test_support::histories::{Story, at, capture, create, onboard, terms};
use test_support::read_models::{PATIENCE, ReadModels};
use test_support::wait;

use super::feeding::{Gate, Tally, appended, seen};

const TABLES: [(&str, &str); 9] = [
    ("books", "journal_lines"),
    ("books", "accounts"),
    ("books", "balances"),
    ("merchants", "merchants"),
    ("orders", "orders"),
    ("orders", "order_payments"),
    ("payments", "payments"),
    ("refunds", "refund_payments"),
    ("refunds", "refunds"),
];

async fn dump(models: &ReadModels) -> Vec<String> {
    let mut dumped = vec![];
    for (name, table) in TABLES {
        let schema = models.schema(name).await;
        let rows = format!(
            "SELECT count(*) || ' ' || md5(string_agg(row::text, ' ' ORDER BY row::text)) FROM {schema}.{table} AS row"
        );
        let digest: String = sqlx::query_scalar(&rows).fetch_one(&models.database.pool).await.unwrap();
        dumped.push(format!("{table} {digest}"));
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
    let before = dump(&models).await;
    for projection in projections::all() {
        rebuild(&models.database.pool, projection.name()).await.unwrap();
    }
    for projection in projections::all() {
        models.rebuilt(projection.name()).await;
        assert_eq!(models.schema(projection.name()).await, format!("rm_{}_2", projection.name()));
    }
    models.view_all().await;
    assert_eq!(dump(&models).await, before);
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
async fn a_reader_keeps_the_tables_that_it_began_with() {
    let models = ReadModels::new().await;
    let running = models.start(vec![Arc::new(Payments)]);
    let payment = create(models.store.as_ref(), terms(1)).await;
    let mut view = models.view(&[&Payments]).await;
    rebuild(&models.database.pool, "payments").await.unwrap();
    models.rebuilt("payments").await;
    capture(models.store.as_ref(), payment, 10_000, Some(100)).await;
    models.view(&[&Payments]).await;
    running.stop().await;
    let seen = streams::find::<Payments>(&mut view, payment).await.unwrap().unwrap();
    assert_eq!((view.position, seen.version), (1, 1));
}

/// From two nodes, while the log grows and read models are rebuilt and rolled back all the time.
#[tokio::test(flavor = "multi_thread")]
async fn queries_neither_fail_nor_go_back_while_generations_change_places() {
    let models = ReadModels::new().await;
    let _one = models.start(vec![Arc::new(Books), Arc::new(Orders)]);
    let _other = models.start_elsewhere(vec![Arc::new(Books), Arc::new(Orders)]);
    let mut story = Story::new(13);
    story.go_on(models.store.as_ref(), 2_000).await;
    models.view(&[&Orders, &Books]).await;
    let elsewhere = Reader::new(models.database.pool.clone(), Progress::default());
    let stop = Arc::new(AtomicBool::new(false));
    let reading: Vec<_> = [models.reader.clone(), elsewhere]
        .into_iter()
        .map(|reader| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let (mut views, mut newest) = (0_u32, 0);
                while !stop.load(Ordering::Relaxed) {
                    let mut view = reader.now(&[&Orders, &Books]).await.unwrap();
                    assert!(view.position >= newest, "{} after {newest}", view.position);
                    newest = view.position;
                    let trial = trial_balance(&mut view, None).await.unwrap();
                    assert!(!trial.is_empty() && trial.iter().all(|currency| currency.debits == currency.credits));
                    let orders = projections::orders::list(&mut view, &Filter::default(), 5, None).await.unwrap();
                    assert_eq!(orders.rows.len(), 5);
                    views += 1;
                }
                views
            })
        })
        .collect();
    for round in 0..4 {
        for name in ["books", "orders"] {
            rebuild(&models.database.pool, name).await.unwrap();
        }
        story.go_on(models.store.as_ref(), 200).await;
        for name in ["books", "orders"] {
            models.rebuilt(name).await;
            if round % 2 == 1 {
                story.go_on(models.store.as_ref(), 20).await;
                let before = models.schema(name).await;
                rollback(&models.database.pool, name).await.unwrap();
                assert_ne!(models.schema(name).await, before);
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in reading {
        assert!(reader.await.unwrap() > 10);
    }
    drop(models.view(&[&Orders, &Books]).await);
    for name in ["books", "orders"] {
        assert!(verify(&models.reader, models.store.as_ref(), name).await.unwrap().unwrap().is_clean());
    }
}

#[tokio::test]
async fn a_rebuild_goes_on_where_the_one_before_it_died() {
    let models = ReadModels::new().await;
    let running = models.start(Tally::ungated(1));
    Story::new(14).go_on(models.store.as_ref(), 200).await;
    models.view(&[&Tally::new(1)]).await;
    running.stop().await;
    let pool = &models.database.pool;
    rebuild_projection(pool, &Tally::new(1)).await.unwrap();
    let again = rebuild_projection(pool, &Tally::new(1)).await;
    assert!(matches!(again, Err(RebuildError::Overtaken)), "{again:?}");

    let gate = Arc::new(Gate::default());
    let dies = models.start_elsewhere(Tally::gated(&gate));
    gate.reached.subscribe().wait_for(|reached| *reached).await.unwrap();
    drop(dies);
    let schema = models.schema("tally").await;
    assert_eq!(schema, "rm_tally_1", "until it is done, the one before serves");
    let _successor = models.start_elsewhere(Tally::ungated(1));
    models.rebuilt("tally").await;
    assert_eq!(seen(&models).await, appended(&models).await);
    assert_eq!(models.schema("tally").await, "rm_tally_2");
}

#[tokio::test]
async fn what_was_kept_is_put_back_or_said_to_be_missing() {
    let models = ReadModels::new().await;
    let pool = &models.database.pool;
    let running = models.start(vec![Arc::new(Payments)]);
    create(models.store.as_ref(), terms(1)).await;
    models.view(&[&Payments]).await;
    assert!(matches!(rollback(pool, "payments").await, Err(RebuildError::NothingKept)));
    rebuild(pool, "payments").await.unwrap();
    models.rebuilt("payments").await;
    create(models.store.as_ref(), terms(2)).await;
    models.view(&[&Payments]).await;
    rollback(pool, "payments").await.unwrap();
    assert_eq!(models.schema("payments").await, "rm_payments_1");
    assert_eq!(models.view(&[&Payments]).await.position, 2);
    rollback(pool, "payments").await.unwrap();
    assert_eq!(models.schema("payments").await, "rm_payments_2");

    running.stop().await;
    let behind = "UPDATE projections SET position = 1 WHERE standing = 'kept'";
    sqlx::query(behind).execute(pool).await.unwrap();
    assert!(matches!(rollback(pool, "payments").await, Err(RebuildError::KeptIsBehind)));
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
        let tamper = &tamper.replace(&format!("rm_{name}."), &format!("{}.", models.schema(name).await));
        let tampered = sqlx::query(tamper).execute(&models.database.pool).await.unwrap();
        assert_eq!(tampered.rows_affected(), 1, "{tamper}");
        *expected.entry(name).or_insert(0) += 1;
        let verification = verify(&models.reader, store, name).await.unwrap().unwrap();
        assert_eq!(verification.differences.len(), expected[name], "{tamper}: {verification:?}");
    }
    assert_eq!(verify(&models.reader, store, "nothing").await, Ok(None));
}
