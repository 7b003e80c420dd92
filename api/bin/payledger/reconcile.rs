//! `payledger reconcile`: brings statements in, compares them with what is booked, and lists what differs. Ends with 3
//! where something of a statement is open: a difference that nobody has settled, or a line that could not be read.

mod show;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::projections::channel_operations::ChannelOperations;
use ::projections::reconciliations::{ExceptionFilter, ExceptionRow, ReconciliationExceptions, exceptions};
use ::projections::{Running, Snapshot};
use anyhow::{Context, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use commands::ports::statements::{BadLine, ColumnMap};
use commands::ports::{Category, Receipt, StatementFormat, state_of};
use commands::reconciliation::Upload;
use domain::reconciliation::{Counterparty, Reconciliation, Record, Rules};
use domain::reconciliation_exception::ExceptionStatus;
use domain::{ReconciliationRunId, StatementId};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::cli::{Arguments, DifferenceFilter, Reconcile, RunRules, StatementFile, StatementFormatName};
use crate::operator::{Operator, issued};
use crate::output;

/// Differences and bad lines that are told of one run.
const TOLD_MAX: u32 = 100;
/// Where there is no terminal, a line of progress so often.
const TELL_EVERY: Duration = Duration::from_secs(10);
const READ_MODEL_WITHIN: Duration = Duration::from_secs(30);

pub async fn run(command: Reconcile, as_json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Reconcile::Import { database, statement } => {
            let upload = statement.check()?;
            let operator = Operator::open(&database).await?;
            let running = feed(&operator);
            let outcome = import(&operator, upload, &statement).await;
            running.stop().await;
            conclude(operator, outcome, as_json).await
        }
        Reconcile::Again { database, id, rules } => {
            let operator = Operator::open(&database).await?;
            let running = feed(&operator);
            let outcome = again(&operator, statement_of(&id)?, &rules).await;
            running.stop().await;
            conclude(operator, outcome, as_json).await
        }
        Reconcile::Show { database, id } => {
            let operator = Operator::open(&database).await?;
            let outcome = outcome(&operator, statement_of(&id)?).await;
            conclude(operator, outcome, as_json).await
        }
        Reconcile::Differences { database, filter } => {
            let operator = Operator::open(&database).await?;
            let found = differences(&operator, &filter).await;
            operator.close().await?;
            let found = found?;
            show::differences(&found, as_json)?;
            let is_open = found.iter().any(|row| is_unsettled(row.status()));
            Ok(if is_open { ExitCode::from(output::DIFFERENCE) } else { ExitCode::SUCCESS })
        }
    }
}

/// A statement with its newest run, and what is open of it.
struct Outcome {
    record: Record,
    /// The first of them, as are the differences.
    bad_lines: Vec<BadLine>,
    differences: Vec<ExceptionRow>,
}

impl Outcome {
    fn is_clean(&self) -> bool {
        let is_done = self.record.run.as_ref().is_some_and(|run| run.completed.is_some());
        is_done && self.bad_lines.is_empty() && self.differences.is_empty()
    }
}

async fn conclude(operator: Operator, outcome: anyhow::Result<Outcome>, as_json: bool) -> anyhow::Result<ExitCode> {
    operator.close().await?;
    let outcome = outcome?;
    show::outcome(&outcome, as_json)?;
    Ok(if outcome.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(output::DIFFERENCE) })
}

/// The read models that a run and the list of what it found need, whether or not a server feeds them.
fn feed(operator: &Operator) -> Running {
    operator.feed(vec![Arc::new(ChannelOperations), Arc::new(ReconciliationExceptions)])
}

async fn import(operator: &Operator, upload: Upload, statement: &StatementFile) -> anyhow::Result<Outcome> {
    let (reconciliations, statement_id) = (&operator.ledger.reconciliations, upload.statement_id());
    let working = async {
        let receipt = reconciliations.import(issued(), upload, &statement.file).await?;
        accepted(&receipt)?;
        reconciliations.run(statement_id).await?;
        anyhow::Ok(())
    };
    waiting(&format!("reconciling {}", statement.file.display()), working).await?;
    outcome(operator, statement_id).await
}

async fn again(operator: &Operator, statement_id: StatementId, rules: &RunRules) -> anyhow::Result<Outcome> {
    let reconciliations = &operator.ledger.reconciliations;
    let issued = issued();
    let by = issued.metadata.actor.clone();
    let working = async {
        let receipt = reconciliations.run_again(issued, statement_id, rules.rules(), by).await?;
        accepted(&receipt)?;
        reconciliations.run(statement_id).await?;
        anyhow::Ok(())
    };
    waiting(&format!("comparing {statement_id} again"), working).await?;
    outcome(operator, statement_id).await
}

fn accepted(receipt: &Receipt) -> anyhow::Result<()> {
    match &receipt.rejection {
        Some(rejection) => bail!("{}", rejection.detail),
        None => Ok(()),
    }
}

