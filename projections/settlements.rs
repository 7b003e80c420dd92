//! The read model `settlements`: a row for each batch, with the sum that it brings the merchant as its amount.

use commands::settlement::Scope;
use domain::Timestamp;
use domain::settlement::{Settlement, State, Status};

use crate::database::to_sql;
use crate::streams::{Columns, FixedTerms, Listed, StreamRow, read_all, select, stream_read_model};
use crate::{ReadError, Snapshot, StatusText};

stream_read_model! {
    /// Settlements by their ids.
    Settlements of Settlement, "settlements" version 3,
    also indexed "by_end" by "((state #>> '{Exists,terms,to}')::bigint)"
}

pub type SettlementRow = StreamRow<State>;

impl Listed for State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        let terms = &record.terms;
        Some(Columns {
            id: terms.settlement_id.to_string(),
            merchant_id: Some(terms.merchant_id),
            order_no: None,
            status: record.status.as_str(),
            currency: Some(terms.currency),
            amount: Some(terms.net),
            channel: None,
            created_at: terms.closed_at,
        })
    }
}

impl FixedTerms for State {}

impl StatusText for Status {
    fn as_str(&self) -> &'static str {
        Status::as_str(self)
    }
}

/// The batches whose windows end at `position`, and which were closed at `since` or later: those of one run. By id.
pub async fn ending_at(
    view: &mut Snapshot,
    position: u64,
    since: Timestamp,
    scope: Scope,
) -> Result<Vec<SettlementRow>, ReadError> {
    let mut query = select::<Settlements>();
    query.push(" AND created_at >= ").push_bind(since.to_datetime());
    query.push(" AND (state #>> '{Exists,terms,to}')::bigint = ").push_bind(to_sql(position));
    if let Some(merchant_id) = scope.merchant_id {
        query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
    }
    if let Some(currency) = scope.currency {
        query.push(" AND currency = ").push_bind(currency.to_string());
    }
    query.push(" ORDER BY id");
    read_all(view, query).await
}
