//! The read model `merchants`: a row for each merchant, what was agreed with it included.

use domain::merchant::{Merchant, State, Status};

use crate::StatusText;
use crate::streams::{Columns, Listed, StreamRow, stream_read_model};

stream_read_model! {
    /// Merchants by their ids.
    Merchants of Merchant, "merchants" version 3
}

pub type MerchantRow = StreamRow<State>;

impl Listed for State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        Some(Columns {
            id: record.merchant_id.to_string(),
            merchant_id: Some(record.merchant_id),
            order_no: None,
            status: record.status.as_str(),
            currency: None,
            amount: None,
            channel: None,
            created_at: record.onboarded_at,
        })
    }
}

impl StatusText for Status {
    fn as_str(&self) -> &'static str {
        Status::as_str(self)
    }
}
