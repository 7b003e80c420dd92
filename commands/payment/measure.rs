//! Counts what becomes of payments and refunds: each outcome once, when it is recorded for the first time, whoever
//! heard it.

use std::sync::Arc;

use domain::payment::{Event, OverReturned, Payment, PaymentStatus, RefundCause, RefundRequested};
use domain::{ChannelName, Currency, RefundId, Timestamp};
use parking_lot::Mutex;

use super::Payments;
use crate::executor::CommandError;
use crate::ports::{Decision, Receipt, Request, StreamState};

/// What a decision makes of a payment: the part that is counted.
#[derive(Debug, Clone)]
struct Outcome {
    event: Event,
    channel: ChannelName,
    currency: Currency,
    created_at: Timestamp,
}

impl Payments {
    /// Sends a command whose first stream is a payment, and counts the outcomes that it appends.
    pub(crate) async fn execute_and_count(&self, mut request: Request) -> Result<Receipt, CommandError> {
        // A store decides a command several times; what it decided last is what it stored.
        let decided: Arc<Mutex<Vec<Outcome>>> = Arc::default();
        let (decide, noted) = (request.decide, decided.clone());
        request.decide = Arc::new(move |states| {
            let decision = decide(states);
            *noted.lock() = outcomes(states, &decision);
            decision
        });
        let receipt = self.executor.execute(request).await?;
        if !receipt.replayed {
            let now = self.clock.now();
            decided.lock().iter().for_each(|outcome| outcome.count(now));
        }
        Ok(receipt)
    }
}

fn outcomes(states: &[StreamState], decision: &Decision) -> Vec<Outcome> {
    let record = states.first().and_then(StreamState::of::<Payment>).and_then(|state| state.record());
    let (Some(record), Decision::Append(events)) = (record, decision) else {
        return vec![];
    };
    let events = events.iter().filter_map(|event| event.event.downcast_ref::<Event>());
    let outcome = |event: &Event| Outcome {
        event: event.clone(),
        channel: record.terms.channel.clone(),
        currency: record.terms.currency,
        created_at: record.terms.created_at,
    };
    events.map(outcome).collect()
}

impl Outcome {
    fn count(&self, now: Timestamp) {
        match &self.event {
            Event::Captured(captured) => {
                let labels = [("channel", self.channel.to_string()), ("currency", self.currency.to_string())];
                let amount = u64::try_from(captured.amount).unwrap_or(0);
                metrics::counter!("payment_amount", &labels).increment(amount);
                self.count_payment(PaymentStatus::Succeeded, now);
            }
            Event::Failed(_) => self.count_payment(PaymentStatus::Failed, now),
            Event::Cancelled { .. } => self.count_payment(PaymentStatus::Cancelled, now),
            Event::Expired { .. } => self.count_payment(PaymentStatus::Expired, now),
            Event::RefundSucceeded(_) | Event::RefundSucceededLate(_) => self.count_refund("succeeded"),
            Event::RefundFailed(_) => self.count_refund("failed"),
            Event::RefundReversed(_) => self.count_refund("reversed"),
            Event::DisputeOpened(_) => self.count_dispute("opened"),
            Event::DisputeClosed(closed) if closed.lost == 0 => self.count_dispute("won"),
            Event::DisputeClosed(closed) if closed.won == 0 => self.count_dispute("lost"),
            Event::DisputeClosed(_) => self.count_dispute("partly_won"),
            Event::OverReturned(over) => alert_of_excess(over),
            Event::RefundRequested(again) if again.refund_id != RefundId::of_late_success(again.payment_id, 0) => {
                alert_of_lost_refund(again);
            }
            _ => {}
        }
    }

    fn count_payment(&self, status: PaymentStatus, now: Timestamp) {
        let labels = self.labels(status.as_str());
        metrics::counter!("payment_total", &labels).increment(1);
        metrics::histogram!("payment_duration_seconds", &labels[..2]).record(now.since(self.created_at));
    }

    fn count_refund(&self, status: &'static str) {
        metrics::counter!("refund_total", &self.labels(status)).increment(1);
    }

    fn count_dispute(&self, status: &'static str) {
        metrics::counter!("dispute_total", &self.labels(status)).increment(1);
    }

    fn labels(&self, status: &'static str) -> [(&'static str, String); 3] {
        [("status", status.to_owned()), ("channel", self.channel.to_string()), ("currency", self.currency.to_string())]
    }
}

/// More went back than ever came in: it is booked, the merchant owes it, and a person should talk to the channel.
fn alert_of_excess(over: &OverReturned) {
    tracing::error!(
        payment.id = %over.payment_id, channel.name = %over.channel, excess = over.excess, currency = %over.currency,
        "the channel took more for refunds and disputes than was captured"
    );
    metrics::counter!("payment_over_returned_total", "channel" => over.channel.to_string()).increment(1);
}

/// The ledger asks for the refund of an unwanted payment again whenever the channel said no to the one before: it never
/// gives up, and a person should know.
fn alert_of_lost_refund(again: &RefundRequested) {
    if again.cause == RefundCause::LateSuccess {
        tracing::error!(
            payment.id = %again.payment_id, refund.id = %again.refund_id,
            "the refund of an unwanted payment failed and is asked for again"
        );
        metrics::counter!("refund_of_unwanted_payment_failed_total").increment(1);
    }
}
