//! Prints how fast the read models fold the log, beside a bare ordered read of the same events in the same run:
//! `cargo bench -p test-support --bench projections -- [EVENTS] [NAME...]`; with names,
//! each of these read models alone. Figures of one machine at one moment, no test.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::event_store::MemoryEventStore;
use adapters::event_store::postgres::{PostgresEventStore, PostgresOptions};
use commands::ports::clock::SystemClock;
use commands::ports::{EventStore, RecordedEvent};
use domain::RefundId;
use domain::merchant_limits::{self, MerchantLimits, Reserve, stream_id};
use domain::order_claim::{self, Holder, OrderClaim};
use domain::payment::Created;
use domain::rates::InUsd;
use domain::tier::Limits;
use projections::books::Books;
use projections::{Progress, Projection, Reader, RebuildProgress, Runner, rebuild, rebuild_progress};
use rust_decimal::Decimal;
use sqlx::{PgPool, Row};
use test_support::histories::{capture, create, decide, merchant_id, refund, refund_succeeded, refunded, terms};
use test_support::{TestDatabase, volatile_test_database};
use uuid::Uuid;

const EVENTS: u64 = 1_000_000;
const MERCHANTS: u128 = 1_000;
/// Payments that are made up at once.
const CHUNK: u32 = 2_000;
/// Minor units that no merchant of the benchmark gets to.
const AMPLE: i64 = 1_000_000_000_000;
const WITHIN: Duration = Duration::from_secs(7_200);
const BARE_PAGE: i64 = 5_000;

#[tokio::main]
async fn main() {
    let events = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(EVENTS);
    let named: Vec<_> = std::env::args().filter_map(|argument| projections::find(&argument)).collect();
    let database = volatile_test_database().await;
    fill(&database.pool, events).await;
    let head = PostgresEventStore::start(database.pool.clone(), Arc::new(SystemClock), PostgresOptions::default())
        .head()
        .await
        .expect("the log has a head");
    println!("{head} events; bytes of the log: {}", bytes_of_log(&database.pool).await);
    let bare = bare_read(&database.pool).await;
    tell("bare ordered read of the raw json", head, bare, bare);
    let bench = Bench::over(&database, head);
    if !named.is_empty() {
        for projection in named {
            tell(projection.name(), head, bench.fold(vec![projection]).await, bare);
        }
        return;
    }
    tell("the books, from nothing", head, bench.fold(vec![Arc::new(Books)]).await, bare);
    tell("the books, rebuilt beside the live ones", head, bench.rebuild_books().await, bare);
    let others = projections::all().into_iter().filter(|projection| projection.name() != "books").collect();
    tell("all others at once, from nothing", head, bench.fold(others).await, bare);
    drop_generations(&database.pool).await;
    tell("all at once, from nothing", head, bench.fold(projections::all()).await, bare);
    tell("bare ordered read again", head, bare_read(&database.pool).await, bare);
    let lines: i64 = sqlx::query_scalar("SELECT count(*) FROM rm_books_1.journal_lines")
        .fetch_one(&database.pool)
        .await
        .expect("the books");
    println!("{lines} lines in the journal");
    println!("peak memory of this process: {} MB", peak_megabytes());
}

fn tell(what: &str, events: u64, took: Duration, bare: Duration) {
    let per_second = events as f64 / took.as_secs_f64();
    println!("{what:45} {per_second:10.0} events/s  {:6.3} x bare", bare.as_secs_f64() / took.as_secs_f64());
}

struct Bench<'a> {
    database: &'a TestDatabase,
    head: u64,
}

