//! A node's line to the provider: slow, and losing answers.

use std::sync::Arc;

use async_trait::async_trait;
use commands::ports::channel::{PayoutsAnswer, StatementAnswer, Webhook, WebhookError};
use commands::ports::{
    Authorizations, Channel, ChannelAnswer, ChargeOrder, DisputeAnswer, DisputeOrder, DisputeReport, RefundAnswer,
    RefundOrder, ReportedStage,
};
use domain::{ChannelName, Money, Timestamp};
use rust_decimal::Decimal;

use super::{ChargeState, Provider, RefundState};
use crate::canary::Tampering;
use crate::weather::{Fate, Weather};

pub const CHANNEL: &str = "simulated";
/// What the ledger expects of a fee: 1 %.
const EXPECTED_FEE: (i64, u32) = (1, 2);
pub const SIGNATURE: &str = "signature";

pub struct ChannelLine {
    name: ChannelName,
    provider: Provider,
    weather: Weather,
    pub(super) tampering: Arc<Tampering>,
}

impl ChannelLine {
    pub fn new(provider: Provider, weather: Weather, tampering: Arc<Tampering>) -> ChannelLine {
        ChannelLine { name: CHANNEL.parse().expect("a channel's name"), provider, weather, tampering }
    }

    /// One call: `perform` on the provider, then what `answer` reads there.
    pub(super) async fn call<A>(
        &self,
        perform: impl FnOnce(&Provider) + Send + 'static,
        answer: impl FnOnce(&Provider) -> A,
        unknown: impl FnOnce(String) -> A,
    ) -> A {
        match self.weather.there().await {
            Fate::LostBefore => {
                self.provider.later(perform);
                unknown("the line was cut".to_owned())
            }
            Fate::LostAfter => {
                perform(&self.provider);
                self.weather.back().await;
                unknown("no answer came".to_owned())
            }
            Fate::Arrives => {
                perform(&self.provider);
                let answer = answer(&self.provider);
                self.weather.back().await;
                answer
            }
        }
    }
}

impl ChannelLine {
    async fn answer_dispute(&self, order: &DisputeOrder, to: ReportedStage) -> DisputeAnswer {
        let (reference, asked) = (order.channel_reference.clone(), order.channel_reference.clone());
        let answer = move |provider: &Provider| provider.answer_dispute(&asked, to);
        self.call(answer, |provider| provider.book().answer_taken(&reference, to), unknown_dispute).await
    }
}

fn unknown_dispute(reason: String) -> DisputeAnswer {
    DisputeAnswer::Unknown { reason }
}

fn charge(provider: &Provider, order: &ChargeOrder) {
    let states = [
        (55, ChargeState::Captured),
        (12, ChargeState::Declined),
        (18, ChargeState::Accepted),
        (15, ChargeState::ActionRequired),
    ];
    let state = provider.chance.weighted(&states);
    let amount = order.amount.minor();
    let fee = provider.chance.pick(&[amount / 100, amount / 100, amount / 50, 0]);
    let fee_is_told = state == ChargeState::Captured && provider.chance.percent(75);
    if provider.book().charge(order, state, fee, fee_is_told) {
        provider.trace.note(|| format!("      channel performs {}: {state:?}", order.key));
        provider.charged(order.payment_id, state, fee_is_told);
    }
}

fn refund(provider: &Provider, order: &RefundOrder) {
    let states = [(60, RefundState::Succeeded), (25, RefundState::Accepted), (15, RefundState::Failed)];
    let state = provider.chance.weighted(&states);
    let fee_returned = if provider.chance.percent(30) { fee_share(provider, order) } else { 0 };
    if provider.book().refund_charge(order, state, fee_returned) {
        let state = provider.book().refund(order.refund_id).map_or(state, |refund| refund.state);
        provider.trace.note(|| format!("      channel performs {}: {state:?}", order.key));
        provider.refunded(order.refund_id, state);
    }
}

