//! The use cases of an order that is made before it is paid: make it, pay it, refund it, ship, complete, cancel it.

mod create;
mod details;
mod pay;
mod places;
mod refund;

use domain::order::{Command, Order, OrderRejection, stream_id};
use domain::{MerchantId, OrderNo, Timestamp};

pub use create::CreateOrder;
pub use details::{ItemText, OrderDetails};
pub use pay::PayOrder;
pub(crate) use places::{followed, followed_pre_auth, place, stream_of, stream_of_pre_auth};
pub use refund::RefundOrder;

use crate::executor::{CommandError, Issued};
use crate::payment::Payments;
use crate::ports::{Category, Decision, Expected, Receipt, Request, StreamRef, StreamState};

/// An order is paid by payments, so its use cases stand on theirs. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    pub payments: Payments,
}

impl Orders {
    pub fn on(payments: &Payments) -> Orders {
        Orders { payments: payments.clone() }
    }

    /// The order as of its newest event.
    pub async fn load(&self, merchant_id: MerchantId, order_no: &OrderNo) -> Result<StreamState, CommandError> {
        let store = self.payments.executor.store();
        Ok(store.load(Category::of::<Order>(), &stream_id(merchant_id, order_no)).await?)
    }

    /// Everything that was paid for is on its way.
    pub async fn ship(&self, issued: Issued, merchant: MerchantId, order: &OrderNo) -> Result<Receipt, CommandError> {
        self.decide(issued, merchant, order, |at| Command::Ship { at }).await
    }

    /// The customer has it.
    pub async fn complete(
        &self,
        issued: Issued,
        merchant: MerchantId,
        order: &OrderNo,
    ) -> Result<Receipt, CommandError> {
        self.decide(issued, merchant, order, |at| Command::Complete { at }).await
    }

    /// Nothing more is paid for it.
    pub async fn cancel(&self, issued: Issued, merchant: MerchantId, order: &OrderNo) -> Result<Receipt, CommandError> {
        self.decide(issued, merchant, order, |at| Command::Cancel { at }).await
    }

    /// The stream's id names the merchant: another merchant's order is none.
    async fn decide(
        &self,
        issued: Issued,
        merchant_id: MerchantId,
        order_no: &OrderNo,
        command: impl FnOnce(Timestamp) -> Command,
    ) -> Result<Receipt, CommandError> {
        let command = command(self.payments.clock.now());
        self.payments.executor.decide::<Order>(issued, stream_id(merchant_id, order_no), command).await
    }

    /// Refuses what is asked of an order that is not there; a conflict if it is there by now.
    async fn refuse_unknown(&self, issued: Issued, stream: String) -> Result<Receipt, CommandError> {
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: stream.clone(),
            streams: vec![StreamRef::new::<Order>(stream, Expected::Exactly(0))],
            decide: std::sync::Arc::new(|_| Decision::Reject(OrderRejection::NotFound.into())),
        };
        self.payments.executor.execute(request).await
    }
}
