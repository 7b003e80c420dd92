//! The pre-auth saga's part in the machinery, and the effects of its steps. Whoever asks again after a lost answer asks
//! what became of it before it calls again.

use async_trait::async_trait;
use commands::payment::Payments;
use commands::ports::{
    AuthorizationAnswer, AuthorizationOrder, Authorizations, Category, RecordedEvent, SagaId, StreamState, state_of,
};
use commands::pre_auth::PreAuths;
use domain::pre_auth::{Event, PreAuth, Record, State};
use domain::{ChannelName, Money, Timestamp};

use super::{AUTHORIZE, AWAIT_CAPTURES, AWAIT_CHANNEL, AWAIT_CUSTOMER, EXPIRE, FIND_OUT_AUTHORIZATION, RELEASE};
use super::{authorize_key, next_step, release_key};
use crate::attempt::{Attempt, FRESH, accepted};
use crate::process::{Learned, Meaning, Process, Trouble};
use crate::step::{Due, Step};

/// Drives the authorisation of each pre-auth, its expiry and its release.
pub struct PreAuthProcess {
    pre_auths: PreAuths,
}

/// An authorisation as it goes to the channel.
struct Errand<'a> {
    authorizations: &'a dyn Authorizations,
    order: AuthorizationOrder,
    /// False once the customer's data was erased: without its token nothing can be authorised any more.
    callable: bool,
}

#[async_trait]
impl Process for PreAuthProcess {
    fn kind(&self) -> &'static str {
        "pre_auth"
    }

    fn category(&self) -> Category {
        Category::of::<PreAuth>()
    }

    fn steps(&self) -> &'static [Step] {
        &[AUTHORIZE, FIND_OUT_AUTHORIZATION, AWAIT_CHANNEL, AWAIT_CUSTOMER, EXPIRE, AWAIT_CAPTURES, RELEASE]
    }

    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning> {
        let pre_auth_id = &event.stream.id;
        let Ok(event) = event.decode::<Event>() else { return Meaning::due(pre_auth_id) };
        match event {
            Event::Created(_)
            | Event::CancellationRequested { .. }
            | Event::Captured(_)
            | Event::CaptureFailed(_)
            | Event::Closed(_) => Meaning::due(pre_auth_id),
            Event::Failed(_) | Event::Cancelled { .. } | Event::Expired { .. } | Event::HoldReleased { .. } => {
                Meaning::finished(pre_auth_id)
            }
            Event::ActionRequired(_)
            | Event::Accepted { .. }
            | Event::OutcomeUnknown { .. }
            | Event::Authorized(_)
            | Event::CaptureRequested(_)
            | Event::CapturedLate(_) => None,
        }
    }

    fn due(&self, _saga: &SagaId, stream: &StreamState, now: Timestamp) -> Result<Option<Due>, Trouble> {
        Ok(next_step(record(state_of::<PreAuth>(stream))?, now))
    }

    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble> {
        let record = record(attempt.state::<PreAuth>())?;
        let (step, pre_auth_id) = (attempt.due.step, record.pre_auth_id());
        if step == EXPIRE {
            accepted(self.pre_auths.expire(attempt.issued("expired"), pre_auth_id).await?)?;
            return Ok(Learned { outcome: "expired", error: None });
        }
        if step == AWAIT_CAPTURES {
            return Ok(Learned { outcome: "in_flight", error: None });
        }
        let errand = self.errand(record).await?;
        let fresh = attempt.now.since(record.terms.created_at) <= FRESH;
        let answer = if step == RELEASE {
            attempt.insist(errand.release().await, is_unknown, || errand.release()).await
        } else if step == AUTHORIZE && fresh {
            attempt.insist(errand.authorize().await, is_unknown, || errand.ask_first()).await
        } else if step == AUTHORIZE || step == FIND_OUT_AUTHORIZATION {
            attempt.insist(errand.ask_first().await, is_unknown, || errand.ask_first()).await
        } else {
            errand.authorizations.find_authorization(&errand.order).await
        };

        let (outcome, error) = (answer.kind(), reason(&answer));
        if is_news(step, &answer) {
            let recorded = self.pre_auths.record_authorization(attempt.issued(outcome), pre_auth_id, answer).await?;
            accepted(recorded)?;
        }
        Ok(Learned { outcome, error })
    }
}

impl PreAuthProcess {
    pub fn new(payments: &Payments) -> PreAuthProcess {
        PreAuthProcess { pre_auths: PreAuths::on(payments) }
    }

    async fn errand(&self, record: &Record) -> Result<Errand<'_>, Trouble> {
        let terms = &record.terms;
        let amount = Money::new(terms.amount, terms.currency).map_err(|error| Trouble::Parked(error.to_string()))?;
        let details = self.pre_auths.details(terms).await?;
        let callable = details.is_some();
        let details = details.unwrap_or_default();
        let order = AuthorizationOrder {
            key: authorize_key(terms.pre_auth_id),
            pre_auth_id: terms.pre_auth_id,
            amount,
            method: terms.method.clone(),
            token: details.token,
            return_url: details.return_url,
            channel_reference: record.channel_reference.clone(),
        };
        Ok(Errand { authorizations: authorizations_of(&self.pre_auths.payments, &terms.channel)?, order, callable })
    }
}

/// How the channel holds money.
pub(crate) fn authorizations_of<'a>(
    payments: &'a Payments,
    name: &ChannelName,
) -> Result<&'a dyn Authorizations, Trouble> {
    let channel = payments.channels.get(name);
    let channel = channel.ok_or_else(|| Trouble::Parked(format!("channel {name} is not configured")))?;
    channel.authorizations().ok_or_else(|| Trouble::Parked(format!("channel {name} cannot hold money any more")))
}

/// The pre-auth of a stream that has events.
pub(crate) fn record(state: &State) -> Result<&Record, Trouble> {
    state.record().ok_or_else(|| Trouble::Parked("the stream does not begin with a pre-auth".to_owned()))
}

impl Errand<'_> {
    /// What cannot be called any more is released, so that it ends.
    async fn authorize(&self) -> AuthorizationAnswer {
        if self.callable { self.authorizations.authorize(&self.order).await } else { self.release().await }
    }

    async fn ask_first(&self) -> AuthorizationAnswer {
        match self.authorizations.find_authorization(&self.order).await {
            AuthorizationAnswer::NotFound => self.authorize().await,
            told => told,
        }
    }

    async fn release(&self) -> AuthorizationAnswer {
        self.authorizations.release(&self.order, &release_key(self.order.pre_auth_id)).await
    }
}

fn is_unknown(answer: &AuthorizationAnswer) -> bool {
    matches!(answer, AuthorizationAnswer::Unknown { .. })
}

/// Is there anything to record? Who merely waits does not take a lost answer for a lost outcome.
fn is_news(step: Step, answer: &AuthorizationAnswer) -> bool {
    match answer {
        AuthorizationAnswer::NotFound => false,
        AuthorizationAnswer::Unknown { .. } => step == AUTHORIZE,
        AuthorizationAnswer::Accepted { .. } => step != AWAIT_CHANNEL,
        AuthorizationAnswer::ActionRequired { .. } => step != AWAIT_CUSTOMER,
        AuthorizationAnswer::Authorized { .. }
        | AuthorizationAnswer::Declined { .. }
        | AuthorizationAnswer::Released => true,
    }
}

fn reason(answer: &AuthorizationAnswer) -> Option<String> {
    match answer {
        AuthorizationAnswer::Unknown { reason } => Some(reason.clone()),
        AuthorizationAnswer::NotFound => Some("the channel does not know the authorisation".to_owned()),
        _ => None,
    }
}
