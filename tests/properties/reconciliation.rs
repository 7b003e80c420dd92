//! Random commands of statements and their runs.

use domain::reconciliation::{
    Command, Counterparty, Counts, Reconciliation, Rules, RunCompleted, State, StatementImported,
};
use domain::{ReconciliationRunId, StatementId, Timestamp};

use crate::draw::{Draw, PEOPLE};
use crate::model::Model;

pub struct Statements;

impl Model for Statements {
    type D = Reconciliation;

    const STREAMS: u128 = 1;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let statement_id = StatementId::of_content(&[&stream.to_string()]);
        let number = state.record().and_then(|record| record.run.as_ref()).map_or(1, |run| run.requested.number);
        match draw.kind % 4 {
            0 => Command::Import {
                statement: Box::new(StatementImported {
                    statement_id,
                    counterparty: Counterparty::Channel("sandbox".parse().unwrap()),
                    format: "csv".to_owned(),
                    digest: "0".repeat(64),
                    bytes: 1,
                    lines: 1,
                    bad_lines: 0,
                    totals: vec![],
                    period: None,
                    imported_by: draw.pick(&PEOPLE).to_owned(),
                    imported_at: now,
                }),
                rules: Rules::default(),
            },
            1 => Command::RunAgain { rules: Rules::default(), by: draw.pick(&PEOPLE).to_owned(), at: now },
            _ => Command::CompleteRun(Box::new(RunCompleted {
                run_id: ReconciliationRunId::of(statement_id, draw.pick(&[number, number, 1, 9])),
                number,
                position: 7,
                counts: Counts::default(),
                outcome_digest: "0".repeat(64),
                completed_at: now,
            })),
        }
    }
}
