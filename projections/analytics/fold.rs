//! What a batch of payments' events changes of the figures. Pure; knows no SQL.

use std::collections::{BTreeMap, HashMap};

use commands::ports::RecordedEvent;
use domain::payment::{Created, Event, PaymentStatus};
use domain::pricing::PricingModel;
use domain::{ChannelName, Country, Currency, MerchantId, Timestamp};

use super::grain::Grain;
use super::latency::class_of;
use super::measures::Measures;
use crate::ApplyError;

/// What all figures of one payment are counted under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group {
    /// None for all merchants together.
    pub merchant_id: Option<MerchantId>,
    pub channel: ChannelName,
    pub currency: Currency,
    pub country: Option<Country>,
}

/// A row of figures: whose, and of which stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cell {
    pub grain: Grain,
    pub start: Timestamp,
    pub group: Group,
}

/// What is counted by itself and not summed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tally {
    /// A class of waiting times.
    Latency(u32),
    /// The code of a failure.
    Failure(String),
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
    pub rollup: BTreeMap<Cell, Measures>,
    pub tallies: BTreeMap<(Cell, Tally), i64>,
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

    /// Everything that counts the payment at `at`: three grains, its merchant's own and all merchants'.
    fn cells(&self, at: Timestamp) -> impl Iterator<Item = Cell> {
        let group = Group {
            merchant_id: Some(self.merchant_id),
            channel: self.channel.clone(),
            currency: self.currency,
            country: self.country,
        };
        let groups = [Group { merchant_id: None, ..group.clone() }, group];
        let cells = move |grain: Grain| groups.clone().map(|group| Cell { grain, start: grain.start(at), group });
        Grain::ALL.into_iter().flat_map(cells)
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
            self.tally(&facts, at, &Tally::Latency(class_of(at.since(facts.created_at))));
        }
        let mut measures = ended(outcome, 1, facts.amount);
        if let Event::Captured(captured) = event {
            measures.amount_succeeded = captured.amount.into();
            measures.markup = captured.markup.into();
            measures += channel_fee(captured.pricing_model, captured.channel_fee.amount());
        }
        self.add(&facts, at, measures);
        if let Event::Failed(failed) = event {
            self.tally(&facts, at, &Tally::Failure(failed.failure.code.clone()));
        }
        facts.outcome = Some((outcome, at));
        self.facts.insert(recorded.stream.id.clone(), facts);
    }

    fn add(&mut self, facts: &Facts, at: Timestamp, measures: Measures) {
        if measures == Measures::default() {
            return;
        }
        for cell in facts.cells(at) {
            *self.rollup.entry(cell).or_default() += measures;
        }
    }

    fn tally(&mut self, facts: &Facts, at: Timestamp, tally: &Tally) {
        for cell in facts.cells(at) {
            *self.tallies.entry((cell, tally.clone())).or_default() += 1;
        }
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
        Event::DisputeOpened(dispute) => Measures { disputes: 1, amount_disputed: dispute.amount.into(), ..none },
        Event::DisputeAdjusted(dispute) => Measures { amount_disputed: dispute.amount.into(), ..none },
        Event::DisputeClosed(dispute) => Measures { amount_lost: dispute.lost.into(), ..none },
        Event::DisputeReopened(dispute) => Measures { amount_lost: -i128::from(dispute.lost), ..none },
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
