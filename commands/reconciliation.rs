//! The use cases of reconciliation: bringing a statement in, comparing it with what is booked, now and again, and saying
//! what is done about a difference. Everything here may be done again at any time: a statement is known by its content,
//! a run by its number, a difference by what it is made of.

mod resolve;

use std::path::Path;
use std::sync::Arc;

use domain::reconciliation::{
    Command, Counterparty, Reconciliation, Rules, RunCompleted, RunRequested, StatementImported,
};
use domain::{ReconciliationRunId, StatementId};

use crate::executor::{CommandError, Issued};
use crate::payment::Payments;
use crate::ports::statements::{BadLine, ImportError, NewStatement, RunOrder, StatementsUnavailable};
use crate::ports::{Category, Receipt, StatementBook, StatementFormat, state_of};

/// Cheap to clone.
#[derive(Clone)]
pub struct Reconciliations {
    pub payments: Payments,
    pub book: Arc<dyn StatementBook>,
}

/// A statement's file, and whose it is.
#[derive(Debug, Clone)]
pub struct Upload {
    pub counterparty: Counterparty,
    pub format: StatementFormat,
    /// SHA-256 of the file in hex, and its length in bytes.
    pub digest: String,
    pub bytes: u64,
    pub rules: Rules,
    /// A principal, not a key.
    pub by: String,
}

impl Upload {
    /// The same file of the same counterparty, read in the same way, is the same statement.
    pub fn statement_id(&self) -> StatementId {
        let columns = match &self.format {
            StatementFormat::Csv(map) => {
                let column = |(field, heading): &(_, String)| format!("{field:?}={heading}");
                map.columns.iter().map(column).collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        };
        StatementId::of_content(&[&self.counterparty.to_string(), self.format.as_str(), &columns, &self.digest])
    }
}

impl Reconciliations {
    /// Keeps the statement's lines and asks for its first run, which [`Reconciliations::run`] makes. The lines come first: if
    /// the process dies behind them, the same file finds them kept.
    pub async fn import(&self, issued: Issued, upload: Upload, file: &Path) -> Result<Receipt, CommandError> {
        let (executor, at) = (&self.payments.executor, self.payments.clock.now());
        if let Some(receipt) = executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let statement_id = upload.statement_id();
        let (counterparty, format) = (upload.counterparty.clone(), upload.format.clone());
        let new = NewStatement { statement_id, counterparty, format, imported_at: at };
        let imported = self.book.import(&new, file).await?;
        let statement = Box::new(StatementImported {
            statement_id,
            counterparty: upload.counterparty,
            format: upload.format.as_str().to_owned(),
            digest: upload.digest,
            bytes: upload.bytes,
            lines: imported.lines,
            bad_lines: imported.bad_lines,
            totals: imported.totals,
            period: imported.period,
            imported_by: upload.by,
            imported_at: at,
        });
        let command = Command::Import { statement, rules: upload.rules };
        executor.decide::<Reconciliation>(issued, statement_id.to_string(), command).await
    }

    /// Asks for another run over a statement, on what is booked by then.
    pub async fn run_again(
        &self,
        issued: Issued,
        statement_id: StatementId,
        rules: Rules,
        by: String,
    ) -> Result<Receipt, CommandError> {
        let command = Command::RunAgain { rules, by, at: self.payments.clock.now() };
        self.payments.executor.decide::<Reconciliation>(issued, statement_id.to_string(), command).await
    }

    /// Makes the run that was asked for, and answers whether there was one. What it wrote counts once the event says so;
    /// if the process dies in between, the run is made again and writes the same.
    pub async fn run(&self, statement_id: StatementId) -> Result<bool, CommandError> {
        let Some(requested) = self.requested(statement_id).await? else { return Ok(false) };
        let RunRequested { run_id, number, rules, .. } = requested;
        let store = self.payments.executor.store();
        let order =
            RunOrder { run_id, statement_id, rules, at_least: store.head().await?, now: self.payments.clock.now() };
        let outcome = self.book.reconcile(&order).await?;
        let completed = RunCompleted {
            run_id,
            number,
            position: outcome.position,
            counts: outcome.counts,
            outcome_digest: outcome.digest,
            completed_at: self.payments.clock.now(),
        };
        let open: u64 = completed.counts.exceptions.values().sum();
        tracing::info!(run.id = %run_id, matched = completed.counts.matched_lines, exceptions = open, "reconciled");
        metrics::counter!("reconciliation_run_total").increment(1);
        metrics::counter!("reconciliation_exception_total").increment(open);
        let issued = Issued::internally("reconciliation", &format!("run:{run_id}"), &run_id.to_string());
        let command = Command::CompleteRun(Box::new(completed));
        self.payments.executor.decide::<Reconciliation>(issued, statement_id.to_string(), command).await?;
        Ok(true)
    }

    async fn requested(&self, statement_id: StatementId) -> Result<Option<RunRequested>, CommandError> {
        let store = self.payments.executor.store();
        let stream = store.load(Category::of::<Reconciliation>(), &statement_id.to_string()).await?;
        let run = state_of::<Reconciliation>(&stream).record().and_then(|record| record.run.clone());
        Ok(run.filter(|run| run.completed.is_none()).map(|run| run.requested))
    }

    /// Lines of a statement that could not be read.
    pub async fn bad_lines(
        &self,
        run_id: ReconciliationRunId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<BadLine>, CommandError> {
        Ok(self.book.bad_lines(run_id.statement(), after, limit).await?)
    }
}

impl From<StatementsUnavailable> for CommandError {
    fn from(error: StatementsUnavailable) -> CommandError {
        CommandError::Unavailable(error.0)
    }
}

impl From<ImportError> for CommandError {
    fn from(error: ImportError) -> CommandError {
        match error {
            ImportError::Unreadable(detail) => {
                CommandError::Invalid { code: "statement_unreadable", pointer: "", detail }
            }
            ImportError::Unavailable(error) => error.into(),
        }
    }
}
