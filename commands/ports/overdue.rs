//! Payments whose time is over and that nobody has expired, as the read models see them.

use async_trait::async_trait;
use domain::{PaymentId, Timestamp};

#[async_trait]
pub trait OverduePayments: Send + Sync {
    /// Those without an outcome and without an order to cancel that expired before; perhaps late, never too many.
    async fn expired_before(&self, moment: Timestamp) -> Result<Vec<PaymentId>, OverdueUnavailable>;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the overdue payments are not known: {0}")]
pub struct OverdueUnavailable(pub String);
