//! What a query may rely on: the position that it asks for, and the one that it is told.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use adapters::event_store::MemoryEventStore;
use commands::ports::EventStore;
use projections::as_of::position_at;
use projections::merchants::Merchants;
use projections::payments::Payments;
use projections::streams;
use projections::{Progress, ReadError, Reader};
use test_support::histories::{create, terms};
use test_support::manual_clock::ManualClock;
use test_support::read_models::{PATIENCE, ReadModels};
use test_support::wait;

#[tokio::test]
async fn a_query_waits_for_its_position() {
    let models = ReadModels::new().await;
    let elsewhere = Reader::new(models.database.pool.clone(), Progress::default());
    let _running = models.start(vec![Arc::new(Payments), Arc::new(Merchants)]);
    let first = create(models.store.as_ref(), terms(1)).await;
    for reader in [&models.reader, &elsewhere] {
        let mut view = reader.at_least(&[&Payments, &Merchants], Some(1), PATIENCE).await.unwrap();
        assert_eq!(view.position, 1);
        assert_eq!(streams::find::<Payments>(&mut view, first).await.unwrap().map(|row| row.version), Some(1));
    }
    for reader in [models.reader.clone(), elsewhere] {
        let next = models.store.head().await.unwrap() + 1;
        let waiting =
            tokio::spawn(
                async move { reader.at_least(&[&Payments], Some(next), PATIENCE).await.map(|view| view.position) },
            );
        create(models.store.as_ref(), terms(u32::try_from(next).unwrap())).await;
        assert_eq!(waiting.await.unwrap(), Ok(next));
    }
}

#[tokio::test]
async fn a_query_that_waited_in_vain_says_how_far_its_read_model_is() {
    let models = ReadModels::new().await;
    let wait = Duration::from_millis(200);
    let behind = |position| Some(ReadError::Behind { position });
    assert_eq!(models.reader.at_least(&[&Payments], None, wait).await.err(), behind(0), "no tables yet");
    let _running = models.start(vec![Arc::new(Payments)]);
    create(models.store.as_ref(), terms(1)).await;
    models.view(&[&Payments]).await;
    assert_eq!(models.reader.at_least(&[&Payments], Some(2), wait).await.err(), behind(1));
    assert_eq!(models.reader.at_least(&[&Payments, &Merchants], Some(1), wait).await.err(), behind(0));
    assert_eq!(models.reader.now(&[&Payments]).await.unwrap().position, 1);
}

/// However far the others are.
#[tokio::test]
async fn a_view_of_several_speaks_for_the_one_that_is_behind() {
    let models = ReadModels::new().await;
    let both = models.start(vec![Arc::new(Payments), Arc::new(Merchants)]);
    create(models.store.as_ref(), terms(1)).await;
    assert_eq!(models.view(&[&Payments, &Merchants]).await.position, 1);
    both.stop().await;
    let _one = models.start(vec![Arc::new(Payments)]);
    create(models.store.as_ref(), terms(2)).await;
    assert_eq!(models.view(&[&Payments]).await.position, 2);
    assert_eq!(models.reader.now(&[&Payments, &Merchants]).await.unwrap().position, 1);
    let waited = models.reader.at_least(&[&Payments, &Merchants], Some(2), Duration::from_millis(100)).await;
    assert_eq!(waited.err(), Some(ReadError::Behind { position: 1 }));
}

#[tokio::test]
async fn a_view_stands_still() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Payments)]);
    let first = create(models.store.as_ref(), terms(1)).await;
    let mut old = models.view(&[&Payments]).await;
    let second = create(models.store.as_ref(), terms(2)).await;
    let mut new = models.view(&[&Payments]).await;
    assert_eq!((old.position, new.position), (1, 2));
    assert_eq!(
        streams::find_many::<Payments>(&mut old, &[first.to_string(), second.to_string()]).await.unwrap().len(),
        1
    );
    assert_eq!(
        streams::find_many::<Payments>(&mut new, &[first.to_string(), second.to_string()]).await.unwrap().len(),
        2
    );
}

/// The future's output, or nothing if it is not there at the `last` time that it is polled: then it is dropped.
async fn up_to_poll<T>(last: u32, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut polls) = (std::pin::pin!(future), 0);
    std::future::poll_fn(|context| {
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == last => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A caller that hangs up may do so at any moment, also while a transaction begins.
#[tokio::test]
async fn a_query_that_is_cancelled_leaves_no_transaction_behind() {
    let models = ReadModels::new().await;
    let running = models.start(vec![Arc::new(Payments)]);
    create(models.store.as_ref(), terms(1)).await;
    models.view(&[&Payments]).await;
    running.stop().await;
    for moment in 1..100 {
        let view = models.reader.now(&[&Payments]);
        if up_to_poll(moment, view).await.is_some() {
            break;
        }
    }
    wait::until("all transactions have ended", Duration::from_secs(5), async || {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(&models.database.pool)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
    let frozen: Vec<bool> = futures::future::join_all((0..10).map(async |_| {
        let read_only = "SELECT current_setting('transaction_read_only')::boolean FROM pg_sleep(0.05)";
        sqlx::query_scalar(read_only).fetch_one(&models.database.pool).await.unwrap()
    }))
    .await;
    assert!(frozen.iter().all(|frozen| !frozen), "a pooled connection is still inside a view");
}

#[tokio::test]
async fn a_moment_means_the_last_position_recorded_by_then() {
    let clock = ManualClock::default();
    let store = MemoryEventStore::new(Arc::new(clock.clone()));
    for n in 1..=10 {
        create(&store, terms(n)).await;
        clock.advance(Duration::from_secs(10));
    }
    let events = store.read_all(0, 10).await.unwrap();
    let second = Duration::from_secs(1);
    for event in &events {
        assert_eq!(position_at(&store, event.recorded_at).await, Ok(event.position));
        assert_eq!(position_at(&store, event.recorded_at.plus(second)).await, Ok(event.position));
    }
    let before = domain::Timestamp::from_micros(events[0].recorded_at.as_micros() - 1);
    assert_eq!(position_at(&store, before).await, Ok(0));
    assert_eq!(position_at(&MemoryEventStore::default(), before).await, Ok(0));
}
