//! The steps of the payment saga. Whoever asks again after a lost answer asks what became of it before it calls again.

use std::time::Duration;

use commands::ports::{Channel, ChannelAnswer, ChargeOrder};

use super::recording::{accepted, issued};
use super::{Interpreter, Learned, Seen, Trouble};
use crate::payment::{charge_key, void_key};
use crate::step::{Due, Step};

/// An intent this old may have been called for before, longer ago than a channel remembers keys: ask first.
pub(super) const FRESH: Duration = Duration::from_secs(60 * 60);

/// A charge as it goes to the channel.
struct Errand<'a> {
    channel: &'a dyn Channel,
    order: ChargeOrder,
    /// False once the customer's data was erased: without its token the charge cannot be called any more.
    callable: bool,
}

impl Interpreter {
    pub(super) async fn perform_charge(&self, seen: &Seen, due: &Due, attempts: u32) -> Result<Learned, Trouble> {
        if due.step == Step::Expire {
            let payment_id = seen.record.payment_id();
            accepted(self.payments().expire(issued(seen, due, "expired"), payment_id).await?)?;
            return Ok(Learned { outcome: "expired", error: None });
        }
        let errand = self.errand(seen).await?;
        let answer = match due.step {
            Step::Charge if self.now().since(seen.record.terms.created_at) <= FRESH => {
                let first = errand.charge().await;
                self.insist(first, attempts, is_unknown, || errand.ask_first()).await
            }
            Step::Charge | Step::FindOutCharge => {
                let first = errand.ask_first().await;
                self.insist(first, attempts, is_unknown, || errand.ask_first()).await
            }
            Step::VoidCharge => {
                let first = errand.void().await;
                self.insist(first, attempts, is_unknown, || errand.void()).await
            }
            _ => errand.channel.find_charge(&errand.order).await,
        };
        self.record_charge(seen, due, answer).await
    }

    async fn record_charge(&self, seen: &Seen, due: &Due, answer: ChannelAnswer) -> Result<Learned, Trouble> {
        let (outcome, error) = (kind(&answer), reason(&answer));
        if is_news(due.step, &answer) {
            let payment_id = seen.record.payment_id();
            let recorded = self.payments().record_charge(issued(seen, due, outcome), payment_id, answer).await?;
            accepted(recorded)?;
        }
        Ok(Learned { outcome, error })
    }

    async fn errand(&self, seen: &Seen) -> Result<Errand<'_>, Trouble> {
        let terms = &seen.record.terms;
        let channel = self.channel(seen)?;
        let amount = domain::Money::new(terms.amount, terms.currency);
        let amount = amount.map_err(|error| Trouble::Parked(error.to_string()))?;
        let details = self.payments().details(terms).await?;
        let callable = details.is_some();
        let details = details.unwrap_or_default();
        let order = ChargeOrder {
            key: charge_key(terms.payment_id),
            payment_id: terms.payment_id,
            amount,
            method: terms.method.clone(),
            token: details.token,
            return_url: details.return_url,
            channel_reference: seen.record.channel_reference.clone(),
        };
        Ok(Errand { channel, order, callable })
    }

    pub(super) fn channel(&self, seen: &Seen) -> Result<&dyn Channel, Trouble> {
        let name = &seen.record.terms.channel;
        let channel = self.payments().channels.get(name);
        let channel = channel.ok_or_else(|| Trouble::Parked(format!("channel {name} is not configured")))?;
        Ok(channel.as_ref())
    }
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

fn is_unknown(answer: &ChannelAnswer) -> bool {
    matches!(answer, ChannelAnswer::Unknown { .. })
}

/// Is there anything to record? Who merely waits does not take a lost answer for a lost outcome: the customer's page
/// would be gone from the payment.
fn is_news(step: Step, answer: &ChannelAnswer) -> bool {
    match (step, answer) {
        (_, ChannelAnswer::NotFound) => false,
        (step, ChannelAnswer::Unknown { .. }) => matches!(step, Step::Charge | Step::VoidCharge),
        (Step::AwaitChannel, ChannelAnswer::Accepted { .. }) => false,
        (Step::AwaitCustomer, ChannelAnswer::ActionRequired { .. }) => false,
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
