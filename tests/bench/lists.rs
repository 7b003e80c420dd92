//! Prints what batches, deep pages, filters and lists of the past take over HTTP, beside so many payments and orders:
//! `cargo bench -p payledger --bench lists -- [PAYMENTS]`. Figures of one machine at one moment, no test.
//!
//! The log and the read models are filled by SQL, into unlogged tables of a throw-away Postgres that does not wait for its
//! disk; 5,000,000 payments take some 8 GB there at a time, which are given back at the end. Most events of the log are
//! shells, for they are never read; those that are read are whole. Each figure is the median of [`RUNS`] calls of a client on
//! the same machine, with the fastest and the slowest; the batches ask for other objects in each.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use adapters::sandbox_provider::{self, SandboxConfig};
use adapters::vault::{MasterKey, PostgresVault};
use commands::keys::IssueKey;
use commands::payment::{CreatePayment, Customer, PaymentDetails};
use commands::ports::{Role as KeyRole, Subject};
use domain::merchant::Terms;
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::{Currency, MerchantId, Money, PaymentId, Timestamp};
use payledger::cli::{ChannelFlags, Role};
use payledger::ledger::{self, Ledger};
use payledger::operator::issued;
use payledger::serve::Node;
use projections::{Cursor, Runner};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use sqlx::PgPool;
use test_support::{TestDatabase, volatile_test_database};
use uuid::Uuid;

const PAYMENTS: i64 = 5_000_000;
const RUNS: usize = 11;
const BATCH: usize = 100;
/// Payments that are really made, each of a customer with a key of its own, so that batches open what they would open.
const REAL: usize = RUNS * BATCH;
/// Between two payments.
const EVERY_MICROS: i64 = 5_000;
const MASTER_KEY: [u8; 32] = [42; 32];

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let payments = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(PAYMENTS);
    let bench = Bench::new(payments).await;
    bench.fill_log().await;
    bench.batch_of_payments().await;
    bench.keep_the_end_of_the_log().await;
    bench.fill_payments().await;
    bench.pages("payments").await;
    bench.filters("payments").await;
    bench.past().await;
    bench.empty("payments", "payments").await;
    bench.fill_orders().await;
    bench.batch_of_orders().await;
    bench.pages("orders").await;
    bench.filters("orders").await;
    bench.node.stop().await;
}

struct Bench {
    payments: i64,
    pool: PgPool,
    node: Node,
    base_url: String,
    http: Client,
    finance: String,
    merchant: String,
    merchant_id: MerchantId,
    real: Vec<PaymentId>,
    /// What the others are copies of. Its customer was erased: nothing else would open under another id.
    model: PaymentId,
    /// When the first payment that SQL makes up was created.
    begin: Timestamp,
    _database: TestDatabase,
}

impl Bench {
    async fn new(payments: i64) -> Bench {
        let database = volatile_test_database().await;
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = SandboxConfig { data_dir: folder.path().to_owned(), ..SandboxConfig::default() };
        let sandbox = sandbox_provider::start(SandboxConfig { bind: ([127, 0, 0, 1], 0).into(), ..sandbox }).await;
        let flags = ChannelFlags { sandbox_url: Some(sandbox.expect("a sandbox").url()), ..ChannelFlags::default() };
        let open = async || {
            let channels = ledger::channels(&flags).expect("a channel");
            Ledger::open(database.pool.clone(), &MasterKey::from_bytes(MASTER_KEY), channels).await.expect("a ledger")
        };
        let ledger = open().await;
        let merchant_id = onboard(&ledger).await;
        let mut real = make_payments(&ledger, merchant_id).await;
        let model = real.pop().expect("one more than are asked for");
        let erased = Subject { merchant_id, customer: Some(email(REAL)) };
        let vault = PostgresVault::on_postgres(database.pool.clone(), &MasterKey::from_bytes(MASTER_KEY));
        assert_eq!(vault.erase(&erased).await, Ok(true));
        make_tables(&ledger).await;
        let [finance, merchant] = [(KeyRole::Finance, None), (KeyRole::Merchant, Some(merchant_id))];
        let (finance, merchant) = (key(&ledger, finance).await, key(&ledger, merchant).await);
        // Another node: it remembers nothing of what was made.
        let node =
            Node::start(open().await, &[Role::Api], ([127, 0, 0, 1], 0).into(), None, payledger::telemetry::metrics());
        let node = node.await.expect("a node");
        Bench {
            payments,
            pool: database.pool.clone(),
            base_url: format!("http://{}/api/v1", node.address),
            node,
            http: Client::new(),
            finance,
            merchant,
            merchant_id,
            real,
            model,
            begin: ledger.payments.clock.now(),
            _database: database,
        }
    }

