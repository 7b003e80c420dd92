//! What a run has found so far: written row by row, counted, and digested in the order in which it is found.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use commands::ports::statements::{RunOrder, RunOutcome};
use domain::reconciliation::matching::{Finding, Match, Settled};
use domain::reconciliation::{Counts, Difference, DifferenceKind, Line, Operation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Row};

use super::super::book::json_text;
use super::super::copy::{BinaryRows, CopyRows};
use super::left::Left;
use super::{SEARCHED_AROUND, Subject};

/// Lines and operations of one exception that are told one by one.
const TOLD_MAX: usize = 20;

pub(super) struct Findings {
    order: RunOrder,
    statement: i64,
    counterparty: String,
    matches: BinaryRows,
    exceptions: CopyRows,
    counts: Counts,
    digest: Sha256,
    /// Operations that other statements have, in their order.
    taken: Arc<Vec<u64>>,
    lines: Vec<u32>,
    positions: Vec<u64>,
}

/// What was settled when it was asked for.
#[derive(Clone)]
pub(super) struct Done {
    lines: Vec<u32>,
    positions: Vec<u64>,
    taken: Arc<Vec<u64>>,
}

impl Done {
    pub(super) fn has_line(&self, number: u32) -> bool {
        self.lines.binary_search(&number).is_ok()
    }

    pub(super) fn has_operation(&self, position: u64) -> bool {
        self.positions.binary_search(&position).is_ok()
    }

    pub(super) fn is_taken(&self, position: u64) -> bool {
        self.taken.binary_search(&position).is_ok()
    }
}

