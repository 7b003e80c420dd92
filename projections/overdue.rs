//! What the read model of payments tells the command side: whose time is over.

use async_trait::async_trait;
use commands::ports::OverduePayments;
use commands::ports::overdue::OverdueUnavailable;
use domain::payment::{PaymentStatus, Phase, State};
use domain::{PaymentId, Timestamp};

use crate::payments::Payments;
use crate::{Filter, ReadError, Reader, streams};

const PAGE: u32 = 500;

#[derive(Debug, Clone)]
pub struct OverdueOfReadModel {
    reader: Reader,
}

impl OverdueOfReadModel {
    pub fn new(reader: Reader) -> OverdueOfReadModel {
        OverdueOfReadModel { reader }
    }

    /// Every payment without an outcome is looked at: there are as many as were created within minutes.
    async fn find(&self, moment: Timestamp) -> Result<Vec<PaymentId>, ReadError> {
        let mut view = self.reader.now(&[&Payments]).await?;
        let mut found = vec![];
        for status in [PaymentStatus::Processing, PaymentStatus::RequiresAction] {
            let filter = Filter { status: Some(status), ..Filter::default() };
            let mut cursor = None;
            loop {
                let page = streams::list::<Payments, _>(&mut view, &filter, PAGE, cursor.as_ref()).await?;
                found.extend(page.rows.iter().filter_map(|row| overdue(&row.state, moment)));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl OverduePayments for OverdueOfReadModel {
    async fn expired_before(&self, moment: Timestamp) -> Result<Vec<PaymentId>, OverdueUnavailable> {
        self.find(moment).await.map_err(|error| OverdueUnavailable(error.to_string()))
    }
}

fn overdue(state: &State, moment: Timestamp) -> Option<PaymentId> {
    let record = state.record()?;
    let waits = matches!(&record.phase, Phase::Open(open) if open.cancellation.is_none());
    (waits && record.terms.expires_at < moment).then(|| record.payment_id())
}