    async fn run(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.expect("a statement of this bench");
    }

    fn created(&self, n: i64) -> Timestamp {
        Timestamp::from_micros(self.begin.as_micros() + n * EVERY_MICROS)
    }

    /// `begin + n` steps, as SQL.
    fn moment(&self) -> String {
        format!("timestamptz '{}' + n * interval '{EVERY_MICROS} microseconds'", self.begin)
    }

    /// One event for each payment, as that of a real one.
    async fn fill_log(&self) {
        let (began, moment) = (Instant::now(), self.moment());
        let model = self.model;
        self.run(&format!(
            "ALTER TABLE events SET UNLOGGED;
             INSERT INTO events
             SELECT aggregate_type, {PAYMENT}, 1, event_type, event_version,
                    CASE WHEN {IS_WHOLE} THEN replace(payload::text, '{model}', {PAYMENT})::json ELSE '{{}}'::json END,
                    CASE WHEN {IS_WHOLE} THEN metadata ELSE '{{}}'::json END, head + n, gen_random_uuid(),
                    {moment}, {moment}, hash
               FROM events, (SELECT max(position) AS head FROM events) AS newest, generate_series(1, {0}) AS n,
                    (SELECT {0} AS most) AS size
              WHERE aggregate_type = 'payment' AND aggregate_id = '{model}' AND sequence = 1;
             ANALYZE events",
            self.payments
        ))
        .await;
        println!("{} payments in the log after {:.0?}", self.payments, began.elapsed());
    }

    /// What as-of lists fold again, without the many gigabytes of the rest.
    async fn keep_the_end_of_the_log(&self) {
        self.run(
            "CREATE TABLE kept AS SELECT * FROM events WHERE position > (SELECT max(position) FROM events) - 2000;
             ALTER TABLE events DISABLE TRIGGER ALL;
             TRUNCATE events;
             INSERT INTO events SELECT * FROM kept;
             ANALYZE events",
        )
        .await;
    }

    async fn batch_of_payments(&self) {
        let ids = |payments: &[PaymentId]| json!({"ids": payments.iter().map(ToString::to_string).collect::<Vec<_>>()});
        let bodies: Vec<Value> = self.real.chunks(BATCH).map(ids).collect();
        self.batch("POST /payments/batch, 100 ids, their first look-up", "/payments/batch", &bodies).await;
        self.batch("POST /payments/batch, the same again", "/payments/batch", &bodies).await;
        let bodies = self.spread("ids", |n| format!("pay_{:026}", n % self.payments / 100 * 100 + 100));
        self.batch("POST /payments/batch, 100 ids all over the log", "/payments/batch", &bodies).await;
    }

    async fn batch_of_orders(&self) {
        let bodies = self.spread("order_nos", |n| format!("B-{}", n % self.payments / 5 * 5 + 5));
        self.batch("POST /orders/batch, 100 numbers", "/orders/batch", &bodies).await;
    }

    /// For each run other objects, far from each other.
    fn spread(&self, field: &str, object: impl Fn(i64) -> String) -> Vec<Value> {
        let of_run = |run: i64| (1..=100).map(|n| object(n * 999_983 + run * 104_729)).collect::<Vec<_>>();
        (1..).take(RUNS).map(|run| json!({field: of_run(run)})).collect()
    }

    async fn batch(&self, what: &str, path: &str, bodies: &[Value]) {
        let mut took = vec![];
        for body in bodies {
            let post = self.http.post(format!("{}{path}", self.base_url)).bearer_auth(&self.merchant).json(body);
            let (elapsed, found) = timed(post).await;
            assert_eq!(found["missing"], json!([]), "{found}");
            took.push(elapsed);
        }
        tell(what, took);
    }