/// The refund's part of the fee, or of what the ledger takes for the fee if that is less.
fn fee_share(provider: &Provider, order: &RefundOrder) -> i64 {
    let book = provider.book();
    let captured = book.captured_of(order.payment_id);
    let fee = book.fee_of(order.payment_id).unwrap_or(0).min(captured / 100);
    if captured == 0 { 0 } else { fee * order.amount.minor() / captured }
}

pub(super) fn unknown_charge(reason: String) -> ChannelAnswer {
    ChannelAnswer::Unknown { reason }
}

fn unknown_refund(reason: String) -> RefundAnswer {
    RefundAnswer::Unknown { reason }
}

#[async_trait]
impl Channel for ChannelLine {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    fn expected_fee_rate(&self) -> Decimal {
        Decimal::new(EXPECTED_FEE.0, EXPECTED_FEE.1)
    }

    fn accepts(&self, _: Money) -> Result<(), String> {
        Ok(())
    }

    async fn charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        let payment_id = order.payment_id;
        let order = ChargeOrder { key: self.tampering.channel_key(&order.key), ..order.clone() };
        let answer = move |provider: &Provider| provider.book().answer_of(payment_id);
        self.tampering.answer(self.call(move |provider| charge(provider, &order), answer, unknown_charge).await)
    }

    async fn find_charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        self.call(|_| {}, |provider| provider.book().answer_of(order.payment_id), unknown_charge).await
    }

    async fn void_charge(&self, order: &ChargeOrder, _: &str) -> ChannelAnswer {
        let payment_id = order.payment_id;
        let void = move |provider: &Provider| provider.book().void(payment_id);
        self.call(void, |provider| provider.book().answer_of(payment_id), unknown_charge).await
    }

    async fn refund(&self, order: &RefundOrder) -> RefundAnswer {
        let (refund_id, order) = (order.refund_id, order.clone());
        let answer = |provider: &Provider| provider.book().refund_answer(refund_id);
        self.call(move |provider| refund(provider, &order), answer, unknown_refund).await
    }

    async fn find_refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.call(|_| {}, |provider| provider.book().refund_answer(order.refund_id), unknown_refund).await
    }

    async fn find_dispute(&self, reference: &str) -> DisputeAnswer {
        let told = self.call(|_| {}, |provider| provider.book().dispute_answer(reference), unknown_dispute).await;
        self.tampering.dispute(told)
    }

    async fn disputes_since(&self, since: Timestamp) -> Result<Vec<DisputeReport>, String> {
        self.call(|_| {}, |provider| Ok(provider.book().disputes_since(since)), Err).await
    }

    async fn submit_evidence(&self, order: &DisputeOrder, _: &str) -> DisputeAnswer {
        self.answer_dispute(order, ReportedStage::UnderReview).await
    }

    async fn accept_dispute(&self, order: &DisputeOrder) -> DisputeAnswer {
        self.answer_dispute(order, ReportedStage::Closed { won: 0, fee_returned: 0 }).await
    }

    async fn payouts(&self, page: Option<&str>) -> PayoutsAnswer {
        let unknown = |reason| PayoutsAnswer::Unknown { reason };
        self.call(|_| {}, |provider| provider.book().payout_page(page), unknown).await
    }

    async fn payout_statement(&self, payout: &str) -> StatementAnswer {
        let unknown = |reason| StatementAnswer::Unknown { reason };
        let told = self.call(|_| {}, |provider| provider.book().statement(payout), unknown).await;
        self.tampering.statement(told)
    }

    fn authorizations(&self) -> Option<&dyn Authorizations> {
        Some(self)
    }

    fn read_webhook(
        &self,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
        _: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        if header(SIGNATURE).as_deref() != Some("valid") {
            return Err(WebhookError::BadSignature);
        }
        let event_id = String::from_utf8(body.to_vec()).map_err(|_| WebhookError::Malformed)?;
        let fact = self.provider.fact(&event_id).ok_or(WebhookError::Malformed)?;
        Ok(Webhook { event_id, event_type: "news".to_owned(), facts: vec![fact] })
    }
}
