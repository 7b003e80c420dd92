//! The use cases of a pre-auth: create, capture, cancel, expire, and what the channel said.

mod capture;
mod create;
mod record;

use std::sync::Arc;

use domain::order_claim::{self, OrderClaim};
use domain::pre_auth::{Command, Created, Event, PreAuth, PreAuthRejection};
use domain::{Decider, MerchantId, PreAuthId, Sealed};

pub use capture::CapturePreAuth;
pub use create::CreatePreAuth;
pub(crate) use record::{capture_events, freed_claim, open_amount};

use crate::executor::{CommandError, Issued};
use crate::order;
use crate::payment::{PaymentDetails, Payments};
use crate::ports::{
    Category, Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state, state_of,
};

/// A pre-auth becomes payments, so its use cases stand on theirs. Cheap to clone.
#[derive(Clone)]
pub struct PreAuths {
    pub payments: Payments,
}

impl PreAuths {
    pub fn on(payments: &Payments) -> PreAuths {
        PreAuths { payments: payments.clone() }
    }

    /// The pre-auth as of its newest event.
    pub async fn load(&self, pre_auth_id: PreAuthId) -> Result<StreamState, CommandError> {
        let store = self.payments.executor.store();
        Ok(store.load(Category::of::<PreAuth>(), &pre_auth_id.to_string()).await?)
    }

    async fn terms(&self, pre_auth_id: PreAuthId) -> Result<Option<Created>, CommandError> {
        let stream = self.load(pre_auth_id).await?;
        Ok(state_of::<PreAuth>(&stream).record().map(|record| record.terms.clone()))
    }

    /// Its sealed details; `None` once their subject was erased.
    pub async fn details(&self, terms: &Created) -> Result<Option<PaymentDetails>, CommandError> {
        let Some(text) = self.payments.vault.open(&terms.pre_auth_id.to_string(), &terms.sealed).await? else {
            return Ok(None);
        };
        let details = serde_json::from_slice(&text);
        details.map(Some).map_err(|_| CommandError::Bug("sealed details are not what was sealed".to_owned()))
    }

    /// A text sealed for this pre-auth, such as the address of a redirect; `None` once its subject was erased.
    pub async fn open_text(&self, terms: &Created, sealed: &Sealed) -> Result<Option<String>, CommandError> {
        let text = self.payments.vault.open(&terms.pre_auth_id.to_string(), sealed).await?;
        Ok(text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The pre-auth, and where there is one the claim of its order's number, which is freed in the same entry if the
/// pre-auth ends without a capture, and the order itself if it was made before: it hears what may still be captured.
fn decide(states: &[StreamState], owner: Option<MerchantId>, command: Command) -> Decision {
    match pre_auth_events(states, 0, owner, command) {
        Ok(events) => {
            let freed = if states.len() > 1 { freed_claim(states, (0, 1), &events) } else { vec![] };
            let order = order::followed_pre_auth(states, (0, 2), &events);
            let events = events.into_iter().map(|event| NewEvent::of(0, event));
            Decision::Append(events.chain(freed).chain(order).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}

/// Decides on the pre-auth that is the `index`-th stream. Another merchant's pre-auth is none.
pub(crate) fn pre_auth_events(
    states: &[StreamState],
    index: usize,
    owner: Option<MerchantId>,
    command: Command,
) -> Result<Vec<Event>, PreAuthRejection> {
    let state = nth_state::<PreAuth>(states, index);
    let foreign = |owner: MerchantId| state.record().is_some_and(|record| record.terms.merchant_id != owner);
    if owner.is_some_and(foreign) {
        return Err(PreAuthRejection::NotFound);
    }
    PreAuth::decide(state, command)
}

impl PreAuths {
    /// Gives back what is held and not captured; `owner` restricts it to one merchant's pre-auths.
    pub async fn cancel(
        &self,
        issued: Issued,
        pre_auth_id: PreAuthId,
        owner: Option<MerchantId>,
    ) -> Result<Receipt, CommandError> {
        let command = Command::Cancel { at: self.payments.clock.now() };
        self.decide(issued, pre_auth_id, owner, command).await
    }

    /// Fires the pre-auth's expiry; too early or too late, it does nothing.
    pub async fn expire(&self, issued: Issued, pre_auth_id: PreAuthId) -> Result<Receipt, CommandError> {
        let command = Command::Expire { at: self.payments.clock.now() };
        self.decide(issued, pre_auth_id, None, command).await
    }

    async fn decide(
        &self,
        issued: Issued,
        pre_auth_id: PreAuthId,
        owner: Option<MerchantId>,
        command: Command,
    ) -> Result<Receipt, CommandError> {
        let terms = self.terms(pre_auth_id).await?;
        let order = terms.as_ref().and_then(order::stream_of_pre_auth);
        let claim = terms.map(|terms| order_claim::stream_id(terms.merchant_id, &terms.order_no));
        let claim = claim.map(|stream| StreamRef::new::<OrderClaim>(stream, Expected::Any));
        let pre_auth = StreamRef::new::<PreAuth>(pre_auth_id.to_string(), Expected::Any);
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: pre_auth_id.to_string(),
            streams: [pre_auth].into_iter().chain(claim).chain(order).collect(),
            decide: Arc::new(move |states| decide(states, owner, command.clone())),
        };
        self.payments.executor.execute(request).await
    }
}