    async fn schema(&self, projection: &str) -> String {
        let live = "SELECT format('rm_%s_%s', name, generation) FROM projections WHERE name = $1 AND standing = 'live'";
        sqlx::query_scalar(live).bind(projection).fetch_one(&self.pool).await.expect("its tables were made")
    }

    /// Fills a table and makes its indexes afterwards.
    async fn fill(&self, projection: &str, table: &str, select: &str) {
        let (began, schema) = (Instant::now(), self.schema(projection).await);
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = $1 AND tablename = $2 AND indexname NOT LIKE '%_pkey'",
        )
        .bind(&schema)
        .bind(table)
        .fetch_all(&self.pool)
        .await
        .expect("a database");
        self.empty(projection, table).await;
        self.run(&format!("ALTER TABLE {schema}.{table} SET UNLOGGED")).await;
        for (name, _) in &indexes {
            self.run(&format!("DROP INDEX {schema}.{name}")).await;
        }
        self.run(&format!("INSERT INTO {schema}.{table} {select} FROM generate_series(1, {}) AS n", self.payments))
            .await;
        let filled = began.elapsed();
        for (_, definition) in &indexes {
            self.run(definition).await;
        }
        self.run(&format!("VACUUM ANALYZE {schema}.{table}")).await;
        let sizes = format!(
            "SELECT pg_relation_size('{schema}.{table}') / 1000000, pg_indexes_size('{schema}.{table}') / 1000000"
        );
        let (rows, indexed): (i64, i64) = sqlx::query_as(&sizes).fetch_one(&self.pool).await.expect("sizes");
        println!(
            "{table}: {rows} MB of rows in {filled:.0?}, {indexed} MB of {} indexes and its key after {:.0?}",
            indexes.len(),
            began.elapsed()
        );
    }

    async fn empty(&self, projection: &str, table: &str) {
        self.run(&format!("TRUNCATE {}.{table}", self.schema(projection).await)).await;
    }

    async fn fill_payments(&self) {
        let (schema, moment, merchant) = (self.schema("payments").await, self.moment(), self.merchants());
        let (id, state) = (self.model, format!("SELECT state::text FROM {schema}.payments WHERE id = $1"));
        let model = sqlx::query_scalar(&state).bind(id.to_string()).fetch_one(&self.pool).await;
        let model: String = model.expect("a real payment was folded");
        // Whose key was erased is not opened, so this may stay away.
        let mut model: Value = serde_json::from_str(&model).expect("JSON");
        model["Exists"]["terms"]["sealed"]["data"] = json!("");
        // All but the newest have not changed for long.
        let updated = format!("{moment} + interval '1 millisecond'");
        let select = format!(
            "SELECT {PAYMENT}, {merchant}, 'B-' || n, {PAYMENT_STATUS}, {CURRENCY}, {AMOUNT}, {CHANNEL}, {moment}, {moment},
                    {updated}, 1, replace($json${model}$json$, '{id}', {PAYMENT})::json"
        );
        self.fill("payments", "payments", &select).await;
    }

    async fn fill_orders(&self) {
        let (moment, merchant) = (self.moment(), self.merchants());
        let select = format!(
            "SELECT {merchant}, 'B-' || n, {ORDER_STATUS}, {CURRENCY}, {AMOUNT}, {AMOUNT}, 0, {CHANNEL}, {moment}, {moment},
                    {moment}, ARRAY[{PAYMENT}], {PAYMENT}"
        );
        self.fill("orders", "orders", &select).await;
    }

    /// Every fifth payment is our merchant's; the others belong to a thousand more.
    fn merchants(&self) -> String {
        format!(
            "CASE WHEN n % 5 = 0 THEN '{}' ELSE 'mer_' || lpad((n % 1000 + 1)::text, 26, '0') END",
            self.merchant_id
        )
    }

    async fn pages(&self, list: &str) {
        for page in [1, 100, 10_000, 100_000, 240_000] {
            let n = self.payments - (page - 1) * 20;
            if n > 20 {
                let cursor = Cursor { key: self.created(n).as_micros(), id: format!("pay_{n:026}") };
                self.list(
                    &format!("GET /{list}, page {page} of 20"),
                    &format!("/{list}?cursor={cursor}"),
                    &self.finance,
                )
                .await;
            }
        }
    }

    async fn filters(&self, list: &str) {
        let (most, rare) = if list == "orders" { ("paid", "cancelled") } else { ("succeeded", "cancelled") };
        let (from, to) = (self.created(self.payments / 2), self.created(self.payments / 2 + 1_000));
        let filters = [
            String::new(),
            format!("status={most}"),
            format!("status={rare}"),
            "currency=EUR".to_owned(),
            "currency=JPY".to_owned(),
            "channel=sandbox".to_owned(),
            "channel=stripe".to_owned(),
            format!("order_no=B-{}", self.payments / 10 * 5),
            format!("created_from={from}&created_to={to}"),
            "amount_min=900000".to_owned(),
            "amount_min=1000000".to_owned(),
            "amount_min=5000000".to_owned(),
            "currency=JPY&amount_min=900000".to_owned(),
            format!("status={rare}&currency=EUR"),
            format!("status={rare}&currency=JPY"),
            "currency=EUR&amount_max=10".to_owned(),
        ];
        for (who, secret) in [("finance", &self.finance), ("one merchant", &self.merchant)] {
            for filter in &filters {
                self.list(&format!("GET /{list}?{}, {who}", shortened(filter)), &format!("/{list}?{filter}"), secret)
                    .await;
            }
        }
    }

    /// As of a position before the newest, and in the middle of those that changed.
    async fn past(&self) {
        let head: i64 =
            sqlx::query_scalar("SELECT max(position) FROM events").fetch_one(&self.pool).await.expect("a log");
        self.run(&format!("UPDATE projections SET position = {head} WHERE name = 'payments'")).await;
        for (what, back, filter) in [
            ("GET /payments?as_of, nothing has changed since", 0, "limit=100"),
            ("GET /payments?as_of&status=cancelled", 0, "limit=100&status=cancelled"),
            ("GET /payments?as_of, 1,000 payments ago", 1_000, "limit=100"),
        ] {
            let position = u64::try_from(head - back).expect("a position");
            let as_of = api::position::token(position);
            self.list(what, &format!("/payments?as_of={as_of}&{filter}"), &self.finance).await;
        }
        // As if all of the newest had changed a moment ago.
        let schema = self.schema("payments").await;
        let newest = self.created(self.payments - 1_500);
        self.run(&format!(
            "UPDATE {schema}.payments SET updated_at = updated_at + interval '1 hour' WHERE created_at > '{newest}'"
        ))
        .await;
        let as_of = api::position::token(u64::try_from(head - 1_000).expect("a position"));
        let path = format!("/payments?as_of={as_of}&limit=100");
        self.list("GET /payments?as_of, 100 that have changed since", &path, &self.finance).await;
        let path = format!("/payments?as_of={as_of}&limit=100&status=succeeded");
        self.list("GET /payments?as_of&status, 500 that have changed since", &path, &self.finance).await;
    }

    async fn list(&self, what: &str, path: &str, secret: &str) {
        let (mut took, mut rows) = (vec![], 0);
        for _ in 0..RUNS {
            let (elapsed, page) = timed(self.http.get(format!("{}{path}", self.base_url)).bearer_auth(secret)).await;
            rows = page["data"].as_array().unwrap_or_else(|| panic!("{path}: {page}")).len();
            took.push(elapsed);
        }
        tell(&format!("{what} ({rows} rows)"), took);
    }
}

