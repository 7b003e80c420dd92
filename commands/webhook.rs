//! What a channel tells by webhook: verified, kept, then put to the payments it speaks of. A crash in between is made
//! good by `sweep`; acting twice is harmless, because each fact is one command with a deterministic id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::payment::Payment;
use domain::pre_auth::PreAuth;
use domain::{ChannelName, PaymentId, RejectionClass, Timestamp};
use metrics::counter;
use parking_lot::Mutex;
use tracing::Instrument;

use crate::dispute::Disputes;
use crate::executor::{CommandError, Issued};
use crate::payment::Payments;
use crate::ports::channel::{Webhook, WebhookError};
use crate::ports::inbox::{Kept, NewWebhook, RawMessage, StoredWebhook, WebhookId, WebhookOutcome};
use crate::ports::{Category, Channel, InboxError, Receipt, StreamId, WebhookFact, WebhookInbox};
use crate::pre_auth::PreAuths;
use crate::trace;

/// A kept webhook that is not settled by then is taken over by the sweep.
const GRACE: Duration = Duration::from_secs(5);
/// With the pauses of the inbox that is about four hours in which the inbox works and acting does not.
const ATTEMPTS_MAX: u32 = 12;
const SWEEP_BATCH: usize = 50;
/// Tells whoever drives what this stream speaks of that it has news.
pub type Nudge = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Clone)]
pub struct Webhooks {
    pub payments: Payments,
    pub inbox: Arc<dyn WebhookInbox>,
    pub nudge: Nudge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    Acted,
    /// It tells nothing about a payment of ours, or nothing that can be booked.
    Ignored,
    Duplicate,
    /// Kept, but acting failed for now: the sweep goes on with it.
    Deferred,
}

/// Nothing was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefused {
    #[error("there is no such channel here")]
    UnknownChannel,
    #[error("the signature is missing, wrong or too old")]
    BadSignature,
    #[error("the body is signed but cannot be read")]
    Malformed,
    #[error("not available: {0}")]
    Unavailable(String),
}

impl Webhooks {
    /// `header` looks up a header by its lower-case name.
    pub async fn receive(
        &self,
        channel: &ChannelName,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
    ) -> Result<Received, WebhookRefused> {
        let received = self.verify_keep_and_act(channel, header, body).await;
        let (label, result) = match &received {
            Err(WebhookRefused::UnknownChannel) => return received,
            Err(WebhookRefused::BadSignature) => ("bad_signature", "refused"),
            Err(WebhookRefused::Malformed) => ("malformed", "refused"),
            Err(WebhookRefused::Unavailable(_)) => ("unavailable", "refused"),
            Ok(Received::Acted) => ("acted", "kept"),
            Ok(Received::Ignored) => ("ignored", "kept"),
            Ok(Received::Duplicate) => ("duplicate", "known"),
            Ok(Received::Deferred) => ("deferred", "kept"),
        };
        tracing::debug!(webhook.channel = %channel, webhook.result = label, "webhook {result}");
        counter!("webhook_total", "channel" => channel.to_string(), "result" => label).increment(1);
        received
    }

    async fn verify_keep_and_act(
        &self,
        channel: &ChannelName,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
    ) -> Result<Received, WebhookRefused> {
        let channel = self.payments.channels.get(channel).ok_or(WebhookRefused::UnknownChannel)?;
        let received_at = self.payments.clock.now();
        let (webhook, message) = verify(channel.as_ref(), header, body, received_at)?;
        let id = WebhookId { channel: channel.name().clone(), event_id: webhook.event_id };
        let new = NewWebhook {
            id: id.clone(),
            event_type: webhook.event_type,
            stream_id: webhook.facts.iter().find_map(stream_of).map(|stream| stream.id),
            message,
            received_at,
        };
        let kept = self.inbox.keep(new, GRACE).await;
        if kept.map_err(|error| WebhookRefused::Unavailable(error.to_string()))? == Kept::Duplicate {
            return Ok(Received::Duplicate);
        }
        match self.act_and_settle(&id, webhook.facts).await {
            Ok(received) => Ok(received),
            Err(error) => {
                report_deferred(&id, &error);
                Ok(Received::Deferred)
            }
        }
    }

