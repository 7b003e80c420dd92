//! Every filter of every list goes by an index: the plans that the database makes for the lists' own statements, with their
//! own parameters, told by its module `auto_explain`. Nothing reads a whole table, nothing sorts more than a small part of
//! one, and what is rare is found without looking at all that is not.

use std::str::FromStr;
use std::sync::Arc;

use domain::Currency;
use domain::dispute::DisputeStatus;
use parking_lot::Mutex;
use projections::adjustments::Adjustments;
use projections::disputes::{self, Disputes};
use projections::merchants::Merchants;
use projections::orders::{self, OrderStatus, Orders};
use projections::payments::Payments;
use projections::pre_auths::PreAuths;
use projections::reconciliations::{ReconciliationExceptions, Reconciliations};
use projections::refunds::{self, RefundFilter, RefundState, Refunds};
use projections::settlements::Settlements;
use projections::streams::{self, StreamReadModel};
use projections::withdrawals::{BankAccounts, Withdrawals};
use projections::{Cursor, Filter, Progress, Projection, Reader, Snapshot, StatusText, past};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use test_support::histories::{at, create, merchant_id, payment_id, terms};
use test_support::read_models::{PATIENCE, ReadModels};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const ROWS: i32 = 20_000;
/// Rows that a statement may sort, and that it may look at where a condition alone is met by hardly any.
const FEW: i64 = 1_000;

/// What the database tells of the statements that ran.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::postgres::notice" {
            event.record(&mut self.clone());
        }
    }
}

impl Visit for Told {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.0.lock().push(value.to_owned());
    }

    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().push(format!("{value:?}"));
    }
}

/// Read models that are read over connections whose every plan is told.
struct Explained {
    models: ReadModels,
    pool: PgPool,
    reader: Reader,
    told: Told,
    _heard: DefaultGuard,
}

impl Explained {
    /// With the tables of these read models, which are empty.
    async fn over(projections: Vec<Arc<dyn Projection>>) -> Explained {
        let models = ReadModels::new().await;
        let running = models.start(projections.clone());
        create(models.store.as_ref(), terms(1)).await;
        for projection in &projections {
            models.view(&[projection.as_ref()]).await;
        }
        running.stop().await;
        let options = PgConnectOptions::from_str(&models.database.url).unwrap().options([
            ("session_preload_libraries", "auto_explain"),
            ("auto_explain.log_min_duration", "0"),
            ("auto_explain.log_analyze", "on"),
            ("auto_explain.log_timing", "off"),
            ("auto_explain.log_format", "json"),
            ("auto_explain.log_level", "notice"),
        ]);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options).await;
        let pool = pool.expect("a user who may load auto_explain, which comes with PostgreSQL's contrib modules");
        let (told, reader) = (Told::default(), Reader::new(pool.clone(), Progress::default()));
        let heard = tracing::subscriber::set_default(tracing_subscriber::registry().with(told.clone()));
        Explained { models, pool, reader, told, _heard: heard }
    }

    /// `SELECT` of [`ROWS`] rows `n`, from 1 on, into a table.
    async fn fill(&self, projection: &dyn Projection, table: &str, select: &str) {
        let schema = self.models.schema(projection.name()).await;
        for statement in [
            format!("TRUNCATE {schema}.{table}"),
            format!("INSERT INTO {schema}.{table} {select} FROM generate_series(1, {ROWS}) AS n"),
            format!("ANALYZE {schema}.{table}"),
        ] {
            sqlx::query(&statement).execute(&self.models.database.pool).await.unwrap();
        }
    }

    async fn view(&self, projection: &dyn Projection) -> Snapshot {
        self.reader.at_least(&[projection], None, PATIENCE).await.unwrap()
    }

    /// What has been told of statements over this table since this was asked last.
    async fn plans(&self, table: &str) -> Vec<Plan> {
        // A transaction that was dropped is rolled back, and so ends its last statement, when its connection is used again.
        sqlx::query("SELECT 1").execute(&self.pool).await.unwrap();
        let told = std::mem::take(&mut *self.told.0.lock());
        let plan = |told: &String| {
            let told: Value = serde_json::from_str(&told[told.find('{')?..]).ok()?;
            told["Query Text"].as_str()?.contains(&format!("FROM {table} ")).then_some(Plan(told))
        };
        told.iter().filter_map(plan).collect()
    }
}

