//! Figures: whatever is asked, the answer is what counting the events or orders one by one comes to, in whatever batches
//! they were folded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commands::ports::RecordedEvent;
use domain::buckets::{Bucket, Place};
use domain::payment::{Created, Event};
use domain::{ChannelName, Country, Currency, MerchantId, Timestamp};
use projections::analytics::{self, Analytics, Answer, Groups, Question};
use projections::orders::{self, OrderFilter, OrderQuestion, OrderRow, Orders, Sums};
use projections::{Projection, Snapshot, TooMuch};
use sqlx::{Connection, PgConnection};
use test_support::histories::{at, create, merchant_id, terms};
use test_support::payment_year::PaymentYear;
use test_support::read_models::ReadModels;

fn year() -> PaymentYear {
    PaymentYear { payments: 1_500, merchants: 6, end: "2026-11-21T00:00:00Z".parse().unwrap() }
}

fn bounds(zone: &str, bucket: Bucket, from: &str, to: &str) -> Vec<Timestamp> {
    let place = Place::of(&zone.parse().unwrap()).unwrap();
    let (from, to) = (place.start_of(from.parse().unwrap()), place.start_of(to.parse().unwrap()));
    place.bounds(bucket, from, to, 10_000).unwrap()
}

/// Folds events beside the runner, in batches of the sizes given in turn.
async fn fold(models: &ReadModels, projection: &dyn Projection, events: &[RecordedEvent], batches: &[usize]) {
    let schema = models.schema(projection.name()).await;
    let mut connection = PgConnection::connect(&models.database.url).await.unwrap();
    sqlx::raw_sql(&format!("SET search_path TO {schema}, public")).execute(&mut connection).await.unwrap();
    let (mut rest, mut sizes) = (events, batches.iter().cycle());
    while !rest.is_empty() {
        let (batch, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        let mut transaction = connection.begin().await.unwrap();
        projection.apply(&mut transaction, &batch.iter().collect::<Vec<_>>()).await.unwrap();
        transaction.commit().await.unwrap();
        rest = later;
    }
}

/// What is looked at of one row.
#[derive(Debug, Clone, Default, PartialEq)]
struct Counted {
    created: i64,
    succeeded: i64,
    failed: i64,
    expired: i64,
    refunds: i64,
    captured: i128,
    refunded: i128,
    fees: i128,
    outcomes: i64,
}

type Told = (usize, Currency, Option<MerchantId>, Option<ChannelName>, Option<Country>);

/// One by one.
fn count(events: &[RecordedEvent], question: &Question) -> (BTreeMap<Told, Counted>, BTreeMap<String, i64>) {
    let (mut rows, mut codes): (BTreeMap<Told, Counted>, BTreeMap<String, i64>) = Default::default();
    let mut terms: BTreeMap<String, Created> = BTreeMap::new();
    for event in events {
        let told: Event = event.decode().unwrap();
        if let Event::Created(created) = &told {
            terms.insert(event.stream.id.clone(), (**created).clone());
        }
        let of = &terms[&event.stream.id];
        let bucket = question.bounds.windows(2).position(|edge| (edge[0]..edge[1]).contains(&event.recorded_at));
        let is_asked = question.merchant_id.is_none_or(|merchant| merchant == of.merchant_id)
            && question.channel.as_ref().is_none_or(|channel| *channel == of.channel)
            && question.currency.is_none_or(|currency| currency == of.currency)
            && question.country.is_none_or(|country| Some(country) == of.country);
        let Some(bucket) = bucket.filter(|_| is_asked) else { continue };
        let groups = question.groups;
        let told_apart = (
            bucket,
            of.currency,
            groups.merchant.then_some(of.merchant_id),
            groups.channel.then(|| of.channel.clone()),
            of.country.filter(|_| groups.country),
        );
        let mut row = Counted::default();
        match told {
            Event::Created(_) => row.created = 1,
            Event::Captured(captured) => {
                (row.succeeded, row.captured, row.outcomes) = (1, captured.amount.into(), 1);
                row.fees = i128::from(captured.channel_fee.amount()) + i128::from(captured.markup);
            }
            Event::Failed(failed) => {
                (row.failed, row.outcomes) = (1, 1);
                *codes.entry(failed.failure.code).or_default() += 1;
            }
            Event::Expired { .. } => row.expired = 1,
            Event::RefundSucceeded(refund) => (row.refunds, row.refunded) = (1, refund.amount.into()),
            _ => continue,
        }
        let sum = rows.entry(told_apart).or_default();
        sum.created += row.created;
        sum.succeeded += row.succeeded;
        sum.failed += row.failed;
        sum.expired += row.expired;
        sum.refunds += row.refunds;
        sum.captured += row.captured;
        sum.refunded += row.refunded;
        sum.fees += row.fees;
        sum.outcomes += row.outcomes;
    }
    (rows, codes)
}

fn as_counted(answer: &Answer) -> BTreeMap<Told, Counted> {
    let row = |row: &analytics::Figures| {
        let told = (row.bucket, row.currency, row.merchant_id, row.channel.clone(), row.country);
        let measures = &row.measures;
        let counted = Counted {
            created: measures.created,
            succeeded: measures.succeeded,
            failed: measures.failed,
            expired: measures.expired,
            refunds: measures.refunds,
            captured: measures.amount_succeeded,
            refunded: measures.amount_refunded,
            fees: measures.fees_passed_on + measures.markup,
            outcomes: row.latencies.total(),
        };
        (told, counted)
    };
    answer.rows.iter().map(row).collect()
}

/// Every filter and everything told apart, in four zones and with the three buckets.
fn questions() -> Vec<Question> {
    let stretches = [
        bounds("UTC", Bucket::Day, "2025-11-01", "2026-12-01"),
        bounds("UTC", Bucket::Month, "2025-11-01", "2026-12-01"),
        bounds("Europe/Berlin", Bucket::Day, "2026-03-01", "2026-04-10"),
        bounds("America/New_York", Bucket::Month, "2025-10-01", "2026-12-01"),
        bounds("Asia/Kathmandu", Bucket::Day, "2026-05-01", "2026-06-01"),
        bounds("Asia/Kolkata", Bucket::Month, "2025-10-01", "2026-12-01"),
        bounds("Australia/Lord_Howe", Bucket::Hour, "2026-04-01", "2026-04-10"),
    ];
    let filters = |n: u32| {
        (
            (n & 1 == 1).then(|| merchant_id(2)),
            (n & 2 == 2).then(|| "stripe".parse().unwrap()),
            (n & 4 == 4).then_some(Currency::EUR),
            (n & 8 == 8).then(|| "DE".parse().unwrap()),
        )
    };
    let mut questions = vec![];
    for (index, bounds) in stretches.iter().enumerate() {
        for n in 0..16 {
            // Each filter meets each way of telling apart with some stretch.
            let groups = (n + u32::try_from(index).unwrap()) % 8;
            let groups = Groups { merchant: groups & 1 == 1, channel: groups & 2 == 2, country: groups & 4 == 4 };
            let (merchant_id, channel, currency, country) = filters(n);
            let bounds = bounds.clone();
            questions.push(Question { merchant_id, channel, currency, country, bounds, groups, rows_max: 100_000 });
        }
    }
    questions
}

async fn asked(view: &mut Snapshot, question: &Question) -> Result<Answer, TooMuch> {
    analytics::figures(view, question).await.unwrap()
}

#[tokio::test]
async fn payments_figures_are_what_counting_one_by_one_comes_to() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Analytics)]);
    drop(models.view(&[&Analytics]).await);
    let events = year().events(0, u32::MAX);
    fold(&models, &Analytics, &events, &[1, 7, 400, 90]).await;
    let mut view = models.view(&[&Analytics]).await;
    let mut rows_seen = 0;
    for question in questions() {
        let answer = asked(&mut view, &question).await.unwrap();
        let (expected, codes) = count(&events, &question);
        assert_eq!(as_counted(&answer), expected, "{question:?}");
        assert_eq!(answer.failures.iter().cloned().collect::<BTreeMap<_, _>>(), codes, "{question:?}");
        assert!(answer.failures.is_sorted_by_key(|(_, count)| std::cmp::Reverse(*count)));
        rows_seen += expected.len();
    }
    assert!(rows_seen > 5_000, "{rows_seen}");
    let all = Question { merchant_id: None, channel: None, currency: None, country: None, ..questions().remove(1) };
    let most = asked(&mut view, &Question { groups: Groups::default(), ..all.clone() }).await.unwrap().rows.len();
    for (rows_max, is_too_much) in [(most, false), (most - 1, true)] {
        let answer = asked(&mut view, &Question { rows_max, groups: Groups::default(), ..all.clone() }).await;
        assert_eq!(answer.is_err(), is_too_much, "{rows_max} of {most}");
    }
}