const PAYMENT: &str = "'pay_' || lpad(n::text, 26, '0')";
const PAYMENT_STATUS: &str =
    "CASE WHEN n % 10 = 9 THEN 'failed' WHEN n % 50000 = 0 THEN 'cancelled' ELSE 'succeeded' END";
const ORDER_STATUS: &str = "CASE WHEN n % 10 = 9 THEN 'failed' WHEN n % 50000 = 0 THEN 'cancelled' ELSE 'paid' END";
const CURRENCY: &str = "CASE WHEN n % 100000 = 5 THEN 'JPY' WHEN n % 11 = 0 THEN 'EUR' ELSE 'USD' END";
const CHANNEL: &str = "CASE WHEN n % 100000 = 10 THEN 'stripe' ELSE 'sandbox' END";
/// Those of the log's payments that are asked for: the newest, and every hundredth.
const IS_WHOLE: &str = "(n % 100 = 0 OR n > most - 2000)";
/// Up to 1,000,000 minor units.
const AMOUNT: &str = "n::bigint * 7919 % 1000000 + 1";

async fn onboard(ledger: &Ledger) -> MerchantId {
    let terms = Terms {
        merchant_id: MerchantId::from_uuid(Uuid::now_v7()),
        name: "A merchant".to_owned(),
        tier: Tier::Premium,
        pricing_model: PricingModel::CostPlus,
        refund_fee_policy: RefundFeePolicy::Retain,
        home_currency: None,
        time_zone: None,
        onboarded_at: ledger.payments.clock.now(),
    };
    let merchant_id = terms.merchant_id;
    commands::merchant::onboard(&ledger.payments.executor, issued(), terms).await.expect("a merchant");
    merchant_id
}

