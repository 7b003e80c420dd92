//! The payment saga's part in the machinery, and the effects of its steps. Whoever asks again after a lost answer asks
//! what became of it before it calls again.

use async_trait::async_trait;
use commands::payment::Payments;
use commands::ports::{Category, Channel, ChannelAnswer, ChargeOrder, RecordedEvent, SagaId, StreamState, state_of};
use domain::payment::{Event, Payment, Record};
use domain::{Money, Timestamp};

use super::{AWAIT_CHANNEL, AWAIT_CUSTOMER, CHARGE, EXPIRE, FIND_OUT_CHARGE, VOID_CHARGE};
use super::{charge_key, next_step, void_key};
use crate::attempt::{Attempt, FRESH, accepted};
use crate::process::{Learned, Meaning, Process, Trouble};
use crate::step::{Due, Step};

/// Drives the charge of each payment.
pub struct PaymentProcess {
    payments: Payments,
}

/// A charge as it goes to the channel.
struct Errand<'a> {
    channel: &'a dyn Channel,
    order: ChargeOrder,
    /// False once the customer's data was erased: without its token the charge cannot be called any more.
    callable: bool,
}

#[async_trait]
impl Process for PaymentProcess {
    fn kind(&self) -> &'static str {
        "payment"
    }

    fn category(&self) -> Category {
        Category::of::<Payment>()
    }

    fn steps(&self) -> &'static [Step] {
        &[CHARGE, FIND_OUT_CHARGE, AWAIT_CHANNEL, AWAIT_CUSTOMER, EXPIRE, VOID_CHARGE]
    }

    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning> {
        let payment_id = &event.stream.id;
        let Ok(event) = event.decode::<Event>() else { return Meaning::due(payment_id) };
        match event {
            Event::Created(_) | Event::CancellationRequested { .. } => Meaning::due(payment_id),
            Event::Captured(_) | Event::Failed(_) | Event::Cancelled { .. } | Event::Expired { .. } => {
                Meaning::finished(payment_id)
            }
            Event::ActionRequired(_)
            | Event::Accepted { .. }
            | Event::OutcomeUnknown { .. }
            | Event::FeeTruedUp(_)
            | Event::RefundRequested(_)
            | Event::RefundAccepted { .. }
            | Event::RefundOutcomeUnknown { .. }
            | Event::RefundSucceeded(_)
            | Event::RefundFailed(_)
            | Event::RefundReversed(_)
            | Event::RefundSucceededLate(_)
            | Event::DisputeOpened(_)
            | Event::DisputeAdjusted(_)
            | Event::DisputeClosed(_)
            | Event::DisputeReopened(_)
            | Event::OverReturned(_) => None,
        }
    }

    fn due(&self, _saga: &SagaId, stream: &StreamState, now: Timestamp) -> Result<Option<Due>, Trouble> {
        Ok(next_step(record(state_of::<Payment>(stream))?, now))
    }

    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble> {
        let record = record(attempt.state::<Payment>())?;
        let step = attempt.due.step;
        if step == EXPIRE {
            accepted(self.payments.expire(attempt.issued("expired"), record.payment_id()).await?)?;
            return Ok(Learned { outcome: "expired", error: None });
        }
        let answer = match record.terms.pre_auth_id {
            Some(pre_auth_id) => self.capture(attempt, record, pre_auth_id).await?,
            None => self.charge(attempt, record).await?,
        };

        let (outcome, error) = (kind(&answer), reason(&answer));
        if is_news(step, &answer) {
            let issued = attempt.issued(outcome);
            accepted(self.payments.record_charge(issued, record.payment_id(), answer).await?)?;
        }
        Ok(Learned { outcome, error })
    }
}

impl PaymentProcess {
    pub fn new(payments: Payments) -> PaymentProcess {
        PaymentProcess { payments }
    }

    pub(super) fn payments(&self) -> &Payments {
        &self.payments
    }

    async fn charge(&self, attempt: &Attempt<'_>, record: &Record) -> Result<ChannelAnswer, Trouble> {
        let errand = self.errand(record).await?;
        let (step, fresh) = (attempt.due.step, attempt.now.since(record.terms.created_at) <= FRESH);
        Ok(if step == VOID_CHARGE {
            let first = errand.void().await;
            attempt.insist(first, is_unknown, || errand.void()).await
        } else if step == CHARGE && fresh {
            let first = errand.charge().await;
            attempt.insist(first, is_unknown, || errand.ask_first()).await
        } else if step == CHARGE || step == FIND_OUT_CHARGE {
            let first = errand.ask_first().await;
            attempt.insist(first, is_unknown, || errand.ask_first()).await
        } else {
            errand.channel.find_charge(&errand.order).await
        })
    }