/// The nearest rank of what was waited, rounded up to the end of a class that is no wider than an eighth.
#[tokio::test]
async fn percentiles_are_those_of_all_payments_of_the_stretch() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Analytics)]);
    drop(models.view(&[&Analytics]).await);
    let events = year().events(0, u32::MAX);
    fold(&models, &Analytics, &events, &[333]).await;
    let mut waited: BTreeMap<Currency, Vec<u64>> = BTreeMap::new();
    let mut begun: BTreeMap<String, (Currency, Timestamp)> = BTreeMap::new();
    for event in &events {
        match event.decode().unwrap() {
            Event::Created(terms) => {
                begun.insert(event.stream.id.clone(), (terms.currency, event.recorded_at));
            }
            Event::Captured(_) | Event::Failed(_) => {
                let (currency, since) = begun[&event.stream.id];
                let milliseconds = u64::try_from(event.recorded_at.since(since).as_millis()).unwrap();
                waited.entry(currency).or_default().push(milliseconds);
            }
            _ => {}
        }
    }
    let edges = vec!["2025-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap()];
    let question = Question { bounds: edges, ..questions().remove(0) };
    let question = Question { merchant_id: None, groups: Groups::default(), ..question };
    let answer = asked(&mut models.view(&[&Analytics]).await, &question).await.unwrap();
    assert_eq!(answer.rows.len(), 4);
    for row in &answer.rows {
        let waited = waited.get_mut(&row.currency).unwrap();
        waited.sort_unstable();
        for percent in [50, 90, 99_u8] {
            let exact = waited[(waited.len() * usize::from(percent)).div_ceil(100) - 1];
            let told = row.latencies.percentile(percent).unwrap();
            assert!(told >= exact && told - exact <= exact / 8, "{percent} %: {told}, exactly {exact}");
        }
    }
}

