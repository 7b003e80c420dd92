//! The contract of the memory of nonces, on memory and on Postgres.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use adapters::nonces::{MemoryNonces, PostgresNonces};
use commands::jobs::{ForgetNonces, Job};
use commands::ports::{Clock, Nonces};
use domain::ApiKeyId;
use test_support::manual_clock::ManualClock;
use test_support::test_database;
use uuid::Uuid;

#[tokio::test]
async fn the_memory_adapter_keeps_the_contract() {
    contract(&MemoryNonces::default()).await;
}

#[tokio::test]
async fn the_postgres_adapter_keeps_the_contract() {
    let database = test_database().await;
    contract(&PostgresNonces::new(database.pool.clone())).await;
}

async fn contract(nonces: &dyn Nonces) {
    let start = ManualClock::default().now();
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    let (one, other) = (ApiKeyId::from_uuid(Uuid::now_v7()), ApiKeyId::from_uuid(Uuid::now_v7()));
    let long = "n".repeat(10_000);
    let uses = [
        (one, "a", 0, true),
        (one, "a", 0, false),
        (other, "a", 0, true),
        (one, "b", 1, true),
        (one, &long, 1, true),
        (one, &long, 1, false),
        (one, "a", 600, false),
        (one, "a", 601, false),
        (one, "a", 602, true),
        (one, "a", 603, false),
        (other, "a", 603, true),
    ];
    for (key_id, nonce, seconds, first) in uses {
        let used = nonces.use_once(key_id, nonce, at(seconds)).await;
        assert_eq!(used, Ok(first), "{key_id} {} at {seconds}", &nonce[..1]);
    }
    assert_eq!(nonces.forget(at(602)).await, Ok(2), "b and the long one");
    assert_eq!(nonces.use_once(one, "a", at(604)).await, Ok(false), "it was used at 602");
}

#[tokio::test]
async fn of_many_nodes_at_once_one_uses_a_nonce() {
    let database = test_database().await;
    let key_id = ApiKeyId::from_uuid(Uuid::now_v7());
    let now = ManualClock::default().now();
    let uses = (0..16).map(|_| {
        let node = PostgresNonces::new(database.pool.clone());
        tokio::spawn(async move { node.use_once(key_id, "a", now).await })
    });
    let uses: Vec<_> = uses.collect();
    let mut firsts = 0;
    for used in uses {
        firsts += usize::from(used.await.unwrap().unwrap());
    }
    assert_eq!(firsts, 1);
}

#[tokio::test]
async fn the_table_does_not_grow_beyond_what_must_be_remembered() {
    let database = test_database().await;
    let nonces: Arc<dyn Nonces> = Arc::new(PostgresNonces::new(database.pool.clone()));
    let key_id = ApiKeyId::from_uuid(Uuid::now_v7());
    let clock = ManualClock::default();
    for number in 0..200 {
        clock.advance(Duration::from_secs(10));
        assert_eq!(nonces.use_once(key_id, &number.to_string(), clock.now()).await, Ok(true));
    }
    let job = ForgetNonces { nonces: nonces.clone() };
    // 601 s must be remembered, and 300 s more if the clocks of two nodes differ.
    assert_eq!(job.run(clock.now()).await, Ok(200 - 91));
    assert_eq!(nonces.use_once(key_id, "139", clock.now()).await, Ok(false));
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM nonces").fetch_one(&database.pool).await.unwrap();
    assert_eq!(rows, 91);
}