/// Says that something goes on, for how long by now, until it is done.
async fn waiting(what: &str, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")?;
    let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    let (mut work, mut told) = (std::pin::pin!(work), 0_u64);
    let done = loop {
        match tokio::time::timeout(TELL_EVERY, &mut work).await {
            Ok(done) => break done,
            Err(_) if bar.is_hidden() => {
                told += TELL_EVERY.as_secs();
                eprintln!("{what}: {told} s");
            }
            Err(_) => {}
        }
    };
    bar.finish_and_clear();
    done
}

async fn outcome(operator: &Operator, statement_id: StatementId) -> anyhow::Result<Outcome> {
    let ledger = &operator.ledger;
    let stream = ledger.store.load(Category::of::<Reconciliation>(), &statement_id.to_string()).await?;
    let record = state_of::<Reconciliation>(&stream).record().cloned();
    let record = record.with_context(|| format!("there is no statement {statement_id}"))?;
    let run_id = ReconciliationRunId::of(statement_id, 1);
    let bad_lines = ledger.reconciliations.bad_lines(run_id, 0, TOLD_MAX).await?;
    let mut view = view(operator).await?;
    let mut differences = vec![];
    for status in [ExceptionStatus::Open, ExceptionStatus::Requested] {
        let filter =
            ExceptionFilter { status: Some(status), statement_id: Some(statement_id), ..ExceptionFilter::default() };
        differences.extend(exceptions(&mut view, &filter, TOLD_MAX, None).await?.rows);
    }
    Ok(Outcome { record, bad_lines, differences })
}

/// All that the filter finds, up to its limit.
async fn differences(operator: &Operator, wanted: &DifferenceFilter) -> anyhow::Result<Vec<ExceptionRow>> {
    let filter = ExceptionFilter {
        status: wanted.status,
        kind: wanted.kind,
        severity: wanted.severity,
        currency: wanted.currency,
        channel: wanted.channel.clone(),
        statement_id: wanted.statement.as_deref().map(statement_of).transpose()?,
        occurred_before: wanted.occurred_before,
    };
    let mut view = view(operator).await?;
    Ok(exceptions(&mut view, &filter, wanted.limit, None).await?.rows)
}

async fn view(operator: &Operator) -> anyhow::Result<Snapshot> {
    let ledger = &operator.ledger;
    let (head, running) = (ledger.store.head().await?, feed(operator));
    let view = ledger.reader.at_least(&[&ReconciliationExceptions], Some(head), READ_MODEL_WITHIN).await;
    running.stop().await;
    Ok(view?)
}

fn is_unsettled(status: ExceptionStatus) -> bool {
    matches!(status, ExceptionStatus::Open | ExceptionStatus::Requested)
}

/// A statement by its own id, or by that of a run over it.
fn statement_of(id: &str) -> anyhow::Result<StatementId> {
    let of_run = || id.parse::<ReconciliationRunId>().map(|run_id| run_id.statement());
    id.parse().or_else(|_| of_run()).with_context(|| format!("{id} is neither stm_... nor rec_..."))
}

impl RunRules {
    fn rules(&self) -> Rules {
        Rules { tolerance: self.tolerance, lag_days_max: self.lag_days_max }
    }
}

impl StatementFile {
    /// What is to be read, and how. Reads the file once, for its digest.
    fn check(&self) -> anyhow::Result<Upload> {
        let (digest, bytes) = digest(&self.file).with_context(|| self.file.display().to_string())?;
        Ok(Upload {
            counterparty: self.counterparty()?,
            format: self.format.format(self.columns.clone().unwrap_or_default()),
            digest,
            bytes,
            rules: self.rules.rules(),
            by: issued().metadata.actor,
        })
    }

    /// As the route has it; of a table of anybody's, it must be named.
    fn counterparty(&self) -> anyhow::Result<Counterparty> {
        let channel = |name: &str| name.parse().map(Counterparty::Channel).map_err(anyhow::Error::msg);
        match (&self.channel, &self.bank, self.format) {
            (Some(name), _, _) => Ok(Counterparty::Channel(name.clone())),
            (None, Some(name), _) => Ok(Counterparty::Bank(name.clone())),
            (None, None, StatementFormatName::StripePayout) => channel("stripe"),
            (None, None, StatementFormatName::PaypalStl) => channel("paypal"),
            (None, None, StatementFormatName::AlipayBill) => channel("alipay"),
            (None, None, StatementFormatName::Camt053) => "bank:sandbox".parse().map_err(anyhow::Error::msg),
            (None, None, StatementFormatName::Csv) => {
                let missing = "name whose statement it is: --channel or --bank";
                Arguments::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
            }
        }
    }
}

impl StatementFormatName {
    fn format(self, columns: ColumnMap) -> StatementFormat {
        match self {
            StatementFormatName::StripePayout => StatementFormat::StripePayout,
            StatementFormatName::PaypalStl => StatementFormat::PaypalStl,
            StatementFormatName::AlipayBill => StatementFormat::AlipayBill,
            StatementFormatName::Camt053 => StatementFormat::Camt053,
            StatementFormatName::Csv => StatementFormat::Csv(columns),
        }
    }
}

/// SHA-256 in hex, and the length.
fn digest(file: &Path) -> std::io::Result<(String, u64)> {
    let (mut file, mut digest, mut bytes) = (std::fs::File::open(file)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex::encode(digest.finalize()), bytes)),
            read => {
                digest.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
