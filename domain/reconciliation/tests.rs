//! What a statement's stream decides, and how differences are graded.

use super::*;
use crate::{Currency, DomainEvent, StatementId};

fn statement() -> Box<StatementImported> {
    Box::new(StatementImported {
        statement_id: StatementId::of_content(&["channel:sandbox", "csv", "ab"]),
        counterparty: Counterparty::Channel("sandbox".parse().unwrap()),
        format: "csv".to_owned(),
        digest: "ab".repeat(32),
        bytes: 120,
        lines: 2,
        bad_lines: 0,
        totals: vec![Total { currency: Currency::USD, gross: 300, fee: 3 }],
        period: None,
        imported_by: "finance:ada".to_owned(),
        imported_at: Timestamp::default(),
    })
}

fn import() -> Command {
    Command::Import { statement: statement(), rules: Rules::default() }
}

fn again() -> Command {
    Command::RunAgain { rules: Rules::default(), by: "finance:ada".to_owned(), at: Timestamp::default() }
}

fn complete(number: u16) -> Command {
    Command::CompleteRun(Box::new(RunCompleted {
        run_id: ReconciliationRunId::of(statement().statement_id, number),
        number,
        position: 9,
        counts: Counts::default(),
        outcome_digest: "cd".repeat(32),
        completed_at: Timestamp::default(),
    }))
}

fn check(before: &[Command], command: Command, expected: Result<&[&str], ReconciliationRejection>) {
    let state = before.iter().fold(State::default(), |state, command| {
        let events = Reconciliation::decide(&state, command.clone()).unwrap();
        events.iter().fold(state, Reconciliation::evolve)
    });
    let decided = Reconciliation::decide(&state, command.clone());
    let types = decided.map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>());
    assert_eq!(types, expected.map(<[&str]>::to_vec), "{before:?} {command:?}");
}

#[test]
fn a_statement_is_imported_once_and_runs_one_after_the_other() {
    const IMPORTED: &[&str] = &["reconciliation.statement_imported", "reconciliation.run_requested"];
    const REQUESTED: &[&str] = &["reconciliation.run_requested"];
    const COMPLETED: &[&str] = &["reconciliation.run_completed"];
    let missing = Err(ReconciliationRejection::StatementNotFound);
    check(&[], import(), Ok(IMPORTED));
    check(&[import()], import(), Ok(&[]));
    check(&[], again(), missing);
    check(&[], complete(1), missing);
    check(&[import()], again(), Err(ReconciliationRejection::RunInProgress));
    check(&[import()], complete(1), Ok(COMPLETED));
    check(&[import()], complete(2), Err(ReconciliationRejection::RunNotExpected));
    check(&[import(), complete(1)], complete(1), Ok(&[]));
    check(&[import(), complete(1)], again(), Ok(REQUESTED));
    check(&[import(), complete(1), again()], complete(1), Err(ReconciliationRejection::RunNotExpected));
    check(&[import(), complete(1), again()], complete(2), Ok(COMPLETED));
}

#[test]
fn a_difference_is_graded_by_kind_and_amount_and_keeps_its_id() {
    let difference = |kind, gross| Difference {
        kind,
        lines: vec![Line {
            number: 1,
            kind: Kind::Charge,
            reference: None,
            own_reference: None,
            amounts: Amounts { currency: Currency::USD, gross, fee: 0 },
            occurred_at: Timestamp::default(),
        }],
        operations: vec![],
    };
    use DifferenceKind::{Amount, Currency as OtherCurrency, Date, MissingHere};
    let table = [
        (Amount, 50, Severity::Low),
        (Amount, 100, Severity::Medium),
        (Amount, -10_000, Severity::High),
        (Amount, 1_000_000, Severity::Critical),
        (MissingHere, 50, Severity::Medium),
        (OtherCurrency, 50, Severity::High),
        (Date, 1_000_000, Severity::Low),
    ];
    for (kind, gross, severity) in table {
        assert_eq!(difference(kind, gross).severity(), severity, "{kind} {gross}");
    }
    let statement = statement().statement_id;
    assert_eq!(difference(Amount, 50).id(statement), difference(Amount, 50).id(statement));
    assert_ne!(difference(Amount, 50).id(statement), difference(Amount, 51).id(statement));
    assert_ne!(difference(Amount, 50).id(statement), difference(Date, 50).id(statement));
}

#[test]
fn ages_come_in_four() {
    let day = |days: i64| Timestamp::from_micros(days * 24 * 60 * 60 * 1_000_000);
    for (days, ageing) in [(0, "0-1"), (1, "0-1"), (2, "2-7"), (7, "2-7"), (8, "8-30"), (30, "8-30"), (31, "31+")] {
        assert_eq!(Ageing::of(day(0), day(days)).as_str(), ageing, "{days}");
    }
}
