//! A payment provider in memory that keeps its own book. It performs each key once, remembers voids, and loses the
//! answers it is told to lose: before the effect or after it. What a charge does is chosen by its token.

mod authorizations;
mod disputes;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::channel::{Webhook, WebhookError};
use commands::ports::{
    Authorizations, Channel, ChannelAnswer, ChargeOrder, DisputeAnswer, DisputeOrder, RefundAnswer, RefundOrder,
    ReportedStage, WebhookFact,
};
use domain::payment::Failure;
use domain::{ChannelName, Money, PaymentId, RefundId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Where the answer to a call is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The call never arrives.
    BeforeEffect,
    AfterEffect,
}

/// An operation that took effect: money moved. Each key has at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub key: String,
    pub reference: String,
    /// Minor units.
    pub amount: i64,
}

#[derive(Debug, Clone, PartialEq)]
enum Charge {
    Captured,
    ActionRequired,
    Accepted,
    Declined,
    Voided,
}

#[derive(Debug, Clone, PartialEq)]
enum Refund {
    Succeeded,
    Accepted,
    Failed,
}

#[derive(Debug)]
struct Entry<S> {
    state: S,
    key: String,
    amount: i64,
}

#[derive(Debug, Default)]
struct Book {
    /// By key: another key is another charge, as with any provider.
    charges: Vec<(PaymentId, Entry<Charge>)>,
    refunds: Vec<(RefundId, Entry<Refund>)>,
    holds: Vec<authorizations::Hold>,
    cases: Vec<disputes::Case>,
    /// The tokens of the charges: they choose what their refunds do, too.
    tokens: BTreeMap<PaymentId, String>,
    effects: Vec<Effect>,
    calls: Vec<String>,
    losing: Option<Loss>,
    losses: VecDeque<Loss>,
}

/// Fee: 1 % of each capture, rounded down.
#[derive(Debug)]
pub struct ScriptedChannel {
    name: ChannelName,
    book: Mutex<Book>,
}

impl Default for ScriptedChannel {
    fn default() -> Self {
        ScriptedChannel { name: "scripted".parse().expect("a channel's name"), book: Mutex::default() }
    }
}

impl ScriptedChannel {
    /// From now on every answer is lost, or none.
    pub fn lose_answers(&self, loss: Option<Loss>) {
        self.book.lock().losing = loss;
    }

    /// The next calls lose their answers.
    pub fn lose_next(&self, losses: impl IntoIterator<Item = Loss>) {
        self.book.lock().losses.extend(losses);
    }

    /// The customer has acted, or the channel has done its work.
    pub fn complete_charge(&self, payment_id: PaymentId) {
        let mut book = self.book.lock();
        let Some(entry) = book.charge_of(payment_id) else { return };
        if matches!(entry.state, Charge::ActionRequired | Charge::Accepted) {
            entry.state = Charge::Captured;
            let effect = entry.effect(&payment_id);
            book.effects.push(effect);
        }
    }

    pub fn complete_refund(&self, refund_id: RefundId) {
        let mut book = self.book.lock();
        let Some(entry) = book.refund_of(refund_id) else { return };
        if entry.state == Refund::Accepted {
            entry.state = Refund::Succeeded;
            let effect = entry.effect(&refund_id);
            book.effects.push(effect);
        }
    }

    pub fn effects(&self) -> Vec<Effect> {
        self.book.lock().effects.clone()
    }

    /// Every call that arrived or was lost on its way: `charge pay_...`.
    pub fn calls(&self) -> Vec<String> {
        self.book.lock().calls.clone()
    }

    fn call<A>(&self, call: String, unknown: impl Fn(&str) -> A, perform: impl FnOnce(&mut Book) -> A) -> A {
        let mut book = self.book.lock();
        book.calls.push(call);
        let next = book.losses.pop_front();
        match next.or(book.losing) {
            Some(Loss::BeforeEffect) => unknown("lost before the effect"),
            Some(Loss::AfterEffect) => {
                perform(&mut book);
                unknown("lost after the effect")
            }
            None => perform(&mut book),
        }
    }
}

