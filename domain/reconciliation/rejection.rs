//! Why a reconciliation says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReconciliationRejection {
    #[error("there is no such statement")]
    StatementNotFound,
    #[error("the statement is being reconciled")]
    RunInProgress,
    #[error("a statement is reconciled at most 65535 times")]
    TooManyRuns,
    #[error("this run was not asked for, or another one has come after it")]
    RunNotExpected,
}

impl Rejection for ReconciliationRejection {
    fn code(&self) -> &'static str {
        match self {
            ReconciliationRejection::StatementNotFound => "statement_not_found",
            ReconciliationRejection::RunInProgress => "run_in_progress",
            ReconciliationRejection::TooManyRuns => "too_many_runs",
            ReconciliationRejection::RunNotExpected => "run_not_expected",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            ReconciliationRejection::StatementNotFound => RejectionClass::NotFound,
            ReconciliationRejection::RunInProgress
            | ReconciliationRejection::TooManyRuns
            | ReconciliationRejection::RunNotExpected => RejectionClass::Conflict,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            ReconciliationRejection::RunInProgress => true,
            ReconciliationRejection::StatementNotFound
            | ReconciliationRejection::TooManyRuns
            | ReconciliationRejection::RunNotExpected => false,
        }
    }
}