impl Findings {
    /// What the run before this one said is taken back.
    pub(super) async fn begin(
        connection: &mut PgConnection,
        subject: &Subject,
        order: &RunOrder,
    ) -> Result<Findings, sqlx::Error> {
        sqlx::query("DELETE FROM reconciliation_matches WHERE statement = $1")
            .bind(subject.number)
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "CREATE TEMPORARY TABLE found ON COMMIT DROP AS SELECT * FROM reconciliation_differences WITH NO DATA",
        )
        .execute(&mut *connection)
        .await?;
        Ok(Findings {
            order: order.clone(),
            statement: subject.number,
            counterparty: subject.counterparty.to_string(),
            matches: BinaryRows::new(
                "COPY reconciliation_matches (statement, line, position, how, score) FROM STDIN (FORMAT binary)",
                5,
            ),
            exceptions: CopyRows::new(
                "COPY found (exception_id, statement_id, run_id, counterparty, kind, severity, currency, amount,
                             reason, there, here, positions, estimated_fee, occurred_at, opened_at) FROM STDIN",
            ),
            counts: Counts::default(),
            digest: Sha256::new(),
            taken: Arc::new(taken(connection, subject).await?),
            lines: vec![],
            positions: vec![],
        })
    }

    pub(super) fn lines_settled(&self) -> u64 {
        u64::try_from(self.lines.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn done(&self) -> Done {
        let mut done = Done { lines: self.lines.clone(), positions: self.positions.clone(), taken: self.taken.clone() };
        done.lines.sort_unstable();
        done.positions.sort_unstable();
        done
    }

    /// Takes what was found, and hands on what was left over.
    pub(super) async fn add(
        &mut self,
        connection: &mut PgConnection,
        batch: Vec<Settled>,
        left: &mut Left,
    ) -> Result<(), sqlx::Error> {
        for settled in batch {
            for finding in settled.findings {
                match finding {
                    Finding::Matched(matched) => self.matched(&matched),
                    Finding::Differs(difference) => self.write(&difference),
                }
            }
            left.add(settled.lines_left, settled.operations_left);
        }
        self.matches.flush_if_large(connection).await?;
        self.exceptions.flush_if_large(connection).await
    }

    pub(super) async fn differs(
        &mut self,
        connection: &mut PgConnection,
        difference: Difference,
    ) -> Result<(), sqlx::Error> {
        self.write(&difference);
        self.exceptions.flush_if_large(connection).await
    }

    /// Each line and each operation stands in at least one row.
    fn matched(&mut self, matched: &Match) {
        let Match { how, score, lines, operations } = matched;
        *self.counts.matches.entry(*how).or_default() += 1;
        self.counts.matched_lines += u64::try_from(lines.len()).unwrap_or_default();
        self.counts.matched_operations += u64::try_from(operations.len()).unwrap_or_default();
        self.settle(how.as_str(), lines, operations);
        for index in 0..lines.len().max(operations.len()) {
            let (line, operation) = (&lines[index.min(lines.len() - 1)], &operations[index.min(operations.len() - 1)]);
            self.matches.begin_row();
            self.matches.bigint(self.statement);
            self.matches.integer(i32::try_from(line.number).expect("a file of 256 MB has fewer lines"));
            self.matches.bigint(i64::try_from(operation.position).expect("positions are kept as bigint"));
            self.matches.text(how.as_str());
            self.matches.smallint(i16::from(*score));
        }
    }

    fn write(&mut self, difference: &Difference) {
        *self.counts.exceptions.entry(difference.kind).or_default() += 1;
        self.settle(difference.kind.as_str(), &difference.lines, &difference.operations);
        let positions = difference.operations.iter().map(|operation| operation.position.to_string());
        let positions = format!("{{{}}}", positions.collect::<Vec<_>>().join(","));
        let estimated = estimated_fee(difference).map(|estimated| json_text(&estimated));
        let rows = &mut self.exceptions;
        rows.plain(difference.id(self.order.statement_id));
        rows.plain(self.order.statement_id);
        rows.plain(self.order.run_id);
        rows.plain(&self.counterparty);
        rows.plain(difference.kind);
        rows.plain(difference.severity());
        rows.plain(difference.currency());
        rows.plain(i64::try_from(difference.net()).expect("a group of lines stays within 64 bits"));
        rows.text(difference.reason());
        rows.text(&there(&difference.lines).to_string());
        rows.text(&here(&difference.operations).to_string());
        rows.plain(positions);
        rows.optional(estimated.as_deref());
        rows.moment(difference.occurred_at());
        rows.moment(self.order.now);
        rows.end_row();
    }

    fn settle(&mut self, word: &str, lines: &[Line], operations: &[Operation]) {
        let mut told = String::with_capacity(64);
        told.push_str(word);
        for line in lines {
            let _ = write!(told, " {}", line.number);
            self.lines.push(line.number);
        }
        told.push_str(" =");
        for operation in operations {
            let _ = write!(told, " {}", operation.position);
            self.positions.push(operation.position);
        }
        told.push('\n');
        self.digest.update(told);
    }

    pub(super) async fn finish(
        mut self,
        connection: &mut PgConnection,
        position: u64,
    ) -> Result<RunOutcome, sqlx::Error> {
        self.matches.flush(connection).await?;
        self.exceptions.flush(connection).await?;
        sqlx::query(
            "INSERT INTO reconciliation_differences SELECT * FROM found
             ON CONFLICT (exception_id) DO UPDATE SET run_id = excluded.run_id, cleared_at = NULL",
        )
        .execute(&mut *connection)
        .await?;
        self.counts.cleared = self.clear(connection).await?;
        let digest = hex::encode(self.digest.finalize());
        Ok(RunOutcome { position, counts: self.counts, digest })
    }

    /// Clears what this run no longer finds, and what other statements missed and this one tells.
    async fn clear(&self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let own = sqlx::query(
            "UPDATE reconciliation_differences SET cleared_at = $3
              WHERE statement_id = $1 AND run_id <> $2 AND cleared_at IS NULL",
        )
        .bind(self.order.statement_id.to_string())
        .bind(self.order.run_id.to_string())
        .bind(self.order.now.to_datetime())
        .execute(&mut *connection)
        .await?;
        let others = sqlx::query(
            "UPDATE reconciliation_differences AS missed SET cleared_at = $4
               FROM (SELECT position FROM reconciliation_matches WHERE statement = $1
                     UNION
                     SELECT unnest(positions) FROM found WHERE kind <> 'missing_there') AS told
              WHERE missed.counterparty = $2 AND missed.kind = 'missing_there' AND missed.cleared_at IS NULL
                AND missed.statement_id <> $3 AND missed.positions[1] = told.position",
        )
        .bind(self.statement)
        .bind(&self.counterparty)
        .bind(self.order.statement_id.to_string())
        .bind(self.order.now.to_datetime())
        .execute(connection)
        .await?;
        Ok(own.rows_affected() + others.rows_affected())
    }
}

/// What statements of the same counterparty tell whose days could meet this one's.
async fn taken(connection: &mut PgConnection, subject: &Subject) -> Result<Vec<u64>, sqlx::Error> {
    let Some(period) = subject.period else { return Ok(vec![]) };
    let rows = sqlx::query(
        "WITH near AS (
             SELECT number, statement_id FROM reconciliation_statements
              WHERE counterparty = $1 AND number <> $2 AND period_from <= $4 AND period_to >= $3)
         SELECT position FROM reconciliation_matches WHERE statement IN (SELECT number FROM near)
         UNION
         SELECT unnest(positions) FROM reconciliation_differences
          WHERE statement_id IN (SELECT statement_id FROM near) AND kind <> 'missing_there' AND cleared_at IS NULL
          ORDER BY 1",
    )
    .bind(subject.counterparty.to_string())
    .bind(subject.number)
    .bind(period.from.minus(SEARCHED_AROUND).minus(SEARCHED_AROUND).to_datetime())
    .bind(period.to.plus(SEARCHED_AROUND).plus(SEARCHED_AROUND).to_datetime())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(row.try_get::<i64, _>(0)?.unsigned_abs())).collect()
}

