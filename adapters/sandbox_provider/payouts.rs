//! Paying out what is owed, and the statement that reconciles a payout: its lines sum to exactly
//! its amount.

use super::book::State;
use super::book::entry::Entry;
use super::book::objects::Payout;
use super::book::operation::{Operation, OperationKind};

/// One entry for each currency in which something is owed. What is negative is carried over.
pub(super) fn pay_out(state: &State) -> Vec<Entry> {
    let owed = state.owed.iter().filter(|(_, owed)| owed.balance > 0);
    owed.map(|(currency, _)| Entry::PaidOut { currency: *currency }).collect()
}

/// One line of a statement; `amount` is signed, in minor units.
#[derive(Debug, Clone)]
pub(super) struct StatementLine {
    pub(super) kind: &'static str,
    pub(super) amount: i64,
    pub(super) operation: Operation,
    /// The place of the operation in the book.
    pub(super) index: usize,
}

pub(super) fn statement(state: &State, payout: &Payout) -> Vec<StatementLine> {
    let lines = state.owed.get(&payout.currency).and_then(|owed| owed.lines.get(payout.from..payout.to));
    let operations = lines.unwrap_or_default().iter();
    operations
        .filter_map(|index| Some((*index, state.operations.get(*index)?)))
        .flat_map(|(index, operation)| lines_of(index, operation))
        .collect()
}

/// The operation itself, and its fee where it has one.
fn lines_of(index: usize, operation: &Operation) -> impl Iterator<Item = StatementLine> {
    let kind = match operation.kind {
        // For the statement a direct charge is a capture like any other.
        OperationKind::Charge => OperationKind::Capture.name(),
        other => other.name(),
    };
    let line = |kind, amount| StatementLine { kind, amount, operation: operation.clone(), index };
    let gross = line(kind, operation.amount * operation.kind.sign());
    let fee = (operation.fee != 0).then(|| line("fee", -operation.fee));
    std::iter::once(gross).chain(fee)
}
