//! The store on Postgres keeps the contract, with caches of any size; and what only a database can get wrong.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use adapters::event_store::{PostgresEventStore, PostgresOptions};
use commands::ports::clock::SystemClock;
use commands::ports::{Decision, EventStore, Expected, NewEvent, Receipt, Request, StoreError};
use futures::future::join_all;
use sqlx::PgPool;
use test_support::postgres::{TestDatabase, test_database};
use test_support::postgres_proxy::PostgresProxy;

use super::fixture::*;

pub fn store(pool: &PgPool, options: PostgresOptions) -> Arc<dyn EventStore> {
    Arc::new(PostgresEventStore::start(pool.clone(), Arc::new(SystemClock), options))
}

/// No poll helps here: whoever learns of another's append was told.
fn only_notified() -> PostgresOptions {
    PostgresOptions { poll_every: Duration::from_secs(3_600), ..PostgresOptions::default() }
}

async fn stores_with(options: PostgresOptions, number: usize) -> (Vec<Arc<dyn EventStore>>, TestDatabase) {
    let database = test_database().await;
    ((0..number).map(|_| store(&database.pool, options.clone())).collect(), database)
}

mod with_caches {
    use super::*;

    async fn stores(number: usize) -> (Vec<Arc<dyn EventStore>>, TestDatabase) {
        stores_with(only_notified(), number).await
    }
    crate::event_store::contract::run_contract!(stores);
}

/// Everything is cold: each state is loaded, each repeat found in the database; batches are small.
mod without_caches {
    use super::*;

    async fn stores(number: usize) -> (Vec<Arc<dyn EventStore>>, TestDatabase) {
        let tiny = PostgresOptions { cached_streams_max: 1, recent_receipts_max: 1, batch_max: 5, ..only_notified() };
        stores_with(tiny, number).await
    }
    crate::event_store::contract::run_contract!(stores);
}

