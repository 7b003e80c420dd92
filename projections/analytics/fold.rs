//! What a batch of payments' events changes of the figures. Pure; knows no SQL.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use commands::ports::RecordedEvent;
use domain::payment::{Created, Event, PaymentStatus};
use domain::pricing::PricingModel;
use domain::{ChannelName, Country, Currency, MerchantId, Timestamp};

use super::latency::class_of;
use super::measures::Measures;
use super::tallied::{Group, Tallied};
use crate::ApplyError;
use crate::rollup::{Entry, QUARTER, Rollup};

/// What is counted together: payments of one merchant and group, in one quarter of an hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    merchant_id: MerchantId,
    group: Group,
    quarter: Timestamp,
}

/// What a payment's later events do not tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub currency: Currency,
    pub country: Option<Country>,
    pub amount: i64,
    pub created_at: Timestamp,
    /// How and when it ended, as far as it is known.
    pub outcome: Option<(PaymentStatus, Timestamp)>,
}

/// What is to be written of a batch.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// By stream id.
    pub facts: HashMap<String, Facts>,
    cells: HashMap<Cell, Tallied>,
}

impl Facts {
    fn of(terms: &Created, recorded_at: Timestamp) -> Facts {
        Facts {
            merchant_id: terms.merchant_id,
            channel: terms.channel.clone(),
            currency: terms.currency,
            country: terms.country,
            amount: terms.amount,
            created_at: recorded_at,
            outcome: None,
        }
    }

    fn cell(&self, at: Timestamp) -> Cell {
        let micros = at.as_micros();
        let quarter = i64::try_from(QUARTER.as_micros()).expect("a quarter of an hour is short");
        Cell {
            merchant_id: self.merchant_id,
            group: Group { channel: Some(self.channel.clone()), currency: self.currency, country: self.country },
            quarter: Timestamp::from_micros(micros - micros.rem_euclid(quarter)),
        }
    }
}

/// Whose row in the table holds the figures of a merchant, and of everybody's payments told apart by channel and country.
pub(super) fn owner_of_merchant(merchant_id: MerchantId) -> String {
    merchant_id.to_string()
}

pub(super) const MERCHANTS: &str = "mer_";
pub(super) const EVERYBODY: &str = "all";
pub(super) const BOTH: &str = "both/";

pub(super) fn owner_of_channel(channel: &str) -> String {
    format!("channel/{channel}")
}

pub(super) fn owner_of_country(country: &str) -> String {
    format!("country/{country}")
}

pub(super) fn owner_of_both(channel: &str, country: &str) -> String {
    format!("{BOTH}{channel}/{country}")
}

impl Cell {
    /// Adds figures to all rows that count them: the merchant's, everybody's, and everybody's by channel and country. A
    /// merchant's totals leave the country out, else they would have as many cells as it has payments on most days.
    fn add_to(&self, rollup: &mut Rollup<Group, Tallied>, figures: &Tallied) {
        let all = &self.group;
        let channel = all.channel.as_ref().map_or("", ChannelName::as_str);
        let country = all.country.as_ref().map_or("", Country::code);
        let by_currency = Group { channel: None, currency: all.currency, country: None };
        let by_channel = Group { country: None, ..all.clone() };
        let by_country = Group { channel: None, ..all.clone() };
        let mut add = |owner: &str, in_totals: &Group, in_slots: &Group, by_hours: bool| {
            rollup.add(self.quarter, &Entry { owner, in_totals, in_slots, by_hours }, figures);
        };
        add(&owner_of_merchant(self.merchant_id), &by_channel, all, false);
        add(EVERYBODY, &by_currency, &by_currency, true);
        add(&owner_of_channel(channel), &by_channel, &by_channel, true);
        add(&owner_of_country(country), &by_country, &by_country, false);
        add(&owner_of_both(channel, country), all, all, false);
    }
}

impl Changes {
    /// On what is known of the batch's payments.
    pub(crate) fn of(facts: HashMap<String, Facts>) -> Changes {
        Changes { facts, ..Changes::default() }
    }

    pub(crate) fn fold(&mut self, recorded: &RecordedEvent) -> Result<(), ApplyError> {
        let event: &Event = recorded.decoded()?;
        if let Event::Created(terms) = event {
            self.facts.insert(recorded.stream.id.clone(), Facts::of(terms, recorded.recorded_at));
        }
        let facts = self.facts.get(&recorded.stream.id).cloned();
        let facts = facts.ok_or_else(|| ApplyError::inapplicable(recorded, "the payment was never created"))?;
        match outcome_of(event) {
            Some(outcome) => self.end(recorded, facts, outcome, event),
            None => self.add(&facts, recorded.recorded_at, moved(event)),
        }
        Ok(())
    }

    /// What ended stays ended; only a capture still counts then.
    fn end(&mut self, recorded: &RecordedEvent, mut facts: Facts, outcome: PaymentStatus, event: &Event) {
        let at = recorded.recorded_at;
        if let Some((before, ended_at)) = facts.outcome {
            if outcome != PaymentStatus::Succeeded || before == PaymentStatus::Succeeded {
                return;
            }
            self.add(&facts, ended_at, ended(before, -1, facts.amount.saturating_neg()));
        } else if matches!(outcome, PaymentStatus::Succeeded | PaymentStatus::Failed) {
            self.cell(&facts, at).latencies.add(class_of(at.since(facts.created_at)), 1);
        }
        let mut measures = ended(outcome, 1, facts.amount);
        if let Event::Captured(captured) = event {
            measures.amount_succeeded = captured.amount.into();
            measures.markup = captured.markup.into();
            measures += channel_fee(captured.pricing_model, captured.channel_fee.amount());
        }
        self.add(&facts, at, measures);
        if let Event::Failed(failed) = event {
            *self.cell(&facts, at).failures.entry(failed.failure.code.clone()).or_default() += 1;
        }
        facts.outcome = Some((outcome, at));
        self.facts.insert(recorded.stream.id.clone(), facts);
    }