impl<S> Entry<S> {
    fn effect(&self, reference: &impl ToString) -> Effect {
        Effect { key: self.key.clone(), reference: reference.to_string(), amount: self.amount }
    }
}

impl Book {
    fn charge(&mut self, order: &ChargeOrder) {
        let is_known = |(payment_id, entry): &(PaymentId, Entry<Charge>)| {
            entry.key == order.key || *payment_id == order.payment_id && entry.state == Charge::Voided
        };
        if self.charges.iter().any(is_known) {
            return;
        }
        let state = match order.token.as_str() {
            "tok_declined" => Charge::Declined,
            "tok_requires_action" => Charge::ActionRequired,
            "tok_async" | "tok_async_refund_fails" => Charge::Accepted,
            _ => Charge::Captured,
        };
        let entry = Entry { state, key: order.key.clone(), amount: order.amount.minor() };
        if entry.state == Charge::Captured {
            self.effects.push(entry.effect(&order.payment_id));
        }
        self.tokens.insert(order.payment_id, order.token.clone());
        self.charges.push((order.payment_id, entry));
    }

    /// What has not come to an end cannot any more; what never came leaves a tombstone.
    fn void(&mut self, order: &ChargeOrder, key: &str) {
        match self.charge_of(order.payment_id) {
            Some(entry) if matches!(entry.state, Charge::ActionRequired | Charge::Accepted) => {
                entry.state = Charge::Voided;
            }
            Some(_) => {}
            None => {
                let tombstone = Entry { state: Charge::Voided, key: key.to_owned(), amount: 0 };
                self.charges.push((order.payment_id, tombstone));
            }
        }
    }

    fn charge_of(&mut self, payment_id: PaymentId) -> Option<&mut Entry<Charge>> {
        self.charges.iter_mut().rfind(|(id, _)| *id == payment_id).map(|(_, entry)| entry)
    }

    fn refund_of(&mut self, refund_id: RefundId) -> Option<&mut Entry<Refund>> {
        self.refunds.iter_mut().rfind(|(id, _)| *id == refund_id).map(|(_, entry)| entry)
    }

    fn answer(&self, payment_id: PaymentId) -> ChannelAnswer {
        let channel_reference = format!("ch_{payment_id}");
        let Some((_, entry)) = self.charges.iter().rfind(|(id, _)| *id == payment_id) else {
            return ChannelAnswer::NotFound;
        };
        match entry.state {
            Charge::Captured => {
                // A channel that reports more than was asked for.
                let poisoned = self.tokens.get(&payment_id).is_some_and(|token| token == "tok_captures_too_much");
                let amount = entry.amount + i64::from(poisoned);
                ChannelAnswer::Captured { channel_reference, amount, fee: Some(amount / 100) }
            }
            Charge::ActionRequired => {
                ChannelAnswer::ActionRequired { channel_reference, url: format!("https://pay.example/{payment_id}") }
            }
            Charge::Accepted => ChannelAnswer::Accepted { channel_reference },
            Charge::Declined => ChannelAnswer::Declined {
                channel_reference: Some(channel_reference),
                failure: failure("card_declined"),
            },
            Charge::Voided => ChannelAnswer::Voided,
        }
    }

    fn refund(&mut self, order: &RefundOrder) {
        if self.refunds.iter().any(|(_, entry)| entry.key == order.key) {
            return;
        }
        let state = match self.tokens.get(&order.payment_id).map(String::as_str) {
            Some("tok_refund_fails" | "tok_async_refund_fails") => Refund::Failed,
            Some("tok_refund_async") => Refund::Accepted,
            _ => Refund::Succeeded,
        };
        let entry = Entry { state, key: order.key.clone(), amount: order.amount.minor() };
        if entry.state == Refund::Succeeded {
            self.effects.push(entry.effect(&order.refund_id));
        }
        self.refunds.push((order.refund_id, entry));
    }

