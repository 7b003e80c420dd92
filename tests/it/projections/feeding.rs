//! Each event is applied exactly once, whoever runs, stops, is cut off or comes back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::{EventStore, RecordedEvent};
use domain::RefundId;
use projections::payments::Payments;
use projections::{ApplyError, Progress, Projection, RebuildError, Runner, rebuild_projection};
use sqlx::PgConnection;
use test_support::histories::{Story, capture, create, refund, terms};
use test_support::postgres_proxy::PostgresProxy;
use test_support::read_models::{PATIENCE, ReadModels};
use test_support::wait;
use tokio::sync::watch;
use uuid::Uuid;

/// Notes each event that it is given, even one that it has been given before.
#[derive(Clone, Default)]
pub struct Tally {
    pub version: i32,
    /// Stops in the middle of each batch until the gate is open.
    pub gate: Option<Arc<Gate>>,
}

#[derive(Default)]
pub struct Gate {
    pub reached: watch::Sender<bool>,
    pub open: watch::Sender<bool>,
}

impl Tally {
    pub fn new(version: i32) -> Tally {
        Tally { version, gate: None }
    }

    pub fn ungated(version: i32) -> Vec<Arc<dyn Projection>> {
        vec![Arc::new(Tally::new(version))]
    }

    pub fn gated(gate: &Arc<Gate>) -> Vec<Arc<dyn Projection>> {
        vec![Arc::new(Tally { version: 1, gate: Some(gate.clone()) })]
    }
}

#[async_trait]
impl Projection for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }

    fn version(&self) -> i32 {
        self.version
    }

    fn readable_since(&self) -> i32 {
        1
    }

    fn categories(&self) -> &'static [&'static str] {
        &["payment"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["seen"]
    }

    fn ddl(&self) -> &'static str {
        "CREATE TABLE seen (position bigint NOT NULL, version integer NOT NULL)"
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        let positions: Vec<i64> = events.iter().map(|event| i64::try_from(event.position).unwrap()).collect();
        sqlx::query("INSERT INTO seen SELECT position, $2 FROM unnest($1::bigint[]) AS position")
            .bind(positions)
            .bind(self.version)
            .execute(connection)
            .await?;
        if let Some(gate) = &self.gate {
            gate.reached.send_replace(true);
            gate.open.subscribe().wait_for(|open| *open).await.unwrap();
        }
        Ok(())
    }
}

/// Waits until the tally has seen everything, and tells what it has seen.
pub async fn seen(models: &ReadModels) -> Vec<u64> {
    models.view(&[&Tally::new(newest_version(models).await)]).await;
    let seen = format!("SELECT position FROM {}.seen ORDER BY position", models.schema("tally").await);
    let seen: Vec<i64> = sqlx::query_scalar(&seen).fetch_all(&models.database.pool).await.unwrap();
    seen.into_iter().map(|position| u64::try_from(position).unwrap()).collect()
}

/// Of the generation that serves, once there is one.
async fn newest_version(models: &ReadModels) -> i32 {
    wait::until("the tally has tables", PATIENCE, async || {
        sqlx::query_scalar("SELECT version FROM projections WHERE name = 'tally' AND standing = 'live'")
            .fetch_optional(&models.database.pool)
            .await
            .unwrap()
    })
    .await
}

pub async fn appended(models: &ReadModels) -> Vec<u64> {
    let events = models.store.read_all(0, usize::MAX).await.unwrap();
    events.iter().filter(|event| event.stream.category == "payment").map(|event| event.position).collect()
}

#[tokio::test]
async fn several_runners_apply_each_event_once() {
    let models = ReadModels::new().await;
    let mut story = Story::new(1);
    let start = || models.start_elsewhere(Tally::ungated(1));
    let mut runners = vec![start(), start(), start()];
    for round in 0..9 {
        story.go_on(models.store.as_ref(), 300).await;
        let leaving = runners.remove(0);
        match round % 4 {
            3 => drop(leaving),
            _ => leaving.stop().await,
        }
        runners.push(start());
    }
    assert_eq!(seen(&models).await, appended(&models).await);
}

#[tokio::test]
async fn a_batch_that_was_cut_off_is_applied_by_the_next_runner() {
    let models = ReadModels::new().await;
    let gate = Arc::new(Gate::default());
    let first = models.start_elsewhere(Tally::gated(&gate));
    Story::new(2).go_on(models.store.as_ref(), 50).await;
    gate.reached.subscribe().wait_for(|reached| *reached).await.unwrap();
    drop(first);

    let started = std::time::Instant::now();
    let _second = models.start_elsewhere(Tally::ungated(1));
    assert_eq!(seen(&models).await, appended(&models).await);
    assert!(started.elapsed() < Duration::from_secs(15), "a lease is taken over within a few seconds");
}