struct Plan(Value);

impl Plan {
    fn nodes(&self) -> Vec<&Value> {
        fn add<'a>(node: &'a Value, nodes: &mut Vec<&'a Value>) {
            nodes.push(node);
            for inner in node["Plans"].as_array().into_iter().flatten() {
                add(inner, nodes);
            }
        }
        let mut nodes = vec![];
        add(&self.0["Plan"], &mut nodes);
        nodes
    }

    /// Rows that came in, whether they passed a filter or not.
    fn seen(node: &Value) -> i64 {
        let times = node["Actual Loops"].as_i64().unwrap();
        let rows = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"];
        times * rows.iter().filter_map(|field| node[field].as_i64()).sum::<i64>()
    }

    /// `is_rare`: some condition alone is met by hardly any row.
    fn assert_goes_by_an_index(&self, what: &str, is_rare: bool) {
        let told = serde_json::to_string_pretty(&self.0["Plan"]).unwrap();
        let mut looked_at = 0;
        for node in self.nodes() {
            let kind = node["Node Type"].as_str().unwrap();
            assert_ne!(kind, "Seq Scan", "{what}: {told}");
            if kind == "Sort" {
                let sorted: i64 = node["Plans"].as_array().unwrap().iter().map(Plan::seen).sum();
                assert!(sorted <= FEW, "{what} sorts {sorted} rows: {told}");
            }
            if kind.ends_with("Scan") && kind != "Bitmap Index Scan" && kind != "Subquery Scan" {
                looked_at += Plan::seen(node);
            }
        }
        assert!(!is_rare || looked_at <= FEW, "{what} looks at {looked_at} rows: {told}");
    }
}

/// The columns that lists filter by: most rows are alike, some are rare.
fn columns(status: [&str; 2]) -> [String; 6] {
    let [most, rare] = status;
    [
        format!(
            "CASE WHEN n % 5 < 3 THEN '{}' WHEN n % 600 = 4 THEN '{}' ELSE 'mer_' || n % 600 END",
            merchant_id(1),
            merchant_id(2)
        ),
        "'A-' || n".to_owned(),
        format!("CASE WHEN n % 1000 = 1 THEN '{rare}' WHEN n % 50 = 0 THEN 'another' ELSE '{most}' END"),
        "CASE WHEN n % 1000 = 2 THEN 'JPY' WHEN n % 20 = 0 THEN 'EUR' ELSE 'USD' END".to_owned(),
        "n * 7919 % 100000".to_owned(),
        "CASE WHEN n % 1000 = 3 THEN 'stripe' ELSE 'sandbox' END".to_owned(),
    ]
}

/// When row `n` was created.
const MOMENT: &str = "timestamptz '2026-11-18 09:06:40+00' + make_interval(secs => n)";

/// One question to a list: what it is, whether a condition alone is met by hardly any row, and the conditions.
struct Question<S> {
    what: String,
    is_rare: bool,
    filter: Filter<S>,
    cursor: Option<Cursor>,
}

