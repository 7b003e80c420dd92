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
            "DELETE FROM orders WHERE first_id = (SELECT min(first_id) FROM orders)
              RETURNING merchant_id || ' ' || order_no",
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

/// What the read model has not seen yet is no difference.
#[tokio::test]
async fn a_shadow_is_folded_to_the_very_position_of_the_live_one() {
    let models = ReadModels::new().await;
    let running = models.start(projections::all());
    let mut story = Story::new(23);
    story.go_on(models.store.as_ref(), 100).await;
    let position = models.view_all().await.position;
    running.stop().await;
    story.go_on(models.store.as_ref(), 100).await;
    for name in ["books", "payments", "analytics"] {
        let comparison = shadow::compare(&models.database.pool, models.store.as_ref(), name, |_, _| {}).await.unwrap();
        assert!(comparison.is_clean() && comparison.position == position, "{comparison:?}");
    }
}

/// Each column of a table by itself, whatever it holds.
#[tokio::test]
async fn no_column_can_be_damaged_unnoticed() {
    let models = ReadModels::new().await;
    let running = models.start(projections::all());
    Story::new(24).go_on(models.store.as_ref(), 100).await;
    drop(models.view_all().await);
    running.stop().await;
    let pool = &models.database.pool;
    let table = format!("{}.refunds", models.schema("refunds").await);
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
          WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
    )
    .bind(&table)
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(columns.len() > 5, "{columns:?}");
    sqlx::query(&format!("CREATE TABLE as_it_was AS SELECT * FROM {table} ORDER BY refund_id LIMIT 1"))
        .execute(pool)
        .await
        .unwrap();
    for (column, kind) in columns {
        let other = match kind.as_str() {
            "boolean" => format!("NOT {column}"),
            "bigint" | "integer" | "numeric" => format!("coalesce({column}, 0) + 1"),
            "timestamp with time zone" => format!("coalesce({column}, now()) + interval '1 second'"),
            "text" => format!("coalesce({column}, '') || 'x'"),
            "json" | "jsonb" => format!("'{{\"damaged\": true}}'::{kind}"),
            _ => panic!("{column} is {kind}: say here how to damage it"),
        };
        let damage =
            format!("UPDATE {table} SET {column} = {other} WHERE refund_id = (SELECT refund_id FROM as_it_was)");
        assert_eq!(sqlx::query(&damage).execute(pool).await.unwrap().rows_affected(), 1);
        let comparison = shadow::compare(pool, models.store.as_ref(), "refunds", |_, _| {}).await.unwrap();
        let named = comparison.differences.iter().any(|difference| {
            difference.contains(&format!("{column} is ")) || column == "refund_id" && difference.contains("is missing")
        });
        assert!(named && comparison.tables.iter().any(|table| !table.is_equal), "{column}: {comparison:?}");
        let delete = format!(
            "DELETE FROM {table} WHERE refund_id IN
                 (SELECT refund_id FROM as_it_was UNION ALL SELECT refund_id || 'x' FROM as_it_was)"
        );
        sqlx::query(&delete).execute(pool).await.unwrap();
        sqlx::query(&format!("INSERT INTO {table} SELECT * FROM as_it_was")).execute(pool).await.unwrap();
    }
}
