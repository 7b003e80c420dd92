//! The use cases of a payment: create, cancel, expire, refund, and what the channel said.

mod create;
mod details;
pub(crate) mod limits;
mod measure;
mod record;
mod refund;

use std::sync::Arc;

use domain::payment::{Command, Payment, PaymentRejection};
use domain::{Decider, MerchantId, PaymentId};

pub use create::{CreatePayment, EXPIRES_IN};
pub use details::{Customer, PaymentDetails};
pub use refund::{RefundPayment, refund_key, refund_order};

use crate::Channels;
use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{
    Category, Clock, Decision, Expected, MerchantFunds, NewEvent, Receipt, Request, StreamRef, StreamState, Vault,
    nth_state,
};

/// Everything that the use cases of a payment need. Cheap to clone.
#[derive(Clone)]
pub struct Payments {
    pub executor: Executor,
    pub channels: Channels,
    pub vault: Arc<dyn Vault>,
    pub funds: Arc<dyn MerchantFunds>,
    pub clock: Arc<dyn Clock>,
}

impl Payments {
    /// The payment as of its newest event.
    pub async fn load(&self, payment_id: PaymentId) -> Result<StreamState, CommandError> {
        Ok(self.executor.store().load(Category::of::<Payment>(), &payment_id.to_string()).await?)
    }

    /// Each of the payments as of its newest event, in their order.
    pub async fn load_many(&self, payments: &[PaymentId]) -> Result<Vec<StreamState>, CommandError> {
        let ids: Vec<String> = payments.iter().map(PaymentId::to_string).collect();
        Ok(self.executor.store().load_many(Category::of::<Payment>(), &ids).await?)
    }

    /// Asks for the payment to be cancelled; the saga asks the channel. `owner` restricts it to one merchant's payments.
    pub async fn cancel(
        &self,
        issued: Issued,
        payment_id: PaymentId,
        owner: Option<MerchantId>,
    ) -> Result<Receipt, CommandError> {
        let command = Command::Cancel { at: self.clock.now() };
        self.decide_on_payment(issued, payment_id, payment_id.to_string(), owner, command).await
    }

    /// Fires the payment's expiry; too early or too late, it does nothing.
    pub async fn expire(&self, issued: Issued, payment_id: PaymentId) -> Result<Receipt, CommandError> {
        let command = Command::Expire { at: self.clock.now() };
        self.decide_on_payment(issued, payment_id, payment_id.to_string(), None, command).await
    }

    async fn decide_on_payment(
        &self,
        issued: Issued,
        payment_id: PaymentId,
        object: String,
        owner: Option<MerchantId>,
        command: Command,
    ) -> Result<Receipt, CommandError> {
        let decide = move |states: &[StreamState]| decide_payment(states, owner, command.clone());
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object,
            streams: vec![StreamRef::new::<Payment>(payment_id.to_string(), Expected::Any)],
            decide: Arc::new(decide),
        };
        self.execute_and_count(request).await
    }
}

/// Decides on the payment that is the first stream. Another merchant's payment is none.
fn decide_payment(states: &[StreamState], owner: Option<MerchantId>, command: Command) -> Decision {
    match payment_events(states, owner, command) {
        Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}

fn payment_events(
    states: &[StreamState],
    owner: Option<MerchantId>,
    command: Command,
) -> Result<Vec<domain::payment::Event>, PaymentRejection> {
    let state = nth_state::<Payment>(states, 0);
    let foreign = |owner: MerchantId| state.record().is_some_and(|record| record.terms.merchant_id != owner);
    if owner.is_some_and(foreign) {
        return Err(PaymentRejection::NotFound);
    }
    Payment::decide(state, command)
}
