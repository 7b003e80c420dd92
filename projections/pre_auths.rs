//! The read model `pre_auths`: a row for each pre-auth.

use domain::pre_auth::{PreAuth, PreAuthStatus, State};

use crate::StatusText;
use crate::streams::{Columns, Listed, StreamRow, stream_read_model};

stream_read_model! {
    /// Pre-auths by their ids.
    PreAuths of PreAuth, "pre_auths" version 2
}

pub type PreAuthRow = StreamRow<State>;

impl Listed for State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        let terms = &record.terms;
        Some(Columns {
            id: terms.pre_auth_id.to_string(),
            merchant_id: Some(terms.merchant_id),
            order_no: Some(terms.order_no.clone()),
            status: record.status().as_str(),
            currency: Some(terms.currency),
            amount: Some(terms.amount),
            channel: Some(terms.channel.clone()),
            created_at: terms.created_at,
        })
    }
}

impl StatusText for PreAuthStatus {
    fn as_str(&self) -> &'static str {
        PreAuthStatus::as_str(self)
    }
}