async fn key(ledger: &Ledger, (role, merchant_id): (KeyRole, Option<MerchantId>)) -> String {
    let made = ledger.keys.issue(issued(), IssueKey { role, merchant_id, principal: None, signed_only: false }).await;
    made.expect("a key").secret.expect("told once").expose().to_owned()
}

fn email(n: usize) -> String {
    format!("{n}@example.com")
}

async fn make_payments(ledger: &Ledger, merchant_id: MerchantId) -> Vec<PaymentId> {
    let mut made = vec![];
    for n in 0..=REAL {
        let customer = Customer { email: Some(email(n)), name: None, country: None };
        let payment_id = PaymentId::from_uuid(Uuid::now_v7());
        let create = CreatePayment {
            payment_id,
            merchant_id,
            order_no: format!("A-{n}").parse().expect("an order number"),
            amount: Money::new(100, Currency::USD).expect("an amount"),
            method: "card".to_owned(),
            channel: None,
            details: PaymentDetails {
                token: "tok_success".to_owned(),
                customer: Some(customer),
                description: Some("Two teapots and a tray".to_owned()),
                return_url: None,
                metadata: None,
            },
            expires_in: None,
        };
        let receipt = ledger.payments.create(issued(), create).await.expect("a ledger");
        assert_eq!(receipt.rejection, None);
        made.push(payment_id);
    }
    made
}

/// Has the read models folded once, so that their tables are there.
async fn make_tables(ledger: &Ledger) {
    let runner = Runner::new(ledger.pool.clone(), ledger.store.clone(), ledger.progress.clone());
    let running = runner.start(projections::all());
    let head = ledger.store.head().await.expect("a log");
    for projection in projections::all() {
        let view = ledger.reader.at_least(&[projection.as_ref()], Some(head), Duration::from_secs(60)).await;
        drop(view.expect("it gets there"));
    }
    running.stop().await;
}

/// What a call takes, its answer read to the end.
async fn timed(request: RequestBuilder) -> (Duration, Value) {
    let began = Instant::now();
    let answer = request.send().await.expect("an answer");
    let body = answer.bytes().await.expect("a body");
    (began.elapsed(), serde_json::from_slice(&body).expect("JSON"))
}

fn shortened(filter: &str) -> String {
    let names = filter.split('&').map(|condition| match condition.split_once('=') {
        Some((name @ ("created_from" | "created_to"), _)) => name.to_owned(),
        _ => condition.to_owned(),
    });
    names.collect::<Vec<_>>().join("&")
}

fn tell(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let [fastest, median, slowest] = [0, took.len() / 2, took.len() - 1].map(|n| took[n].as_secs_f64() * 1_000.0);
    println!("{what:75} {median:9.1} ms   ({fastest:.1} to {slowest:.1})");
}