    /// Goes on with webhooks that were kept but not settled: the process died in between, or acting failed.
    /// Answers how many it worked on.
    pub async fn sweep(&self) -> Result<usize, InboxError> {
        let due = self.inbox.take_due(self.payments.clock.now(), SWEEP_BATCH).await?;
        let taken = due.len();
        for webhook in due {
            self.resume(webhook).await?;
        }
        Ok(taken)
    }

    async fn resume(&self, webhook: StoredWebhook) -> Result<(), InboxError> {
        let acted = match self.read_again(&webhook) {
            Ok(read) => self.act_and_settle(&webhook.id, read.facts).await,
            Err(reason) => Err(reason),
        };
        let Err(reason) = acted else {
            return Ok(());
        };
        report_deferred(&webhook.id, &reason);
        if webhook.attempts < ATTEMPTS_MAX {
            return self.inbox.note_failure(&webhook.id, &reason).await;
        }
        let outcome = WebhookOutcome::Parked { reason };
        self.inbox.settle(&webhook.id, &outcome, self.payments.clock.now()).await?;
        report_parked(&webhook.id, &outcome);
        Ok(())
    }

    /// Kept messages were verified when they came; their signature is checked again as of then.
    fn read_again(&self, webhook: &StoredWebhook) -> Result<Webhook, String> {
        let message = webhook.message.as_ref().ok_or("the kept message does not open")?;
        let channel =
            self.payments.channels.get(&webhook.id.channel).ok_or("its channel is not configured any more")?;
        let header = |name: &str| {
            let found = message.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| value.clone())
        };
        channel.read_webhook(&header, &message.body, webhook.received_at).map_err(|error| error.to_string())
    }

    async fn act_and_settle(&self, id: &WebhookId, facts: Vec<WebhookFact>) -> Result<Received, String> {
        let outcome = self.act(id, facts).await.map_err(|error| error.to_string())?;
        let settled = self.inbox.settle(id, &outcome, self.payments.clock.now()).await;
        settled.map_err(|error| error.to_string())?;
        report_parked(id, &outcome);
        Ok(match outcome {
            WebhookOutcome::Acted => Received::Acted,
            WebhookOutcome::Ignored { .. } | WebhookOutcome::Parked { .. } => Received::Ignored,
        })
    }

    /// The facts in their order. An error stops there; the next attempt repeats those that were recorded, harmlessly.
    async fn act(&self, id: &WebhookId, facts: Vec<WebhookFact>) -> Result<WebhookOutcome, CommandError> {
        let mut outcome = WebhookOutcome::Ignored { reason: "it tells nothing about a payment".to_owned() };
        for (index, fact) in facts.into_iter().enumerate() {
            let fact = self.located(id, fact).await?;
            let Some(stream) = stream_of(&fact) else {
                let reason = "news that name no object of ours are left to the poller".to_owned();
                outcome = outcome.followed_by(WebhookOutcome::Ignored { reason });
                continue;
            };
            let recorded = self.record(id, index, &stream, fact).await?;
            if recorded == WebhookOutcome::Acted {
                (self.nudge)(&stream.id);
            }
            outcome = outcome.followed_by(recorded);
        }
        Ok(outcome)
    }

    /// Some channels do not say which payment a dispute is about, unless they are asked.
    async fn located(&self, id: &WebhookId, fact: WebhookFact) -> Result<WebhookFact, CommandError> {
        match fact {
            WebhookFact::Dispute(report) if report.payment_id.is_none() => {
                let asked = self.disputes().ask(&id.channel, &report.channel_reference).await?;
                Ok(WebhookFact::Dispute(asked.unwrap_or(report)))
            }
            fact => Ok(fact),
        }
    }

    fn disputes(&self) -> Disputes {
        Disputes { payments: self.payments.clone() }
    }

    async fn record(
        &self,
        id: &WebhookId,
        index: usize,
        stream: &StreamId,
        fact: WebhookFact,
    ) -> Result<WebhookOutcome, CommandError> {
        let created = self.payments.executor.store().read_stream(stream, 0, 1).await?;
        let Some(created) = created.first() else {
            return Ok(WebhookOutcome::Ignored { reason: format!("the {} is not one of ours", stream.category) });
        };
        let origin = created.metadata().map_err(|error| CommandError::Bug(error.to_string()))?;
        let span = tracing::info_span!("webhook.fact", webhook.channel = %id.channel, stream.id = stream.id);
        trace::set_parent(&span, origin.traceparent.as_deref());

        let actor = format!("webhook:{}", id.channel);
        let mut issued = Issued::internally(&actor, &format!("{}:{index}", id.event_id), &origin.correlation_id);
        issued.metadata.causation_id = Some(format!("webhook/{}/{}", id.channel, id.event_id));
        let record = async {
            issued.metadata.traceparent = trace::current_traceparent();
            match fact {
                WebhookFact::Charge { payment_id, answer } => {
                    self.payments.record_charge(issued, payment_id, answer).await
                }
                WebhookFact::Refund { payment_id: Some(payment_id), refund_id, answer } => {
                    self.payments.record_refund(issued, payment_id, refund_id, answer).await
                }
                WebhookFact::Refund { payment_id: None, .. } => {
                    Err(CommandError::Bug("a refund without its payment has no stream".to_owned()))
                }
                WebhookFact::Authorization { pre_auth_id, answer } => {
                    PreAuths::on(&self.payments).record_authorization(issued, pre_auth_id, answer).await
                }
                WebhookFact::Dispute(report) => self.disputes().record(issued, &id.channel, report).await,
            }
        };
        Ok(outcome_of(record.instrument(span).await?))
    }
}