#[tokio::test]
async fn a_captured_payment_that_had_expired_counts_once() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Analytics)]);
    drop(models.view(&[&Analytics]).await);
    let events = year().events(0, u32::MAX);
    let captured = events.iter().find(|event| event.event_type == "payment.captured").unwrap();
    let created = events.iter().find(|event| event.stream == captured.stream).unwrap();
    let terms: Event = created.decode().unwrap();
    let Event::Created(terms) = terms else { panic!("it begins with its terms") };
    let days = |days: u64| captured.recorded_at.plus(Duration::from_secs(days * 86_400));
    let expired = RecordedEvent {
        event_type: "payment.expired".to_owned(),
        recorded_at: days(1),
        payload: serde_json::to_string(&Event::Expired { payment_id: terms.payment_id }).unwrap(),
        ..captured.clone()
    };
    let late = RecordedEvent { recorded_at: days(3), version: 3, ..captured.clone() };
    fold(&models, &Analytics, &[created.clone(), expired, late], &[1]).await;
    let edges = bounds("UTC", Bucket::Day, "2025-11-01", "2026-12-01");
    let question = Question { bounds: edges, groups: Groups::default(), ..questions().remove(0) };
    let answer = asked(&mut models.view(&[&Analytics]).await, &question).await.unwrap();
    let sums: Vec<[i64; 3]> =
        answer.rows.iter().map(|row| [row.measures.created, row.measures.expired, row.measures.succeeded]).collect();
    assert_eq!(sums, [[1, 0, 0], [0, 0, 1]], "nothing is left of the expiry");
    let rows = format!("SELECT count(*) FROM {}.figures", models.schema("analytics").await);
    let rows: i64 = sqlx::query_scalar(&rows).fetch_one(&models.database.pool).await.unwrap();
    assert_eq!(rows, 10, "of five owners each on the days of its creation and its capture");
}

