//! The contract of the log of channel calls, on memory and on Postgres.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use adapters::channel_calls::{MemoryChannelCalls, PostgresChannelCalls};
use commands::ports::Clock;
use commands::ports::channel_calls::{CallResult, ChannelCall, ChannelCallLog};
use domain::Timestamp;
use test_support::manual_clock::ManualClock;
use test_support::test_database;

#[tokio::test]
async fn the_memory_adapter_keeps_the_contract() {
    contract(&MemoryChannelCalls::default()).await;
}

#[tokio::test]
async fn the_postgres_adapter_keeps_the_contract() {
    let database = test_database().await;
    contract(&PostgresChannelCalls::start(database.pool.clone())).await;
}

fn call(stream_id: &str, started_at: Timestamp, number: u32, result: CallResult) -> ChannelCall {
    ChannelCall {
        stream_id: stream_id.to_owned(),
        called: "channel:sandbox".to_owned(),
        operation: "charge".to_owned(),
        step: "charge".to_owned(),
        attempt: u32::MAX,
        number,
        idempotency_key: (number == 1).then(|| format!("{stream_id}:charge")),
        request_id: (number == 2).then(|| "sbq_1".to_owned()),
        started_at,
        latency_ms: u32::MAX,
        result,
    }
}

async fn contract(log: &dyn ChannelCallLog) {
    let start = ManualClock::default().now();
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    let every_result = CallResult::ALL.iter().zip(1_u32..);
    let mut noted: Vec<ChannelCall> =
        every_result.map(|(result, number)| call("pay_1", at(u64::from(number)), number, *result)).collect();
    for call in noted.iter().rev() {
        log.note(call.clone());
    }
    let other = call("pay_2", at(0), 1, CallResult::Answered);
    log.note(other.clone());
    log.note(call("pay_3", at(0), 1, CallResult::Answered));
    log.flush().await;

    let both = ["pay_1".to_owned(), "pay_2".to_owned()];
    assert_eq!(log.about(&both[..1]).await.as_ref(), Ok(&noted), "in the order in which they began");
    noted.insert(0, other);
    assert_eq!(log.about(&both).await.as_ref(), Ok(&noted));
    assert_eq!(log.about(&["pay_4".to_owned()]).await, Ok(vec![]));

    assert_eq!(log.count(at(3)).await, Ok(4));
    assert_eq!(log.archive(at(3)).await, Ok(4));
    assert_eq!((log.archive(at(3)).await, log.count(at(3)).await), (Ok(0), Ok(0)));
    assert_eq!(log.about(&both).await.as_deref(), Ok(&noted[3..]));
}

/// What cannot be written is dropped: nobody who notes a call waits for it or fails.
#[tokio::test]
async fn noting_a_call_never_fails() {
    let database = test_database().await;
    let log = PostgresChannelCalls::start(database.pool.clone());
    sqlx::query("ALTER TABLE channel_calls RENAME TO elsewhere").execute(&database.pool).await.unwrap();
    log.note(call("pay_1", Timestamp::default(), 1, CallResult::Answered));
    log.flush().await;
    sqlx::query("ALTER TABLE elsewhere RENAME TO channel_calls").execute(&database.pool).await.unwrap();
    log.note(call("pay_1", Timestamp::default(), 2, CallResult::Answered));
    log.flush().await;
    assert_eq!(log.about(&["pay_1".to_owned()]).await.unwrap().len(), 1, "the log goes on");
}
