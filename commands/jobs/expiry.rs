//! The net below the sagas' timers: payments whose time is over and whose saga was lost.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::{Job, JobFailed, Timetable};
use crate::Issued;
use crate::payment::Payments;
use crate::ports::OverduePayments;

/// A saga that is not lost expires its payment within seconds, or alerts long before this.
const GRACE: Duration = Duration::from_secs(15 * 60);

/// Expires what its saga should have expired. The event that this records puts the payment on the agenda again, and
/// its saga then asks the channel.
pub struct ExpireOverduePayments {
    pub payments: Payments,
    pub overdue: Arc<dyn OverduePayments>,
}

#[async_trait]
impl Job for ExpireOverduePayments {
    fn name(&self) -> &'static str {
        "expire_overdue_payments"
    }

    fn timetable(&self) -> Timetable {
        Timetable::every(Duration::from_secs(5 * 60))
    }

    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed> {
        let overdue = self.overdue.expired_before(now.minus(GRACE)).await.map_err(JobFailed::because)?;
        let mut expired = 0;
        for payment_id in overdue {
            let issued =
                Issued::internally("job:expire_overdue_payments", &payment_id.to_string(), &payment_id.to_string());
            let receipt = self.payments.expire(issued, payment_id).await.map_err(JobFailed::because)?;
            if !receipt.replayed {
                tracing::warn!(payment.id = %payment_id, "a payment was not expired by its saga in time");
                expired += 1;
            }
        }
        Ok(expired)
    }
}
