//! Every step that a saga can have due, and what is due for one saga now. Pure.

use std::time::Duration;

use commands::ports::SagaId;
use domain::Timestamp;
use domain::payment::Record;

use crate::schedule::Schedule;
use crate::{payment, refund};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Call the channel for the money.
    Charge,
    /// The answer to the charge was lost: ask.
    FindOutCharge,
    /// The channel works on the charge: ask whether it is done.
    AwaitChannel,
    /// The customer must act: ask whether it is done.
    AwaitCustomer,
    /// The payment's time is over: say so.
    Expire,
    /// The payment is no longer wanted: make sure that it cannot succeed, or learn that it has.
    VoidCharge,
    /// Call the channel to send the money back.
    Refund,
    /// The answer to the refund was lost: ask.
    FindOutRefund,
    /// The channel works on the refund: ask whether it is done.
    AwaitRefund,
}

impl Step {
    pub const ALL: [Step; 9] = [
        Step::Charge,
        Step::FindOutCharge,
        Step::AwaitChannel,
        Step::AwaitCustomer,
        Step::Expire,
        Step::VoidCharge,
        Step::Refund,
        Step::FindOutRefund,
        Step::AwaitRefund,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            Step::Charge => "charge",
            Step::FindOutCharge => "find_out_charge",
            Step::AwaitChannel => "await_channel",
            Step::AwaitCustomer => "await_customer",
            Step::Expire => "expire",
            Step::VoidCharge => "void_charge",
            Step::Refund => "refund",
            Step::FindOutRefund => "find_out_refund",
            Step::AwaitRefund => "await_refund",
        }
    }

    pub fn schedule(&self) -> Schedule {
        match self {
            Step::Charge | Step::Expire | Step::VoidCharge | Step::Refund => Schedule::AT_ONCE,
            Step::FindOutCharge | Step::FindOutRefund => Schedule::OUTCOME_UNKNOWN,
            Step::AwaitChannel | Step::AwaitRefund => Schedule::CHANNEL_WORKS,
            Step::AwaitCustomer => Schedule::CUSTOMER_ACTS,
        }
    }
}

/// A saga and what it must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub saga: SagaId,
    pub step: Step,
    /// Something else is due then, whatever the schedule says.
    pub deadline: Option<Timestamp>,
    /// Set while it is too early even for the first try: the same was tried in vain by sagas before this one.
    pub not_before: Option<Timestamp>,
    /// How often those tried.
    pub tried_before: u32,
}

impl Due {
    /// When the step is next tried, seen from `now`, after `attempts` in vain.
    pub fn at(&self, now: Timestamp, attempts: u32) -> Timestamp {
        let scheduled = now.plus(self.step.schedule().wait(attempts));
        let scheduled = self.not_before.map_or(scheduled, |not_before| not_before.max(scheduled));
        self.deadline.map_or(scheduled, |deadline| deadline.min(scheduled))
    }

    pub fn is_at_once(&self) -> bool {
        self.not_before.is_none() && self.step.schedule().wait(0) == Duration::ZERO
    }

    /// Whether a person is to be told, after `attempts` in vain.
    pub fn alerts(&self, attempts: u32) -> bool {
        self.step.schedule().alerts(attempts.saturating_add(self.tried_before))
    }
}

/// Everything that a payment has left to do, at most one step for its charge and one for each refund.
pub fn next_steps(record: &Record, now: Timestamp) -> Vec<Due> {
    let refunds = record.capture().into_iter().flat_map(|capture| &capture.refunds);
    let refunds = refunds.filter_map(|refund| refund::next_step(record, refund.refund_id, now));
    payment::next_step(record, now).into_iter().chain(refunds).collect()
}

/// What one saga has left to do; `None` once it is finished, for good.
pub fn next_step(record: &Record, saga: SagaId, now: Timestamp) -> Option<Due> {
    match saga {
        SagaId::Payment(_) => payment::next_step(record, now),
        SagaId::Refund(_, refund_id) => refund::next_step(record, refund_id, now),
    }
}
