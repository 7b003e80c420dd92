//! Prints what an export of many payments takes: time, and how much memory this process comes to.
//! `cargo bench -p test-support --bench exports -- [ROWS]`. Figures of one machine at one moment, no test.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use domain::ExportId;
use futures::TryStreamExt;
use projections::exports::{self, ExportTerms, Exporter, Format, Kind, NewExport, Selection};
use projections::payments::Payments;
use sha2::{Digest, Sha256};
use test_support::histories::{capture, create, terms};
use test_support::read_models::ReadModels;
use uuid::Uuid;

const ROWS: i64 = 1_000_000;

#[tokio::main]
async fn main() {
    let rows = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(ROWS);
    let models = ReadModels::new().await;
    fill(&models, rows).await;
    println!("{rows} rows; {} MB before", peak_megabytes());
    for format in [Format::Csv, Format::Ndjson] {
        forget_peak();
        let (began, export_id) = (Instant::now(), ask(&models, format).await);
        let exporter = Exporter::new(models.database.pool.clone(), models.reader.clone(), ExportTerms::default());
        let claim = exporter.claim().await.expect("a database").expect("an export was asked for");
        exporter.carry_out(&claim).await.expect("the file is made");
        let took = began.elapsed();
        let made = peak_megabytes();
        let export =
            exports::find(&models.database.pool, export_id).await.expect("a database").expect("it was asked for");
        let file = export.file.clone().expect("the file is made");
        assert_eq!(i64::try_from(file.rows), Ok(rows));

        forget_peak();
        let (began, mut digest) = (Instant::now(), Sha256::new());
        let mut parts = Box::pin(exports::read(models.database.pool.clone(), &export, 0..file.bytes));
        while let Some(part) = parts.try_next().await.expect("the file is there") {
            digest.update(part);
        }
        assert_eq!(hex::encode(digest.finalize()), file.digest);
        println!(
            "{:6} {:4} MB made in {took:.1?}, peak {made} MB; read back in {:.1?}, peak {} MB",
            format.as_str(),
            file.bytes / 1_000_000,
            began.elapsed(),
            peak_megabytes(),
        );
    }
}

/// One payment that was paid, as often as is wanted.
async fn fill(models: &ReadModels, rows: i64) {
    let running = models.start(vec![Arc::new(Payments)]);
    let payment_id = create(models.store.as_ref(), terms(1)).await;
    capture(models.store.as_ref(), payment_id, 10_000, Some(100)).await;
    models.view(&[&Payments]).await;
    let schema = models.schema("payments").await;
    running.stop().await;
    let copy = format!(
        "INSERT INTO {schema}.payments
         SELECT id || n, merchant_id, order_no, status, currency, amount, channel,
                created_at + n * interval '1 millisecond', recorded_at, updated_at, version, state
           FROM {schema}.payments, generate_series(1, $1 - 1) AS n"
    );
    sqlx::query(&copy).bind(rows).execute(&models.database.pool).await.expect("rows are copied");
    sqlx::raw_sql(&format!("ANALYZE {schema}.payments")).execute(&models.database.pool).await.expect("a database");
}

async fn ask(models: &ReadModels, format: Format) -> ExportId {
    let new = NewExport {
        export_id: ExportId::from_uuid(Uuid::now_v7()),
        owner: None,
        requested_by: "finance:bench".to_owned(),
        kind: Kind::Payments,
        format,
        selection: Selection::default(),
        min_position: 0,
    };
    exports::request(&models.database.pool, &new, 5).await.expect("a database").expect("there is room");
    new.export_id
}

/// The most memory that this process has held since [`forget_peak`].
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

fn forget_peak() {
    if std::fs::write("/proc/self/clear_refs", "5").is_err() {
        println!("the peak cannot be forgotten here: it is that of the whole run");
    }
}
