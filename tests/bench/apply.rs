//! Prints what a batch costs each read model alone, without the runner: microseconds of an event by the clock, and of
//! processors here and in the backend, which other work on the machine does not blur. Pages of 5,000 events, of which each payment's first half comes a page
//! before its second; figures of one machine at one moment, no test.
//! `cargo bench -p test-support --bench apply -- [EVENTS] [NAME]...`

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use commands::ports::RecordedEvent;
use domain::Timestamp;
use projections::Projection;
use sqlx::{Connection, PgConnection};
use test_support::payment_year::PaymentYear;
use test_support::volatile_test_database;

const EVENTS: usize = 200_000;
const PAGE: usize = 5_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let events = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(EVENTS);
    let names: Vec<&String> = arguments.iter().filter(|argument| argument.parse::<usize>().is_err()).collect();
    let pages = pages(events);
    let database = volatile_test_database().await;
    let mut connection = PgConnection::connect(&database.url).await.expect("a database");
    for projection in projections::all() {
        let is_wanted = names.is_empty() || names.iter().any(|name| *name == projection.name());
        if is_wanted && projection.folds("payment") {
            measure(&mut connection, projection.as_ref(), &pages).await;
        }
    }
}

/// Of a busy hour, a thousand merchants.
fn pages(events: usize) -> Vec<Vec<RecordedEvent>> {
    let payments = u32::try_from(events / 2).expect("a small number");
    let year = PaymentYear { payments, merchants: 1_000, end: Timestamp::from_micros(1_795_000_000_000_000) };
    let mut all = year.events(0, payments);
    for event in &mut all {
        // The year in an hour.
        let since = event.recorded_at.as_micros().rem_euclid(365 * 86_400_000_000) / (365 * 24);
        event.recorded_at = Timestamp::from_micros(1_795_000_000_000_000 + since);
    }
    let (first, second): (Vec<_>, Vec<_>) = all.into_iter().partition(|event| event.version == 1);
    let (first, second) = (first.chunks(PAGE / 2), second.chunks(PAGE / 2));
    let mut pages: Vec<Vec<RecordedEvent>> = first.map(<[RecordedEvent]>::to_vec).collect();
    for (index, chunk) in (1..).zip(second) {
        match pages.get_mut(index) {
            Some(page) => page.extend_from_slice(chunk),
            None => pages.push(chunk.to_vec()),
        }
    }
    for (position, event) in (1..).zip(pages.iter_mut().flatten()) {
        event.position = position;
    }
    pages
}

async fn measure(connection: &mut PgConnection, projection: &dyn Projection, pages: &[Vec<RecordedEvent>]) {
    let name = projection.name();
    let schema =
        format!("DROP SCHEMA IF EXISTS rm_{name} CASCADE; CREATE SCHEMA rm_{name}; SET search_path TO rm_{name};");
    sqlx::raw_sql(&schema).execute(&mut *connection).await.expect("a schema");
    sqlx::raw_sql(projection.ddl()).execute(&mut *connection).await.expect("its tables");
    let backend: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await.expect("it has one");
    let (here, there) = ("self".to_owned(), backend.to_string());
    let (began, before) = (Instant::now(), [processor_time(&here), processor_time(&there)]);
    // What others have decoded does not count.
    let pages = pages.to_vec();
    for page in &pages {
        let mut transaction = connection.begin().await.expect("a transaction");
        projection.apply(&mut transaction, &page.iter().collect::<Vec<_>>()).await.expect("the page is folded");
        transaction.commit().await.expect("a commit");
    }
    let took = began.elapsed();
    let [own, of_backend] = [processor_time(&here) - before[0], processor_time(&there) - before[1]];
    let events: usize = pages.iter().map(Vec::len).sum();
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
    let (took, own, of_backend) = (micros(took), micros(own), micros(of_backend));
    println!("{name:20} {took:7.1} us/event; processors: {own:5.1} here, {of_backend:6.1} Postgres; {events} events");
    sqlx::raw_sql(&format!("DROP SCHEMA rm_{name} CASCADE")).execute(connection).await.expect("it is gone");
}

/// Of all threads of a process, in hundredths of a second.
fn processor_time(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