#[tokio::test]
async fn a_runner_that_was_overtaken_writes_nothing() {
    let models = ReadModels::new().await;
    let gate = Arc::new(Gate::default());
    let paused = models.start_elsewhere(Tally::gated(&gate));
    Story::new(3).go_on(models.store.as_ref(), 50).await;
    gate.reached.subscribe().wait_for(|reached| *reached).await.unwrap();

    let _successor = models.start_elsewhere(Tally::ungated(1));
    wait::until("the successor has taken over", PATIENCE, async || {
        let expire = "UPDATE projections SET lease_until = '-infinity' WHERE position = 0";
        let expired = sqlx::query(expire).execute(&models.database.pool).await.unwrap().rows_affected();
        (expired == 0).then_some(())
    })
    .await;
    gate.open.send_replace(true);
    paused.stop().await;
    assert_eq!(seen(&models).await, appended(&models).await);
}

#[tokio::test]
async fn a_newer_version_takes_over_and_the_older_one_stands_by() {
    let models = ReadModels::new().await;
    let _old = models.start_elsewhere(Tally::ungated(1));
    let mut story = Story::new(4);
    story.go_on(models.store.as_ref(), 50).await;
    seen(&models).await;
    let _new = models.start_elsewhere(Tally::ungated(2));
    wait::until("the newer version runs", PATIENCE, async || (newest_version(&models).await == 2).then_some(())).await;
    story.go_on(models.store.as_ref(), 50).await;

    assert_eq!(seen(&models).await, appended(&models).await);
    let versions = format!("SELECT DISTINCT version FROM {}.seen", models.schema("tally").await);
    let versions: Vec<i32> = sqlx::query_scalar(&versions).fetch_all(&models.database.pool).await.unwrap();
    assert_eq!(versions, [2]);
    let older = rebuild_projection(&models.database.pool, &Tally::new(1)).await;
    assert!(matches!(older, Err(RebuildError::NewerVersion)), "{older:?}");
}

#[tokio::test]
async fn the_list_tells_the_lag() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    create(store, terms(1)).await;
    create(store, terms(2)).await;
    let recorded = store.read_all(0, 1).await.unwrap()[0].recorded_at;
    let now = recorded.plus(Duration::from_secs(90));
    let list = projections::list(&models.database.pool, store, now).await.unwrap();
    let names: Vec<&str> = list.iter().map(|status| status.name.as_str()).collect();
    let all = projections::all();
    assert_eq!(names, all.iter().map(|projection| projection.name()).collect::<Vec<_>>());
    assert!(list.iter().all(|status| (status.position, status.lag_events, status.lag_seconds) == (0, 2, 90)));

    let _running = models.start(projections::all());
    models.view_all().await;
    let list = projections::list(&models.database.pool, store, now).await.unwrap();
    assert!(list.iter().all(|status| (status.position, status.lag_events, status.lag_seconds) == (2, 0, 0)));
}

#[tokio::test]
async fn runners_may_start_before_the_database_has_its_tables() {
    let database = test_support::empty_test_database().await;
    let store = Arc::new(adapters::event_store::MemoryEventStore::default());
    create(store.as_ref(), terms(1)).await;
    let _running = Runner::new(database.pool.clone(), store.clone(), Progress::default()).start(Tally::ungated(1));
    adapters::migrations::MIGRATOR.run(&database.pool).await.unwrap();
    wait::until("the event is applied", PATIENCE, async || {
        let seen = sqlx::query_scalar("SELECT position FROM rm_tally_1.seen").fetch_optional(&database.pool).await;
        seen.ok().flatten().filter(|position: &i64| *position == 1)
    })
    .await;
}

/// A commit of the runner is cut, in turn before, while and after the server does it, or by silence: a checkpoint that
/// moved although nobody was told is gone on from, not applied again.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_neither_lost_nor_repeated() {
    let models = ReadModels::new().await;
    models.start(vec![Arc::new(Payments)]).stop().await;
    let proxy = PostgresProxy::start(&models.database.pool.connect_options()).await.unwrap();
    let runner = Runner::new(proxy.pool(), models.store.clone(), models.progress.clone());
    let running = runner.with_batch_within(Duration::from_secs(2)).start(vec![Arc::new(Payments)]);
    let store = models.store.as_ref();
    let payment = create(store, terms(1)).await;
    capture(store, payment, 10_000, Some(100)).await;
    models.view(&[&Payments]).await;
    for number in 1..=8 {
        let cuts = proxy.cuts();
        proxy.cut_every(1);
        refund(store, payment, RefundId::from_uuid(Uuid::from_u128(number)), Some(1)).await;
        wait::until("the commit is cut", PATIENCE, || async { (proxy.cuts() > cuts).then_some(()) }).await;
        proxy.cut_every(0);
        let mut view = models.view(&[&Payments]).await;
        let row = projections::streams::find::<Payments>(&mut view, payment).await.unwrap().unwrap();
        assert_eq!(u128::from(row.version), 2 + number);
    }
    running.stop().await;
}
