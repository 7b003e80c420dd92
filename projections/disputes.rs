//! The read model `disputes`: a row for each dispute.

use domain::dispute::{Dispute, DisputeStatus, State};

use crate::StatusText;
use crate::streams::{Columns, Listed, StreamRow, stream_read_model};

stream_read_model! {
    /// Disputes by their ids.
    Disputes of Dispute, "disputes" version 1
}

pub type DisputeRow = StreamRow<State>;

impl Listed for State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        let terms = &record.terms;
        Some(Columns {
            id: terms.dispute_id.to_string(),
            merchant_id: Some(terms.merchant_id),
            order_no: Some(terms.order_no.clone()),
            status: record.status().as_str(),
            currency: Some(terms.currency),
            amount: Some(record.amount),
            channel: Some(terms.channel.clone()),
            created_at: terms.opened_at,
        })
    }
}

impl StatusText for DisputeStatus {
    fn as_str(&self) -> &'static str {
        DisputeStatus::as_str(self)
    }
}