impl<'a> Bench<'a> {
    fn over(database: &'a TestDatabase, head: u64) -> Bench<'a> {
        Bench { database, head }
    }

    /// As in a process of its own: nothing is known of what was read before.
    fn runner(&self) -> (Runner, Reader) {
        let (pool, progress) = (self.database.pool.clone(), Progress::default());
        let store = PostgresEventStore::start(pool.clone(), Arc::new(SystemClock), PostgresOptions::default());
        (Runner::new(pool.clone(), Arc::new(store), progress.clone()), Reader::new(pool, progress))
    }

    async fn fold(&self, projections: Vec<Arc<dyn Projection>>) -> Duration {
        let (runner, reader) = self.runner();
        let began = Instant::now();
        let running = runner.start(projections.clone());
        for projection in &projections {
            let view = reader.at_least(&[projection.as_ref()], Some(self.head), WITHIN).await;
            drop(view.expect("the read model gets there"));
        }
        let took = began.elapsed();
        running.stop().await;
        took
    }

    async fn rebuild_books(&self) -> Duration {
        let (runner, _) = self.runner();
        let running = runner.start(vec![Arc::new(Books)]);
        let began = Instant::now();
        rebuild(&self.database.pool, "books").await.expect("no other rebuild");
        while rebuild_progress(&self.database.pool, "books").await.expect("a database") != RebuildProgress::Done {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let took = began.elapsed();
        running.stop().await;
        took
    }
}

/// In pages, as whoever reads a log in order has to.
async fn bare_read(pool: &PgPool) -> Duration {
    let (began, mut after, mut bytes) = (Instant::now(), 0_i64, 0);
    loop {
        let rows = sqlx::query(
            "SELECT position, payload::text AS payload FROM events WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(after)
        .bind(BARE_PAGE)
        .fetch_all(pool)
        .await
        .expect("the log can be read");
        let Some(last) = rows.last() else { break };
        after = last.get("position");
        bytes += rows.iter().map(|row| row.get::<&str, _>("payload").len()).sum::<usize>();
    }
    assert!(bytes > 0);
    began.elapsed()
}

async fn bytes_of_log(pool: &PgPool) -> i64 {
    let size = sqlx::query_scalar("SELECT pg_total_relation_size('events')");
    size.fetch_one(pool).await.expect("a log")
}

/// Payments of many merchants, some of them refunded, straight into the log's table.
async fn fill(pool: &PgPool, events: u64) {
    let (mut written, mut n) = (0, 1);
    while written < events {
        let chunk = MemoryEventStore::default();
        for _ in 0..CHUNK {
            one_payment(&chunk, n).await;
            n += 1;
        }
        let chunk = chunk.read_all(0, usize::MAX).await.expect("a log in memory");
        insert(pool, &chunk, written).await;
        written += chunk.len() as u64;
    }
    sqlx::query("VACUUM ANALYZE events").execute(pool).await.expect("nothing holds it");
}

/// The events of a payment as the ledger writes them: its order number, its share of the limits, itself.
async fn one_payment(store: &MemoryEventStore, n: u32) {
    let terms = Created { merchant_id: merchant_id(u128::from(n) % MERCHANTS + 1), ..terms(n) };
    claim(store, &terms).await;
    reserve(store, &terms, (n - 1) / CHUNK).await;
    let payment = create(store, terms).await;
    capture(store, payment, 10_000, Some(100)).await;
    if n.is_multiple_of(5) {
        let refund_id = RefundId::from_uuid(Uuid::from_u128(u128::from(n)));
        refund(store, payment, refund_id, Some(4_000)).await;
        refunded(store, payment, refund_id, refund_succeeded(0)).await;
    }
}

async fn claim(store: &MemoryEventStore, terms: &Created) {
    let claim = order_claim::Command::Claim {
        merchant_id: terms.merchant_id,
        order_no: terms.order_no.clone(),
        holder: Holder::Payment(terms.payment_id),
    };
    decide::<OrderClaim>(store, &format!("{}:{}", terms.merchant_id, terms.order_no), claim).await;
}

/// In a month of its own for each chunk, whose streams begin anew.
async fn reserve(store: &MemoryEventStore, terms: &Created, month: u32) {
    let day = format!("{}-{:02}-01", 2_000 + month / 12, month % 12 + 1);
    let reserve = Reserve {
        merchant_id: terms.merchant_id,
        payment_id: terms.payment_id,
        day: day.parse().expect("a day"),
        amount: terms.amount,
        currency: terms.currency,
        in_usd: InUsd { usd: terms.amount, rate: Decimal::ONE, rate_date: None },
        limits: Limits { per_payment: AMPLE, daily: AMPLE, monthly: AMPLE },
    };
    let stream = stream_id(terms.merchant_id, reserve.day);
    decide::<MerchantLimits>(store, &stream, merchant_limits::Command::Reserve(reserve)).await;
}

async fn insert(pool: &PgPool, events: &[RecordedEvent], offset: u64) {
    fn column<T>(events: &[RecordedEvent], of: impl Fn(&RecordedEvent) -> T) -> Vec<T> {
        events.iter().map(of).collect()
    }
    let signed = |number: u64| i64::try_from(number).expect("a small number");
    sqlx::query(
        "INSERT INTO events
         SELECT category, id, version, type, schema_version, payload::json, metadata::json, position, event_id,
                recorded, effective, hash
           FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                       $9::uuid[], $10::timestamptz[], $11::timestamptz[], $12::bytea[])
             AS t (category, id, version, type, schema_version, payload, metadata, position, event_id, recorded, effective,
                   hash)",
    )
    .bind(column(events, |event| event.stream.category.to_string()))
    .bind(column(events, |event| event.stream.id.clone()))
    .bind(column(events, |event| signed(event.version)))
    .bind(column(events, |event| event.event_type.clone()))
    .bind(column(events, |event| event.schema_version.to_string()))
    .bind(column(events, |event| event.payload.clone()))
    .bind(column(events, |event| event.metadata.clone()))
    .bind(column(events, |event| signed(event.position + offset)))
    .bind(column(events, |event| event.event_id))
    .bind(column(events, |event| event.recorded_at.to_datetime()))
    .bind(column(events, |event| event.effective_at.to_datetime()))
    .bind(column(events, |event| event.hash.as_bytes().to_vec()))
    .execute(pool)
    .await
    .expect("the log takes them");
}

/// The next fold begins from nothing.
async fn drop_generations(pool: &PgPool) {
    let drop = "DO $$ DECLARE old text; BEGIN
        FOR old IN SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rm\\_%' LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', old);
        END LOOP;
        DELETE FROM projections; END $$";
    sqlx::query(drop).execute(pool).await.expect("nobody reads them");
}

fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1_024
}
