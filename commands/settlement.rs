//! The use cases of settlements: closing batches at will or when it is their time, approving, holding back, releasing,
//! and what reserve lots come to. What a batch holds is read from the books; that each event is settled once is decided
//! in the merchant's account.

mod close;
mod terms;

use std::sync::Arc;

use domain::merchant_account::{Action, Holder, MerchantAccount};
use domain::settlement::{Command, Event, Record, Settlement, SettlementRejection};
use domain::{Currency, Decider, MerchantId, Rejection, SettlementId, merchant_account};

pub use close::{Idle, Run};

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{
    Category, Clock, Decision, Expected, NewEvent, PendingActivity, Receipt, Request, StreamRef, StreamState,
    nth_state, state_of,
};

/// Everything that the use cases of a settlement need. Cheap to clone.
#[derive(Clone)]
pub struct Settlements {
    pub executor: Executor,
    pub activity: Arc<dyn PendingActivity>,
    pub clock: Arc<dyn Clock>,
}

/// Whose money is settled; without a choice, everybody's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    pub merchant_id: Option<MerchantId>,
    pub currency: Option<Currency>,
}

impl Settlements {
    /// The settlement as of its newest event.
    pub async fn load(&self, settlement_id: SettlementId) -> Result<StreamState, CommandError> {
        Ok(self.executor.store().load(Category::of::<Settlement>(), &settlement_id.to_string()).await?)
    }

    /// Agrees to the settlement, and lets go of one that is held back.
    pub async fn approve(&self, issued: Issued, settlement_id: SettlementId) -> Result<Receipt, CommandError> {
        let command = Command::Approve { by: issued.metadata.actor.clone(), at: self.clock.now() };
        self.decide_on_settlement(issued, settlement_id, command).await
    }

    pub async fn hold(&self, issued: Issued, settlement_id: SettlementId) -> Result<Receipt, CommandError> {
        let command = Command::Hold { by: issued.metadata.actor.clone(), at: self.clock.now() };
        self.decide_on_settlement(issued, settlement_id, command).await
    }

    async fn decide_on_settlement(
        &self,
        issued: Issued,
        settlement_id: SettlementId,
        command: Command,
    ) -> Result<Receipt, CommandError> {
        let decide =
            move |states: &[StreamState]| match Settlement::decide(nth_state::<Settlement>(states, 0), command.clone())
            {
                Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
                Err(rejection) => Decision::Reject(rejection.into()),
            };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: settlement_id.to_string(),
            streams: vec![StreamRef::new::<Settlement>(settlement_id.to_string(), Expected::Any)],
            decide: Arc::new(decide),
        };
        self.executor.execute(request).await
    }

    /// Makes the batch's money available, if it is due and nobody has to agree any more. The account comes before the
    /// workflow: where entries are appended one after the other, a settlement that does not say so yet is released
    /// again, and the account knows that it was.
    pub async fn release(&self, issued: Issued, settlement_id: SettlementId) -> Result<Receipt, CommandError> {
        let stream = self.load(settlement_id).await?;
        let record = state_of::<Settlement>(&stream).record().ok_or_else(unknown_settlement)?;
        let (holder, at) = (holder_of(record), self.clock.now());
        let action = merchant_account::Command { holder, action: Action::ReleaseSettlement { settlement_id }, at };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: settlement_id.to_string(),
            streams: vec![
                StreamRef::new::<MerchantAccount>(holder.stream_id(), Expected::Any),
                StreamRef::new::<Settlement>(settlement_id.to_string(), Expected::Any),
            ],
            decide: Arc::new(move |states| decide_release(states, Command::Release { at }, &action)),
        };
        self.executor.execute(request).await
    }

    /// Releases what is left of the reserve lot that the settlement withheld, if its term has ended.
    pub async fn release_reserve(
        &self,
        issued: Issued,
        holder: Holder,
        settlement_id: SettlementId,
    ) -> Result<Receipt, CommandError> {
        let action = Action::ReleaseReserve { settlement_id };
        let command = merchant_account::Command { holder, action, at: self.clock.now() };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: settlement_id.to_string(),
            streams: vec![StreamRef::new::<MerchantAccount>(holder.stream_id(), Expected::Any)],
            decide: Arc::new(move |states| {
                match MerchantAccount::decide(nth_state::<MerchantAccount>(states, 0), command.clone()) {
                    Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
                    Err(rejection) => Decision::Reject(rejection.into()),
                }
            }),
        };
        self.executor.execute(request).await
    }

    async fn account(&self, holder: Holder) -> Result<merchant_account::State, CommandError> {
        let stream = self.executor.store().load(Category::of::<MerchantAccount>(), &holder.stream_id()).await?;
        Ok(state_of::<MerchantAccount>(&stream).clone())
    }
}

/// Whose money a settlement is about.
pub fn holder_of(record: &Record) -> Holder {
    Holder { merchant_id: record.terms.merchant_id, currency: record.terms.currency }
}

fn decide_release(states: &[StreamState], command: Command, action: &merchant_account::Command) -> Decision {
    let workflow: Vec<Event> = match Settlement::decide(nth_state::<Settlement>(states, 1), command) {
        Ok(events) => events,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    match MerchantAccount::decide(nth_state::<MerchantAccount>(states, 0), action.clone()) {
        Ok(events) => {
            let account = events.into_iter().map(|event| NewEvent::of(0, event));
            Decision::Append(account.chain(workflow.into_iter().map(|event| NewEvent::of(1, event))).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}

fn unknown_settlement() -> CommandError {
    CommandError::Invalid {
        code: SettlementRejection::NotFound.code(),
        pointer: "/settlement_id",
        detail: SettlementRejection::NotFound.to_string(),
    }
}