/// Every combination of every filter, for what is rare and for what most rows are, on the first page and on one far behind.
fn questions<S: StatusText + Copy + std::fmt::Debug>([most, rare]: [S; 2]) -> Vec<Question<S>> {
    let question = |chosen: i32, asks_rare: bool| {
        let is = |bit: i32| chosen & (1 << bit) != 0;
        let filter = Filter {
            merchant_id: is(0).then_some(merchant_id(if asks_rare { 2 } else { 1 })),
            status: is(1).then_some(if asks_rare { rare } else { most }),
            currency: is(2).then_some(if asks_rare { Currency::JPY } else { Currency::USD }),
            channel: is(3).then(|| if asks_rare { "stripe" } else { "sandbox" }.parse().unwrap()),
            order_no: is(4).then(|| "A-77".parse().unwrap()),
            created_from: is(5).then(|| at(i64::from(if asks_rare { ROWS / 2 } else { 100 }))),
            created_to: is(5).then(|| at(i64::from(if asks_rare { ROWS / 2 + 100 } else { ROWS }))),
            amount_min: is(6).then_some(if asks_rare { 99_900 } else { 10 }),
            amount_max: is(6).then_some(100_000),
        };
        let cursor = is(7).then(|| Cursor { key: at(i64::from(ROWS / 4)).as_micros(), id: "m".to_owned() });
        let is_rare = is(4) || asks_rare && chosen % 128 != 0;
        Question { what: format!("{filter:?} behind {cursor:?}"), is_rare, filter, cursor }
    };
    (0..256).flat_map(|chosen| [question(chosen, false), question(chosen, true)]).collect()
}

impl Explained {
    async fn fill_streams<M: StreamReadModel>(&self, model: &M, status: [&str; 2]) {
        let [merchant, order_no, status, currency, amount, channel] = columns(status);
        let select = format!(
            "SELECT 'x' || n, {merchant}, {order_no}, {status}, {currency}, {amount}, {channel}, {MOMENT}, {MOMENT}, {MOMENT},
                    1, '{{}}'"
        );
        self.fill(model, M::TABLE, &select).await;
    }

    async fn fill_orders(&self, statuses: [OrderStatus; 2]) {
        let [merchant, order_no, status, currency, amount, channel] = columns(statuses.map(|status| status.as_str()));
        let select = format!(
            "SELECT {merchant}, {order_no}, {status}, {currency}, {amount}, {amount}, 0, {channel}, {MOMENT}, {MOMENT},
                    {MOMENT}, ARRAY['x'], 'x' || n"
        );
        self.fill(&Orders, "orders", &select).await;
    }

    /// The plans of one list; what it answers does not matter here, and these rows' states are none.
    async fn assert_goes_by_an_index<S>(&self, table: &str, question: &Question<S>) {
        let plans = self.plans(table).await;
        assert!(!plans.is_empty(), "{table}: {}", question.what);
        for plan in plans {
            plan.assert_goes_by_an_index(&format!("{table}: {}", question.what), question.is_rare);
        }
    }
}

#[tokio::test]
async fn lists_of_streams_go_by_an_index() {
    async fn check<M: StreamReadModel + Copy + 'static>(model: M)
    where
        streams::State<M>: streams::Listed,
    {
        let statuses = [RefundState::Succeeded, RefundState::Failed];
        let explained = Explained::over(vec![Arc::new(model)]).await;
        explained.fill_streams(&model, statuses.map(|status| status.as_str())).await;
        for question in questions(statuses) {
            let mut view = explained.view(&model).await;
            streams::list::<M, _>(&mut view, &question.filter, 20, question.cursor.as_ref()).await.err();
            drop(view);
            explained.assert_goes_by_an_index(M::TABLE, &question).await;
        }
    }
    check(Payments).await;
    check(PreAuths).await;
    check(Settlements).await;
    check(Withdrawals).await;
    check(BankAccounts).await;
    check(Disputes).await;
    check(Adjustments).await;
    check(Merchants).await;
    check(Reconciliations).await;
    check(ReconciliationExceptions).await;
}

