//! Prints how long the figures of a year of payments take to ask for, over HTTP: median and worst of seven, and how large
//! each answer is. The figures are folded as in operation, page by page; what the read models keep beside them is thrown
//! away between pages. `cargo bench -p payledger --bench analytics -- [PAYMENTS] [MERCHANTS]`; figures of one machine at one
//! moment, no test.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::vault::MasterKey;
use commands::Channels;
use commands::keys::IssueKey;
use commands::ports::Role as KeyRole;
use payledger::cli::Role;
use payledger::ledger::Ledger;
use payledger::operator::issued;
use payledger::serve::Node;
use projections::Projection;
use projections::analytics::Analytics;
use projections::orders::Orders;
use sqlx::{Connection, PgConnection};
use test_support::histories::merchant_id;
use test_support::payment_year::PaymentYear;
use test_support::{TestDatabase, volatile_test_database};

const PAYMENTS: u32 = 5_000_000;
const MERCHANTS: u32 = 2_000;
/// Payments that are folded at once.
const CHUNK: u32 = 10_000;
const RUNS: usize = 7;

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut sizes = std::env::args().filter_map(|argument| argument.parse::<u32>().ok());
    let (payments, merchants) = (sizes.next().unwrap_or(PAYMENTS), sizes.next().unwrap_or(MERCHANTS));
    let database = volatile_test_database().await;
    let key = MasterKey::from_bytes([42; 32]);
    let ledger = Ledger::open(database.pool.clone(), &key, Channels::default()).await.expect("a ledger");
    let bind = "127.0.0.1:0".parse().expect("an address");
    let roles = [Role::Api, Role::Projections];
    let metrics = payledger::telemetry::metrics();
    let node = Node::start(ledger.clone(), &roles, bind, None, metrics).await.expect("a node");
    let issue = IssueKey { role: KeyRole::Finance, merchant_id: None, principal: None, signed_only: false };
    let made = ledger.keys.issue(issued(), issue).await.expect("a key");
    let secret = made.secret.expect("it is new").expose().to_owned();
    let head = ledger.store.head().await.expect("a log");
    let all: Vec<Arc<dyn Projection>> = vec![Arc::new(Analytics), Arc::new(Orders)];
    for projection in &all {
        let view = ledger.reader.at_least(&[projection.as_ref()], Some(head), Duration::from_secs(60)).await;
        drop(view.expect("its tables are there"));
    }
    let year = PaymentYear { payments, merchants, end: "2026-11-21T00:00:00Z".parse().expect("a time") };
    println!("{payments} payments of {merchants} merchants");
    tokio::join!(fill(&database, &Analytics, &year), fill(&database, &Orders, &year));
    let client = reqwest::Client::new();
    for path in questions() {
        ask(&client, &format!("http://{}/api/v1{path}", node.address), &secret, &path).await;
    }
    node.stop().await;
}

async fn fill(database: &TestDatabase, projection: &dyn Projection, year: &PaymentYear) {
    let mut connection = PgConnection::connect(&database.url).await.expect("a database");
    let schema = format!("rm_{}_1", projection.name());
    sqlx::raw_sql(&format!("SET search_path TO {schema}, public")).execute(&mut connection).await.expect("a schema");
    let beside: Vec<&str> = projection.tables().iter().filter(|table| !table.ends_with("figures")).copied().collect();
    let forget = format!("TRUNCATE {}", beside.join(", "));
    sqlx::raw_sql(&drop_indexes(&schema)).execute(&mut connection).await.expect("nobody lists them");
    let (mut events, mut spent) = (0, Duration::ZERO);
    for first in (0..year.payments).step_by(usize::try_from(CHUNK).expect("a small number")) {
        let page = year.events(first, CHUNK);
        let began = Instant::now();
        let mut transaction = connection.begin().await.expect("a transaction");
        projection.apply(&mut transaction, &page.iter().collect::<Vec<_>>()).await.expect("the page is folded");
        transaction.commit().await.expect("a commit");
        spent += began.elapsed();
        events += page.len();
        sqlx::raw_sql(&forget).execute(&mut connection).await.expect("they can go");
    }
    let figures = projection.tables().iter().find(|table| table.ends_with("figures")).expect("a table of figures");
    sqlx::raw_sql(&format!("VACUUM ANALYZE {figures}")).execute(&mut connection).await.expect("nothing holds it");
    let size = format!("SELECT count(*), pg_total_relation_size('{schema}.{figures}') FROM {figures}");
    let (rows, bytes): (i64, i64) = sqlx::query_as(&size).fetch_one(&mut connection).await.expect("a table");
    let micros = spent.as_secs_f64() * 1e6 / events as f64;
    println!("{figures}: {events} events at {micros:.1} us each, {rows} rows, {} MB", bytes / 1_000_000);
}

