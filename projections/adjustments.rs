//! The read model `adjustments`: a row for each adjustment.

use domain::adjustment::{Adjustment, AdjustmentStatus, State};
use domain::{Currency, Leg, Side};

use crate::StatusText;
use crate::streams::{Columns, Listed, StreamRow, stream_read_model};

stream_read_model! {
    /// Adjustments by their ids.
    Adjustments of Adjustment, "adjustments" version 2
}

pub type AdjustmentRow = StreamRow<State>;

impl Listed for State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        let legs = record.proposal.entry.legs();
        let currency = legs.first()?.currency;
        Some(Columns {
            id: record.proposal.adjustment_id.to_string(),
            merchant_id: legs.iter().find_map(|leg| leg.account.merchant()),
            order_no: None,
            status: record.phase.status().as_str(),
            currency: Some(currency),
            // A sum beyond 64 bits is nothing that a filter could name.
            amount: i64::try_from(debited(legs, currency)).ok(),
            channel: None,
            created_at: record.proposal.requested_at,
        })
    }
}

/// What is moved, in minor units.
fn debited(legs: &[Leg], currency: Currency) -> i128 {
    let debits = legs.iter().filter(|leg| leg.side == Side::Debit && leg.currency == currency);
    debits.map(|leg| i128::from(leg.amount)).sum()
}

impl StatusText for AdjustmentStatus {
    fn as_str(&self) -> &'static str {
        AdjustmentStatus::as_str(self)
    }
}