impl From<WebhookError> for WebhookRefused {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::BadSignature => WebhookRefused::BadSignature,
            WebhookError::Malformed => WebhookRefused::Malformed,
        }
    }
}

/// Verifies the message and notes the headers that were needed for it.
fn verify(
    channel: &dyn Channel,
    header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
    body: &[u8],
    now: Timestamp,
) -> Result<(Webhook, RawMessage), WebhookError> {
    let used = Mutex::new(BTreeMap::new());
    let noting = |name: &str| {
        let value = header(name);
        if let Some(value) = &value {
            used.lock().insert(name.to_owned(), value.clone());
        }
        value
    };
    let webhook = channel.read_webhook(&noting, body, now)?;
    Ok((webhook, RawMessage { headers: used.into_inner().into_iter().collect(), body: body.to_vec() }))
}

fn payment_of(fact: &WebhookFact) -> Option<PaymentId> {
    match fact {
        WebhookFact::Charge { payment_id, .. } => Some(*payment_id),
        WebhookFact::Refund { payment_id, .. } => *payment_id,
        WebhookFact::Dispute(report) => report.payment_id,
        WebhookFact::Authorization { .. } => None,
    }
}

/// The stream that a fact is recorded in.
fn stream_of(fact: &WebhookFact) -> Option<StreamId> {
    match fact {
        WebhookFact::Charge { .. } | WebhookFact::Refund { .. } | WebhookFact::Dispute(_) => {
            payment_of(fact).map(|payment_id| Category::of::<Payment>().stream(payment_id.to_string()))
        }
        WebhookFact::Authorization { pre_auth_id, .. } => {
            Some(Category::of::<PreAuth>().stream(pre_auth_id.to_string()))
        }
    }
}

impl WebhookOutcome {
    /// What a webhook of several facts comes to: one that needs a person outweighs one acted on, and that one ignored.
    fn followed_by(self, next: WebhookOutcome) -> WebhookOutcome {
        let weight = |outcome: &WebhookOutcome| match outcome {
            WebhookOutcome::Ignored { .. } => 0,
            WebhookOutcome::Acted => 1,
            WebhookOutcome::Parked { .. } => 2,
        };
        if weight(&next) >= weight(&self) { next } else { self }
    }
}

/// A fact that the ledger refuses to book is no use repeating: it needs a person.
fn outcome_of(receipt: Receipt) -> WebhookOutcome {
    match receipt.rejection {
        None => WebhookOutcome::Acted,
        Some(rejection) if rejection.class == RejectionClass::NotFound => {
            WebhookOutcome::Ignored { reason: rejection.code }
        }
        Some(rejection) => WebhookOutcome::Parked { reason: rejection.code },
    }
}

fn report_deferred(id: &WebhookId, reason: &str) {
    tracing::warn!(webhook.channel = %id.channel, webhook.event_id = id.event_id, reason, "acting on a webhook failed for now");
}

fn report_parked(id: &WebhookId, outcome: &WebhookOutcome) {
    if let WebhookOutcome::Parked { reason } = outcome {
        counter!("webhook_parked_total", "channel" => id.channel.to_string()).increment(1);
        tracing::error!(webhook.channel = %id.channel, webhook.event_id = id.event_id, reason, "webhook parked: it must be looked at");
    }
}