    fn add(&mut self, facts: &Facts, at: Timestamp, measures: Measures) {
        if measures != Measures::default() {
            self.cell(facts, at).measures += measures;
        }
    }

    fn cell(&mut self, facts: &Facts, at: Timestamp) -> &mut Tallied {
        self.cells.entry(facts.cell(at)).or_default()
    }

    /// Everything that the batch adds to the table.
    pub(crate) fn rollup(&self) -> Rollup<Group, Tallied> {
        let mut rollup = Rollup::default();
        for (cell, figures) in self.cells.iter() {
            cell.add_to(&mut rollup, figures);
        }
        rollup
    }
}

fn outcome_of(event: &Event) -> Option<PaymentStatus> {
    match event {
        Event::Captured(_) => Some(PaymentStatus::Succeeded),
        Event::Failed(_) => Some(PaymentStatus::Failed),
        Event::Cancelled { .. } => Some(PaymentStatus::Cancelled),
        Event::Expired { .. } => Some(PaymentStatus::Expired),
        _ => None,
    }
}

/// `count` payments of `amount` altogether that ended so.
fn ended(outcome: PaymentStatus, count: i64, amount: i64) -> Measures {
    let amount = i128::from(amount);
    match outcome {
        PaymentStatus::Succeeded => Measures { succeeded: count, amount_succeeded: amount, ..Measures::default() },
        PaymentStatus::Failed => Measures { failed: count, amount_failed: amount, ..Measures::default() },
        PaymentStatus::Cancelled => Measures { cancelled: count, amount_cancelled: amount, ..Measures::default() },
        PaymentStatus::Expired => Measures { expired: count, amount_expired: amount, ..Measures::default() },
        PaymentStatus::Processing | PaymentStatus::RequiresAction => Measures::default(),
    }
}

/// A channel's fee: blended prices bear it, others pass it on.
fn channel_fee(model: PricingModel, fee: impl Into<i128>) -> Measures {
    let channel_costs = fee.into();
    let fees_passed_on = match model {
        PricingModel::CostPlus => channel_costs,
        PricingModel::Blended => 0,
    };
    Measures { channel_costs, fees_passed_on, ..Measures::default() }
}

/// What a channel charges for a dispute, and the part of it that the merchant bears.
fn dispute_fee(fee: i64, passed_on: i64) -> Measures {
    Measures { channel_costs: fee.into(), fees_passed_on: passed_on.into(), ..Measures::default() }
}

/// What an event that ends nothing changes.
fn moved(event: &Event) -> Measures {
    let none = Measures::default();
    match event {
        Event::Created(terms) => Measures { created: 1, amount_created: terms.amount.into(), ..none },
        Event::FeeTruedUp(fee) => channel_fee(fee.pricing_model, i128::from(fee.actual) - i128::from(fee.estimate)),
        Event::RefundSucceeded(refund) | Event::RefundSucceededLate(refund) => Measures {
            refunds: 1,
            amount_refunded: refund.amount.into(),
            markup: -i128::from(refund.markup_returned),
            ..channel_fee(refund.pricing_model, -i128::from(refund.channel_fee_returned))
        },
        Event::RefundReversed(refund) => Measures {
            refunds: -1,
            amount_refunded: -i128::from(refund.amount),
            markup: refund.markup_returned.into(),
            ..channel_fee(refund.pricing_model, refund.channel_fee_returned)
        },
        Event::DisputeOpened(dispute) => Measures {
            disputes: 1,
            amount_disputed: dispute.amount.into(),
            ..dispute_fee(dispute.fee, dispute.fee_passed_on)
        },
        Event::DisputeAdjusted(dispute) => {
            let fee = dispute_fee(dispute.fee, dispute.fee_passed_on);
            Measures { amount_disputed: dispute.amount.into(), ..fee }
        }
        Event::DisputeClosed(dispute) => {
            let fee = dispute_fee(-dispute.fee_returned, -dispute.fee_passed_back);
            Measures { amount_lost: dispute.lost.into(), ..fee }
        }
        Event::DisputeReopened(dispute) => {
            let fee = dispute_fee(dispute.fee_returned, dispute.fee_passed_back);
            Measures { amount_lost: -i128::from(dispute.lost), ..fee }
        }
        Event::Captured(_)
        | Event::Failed(_)
        | Event::Cancelled { .. }
        | Event::Expired { .. }
        | Event::ActionRequired(_)
        | Event::Accepted { .. }
        | Event::OutcomeUnknown { .. }
        | Event::CancellationRequested { .. }
        | Event::RefundRequested(_)
        | Event::RefundAccepted { .. }
        | Event::RefundOutcomeUnknown { .. }
        | Event::RefundFailed(_)
        | Event::OverReturned(_) => none,
    }
}
