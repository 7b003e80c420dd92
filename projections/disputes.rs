//! The read model `disputes`: a row for each dispute.

use domain::PaymentId;
use domain::dispute::{Dispute, DisputeStatus, State};

use crate::streams::{self, Columns, Listed, StreamRow, stream_read_model};
use crate::{Cursor, Filter, Page, ReadError, Snapshot, StatusText};

stream_read_model! {
    /// Disputes by their ids.
    Disputes of Dispute, "disputes" version 2,
    also indexed "of_payment" by "(state #>> '{Exists,terms,payment_id}')"
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

/// A page of disputes, newest first; of one payment if one is named.
pub async fn list(
    view: &mut Snapshot,
    filter: &Filter<DisputeStatus>,
    payment_id: Option<PaymentId>,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<DisputeRow>, ReadError> {
    let mut query = streams::select::<Disputes>();
    filter.push(&mut query);
    if let Some(payment_id) = payment_id {
        query.push(" AND state #>> '{Exists,terms,payment_id}' = ").push_bind(payment_id.to_string());
    }
    streams::page::<Disputes>(view, query, limit, cursor).await
}
