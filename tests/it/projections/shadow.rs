//! A read model beside a rebuild of it: equal, or the rows that differ are named.

use commands::ports::EventStore;
use projections::shadow::{self, ShadowError};
use test_support::histories::{Story, onboard};
use test_support::read_models::ReadModels;

async fn schemas(models: &ReadModels) -> i64 {
    let count = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rm\\_%'";
    sqlx::query_scalar(count).fetch_one(&models.database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_model_equals_its_rebuild_while_the_log_grows() {
    let models = ReadModels::new().await;
    let _running = models.start(projections::all());
    let mut story = Story::new(21);
    onboard(models.store.as_ref(), 1).await;
    story.go_on(models.store.as_ref(), 300).await;
    drop(models.view_all().await);
    let before = schemas(&models).await;
    let store = models.store.clone();
    let growing = tokio::spawn(async move {
        for _ in 0..20 {
            story.go_on(store.as_ref(), 20).await;
        }
    });
    for projection in projections::all() {
        let name = projection.name();
        let comparison = shadow::compare(&models.database.pool, models.store.as_ref(), name, |_, _| {}).await.unwrap();
        assert!(comparison.is_clean() && comparison.tables.iter().all(|table| table.is_equal), "{comparison:?}");
        assert!(comparison.position >= 300 || name != "payments", "{comparison:?}");
    }
    growing.await.unwrap();
    assert_eq!(schemas(&models).await, before, "nothing is left behind");
}

#[tokio::test]
async fn damaged_rows_are_named() {
    let models = ReadModels::new().await;
    let running = models.start(projections::all());
    onboard(models.store.as_ref(), 1).await;
    Story::new(22).go_on(models.store.as_ref(), 200).await;
    drop(models.view_all().await);
    running.stop().await;
    let pool = &models.database.pool;
    let table = [
        (
            "payments",
            "UPDATE payments SET amount = 7 WHERE id = (SELECT min(id) FROM payments) RETURNING id",
            "payments {}: amount is 7, not ",
        ),
        (
            "orders",
            "DELETE FROM orders WHERE order_no = 'A-1' RETURNING merchant_id || ' ' || order_no",
            "orders {}: is missing",
        ),
        (
            "refunds",
            "INSERT INTO refund_payments VALUES ('pay_of_nobody', 'A-1') RETURNING payment_id",
            "refund_payments {}: is there, although the log knows nothing of it",
        ),
        (
            "books",
            "UPDATE accounts SET debits = debits + 1 WHERE account = 'revenue:processing' AND currency = 'USD'
              RETURNING account || ' ' || currency",
            "accounts {}: debits is ",
        ),
    ];
    for (name, damage, expected) in table {
        let mut transaction = pool.begin().await.unwrap();
        let path = format!("SET LOCAL search_path = {}", models.schema(name).await);
        sqlx::query(&path).execute(&mut *transaction).await.unwrap();
        let key: String = sqlx::query_scalar(damage).fetch_one(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        let comparison = shadow::compare(pool, models.store.as_ref(), name, |_, _| {}).await.unwrap();
        let expected = expected.replace("{}", &key);
        assert!(comparison.differences[0].starts_with(&expected), "{expected}: {comparison:?}");
        assert_eq!(comparison.differences.len(), 1);
        let unequal = comparison.tables.iter().filter(|table| !table.is_equal).count();
        assert_eq!((unequal, comparison.position), (1, models.store.head().await.unwrap()));
    }
    assert!(matches!(
        shadow::compare(pool, models.store.as_ref(), "nothing", |_, _| {}).await,
        Err(ShadowError::Unknown)
    ));
}