/// Why positions are not drawn from a sequence: a number is drawn at INSERT and shown at COMMIT, so a reader that
/// goes on behind the last position it has seen loses what commits late. This is the defect that we do not have.
#[tokio::test]
async fn a_reader_of_a_sequence_numbered_table_loses_events() {
    let database = test_database().await;
    let pool = &database.pool;
    sqlx::query("CREATE TABLE naive (position bigserial PRIMARY KEY, event text)").execute(pool).await.unwrap();
    let insert = "INSERT INTO naive (event) VALUES ($1)";
    let read_behind = async |last: i64| -> Vec<(i64, String)> {
        let select = "SELECT position, event FROM naive WHERE position > $1 ORDER BY position";
        sqlx::query_as(select).bind(last).fetch_all(pool).await.unwrap()
    };
    let mut slow = pool.begin().await.unwrap();
    sqlx::query(insert).bind("slow").execute(&mut *slow).await.unwrap();
    sqlx::query(insert).bind("quick").execute(pool).await.unwrap();
    let first_page = read_behind(0).await;
    slow.commit().await.unwrap();
    let second_page = read_behind(first_page.last().unwrap().0).await;
    assert_eq!(first_page, [(2, "quick".to_owned())]);
    assert_eq!(second_page, [], "the reader never sees the slow event, although it is there:");
    assert_eq!(read_behind(0).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_cannot_be_edited() {
    let (stores, database) = stores_with(only_notified(), 1).await;
    stores[0].execute(claim("1", "a", 1)).await.unwrap();
    let statements = [
        "UPDATE events SET payload = '{}'",
        "UPDATE events SET payload = '{}' WHERE false",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE commands SET object = 'another'",
        "SET LOCAL session_replication_role = replica; DELETE FROM events",
        "INSERT INTO events SELECT * FROM events",
    ];
    for statement in statements {
        let mut transaction = database.pool.begin().await.unwrap();
        let error = sqlx::raw_sql(statement).execute(&mut *transaction).await.expect_err(statement);
        let code = error.as_database_error().and_then(|error| error.code()).unwrap().into_owned();
        let expected = if statement.starts_with("INSERT") { "23505" } else { "23001" };
        assert_eq!(code, expected, "{statement}: {error}");
    }
    assert_eq!(audit(&stores[0]).await.events, 1);
}

/// Holds the appender inside a decision until it is dropped, so that what is sent meanwhile becomes one batch.
struct Plug {
    _hold: mpsc::Sender<()>,
}

impl Plug {
    async fn into(store: &Arc<dyn EventStore>) -> (Plug, tokio::task::JoinHandle<Result<Receipt, StoreError>>) {
        let (hold, held) = mpsc::channel();
        let (entered, inside) = mpsc::channel();
        let held = parking_lot::Mutex::new(held);
        let decide = move |_: &[commands::ports::StreamState]| {
            entered.send(()).ok();
            held.lock().recv().ok();
            Decision::Append(vec![])
        };
        let plug = Request { decide: Arc::new(decide), ..without_fingerprint(claim("plug", "plug", 1)) };
        let store = store.clone();
        let answer = tokio::spawn(async move { store.execute(plug).await });
        tokio::task::spawn_blocking(move || inside.recv()).await.unwrap().unwrap();
        (Plug { _hold: hold }, answer)
    }
}

/// Sends all of `requests` into one batch.
async fn in_one_batch(store: &Arc<dyn EventStore>, requests: Vec<Request>) -> Vec<Result<Receipt, StoreError>> {
    let (plug, plugged) = Plug::into(store).await;
    let mut answers: Vec<_> = requests.into_iter().map(|request| store.execute(request)).collect();
    for answer in &mut answers {
        assert!(matches!(futures::poll!(answer), Poll::Pending));
    }
    drop(plug);
    plugged.await.unwrap().unwrap();
    join_all(answers).await
}

/// One batch with everything that may go wrong in it: on the fast path; on the locked one, once the other store has
/// appended; and with a command that the database refuses, which takes the batch apart.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_a_batch_fails_alone() {
    for (locked, with_unstorable) in [(false, false), (true, false), (false, true), (true, true)] {
        let (stores, _database) = stores_with(only_notified(), 2).await;
        let store = &stores[0];
        store.execute(turns("known", &[("a", Expected::Any), ("b", Expected::Any)], 1)).await.unwrap();
        let mut version = 2;
        if locked {
            stores[1].execute(turns("elsewhere", &[("a", Expected::Any)], 1)).await.unwrap();
            version = 4;
        }
        let (any, exactly) = (Expected::Any, Expected::Exactly);
        let mut table = vec![
            (turns("first", &[("a", exactly(version)), ("b", any)], 2), format!("done {}", version + 4)),
            (turns("too late", &[("a", exactly(version)), ("b", any)], 2), format!("conflict {}", version + 4)),
            (turns("first", &[("a", any)], 1), format!("again {}", version + 4)),
            (turns("known", &[("a", any)], 1), "again 2".to_owned()),
            (turns("second", &[("a", exactly(version + 4)), ("b", exactly(6))], 2), format!("done {}", version + 8)),
            (claim("held", "c", 1), "done 1".to_owned()),
            (claim("refused", "c", 2), "order_no_in_use 1".to_owned()),
            (Request { decide: Arc::new(|_| panic!("a bug")), ..claim("bug", "c", 1) }, "corrupt".to_owned()),
            (release("nothing", "c", 2), "done 1".to_owned()),
            (turns("third", &[("a", any)], 1), format!("done {}", version + 10)),
        ];
        if with_unstorable {
            table.insert(4, (unstorable("unstorable", "a"), "corrupt".to_owned()));
        }
        let (requests, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
        let answers = in_one_batch(store, requests).await;
        let told: Vec<String> = answers.iter().map(told).collect();
        assert_eq!(told, expected, "locked: {locked}, with unstorable: {with_unstorable}");
        audit(store).await;
    }
}

fn told(answer: &Result<Receipt, StoreError>) -> String {
    match answer {
        Ok(Receipt { replayed: true, version, .. }) => format!("again {version}"),
        Ok(Receipt { rejection: Some(rejection), version, .. }) => format!("{} {version}", rejection.code),
        Ok(Receipt { version, .. }) => format!("done {version}"),
        Err(StoreError::Conflict { actual, .. }) => format!("conflict {actual}"),
        Err(StoreError::Corrupt(_)) => "corrupt".to_owned(),
        Err(StoreError::Unavailable(reason)) => reason.clone(),
    }
}

/// An event whose text is no JSON.
fn unstorable(name: &str, order: &str) -> Request {
    let event = domain::order_claim::Event::Released(domain::order_claim::Holder::Payment(payment_id(1)));
    let decide = move |_: &[commands::ports::StreamState]| {
        Decision::Append(vec![NewEvent { payload: "{".to_owned(), ..NewEvent::of(0, event.clone()) }])
    };
    Request { decide: Arc::new(decide), ..claim(name, order, 1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once() {
    let (stores, _database) = stores_with(PostgresOptions { queue_max: 2, ..only_notified() }, 1).await;
    let (plug, plugged) = Plug::into(&stores[0]).await;
    let mut waiting: Vec<_> = (0..2).map(|number| stores[0].execute(claim(&number.to_string(), "a", 1))).collect();
    for answer in &mut waiting {
        assert!(matches!(futures::poll!(answer), Poll::Pending));
    }
    let mut refused = pin!(stores[0].execute(claim("one too many", "a", 1)));
    let Poll::Ready(answer) = futures::poll!(&mut refused) else { panic!("refused without waiting") };
    assert!(matches!(answer, Err(StoreError::Unavailable(_))));
    drop(plug);
    plugged.await.unwrap().unwrap();
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    assert_eq!(audit(&stores[0]).await.events, 1);
}

/// A caller that gave up before its command was sent leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_command_is_dropped() {
    let (stores, _database) = stores_with(only_notified(), 1).await;
    let (plug, plugged) = Plug::into(&stores[0]).await;
    let mut abandoned = Box::pin(stores[0].execute(claim("abandoned", "a", 1)));
    assert!(matches!(futures::poll!(&mut abandoned), Poll::Pending));
    drop(abandoned);
    drop(plug);
    plugged.await.unwrap().unwrap();
    assert_eq!(stores[0].execute(claim("next", "a", 2)).await.unwrap().version, 1);
    assert_eq!(audit(&stores[0]).await.events, 1);
}

/// While the database is away callers are told so in time, and the same command succeeds when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_away_is_found_again() {
    let database = test_database().await;
    let proxy = PostgresProxy::start(&database.pool.connect_options()).await.unwrap();
    let pool = proxy.pool();
    let store = store(&pool, PostgresOptions { answer_within: Duration::from_millis(300), ..only_notified() });
    proxy.set_away(true);
    let before = store.execute(claim("1", "a", 1)).await;
    assert!(matches!(before, Err(StoreError::Unavailable(_))), "{before:?}");
    proxy.set_away(false);
    assert_eq!(insist(&store, &claim("1", "a", 1)).await.0.unwrap().position, 1);
    proxy.set_away(true);
    let during = store.execute(claim("2", "b", 1)).await;
    assert!(matches!(during, Err(StoreError::Unavailable(_))), "{during:?}");
    proxy.set_away(false);
    assert_eq!(insist(&store, &claim("2", "b", 1)).await.0.unwrap().position, 2);
    audit(&store).await;
}

/// A backup was restored under a running store: what it remembers of the lost tail must not be built upon.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_replaced_is_read_anew() {
    let (stores, database) = stores_with(only_notified(), 2).await;
    stores[0].execute(claim("kept", "a", 1)).await.unwrap();
    let lost = [release("lost", "a", 1), claim("lost too", "a", 2)];
    for request in &lost {
        stores[0].execute(request.clone()).await.unwrap();
    }
    let restore = "ALTER TABLE events DISABLE TRIGGER events_are_append_only;
         DELETE FROM events WHERE position > 1; DELETE FROM commands WHERE position > 1;
         ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only";
    sqlx::raw_sql(restore).execute(&database.pool).await.unwrap();
    assert_eq!(stores[0].execute(claim("refused", "a", 3)).await.unwrap().version, 1);
    let again = stores[0].execute(lost[0].clone()).await.unwrap();
    assert_eq!((again.replayed, again.version), (false, 2));
    audit(&stores[0]).await;
}
