//! A channel in memory that tells its fees only in the statements of its payouts, and pays out and lists as disputed
//! what a test says.

use std::sync::Arc;

use async_trait::async_trait;
use commands::ports::channel::{
    Payout, PayoutsAnswer, StatementAnswer, StatementLine, StatementLineKind, Webhook, WebhookError,
};
use commands::ports::{Channel, ChannelAnswer, ChargeOrder, DisputeReport, RefundAnswer, RefundOrder};
use domain::{ChannelName, Currency, Money, Timestamp};
use parking_lot::Mutex;

use crate::scripted_channel::ScriptedChannel;

/// Charges and refunds are those of a [`ScriptedChannel`], which is its name too.
#[derive(Default)]
pub struct PayingChannel {
    charging: ScriptedChannel,
    payouts: Mutex<Vec<(Payout, Vec<StatementLine>)>>,
    disputes: Mutex<Vec<DisputeReport>>,
}

impl PayingChannel {
    /// Pays out `amount` for one payment of `gross` with this fee.
    pub fn pay_out(self: &Arc<Self>, reference: &str, amount: i64, (payment, gross, fee): (&str, i64, i64)) {
        let line = |kind, amount| StatementLine { kind, reference: payment.to_owned(), amount };
        let lines = vec![line(StatementLineKind::Movement, gross), line(StatementLineKind::Fee, -fee)];
        let payout = Payout {
            reference: reference.to_owned(),
            currency: Currency::USD,
            amount,
            paid_at: Timestamp::from_micros(1_795_000_000_000_000),
        };
        self.payouts.lock().push((payout, lines));
    }

    /// Lists it whenever it is asked; no webhook tells of it.
    pub fn dispute(&self, report: DisputeReport) {
        self.disputes.lock().push(report);
    }
}

#[async_trait]
impl Channel for PayingChannel {
    fn name(&self) -> &ChannelName {
        self.charging.name()
    }

    fn expected_fee_rate(&self) -> rust_decimal::Decimal {
        self.charging.expected_fee_rate()
    }

    fn accepts(&self, amount: Money) -> Result<(), String> {
        self.charging.accepts(amount)
    }

    async fn charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        without_fee(self.charging.charge(order).await)
    }

    async fn find_charge(&self, order: &ChargeOrder) -> ChannelAnswer {
        without_fee(self.charging.find_charge(order).await)
    }

    async fn void_charge(&self, order: &ChargeOrder, key: &str) -> ChannelAnswer {
        without_fee(self.charging.void_charge(order, key).await)
    }

    async fn refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.charging.refund(order).await
    }

    async fn find_refund(&self, order: &RefundOrder) -> RefundAnswer {
        self.charging.find_refund(order).await
    }

    /// One payout on each page.
    async fn payouts(&self, page: Option<&str>) -> PayoutsAnswer {
        let payouts = self.payouts.lock();
        let begin: usize = page.map_or(0, |page| page.parse().expect("a page of this channel"));
        let page = payouts.get(begin).map(|(payout, _)| payout.clone());
        let next = (begin + 1 < payouts.len()).then(|| (begin + 1).to_string());
        PayoutsAnswer::Page { payouts: page.into_iter().collect(), next }
    }

    async fn payout_statement(&self, payout: &str) -> StatementAnswer {
        let payouts = self.payouts.lock();
        match payouts.iter().find(|(known, _)| known.reference == payout) {
            Some((_, lines)) => StatementAnswer::Lines(lines.clone()),
            None => StatementAnswer::Unknown { reason: "no such payout".to_owned() },
        }
    }

    async fn disputes_since(&self, _since: Timestamp) -> Result<Vec<DisputeReport>, String> {
        Ok(self.disputes.lock().clone())
    }

    fn read_webhook(
        &self,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError> {
        self.charging.read_webhook(header, body, now)
    }
}

fn without_fee(answer: ChannelAnswer) -> ChannelAnswer {
    match answer {
        ChannelAnswer::Captured { channel_reference, amount, .. } => {
            ChannelAnswer::Captured { channel_reference, amount, fee: None }
        }
        answer => answer,
    }
}