    fn refund_answer(&self, refund_id: RefundId) -> RefundAnswer {
        let channel_reference = format!("rf_{refund_id}");
        match self.refunds.iter().rfind(|(id, _)| *id == refund_id).map(|(_, entry)| &entry.state) {
            None => RefundAnswer::NotFound,
            Some(Refund::Succeeded) => RefundAnswer::Succeeded { channel_reference, fee_returned: 0 },
            Some(Refund::Accepted) => RefundAnswer::Accepted { channel_reference },
            Some(Refund::Failed) => RefundAnswer::Failed { failure: failure("refund_failed") },
        }
    }
}

pub fn failure(code: &str) -> Failure {
    Failure::new(code, None)
}

fn unknown_charge(reason: &str) -> ChannelAnswer {
    ChannelAnswer::Unknown { reason: reason.to_owned() }
}

fn unknown_refund(reason: &str) -> RefundAnswer {
    RefundAnswer::Unknown { reason: reason.to_owned() }
}

#[async_trait]
impl Channel for ScriptedChannel {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    fn expected_fee_rate(&self) -> rust_decimal::Decimal {
        crate::seeds::STARTER_MARKUP
    }

    fn accepts(&self, _: Money) -> Result<(), String> {
        Ok(())
    }

    async fn charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        self.call(format!("charge {}", order.payment_id), unknown_charge, |book| {
            book.charge(order);
            book.answer(order.payment_id)
        })
    }

    async fn find_charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        self.call(format!("find_charge {}", order.payment_id), unknown_charge, |book| book.answer(order.payment_id))
    }

    async fn void_charge(&self, order: &ChargeOrder, key: &str) -> ChannelAnswer {
        self.call(format!("void_charge {}", order.payment_id), unknown_charge, |book| {
            book.void(order, key);
            book.answer(order.payment_id)
        })
    }

    async fn refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.call(format!("refund {}", order.refund_id), unknown_refund, |book| {
            book.refund(order);
            book.refund_answer(order.refund_id)
        })
    }

    async fn find_refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.call(format!("find_refund {}", order.refund_id), unknown_refund, |book| {
            book.refund_answer(order.refund_id)
        })
    }

    async fn find_dispute(&self, channel_reference: &str) -> DisputeAnswer {
        self.find_case(channel_reference)
    }

    async fn submit_evidence(&self, order: &DisputeOrder, _text: &str) -> DisputeAnswer {
        self.answer_case(order, ReportedStage::UnderReview)
    }

    async fn accept_dispute(&self, order: &DisputeOrder) -> DisputeAnswer {
        self.answer_case(order, ReportedStage::Closed { won: 0, fee_returned: 0 })
    }

    fn authorizations(&self) -> Option<&dyn Authorizations> {
        Some(self)
    }

    fn read_webhook(
        &self,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        let signed_at =
            header(SIGNATURE_HEADER).and_then(|signature| signature.strip_prefix("signed at ")?.parse().ok());
        let signed_at: Timestamp = signed_at.ok_or(WebhookError::BadSignature)?;
        if now.since(signed_at) > SIGNATURE_AGE_MAX {
            return Err(WebhookError::BadSignature);
        }
        let news: News = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
        let book = self.book.lock();
        let charges = news.charges.into_iter();
        let charges = charges.map(|payment_id| WebhookFact::Charge { payment_id, answer: book.answer(payment_id) });
        let refunds = news.refunds.into_iter().map(|(payment_id, refund_id)| WebhookFact::Refund {
            payment_id,
            refund_id,
            answer: book.refund_answer(refund_id),
        });
        let facts = charges.chain(refunds).collect();
        Ok(Webhook { event_id: news.event_id, event_type: "news".to_owned(), facts })
    }
}

/// Holds `signed at <time>` on a webhook of this channel.
pub const SIGNATURE_HEADER: &str = "scripted-signature";
const SIGNATURE_AGE_MAX: Duration = Duration::from_secs(300);

/// A webhook's body: what it speaks of. What it tells about that is what the book says when it is read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct News {
    pub event_id: String,
    pub charges: Vec<PaymentId>,
    pub refunds: Vec<(Option<PaymentId>, RefundId)>,
}