/// All but those that tell rows apart: lists are not asked for here.
fn drop_indexes(schema: &str) -> String {
    format!(
        "DO $$ DECLARE unneeded regclass; BEGIN
            FOR unneeded IN SELECT indexrelid FROM pg_index JOIN pg_class ON oid = indexrelid
                             WHERE relnamespace = '{schema}'::regnamespace AND NOT indisunique LOOP
                EXECUTE format('DROP INDEX %s', unneeded);
            END LOOP; END $$"
    )
}

/// The worst first.
fn questions() -> Vec<String> {
    let (large, small) = (merchant_id(1), merchant_id(50));
    let year = "from=2025-11-25&to=2026-11-20";
    let mut questions = vec![];
    for path in ["/analytics/payments", "/statistics/orders"] {
        for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu"] {
            for bucket in ["day", "month"] {
                questions.push(format!("{path}?{year}&bucket={bucket}&time_zone={zone}&group_by=merchant"));
                questions.push(format!("{path}?{year}&bucket={bucket}&time_zone={zone}"));
                questions.push(format!("{path}?{year}&bucket={bucket}&time_zone={zone}&merchant_id={large}"));
            }
            questions
                .push(format!("{path}?from=2026-10-01&to=2026-10-31&bucket=month&time_zone={zone}&group_by=merchant"));
            questions
                .push(format!("{path}?from=2026-11-10&to=2026-11-10&bucket=day&time_zone={zone}&group_by=merchant"));
            questions.push(format!("{path}?from=2026-09-01&to=2026-11-20&bucket=hour&time_zone={zone}"));
        }
        questions.push(format!("{path}?{year}&merchant_id={small}&time_zone=Asia/Kolkata"));
    }
    for zone in ["UTC", "America/New_York", "Asia/Kolkata"] {
        let path = format!("/analytics/payments?{year}&time_zone={zone}");
        questions.push(format!("{path}&bucket=day&group_by=channel"));
        questions.push(format!("{path}&bucket=month&group_by=country"));
        questions.push(format!("{path}&bucket=month&group_by=country,channel,status"));
        questions.push(format!("{path}&bucket=day&country=DE"));
        questions.push(format!("{path}&bucket=day&country=DE&channel=stripe"));
        questions.push(format!("{path}&bucket=day&merchant_id={large}&country=DE"));
        questions.push(format!("{path}&bucket=month&merchant_id={large}&group_by=country,channel"));
        questions.push(format!("{path}&bucket=month&group_by=merchant&country=DE"));
        questions.push(format!("{path}&bucket=month&group_by=merchant&channel=stripe&currency=USD"));
        questions.push(format!(
            "/analytics/payments?from=2026-11-01&time_zone={zone}&bucket=month&group_by=merchant,country"
        ));
        questions.push(format!("/statistics/daily-summary?{year}&time_zone={zone}"));
        questions.push(format!("/statistics/daily-summary?{year}&time_zone={zone}&merchant_id={large}"));
        questions.push(format!("/statistics/orders?{year}&time_zone={zone}&group_by=status"));
    }
    questions
}

async fn ask(client: &reqwest::Client, url: &str, secret: &str, path: &str) {
    let mut took = vec![];
    let (mut status, mut bytes) = (0, 0);
    for _ in 0..RUNS {
        let began = Instant::now();
        let answer = client.get(url).bearer_auth(secret).send().await.expect("a node");
        status = answer.status().as_u16();
        bytes = answer.bytes().await.expect("an answer").len();
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let slow = if took[RUNS / 2] < 200.0 { "" } else { " SLOW" };
    println!("{:6.1} ms, worst {:6.1}; {status}, {:6} kB{slow}  {path}", took[RUNS / 2], took[RUNS - 1], bytes / 1_000);
}