/// All orders, with a second and a third payment under some of their numbers.
fn orders_of_a_year() -> Vec<RecordedEvent> {
    let mut events = year().events(0, u32::MAX);
    for event in &mut events {
        if let Event::Created(mut terms) = event.decode().unwrap() {
            let number: u32 = terms.order_no.as_str()[2..].parse().unwrap();
            terms.order_no = format!("A-{}", number / 3).parse().unwrap();
            event.payload = serde_json::to_string(&Event::Created(terms)).unwrap();
        }
    }
    events
}

async fn all_orders(view: &mut Snapshot) -> Vec<OrderRow> {
    let (mut rows, mut cursor) = (vec![], None);
    loop {
        let page = orders::list(view, &OrderFilter::default(), 500, cursor.as_ref()).await.unwrap();
        rows.extend(page.rows);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn orders_figures_are_what_the_list_of_orders_shows() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Orders)]);
    drop(models.view(&[&Orders]).await);
    fold(&models, &Orders, &orders_of_a_year(), &[1, 250, 33]).await;
    let mut view = models.view(&[&Orders]).await;
    let rows = all_orders(&mut view).await;
    assert!(rows.len() > 500, "{}", rows.len());
    for (zone, bucket, by_merchant, merchant, currency) in [
        ("UTC", Bucket::Day, false, None, None),
        ("UTC", Bucket::Month, true, None, None),
        ("Europe/Berlin", Bucket::Month, true, Some(merchant_id(1)), None),
        ("Asia/Kathmandu", Bucket::Day, true, None, Some(Currency::JPY)),
        ("America/New_York", Bucket::Day, false, Some(merchant_id(3)), None),
    ] {
        let bounds = bounds(zone, bucket, "2026-02-10", "2026-11-09");
        let mut expected: BTreeMap<_, Sums> = BTreeMap::new();
        for row in &rows {
            let made = bounds.windows(2).position(|edge| (edge[0]..edge[1]).contains(&row.created_at));
            let is_asked = merchant.is_none_or(|merchant| merchant == row.merchant_id)
                && currency.is_none_or(|currency| currency == row.currency);
            let Some(made) = made.filter(|_| is_asked) else { continue };
            let told = (made, row.currency, by_merchant.then_some(row.merchant_id), format!("{:?}", row.status));
            expected.entry(told).or_default().add(&Sums {
                orders: 1,
                paid: i64::from(row.amount_paid > 0),
                refunded: i64::from(row.amount_refunded > 0),
                amount: row.amount.into(),
                amount_paid: row.amount_paid.into(),
                amount_refunded: row.amount_refunded.into(),
            });
        }
        let question = OrderQuestion { merchant_id: merchant, currency, bounds, by_merchant, rows_max: 100_000 };
        let figures = orders::figures(&mut view, &question).await.unwrap().unwrap();
        let found: BTreeMap<_, Sums> = figures
            .iter()
            .map(|row| ((row.bucket, row.currency, row.merchant_id, format!("{:?}", row.status)), row.sums))
            .collect();
        assert_eq!(found, expected, "{zone} {bucket:?}");
        assert!(found.len() > 20, "{zone} {bucket:?}");
        let fewer = OrderQuestion { rows_max: found.len() - 1, ..question };
        assert_eq!(orders::figures(&mut view, &fewer).await.unwrap(), Err(TooMuch));
    }
}

#[tokio::test]
async fn nothing_is_told_of_what_never_was() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Analytics), Arc::new(Orders)]);
    let mut view = models.view(&[&Analytics, &Orders]).await;
    let question = questions().remove(0);
    assert_eq!(asked(&mut view, &question).await, Ok(Answer::default()));
    drop(view);
    create(models.store.as_ref(), Created { merchant_id: merchant_id(9), created_at: at(0), ..terms(1) }).await;
    let mut view = models.view(&[&Analytics]).await;
    let of_another = Question { merchant_id: Some(merchant_id(8)), ..question };
    assert_eq!(asked(&mut view, &of_another).await, Ok(Answer::default()));
}