#[tokio::test]
async fn lists_of_one_payments_disputes_go_by_an_index() {
    let explained = Explained::over(vec![Arc::new(Disputes)]).await;
    let statuses = [DisputeStatus::ALL[0], DisputeStatus::ALL[1]];
    let [merchant, order_no, status, currency, amount, channel] = columns(statuses.map(|status| status.as_str()));
    let select = format!(
        "SELECT 'x' || n, {merchant}, {order_no}, {status}, {currency}, {amount}, {channel}, {MOMENT}, {MOMENT}, {MOMENT}, 1,
                json_build_object('Exists', json_build_object('terms', json_build_object('payment_id', 'pay_' || n)))"
    );
    explained.fill(&Disputes, "disputes", &select).await;
    for question in questions(statuses) {
        let question = Question { is_rare: true, ..question };
        let (mut view, payment) = (explained.view(&Disputes).await, Some(payment_id(7)));
        disputes::list(&mut view, &question.filter, payment, 20, question.cursor.as_ref()).await.err();
        drop(view);
        explained.assert_goes_by_an_index("disputes", &question).await;
    }
}

#[tokio::test]
async fn lists_of_orders_go_by_an_index() {
    let explained = Explained::over(vec![Arc::new(Orders)]).await;
    let statuses = [OrderStatus::Paid, OrderStatus::Expired];
    explained.fill_orders(statuses).await;
    for question in questions(statuses) {
        let mut view = explained.view(&Orders).await;
        orders::list(&mut view, &question.filter, 20, question.cursor.as_ref()).await.err();
        drop(view);
        explained.assert_goes_by_an_index("orders", &question).await;
    }
}

#[tokio::test]
async fn lists_of_refunds_go_by_an_index() {
    let explained = Explained::over(vec![Arc::new(Refunds)]).await;
    let statuses = [RefundState::Succeeded, RefundState::Failed];
    let [merchant, order_no, status, currency, amount, channel] = columns(statuses.map(|status| status.as_str()));
    let select = format!(
        "SELECT 'x' || n, 'pay_' || n / 2, {merchant}, {order_no}, {status}, {currency}, {amount}, {channel}, {MOMENT}, {MOMENT}, 1"
    );
    explained.fill(&Refunds, "refunds", &select).await;
    for payment_id in [None, Some(payment_id(7))] {
        for question in questions(statuses) {
            let question = Question { is_rare: question.is_rare || payment_id.is_some(), ..question };
            let filter = RefundFilter { common: question.filter.clone(), payment_id };
            let mut view = explained.view(&Refunds).await;
            refunds::list(&mut view, &filter, 20, question.cursor.as_ref()).await.err();
            drop(view);
            explained.assert_goes_by_an_index("refunds", &question).await;
        }
    }
}

/// As of a position far behind the newest rows: all of these were there, and none has changed since.
#[tokio::test]
async fn lists_of_the_past_go_by_an_index() {
    let explained = Explained::over(vec![Arc::new(Payments), Arc::new(Orders)]).await;
    let statuses = [RefundState::Succeeded, RefundState::Failed];
    explained.fill_streams(&Payments, statuses.map(|status| status.as_str())).await;
    let store = explained.models.store.clone();
    for question in questions(statuses) {
        let view = explained.view(&Payments).await;
        let cursor = question.cursor.as_ref();
        past::list::<Payments, _>(view, store.as_ref(), &question.filter, 1, 20, cursor).await.err();
        // A status as of then is looked for among so many rows, and the page ends there.
        let question = Question { is_rare: question.is_rare && question.filter.status.is_none(), ..question };
        explained.assert_goes_by_an_index("payments", &question).await;
    }
    let statuses = [OrderStatus::Paid, OrderStatus::Expired];
    explained.fill_orders(statuses).await;
    for question in questions(statuses) {
        let view = explained.view(&Orders).await;
        let cursor = question.cursor.as_ref();
        orders::list_at(view, store.as_ref(), &question.filter, 1, 20, cursor).await.err();
        let question = Question { is_rare: question.filter.order_no.is_some(), ..question };
        explained.assert_goes_by_an_index("orders", &question).await;
    }
}