    async fn errand(&self, record: &Record) -> Result<Errand<'_>, Trouble> {
        let terms = &record.terms;
        let channel = channel_of(&self.payments, record)?;
        let amount = Money::new(terms.amount, terms.currency).map_err(|error| Trouble::Parked(error.to_string()))?;
        let details = self.payments.details(terms).await?;
        let callable = details.is_some();
        let details = details.unwrap_or_default();
        let order = ChargeOrder {
            key: charge_key(terms.payment_id),
            payment_id: terms.payment_id,
            amount,
            method: terms.method.clone(),
            token: details.token,
            return_url: details.return_url,
            channel_reference: record.channel_reference.clone(),
        };
        Ok(Errand { channel, order, callable })
    }
}

/// The payment of a stream that has events.
pub(crate) fn record(state: &domain::payment::State) -> Result<&Record, Trouble> {
    state.record().ok_or_else(|| Trouble::Parked("the stream does not begin with a payment".to_owned()))
}

/// The channel that the payment was made through.
pub(crate) fn channel_of<'a>(payments: &'a Payments, record: &Record) -> Result<&'a dyn Channel, Trouble> {
    let name = &record.terms.channel;
    let channel = payments.channels.get(name);
    let channel = channel.ok_or_else(|| Trouble::Parked(format!("channel {name} is not configured")))?;
    Ok(channel.as_ref())
}

impl Errand<'_> {
    /// A charge that cannot be called any more is voided, so that it ends.
    async fn charge(&self) -> ChannelAnswer {
        if self.callable { self.channel.charge(&self.order).await } else { self.void().await }
    }

    async fn ask_first(&self) -> ChannelAnswer {
        match self.channel.find_charge(&self.order).await {
            ChannelAnswer::NotFound => self.charge().await,
            told => told,
        }
    }

    /// Only an end is an answer to a void.
    async fn void(&self) -> ChannelAnswer {
        match self.channel.void_charge(&self.order, &void_key(self.order.payment_id)).await {
            end @ (ChannelAnswer::Voided | ChannelAnswer::Captured { .. } | ChannelAnswer::Declined { .. }) => end,
            ChannelAnswer::Unknown { reason } => ChannelAnswer::Unknown { reason },
            other => ChannelAnswer::Unknown { reason: format!("the channel answered a void with {}", kind(&other)) },
        }
    }
}

pub(super) fn is_unknown(answer: &ChannelAnswer) -> bool {
    matches!(answer, ChannelAnswer::Unknown { .. })
}

/// Is there anything to record? Who merely waits does not take a lost answer for a lost outcome: the customer's page
/// would be gone from the payment.
fn is_news(step: Step, answer: &ChannelAnswer) -> bool {
    match (step, answer) {
        (_, ChannelAnswer::NotFound) => false,
        (step, ChannelAnswer::Unknown { .. }) => step == CHARGE || step == VOID_CHARGE,
        (step, ChannelAnswer::Accepted { .. }) => step != AWAIT_CHANNEL,
        (step, ChannelAnswer::ActionRequired { .. }) => step != AWAIT_CUSTOMER,
        _ => true,
    }
}

fn kind(answer: &ChannelAnswer) -> &'static str {
    match answer {
        ChannelAnswer::Captured { .. } => "captured",
        ChannelAnswer::ActionRequired { .. } => "action_required",
        ChannelAnswer::Accepted { .. } => "accepted",
        ChannelAnswer::Declined { .. } => "declined",
        ChannelAnswer::Voided => "voided",
        ChannelAnswer::NotFound => "not_found",
        ChannelAnswer::Unknown { .. } => "unknown",
    }
}

fn reason(answer: &ChannelAnswer) -> Option<String> {
    match answer {
        ChannelAnswer::Unknown { reason } => Some(reason.clone()),
        ChannelAnswer::NotFound => Some("the channel does not know the charge".to_owned()),
        _ => None,
    }
}
