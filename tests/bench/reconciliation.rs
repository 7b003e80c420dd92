//! Imports a statement and compares it with as many booked operations: how long each takes, and the most memory that this
//! process ever had. `cargo bench -p test-support --bench reconciliation -- 1000000`

#![allow(clippy::unwrap_used)]

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::Instant;

use adapters::statements::PostgresStatementBook;
use commands::ports::statements::{ColumnMap, NewStatement, RunOrder};
use commands::ports::{StatementBook, StatementFormat};
use domain::reconciliation::Rules;
use domain::{ReconciliationRunId, StatementId, Timestamp};
use projections::channel_operations::ChannelOperations;
use test_support::read_models::ReadModels;

/// Of the lines, one in so many differs in its amount, and one has a reference that nobody knows.
const DIFFERING_EVERY: usize = 500;
const LINES: usize = 1_000_000;

#[tokio::main]
async fn main() {
    let lines = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(LINES);
    let models = ReadModels::new().await;
    let running = models.start(vec![Arc::new(ChannelOperations)]);
    drop(models.view(&[&ChannelOperations]).await);
    book(&models, lines).await;
    let file = statement(lines);
    println!("{lines} lines, {} MB; {} MB used before", file.as_file().metadata().unwrap().len() >> 20, peak_mb());

    let ledger = PostgresStatementBook::new(models.database.pool.clone(), models.reader.clone());
    let statement_id = StatementId::of_content(&["bench"]);
    let new = NewStatement {
        statement_id,
        counterparty: "channel:bench".parse().unwrap(),
        format: StatementFormat::Csv(ColumnMap::default()),
        imported_at: Timestamp::default(),
    };
    let started = Instant::now();
    let imported = ledger.import(&new, file.path()).await.unwrap();
    let import = started.elapsed();
    let run = |number| RunOrder {
        run_id: ReconciliationRunId::of(statement_id, number),
        statement_id,
        rules: Rules::default(),
        at_least: 0,
        now: Timestamp::default(),
    };
    let started = Instant::now();
    let first = ledger.reconcile(&run(1)).await.unwrap();
    let compare = started.elapsed();
    println!("import    {:6.1} s, {} bad lines", import.as_secs_f64(), imported.bad_lines);
    println!("compare   {:6.1} s, {:?}", compare.as_secs_f64(), first.counts);
    println!("both      {:6.1} s, at most {} MB", (import + compare).as_secs_f64(), peak_mb());
    let started = Instant::now();
    let again = ledger.reconcile(&run(2)).await.unwrap();
    assert_eq!(again.digest, first.digest, "a second run finds the same");
    println!("again     {:6.1} s, at most {} MB", started.elapsed().as_secs_f64(), peak_mb());
    running.stop().await;
}

/// As many charges as lines, a second apart.
async fn book(models: &ReadModels, lines: usize) {
    sqlx::query(
        "INSERT INTO rm_channel_operations_1.channel_operations
                (counterparty, object, kind, part, position, reference, currency, gross, fee, fee_is_estimate, occurred_at)
         SELECT 'channel:bench', 'pay_' || n, 'charge', 1, n, 'ch_' || lpad(to_hex(n * 2654435761 % 4294967291), 16, '0'), 'USD', 1000 + n % 5000, 29 + n % 7, false,
                timestamptz '2026-11-01' + n * interval '1 second'
           FROM generate_series(1, $1::bigint) AS n",
    )
    .bind(i64::try_from(lines).unwrap())
    .execute(&models.database.pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE rm_channel_operations_1.channel_operations").execute(&models.database.pool).await.unwrap();
}

/// The same charges as the channel tells them.
fn statement(lines: usize) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut writer = BufWriter::new(file.as_file());
    let begin: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    writeln!(writer, "reference,kind,gross,fee,currency,date").unwrap();
    for n in 1..=lines {
        let (gross, fee) = (1_000 + n % 5_000 + if n % DIFFERING_EVERY == 0 { 10 } else { 0 }, 29 + n % 7);
        let known = n % DIFFERING_EVERY != 1;
        let reference = if known { format!("ch_{:016x}", scattered(n)) } else { format!("unknown_{n}") };
        let at = begin.plus(std::time::Duration::from_secs(n as u64));
        writeln!(writer, "{reference},charge,{}.{:02},0.{fee:02},USD,{at}", gross / 100, gross % 100).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    file
}

/// Numbers that sort in another order than they were given out, as references do.
fn scattered(n: usize) -> u64 {
    n as u64 * 2_654_435_761 % 4_294_967_291
}

/// The most memory that this process has had.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or_default() >> 10
}