/// The payment whose estimated fee the lines tell, and that fee.
fn estimated_fee(difference: &Difference) -> Option<(domain::PaymentId, i64)> {
    let [operation] = difference.operations.as_slice() else { return None };
    let payment = projections::channel_operations::estimated_fee_of(operation)?;
    let fee: i64 = difference.lines.iter().map(|line| line.amounts.fee).sum();
    (difference.kind == DifferenceKind::Fee && fee >= 0).then_some((payment, fee))
}

fn there(lines: &[Line]) -> Value {
    let told = lines.iter().take(TOLD_MAX).map(|line| {
        json!({
            "line": line.number, "kind": line.kind, "reference": line.reference, "own_reference": line.own_reference,
            "currency": line.amounts.currency, "gross": line.amounts.gross, "fee": line.amounts.fee,
            "occurred_at": line.occurred_at,
        })
    });
    side(lines.len(), told.collect(), lines.iter().map(|line| line.amounts), "lines")
}

fn here(operations: &[Operation]) -> Value {
    let told = operations.iter().take(TOLD_MAX).map(|operation| {
        json!({
            "id": operation.object, "kind": operation.kind, "reference": operation.reference,
            "position": operation.position, "currency": operation.amounts.currency, "gross": operation.amounts.gross,
            "fee": operation.amounts.fee, "occurred_at": operation.occurred_at,
        })
    });
    side(operations.len(), told.collect(), operations.iter().map(|operation| operation.amounts), "operations")
}

fn side(
    count: usize,
    told: Vec<Value>,
    amounts: impl Iterator<Item = domain::reconciliation::Amounts>,
    name: &str,
) -> Value {
    if count == 0 {
        return Value::Null;
    }
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for amounts in amounts {
        let sums = sums.entry(amounts.currency.to_string()).or_default();
        (sums.0, sums.1) = (sums.0.saturating_add(amounts.gross), sums.1.saturating_add(amounts.fee));
    }
    let sums: Vec<Value> = sums
        .into_iter()
        .map(|(currency, (gross, fee))| json!({"currency": currency, "gross": gross, "fee": fee, "net": gross - fee}))
        .collect();
    json!({"count": count, "sums": sums, name: told})
}
