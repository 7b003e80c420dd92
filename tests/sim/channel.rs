//! A payment provider with a book of its own, and the ledger's line to it. It performs each key once, remembers voids,
//! never gives back more than it took; beyond that it does whatever chance tells it: declines, takes its time, changes
//! its mind, tells its fee late. Calls may be lost, and lost ones may arrive later.

mod book;
mod disputes;
mod hold_line;
mod holds;
mod line;
mod payouts;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use commands::ports::WebhookFact;
use domain::{PaymentId, PreAuthId, RefundId};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;
use tokio::time::sleep;

pub use book::{Book, ChargeState, RefundState};
pub use holds::HoldState;
pub use line::{CHANNEL, ChannelLine, SIGNATURE};

use crate::chance::Chance;
use crate::trace::Trace;
use crate::weather::VirtualClock;

/// A message for the ledger; what it says is what was true when it was sent.
#[derive(Debug, Clone)]
pub struct News {
    pub event_id: String,
    /// Nobody who asks would learn of it: it is sent until it is acknowledged.
    pub is_owed: bool,
}

/// Clones share the book.
#[derive(Clone)]
pub struct Provider {
    book: Arc<Mutex<Book>>,
    sent: Arc<Mutex<HashMap<String, WebhookFact>>>,
    news: mpsc::UnboundedSender<News>,
    /// How many things it has still in mind to do.
    plans: Arc<AtomicUsize>,
    chance: Chance,
    clock: VirtualClock,
    trace: Trace,
}

impl Provider {
    pub fn new(chance: Chance, clock: VirtualClock, trace: Trace) -> (Provider, mpsc::UnboundedReceiver<News>) {
        let (news, mailbox) = mpsc::unbounded_channel();
        let (book, sent, plans) = (Arc::default(), Arc::default(), Arc::default());
        (Provider { book, sent, news, plans, chance, clock, trace }, mailbox)
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock()
    }

    pub fn fact(&self, event_id: &str) -> Option<WebhookFact> {
        self.sent.lock().get(event_id).cloned()
    }

    fn tell(&self, fact: WebhookFact, is_owed: bool) {
        let mut sent = self.sent.lock();
        let event_id = format!("evt_{}", sent.len());
        self.trace.note(|| format!("      channel sends {event_id}: {fact:?}"));
        sent.insert(event_id.clone(), fact);
        // Nobody reads any more once the world has ended.
        let _ = self.news.send(News { event_id, is_owed });
    }

    fn tell_charge(&self, payment_id: PaymentId, is_owed: bool) {
        let answer = self.book().answer_of(payment_id);
        self.tell(WebhookFact::Charge { payment_id, answer }, is_owed);
    }

    fn tell_refund(&self, refund_id: RefundId, is_owed: bool) {
        let (payment_id, answer) = {
            let book = self.book();
            let payment_id = book.refund(refund_id).map(|refund| refund.payment_id);
            (payment_id, book.refund_answer(refund_id))
        };
        self.tell(WebhookFact::Refund { payment_id, refund_id, answer }, is_owed);
    }

    fn tell_authorization(&self, pre_auth_id: PreAuthId) {
        let answer = self.book().authorization_answer(pre_auth_id);
        self.tell(WebhookFact::Authorization { pre_auth_id, answer }, false);
    }

    /// What a new charge comes to, and what the provider will do about it later.
    fn charged(&self, payment_id: PaymentId, state: ChargeState, fee_is_told: bool) {
        let chance = &self.chance;
        let is_capture = self.book().is_capture(payment_id);
        if state == ChargeState::Captured {
            self.may_be_disputed(payment_id);
        }
        match state {
            ChargeState::Captured if fee_is_told => {}
            ChargeState::Captured => self.after(chance.seconds(30..=9_000), move |provider| {
                provider.book().tell_fee(payment_id);
                provider.tell_charge(payment_id, true);
            }),
            ChargeState::Accepted | ChargeState::ActionRequired => {
                // A customer may never act, but a capture of held money is always answered.
                let never = if is_capture { 0 } else { 15 };
                let ends = [(70, Some(ChargeState::Captured)), (15, Some(ChargeState::Declined)), (never, None)];
                let Some(end) = chance.weighted(&ends) else { return };
                self.after(chance.seconds(1..=2_000), move |provider| {
                    let is_news = provider.book().complete(payment_id, end);
                    if is_news {
                        provider.tell_charge(payment_id, false);
                        provider.charged(payment_id, end, false);
                    }
                });
            }
            ChargeState::Declined if chance.percent(if is_capture { 60 } else { 15 }) => {
                let within_s = if is_capture { 60 } else { 3_600 };
                self.after(chance.seconds(1..=within_s), move |provider| {
                    let is_news = provider.book().change_its_mind(payment_id);
                    if is_news {
                        provider.tell_charge(payment_id, true);
                        provider.charged(payment_id, ChargeState::Captured, false);
                    }
                });
            }
            ChargeState::Declined | ChargeState::Voided => {}
        }
    }

    /// What a new hold comes to, and what the provider will do about it later.
    fn authorized(&self, pre_auth_id: PreAuthId, state: HoldState) {
        let chance = &self.chance;
        match state {
            HoldState::Accepted | HoldState::ActionRequired => {
                let ends = [(75, Some(HoldState::Held)), (10, Some(HoldState::Declined)), (15, None)];
                let Some(end) = chance.weighted(&ends) else { return };
                self.after(chance.seconds(1..=400), move |provider| {
                    let is_news = provider.book().complete_authorization(pre_auth_id, end);
                    if is_news {
                        provider.tell_authorization(pre_auth_id);
                        provider.authorized(pre_auth_id, end);
                    }
                });
            }
            HoldState::Held if chance.percent(8) => {
                let end = chance.pick(&[HoldState::Released, HoldState::Declined]);
                self.after(chance.seconds(1..=900), move |provider| provider.let_go(pre_auth_id, end));
            }
            HoldState::Held | HoldState::Declined | HoldState::Released => {}
        }
    }

    fn let_go(&self, pre_auth_id: PreAuthId, end: HoldState) {
        let is_news = self.book().let_go(pre_auth_id, end);
        if is_news {
            self.tell_authorization(pre_auth_id);
        }
    }

    fn refunded(&self, refund_id: RefundId, state: RefundState) {
        let chance = &self.chance;
        let ends = [(80, RefundState::Succeeded), (20, RefundState::Failed)];
        let end = match state {
            RefundState::Accepted => chance.weighted(&ends),
            RefundState::Succeeded if chance.percent(6) => RefundState::Failed,
            RefundState::Failed if chance.percent(10) => RefundState::Succeeded,
            RefundState::Succeeded | RefundState::Failed => return,
        };
        self.after(chance.seconds(1..=20_000), move |provider| {
            let is_news = provider.book().turn_refund(refund_id, end);
            if is_news {
                provider.tell_refund(refund_id, state != RefundState::Accepted);
            }
        });
    }

    /// A call that was lost on its way may still arrive.
    fn later(&self, call: impl FnOnce(&Provider) + Send + 'static) {
        if self.chance.percent(30) {
            self.after(self.chance.millis(1..=90_000), call);
        }
    }

    fn after(&self, wait: Duration, then: impl FnOnce(&Provider) + Send + 'static) {
        let provider = self.clone();
        provider.plans.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            sleep(wait).await;
            then(&provider);
            provider.plans.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// It will do nothing more by itself.
    pub fn is_done(&self) -> bool {
        self.plans.load(Ordering::Relaxed) == 0
    }
}
