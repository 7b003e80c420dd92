//! An event that cannot be applied parks its stream and nothing else, and nothing of it is lost.

use std::sync::Arc;

use async_trait::async_trait;
use commands::ports::{EventStore, MerchantFunds, RecordedEvent, StreamId};
use domain::payment::Command;
use domain::{Currency, DomainEvent, PaymentId, RefundId};
use projections::books::{Books, BooksFunds};
use projections::merchants::Merchants;
use projections::orders::Orders;
use projections::payments::Payments;
use projections::refunds::Refunds;
use projections::shadow;
use projections::statements::Statements;
use projections::verify::verify;
use projections::{
    ApplyError, ParkedStream, Progress, Projection, ProjectionState, ProjectionStatus, Runner, Running, retry,
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use test_support::histories::{
    append, at, capture, create, merchant_id, onboard, pay, payment_id, refund, refund_succeeded, refunded, terms,
};
use test_support::read_models::{PATIENCE, ReadModels};
use test_support::tampered_log::{Tamper, TamperedLog};
use test_support::wait;
use uuid::Uuid;

fn replace(event: &mut RecordedEvent, from: &str, to: &str) {
    assert!(event.payload.contains(from), "{from} in {}", event.payload);
    event.payload = event.payload.replacen(from, to, 1);
}

/// What is wrong, in the how manyeth event of a payment, and how.
const POISONS: [(&str, u64, Tamper); 24] = [
    ("a type of a newer program", 2, |event| {
        event.event_type = "payment.teleported".to_owned();
        event.payload = r#"{"payment.teleported":{"to":"the moon"}}"#.to_owned();
    }),
    ("a newer schema version", 2, |event| event.schema_version = 2),
    ("no JSON", 2, |event| event.payload.truncate(30)),
    ("nothing", 2, |event| event.payload.clear()),
    ("null", 2, |event| event.payload = "null".to_owned()),
    ("an empty object", 2, |event| event.payload = "{}".to_owned()),
    ("an array", 2, |event| event.payload = format!("[{}]", event.payload)),
    ("two events in one", 2, |event| event.payload = format!("{{\"a\":1,{}", &event.payload[1..])),
    ("another type than its payload", 2, |event| event.event_type = "payment.failed".to_owned()),
    ("a field renamed", 2, |event| replace(event, "\"channel_reference\"", "\"reference\"")),
    ("a field missing", 2, |event| replace(event, "\"amount\":10000,", "")),
    ("a field twice", 2, |event| replace(event, "\"amount\":10000", "\"amount\":10000,\"amount\":1")),
    ("a field of null", 2, |event| replace(event, "\"amount\":10000", "\"amount\":null")),
    ("an amount as text", 2, |event| replace(event, "\"amount\":10000", "\"amount\":\"10000\"")),
    ("an amount with a fraction", 2, |event| replace(event, "\"amount\":10000", "\"amount\":10000.5")),
    ("an amount beyond 64 bits", 2, |event| replace(event, "\"amount\":10000", "\"amount\":99999999999999999999")),
    ("an unknown currency", 1, |event| replace(event, "\"currency\":\"USD\"", "\"currency\":\"XQQ\"")),
    ("a currency in lower case", 2, |event| replace(event, "\"currency\":\"USD\"", "\"currency\":\"usd\"")),
    ("an id of another kind", 2, |event| replace(event, "\"payment_id\":\"pay_", "\"payment_id\":\"mer_")),
    ("an unreadable id", 1, |event| replace(event, "\"merchant_id\":\"mer_", "\"merchant_id\":\"mer_~")),
    ("an unreadable time", 2, |event| replace(event, "\"captured_at\":\"2", "\"captured_at\":\"x")),
    ("an unreadable rate", 1, |event| {
        replace(event, "\"expected_channel_fee_rate\":\"", "\"expected_channel_fee_rate\":\"a")
    }),
    ("an unknown choice", 1, |event| replace(event, "\"cost_plus\"", "\"barter\"")),
    ("text that no database takes", 1, |event| replace(event, "\"order_no\":\"A-", "\"order_no\":\"\\u0000A-")),
];

/// Those that go on without the stream.
const PARKING: [&str; 3] = ["payments", "orders", "refunds"];

struct Poisoned {
    models: ReadModels,
    log: Arc<TamperedLog>,
    running: Option<Running>,
}

impl Poisoned {
    async fn new() -> Poisoned {
        let models = ReadModels::new().await;
        let log = Arc::new(TamperedLog::over(&models.store));
        Poisoned { models, log, running: None }
    }

    fn start(&mut self, projections: Vec<Arc<dyn Projection>>) {
        let models = &self.models;
        let runner = Runner::new(models.database.pool.clone(), self.log.clone(), models.progress.clone());
        self.running = Some(runner.start(projections));
    }

    /// A payment that is captured and refunded in four events.
    async fn whole_payment(&self, n: u32) -> PaymentId {
        let store = self.models.store.as_ref();
        let payment = create(store, terms(n)).await;
        capture(store, payment, 10_000, Some(100)).await;
        let refund_id = RefundId::from_uuid(Uuid::from_u128(u128::from(n)));
        refund(store, payment, refund_id, Some(4_000)).await;
        refunded(store, payment, refund_id, refund_succeeded(0)).await;
        payment
    }

    async fn position_of(&self, payment: PaymentId, version: u64) -> u64 {
        let stream = StreamId::new("payment", payment.to_string());
        self.models.store.read_stream(&stream, version - 1, 1).await.unwrap()[0].position
    }

    async fn parked(&self, name: &str) -> Vec<ParkedStream> {
        projections::parked(&self.models.database.pool, name).await.unwrap()
    }

    async fn status(&self, name: &str) -> ProjectionStatus {
        let list = projections::list(&self.models.database.pool, self.log.as_ref(), at(0)).await.unwrap();
        list.into_iter().find(|status| status.name == name).unwrap()
    }

    /// Once it does not go on.
    async fn stopped(&self, name: &str) -> ProjectionStatus {
        wait::until("it stands still", PATIENCE, async || {
            let status = self.status(name).await;
            (status.state == ProjectionState::Stopped).then_some(status)
        })
        .await
    }

    /// Until nothing is parked in `name` any more.
    async fn retried(&self, name: &str) {
        retry(&self.models.database.pool, name).await.unwrap();
        wait::until("nothing is parked any more", PATIENCE, async || self.parked(name).await.is_empty().then_some(()))
            .await;
        self.models.rebuilt(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_parks_its_stream_and_is_applied_once_it_can_be() {
    let mut poisoned = Poisoned::new().await;
    onboard(poisoned.models.store.as_ref(), 1).await;
    let mut victims = vec![];
    for (n, (kind, version, tamper)) in (1..).zip(POISONS) {
        let victim = poisoned.whole_payment(2 * n).await;
        let position = poisoned.position_of(victim, version).await;
        poisoned.log.tamper(position, tamper);
        poisoned.whole_payment(2 * n + 1).await;
        victims.push((kind, victim, version, position));
    }
    poisoned.start(projections::all());
    let mut view = poisoned.models.view(&[&Payments, &Orders, &Refunds]).await;
    assert!(!view.is_complete);
    for (kind, victim, version, _) in &victims {
        let row = projections::streams::find::<Payments>(&mut view, victim).await.unwrap();
        assert_eq!(row.map_or(0, |row| row.version), version - 1, "{kind}");
    }
    drop(view);
    for name in PARKING {
        let parked = poisoned.parked(name).await;
        assert_eq!(parked.len(), victims.len(), "{name}");
        for ((kind, victim, version, position), parked) in victims.iter().zip(&parked) {
            let expected = (&victim.to_string(), *version, *position, 5 - version);
            assert_eq!((&parked.id, parked.version, parked.position, parked.waiting), expected, "{name}: {kind}");
            assert!(!parked.error.contains("the moon"), "{}", parked.error);
        }
        let status = poisoned.status(name).await;
        let expected = (ProjectionState::Parked, POISONS.len() as u64, 0);
        assert_eq!((status.state, status.parked_streams, status.lag_events), expected, "{name}");
        assert_eq!(status.error.as_ref(), Some(&parked[0].error));
        let told = verify(&poisoned.models.reader, poisoned.models.store.as_ref(), name).await.unwrap().unwrap();
        assert!(told.differences[0].contains("is parked at"), "{told:?}");
        assert!(told.differences.iter().all(|line| line.contains("is parked at")), "{told:?}");
    }
    assert_eq!(poisoned.status("merchants").await.state, ProjectionState::Running);
    let pool = &poisoned.models.database.pool;

    // What is asked for in vain changes nothing; what was mended comes to what a clean rebuild comes to.
    retry(pool, "payments").await.unwrap();
    wait::until("the retry is over", PATIENCE, async || {
        (!projections::retry_is_due(pool, "payments").await.unwrap()).then_some(())
    })
    .await;
    assert_eq!(poisoned.parked("payments").await.len(), victims.len());
    poisoned.log.mend();
    for name in PARKING {
        poisoned.retried(name).await;
        let comparison = shadow::compare(pool, poisoned.log.as_ref(), name, |_, _| {}).await.unwrap();
        assert!(comparison.is_clean() && comparison.tables.iter().all(|table| table.rows > 0), "{comparison:?}");
        assert_eq!(poisoned.status(name).await.state, ProjectionState::Running);
    }
}

/// Whatever is wrong, the books and the statements end right before it, and no money moves on them behind it.
#[tokio::test(flavor = "multi_thread")]
async fn where_money_is_summed_up_nothing_is_folded_behind_poison() {
    for (kind, version, tamper) in POISONS {
        let mut poisoned = Poisoned::new().await;
        poisoned.whole_payment(1).await;
        let victim = poisoned.whole_payment(2).await;
        poisoned.whole_payment(3).await;
        let position = poisoned.position_of(victim, version).await;
        poisoned.log.tamper(position, tamper);
        poisoned.start(vec![Arc::new(Books), Arc::new(Statements)]);
        for name in ["books", "statements"] {
            let status = poisoned.stopped(name).await;
            assert_eq!((status.position, status.parked_streams), (position - 1, 0), "{name}: {kind}");
            let error = status.error.unwrap();
            assert!(error.contains(&position.to_string()) && !error.contains("the moon"), "{kind}: {error}");
        }
        let funds = BooksFunds::new(poisoned.models.reader.clone());
        let balance = |position| funds.net_balance(merchant_id(1), Currency::USD, position);
        assert!(balance(position - 1).await.is_ok(), "{kind}");
        poisoned.log.mend();
        drop(poisoned.models.view(&[&Books, &Statements]).await);
        assert!(balance(12).await.is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn no_money_moves_behind_what_the_books_cannot_fold() {
    let mut poisoned = Poisoned::new().await;
    poisoned.whole_payment(1).await;
    poisoned.log.tamper(3, |event| event.schema_version = 9);
    poisoned.start(vec![Arc::new(Books)]);
    poisoned.stopped("books").await;
    let refused = BooksFunds::new(poisoned.models.reader.clone()).net_balance(merchant_id(1), Currency::USD, 3).await;
    assert!(refused.is_err());
}

/// Events that no aggregate of ours writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Foreign {
    #[serde(rename = "weather.changed")]
    WeatherChanged {},
}

impl DomainEvent for Foreign {
    const TYPES: &'static [(&'static str, u16)] = &[("weather.changed", 1)];

    fn event_type(&self) -> &'static str {
        "weather.changed"
    }
}

#[tokio::test]
async fn a_category_of_a_newer_program_waits_where_every_category_counts() {
    let mut poisoned = Poisoned::new().await;
    poisoned.start(projections::all());
    poisoned.whole_payment(1).await;
    append(poisoned.models.store.as_ref(), StreamId::new("weather", "here"), Foreign::WeatherChanged {}).await;
    poisoned.whole_payment(2).await;
    for projection in projections::all() {
        if ["books", "statements"].contains(&projection.name()) {
            assert_eq!(poisoned.stopped(projection.name()).await.position, 4);
        } else {
            drop(poisoned.models.view(&[projection.as_ref()]).await);
        }
        assert_eq!(poisoned.parked(projection.name()).await, [], "{}", projection.name());
    }
}

#[tokio::test]
async fn events_that_come_later_wait_behind_the_first() {
    let mut poisoned = Poisoned::new().await;
    let store = poisoned.models.store.clone();
    let payment = create(store.as_ref(), terms(1)).await;
    poisoned.log.tamper(1, |event| event.schema_version = 9);
    poisoned.start(vec![Arc::new(Payments), Arc::new(Merchants)]);
    poisoned.models.view(&[&Payments]).await;
    pay(store.as_ref(), payment, Command::Cancel { at: at(1) }).await;
    create(store.as_ref(), terms(2)).await;
    let mut view = poisoned.models.view(&[&Payments]).await;
    let other = projections::streams::find::<Payments>(&mut view, payment_id(2)).await.unwrap();
    assert_eq!(other.map(|row| row.version), Some(1));
    drop(view);
    let parked = poisoned.parked("payments").await;
    assert_eq!((parked.len(), parked[0].position, parked[0].waiting), (1, 1, 2));

    // Another program comes, one that can read it: nobody has to ask.
    poisoned.running.take().unwrap().stop().await;
    poisoned.log.mend();
    poisoned.start(vec![Arc::new(Payments)]);
    wait::until("it is applied", PATIENCE, async || poisoned.parked("payments").await.is_empty().then_some(())).await;
    let mut view = poisoned.models.view(&[&Payments]).await;
    let row = projections::streams::find::<Payments>(&mut view, payment).await.unwrap();
    assert_eq!(row.map(|row| row.version), Some(2));
}

/// Refuses, in ways that do not say which event is at fault, whatever its limits say.
struct Fussy;

#[async_trait]
impl Projection for Fussy {
    fn name(&self) -> &'static str {
        "fussy"
    }

    fn version(&self) -> i32 {
        1
    }

    fn categories(&self) -> &'static [&'static str] {
        &["payment"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["payments"]
    }

    fn ddl(&self) -> &'static str {
        "CREATE TABLE payments (position bigint PRIMARY KEY, number smallint CHECK (number % 10 <> 7))"
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        let number = |event: &&RecordedEvent| i32::try_from(event.position).unwrap();
        assert!(events.iter().all(|event| number(event) % 10 != 5), "a bug of the fold");
        sqlx::query(
            "INSERT INTO payments SELECT n, CASE n % 10 WHEN 3 THEN 70000 ELSE n END FROM unnest($1::int[]) AS n",
        )
        .bind(events.iter().map(number).collect::<Vec<_>>())
        .execute(connection)
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn whoever_is_at_fault_is_found_even_if_the_error_does_not_say() {
    let models = ReadModels::new().await;
    for n in 1..=40 {
        create(models.store.as_ref(), terms(n)).await;
    }
    let _running = models.start(vec![Arc::new(Fussy)]);
    drop(models.view(&[&Fussy]).await);
    let parked = projections::parked(&models.database.pool, "fussy").await.unwrap();
    let positions: Vec<u64> = parked.iter().map(|stream| stream.position).collect();
    assert_eq!(positions, [3, 5, 7, 13, 15, 17, 23, 25, 27, 33, 35, 37]);
    for (stream, expected) in parked.iter().zip(["22003", "panicked", "23514, constraint payments_number_check"]) {
        assert!(stream.error.contains(expected), "{}", stream.error);
    }
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM rm_fussy_1.payments").fetch_one(&models.database.pool).await.unwrap();
    assert_eq!(kept, 28);
}

/// What is no event's fault stops the read model until it passes.
#[tokio::test]
async fn a_database_that_fails_parks_nothing() {
    let models = ReadModels::new().await;
    let _running = models.start_elsewhere(vec![Arc::new(Payments)]);
    create(models.store.as_ref(), terms(1)).await;
    models.view(&[&Payments]).await;
    let pool = &models.database.pool;
    sqlx::query("ALTER TABLE rm_payments_1.payments RENAME TO elsewhere").execute(pool).await.unwrap();
    create(models.store.as_ref(), terms(2)).await;
    wait::until("it stands still", PATIENCE, async || {
        let list = projections::list(pool, models.store.as_ref(), at(0)).await.unwrap();
        list.into_iter().find(|status| status.state == ProjectionState::Stopped)
    })
    .await;
    assert_eq!(projections::parked(pool, "payments").await.unwrap(), []);
    sqlx::query("ALTER TABLE rm_payments_1.elsewhere RENAME TO payments").execute(pool).await.unwrap();
    let reader = projections::Reader::new(pool.clone(), Progress::default());
    assert_eq!(reader.at_least(&[&Payments], Some(2), PATIENCE).await.unwrap().position, 2);
}
