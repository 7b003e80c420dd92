//! A payment and its refunds, from the merchant's intent to the last refund. One stream holds both, so that the
//! sum of refunds can never exceed what was captured. The channel is called by a saga that reads this state.
//!
//! ```text
//!            created                     captured
//! absent ───────────────▶ open ───────────────────────────▶ captured ──▶ refunds:
//!                        │  ▲ charge due / unknown /           ▲            pending ─▶ succeeded ─▶ reversed
//!                        │  │ accepted / action required       │ late         │           ▲ late
//!                        │  └─ (cancellation requested)        │              └──────▶ failed
//!                        │                                     │            disputes: open ─▶ won | lost | both
//!                        └──▶ failed | cancelled | expired ────┘ (booked, and refunded until the money is back)
//! ```

mod charge;
mod dispute;
mod event;
mod fees;
mod postings;
mod refund;
mod rejection;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use dispute::{Closing, DisputedAmount, RecordDispute};
pub use event::{
    ActionRequired, CancellationCause, Captured, ChannelFee, Created, DisputeAdjusted, DisputeClosed, DisputeMoney,
    DisputeOpened, DisputeReopened, Event, Failed, Failure, FeeTruedUp, OverReturned, RefundCause, RefundFailed,
    RefundRequested, RefundReversed, RefundSucceeded,
};
pub use fees::Fees;
pub use refund::{Refund, RefundOutcome, RefundStatus};
pub use rejection::PaymentRejection;

use crate::decider::Holding;
use crate::invariants::{self, Violation};
use crate::money::{AMOUNT_MAX, floor_share};
use crate::order::Brought;
use crate::{Decider, PaymentId, RefundId, Sealed, Timestamp};

#[derive(Debug)]
pub struct Payment;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

/// A payment that was created: its unchanging terms and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub terms: Created,
    /// The channel's own id of the charge as last told; there is one once anything was captured, and it is kept
    /// whatever the payment comes to.
    pub channel_reference: Option<String>,
    pub phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// No outcome yet.
    Open(Open),
    Captured(Capture),
    Failed(Failure),
    Cancelled,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    pub charge: Charge,
    /// Set once the payment is no longer wanted; the channel is asked before it ends.
    pub cancellation: Option<CancellationCause>,
}

/// What is known of the charge at the channel. Knowledge only grows: a lost answer counts only where nothing is known
/// (`Due`), and older news never replaces what the customer needs (`ActionRequired`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Charge {
    /// The intent is durable; the call may or may not have gone out.
    Due,
    /// The call went out and its answer was lost, as of this moment.
    OutcomeUnknown { since: Timestamp },
    /// The channel took it and will tell its result later.
    Accepted,
    /// The customer must act at this address first.
    ActionRequired(Sealed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// Minor units, at most the payment's amount.
    pub amount: i64,
    pub channel_fee: ChannelFee,
    pub markup: i64,
    /// What refunds have given back of the markup and of the channel's fee so far, in minor units.
    pub markup_returned: i64,
    pub channel_fee_returned: i64,
    pub captured_at: Timestamp,
    pub refunds: Vec<Refund>,
    pub disputes: Vec<DisputedAmount>,
    /// Minor units beyond the capture that the channel took, as far as recorded and alerted.
    pub over_returned: i64,
}

#[derive(Debug, Clone)]
pub enum Command {
    Create(Created),
    Cancel { at: Timestamp },
    Expire { at: Timestamp },
    RecordCharge { outcome: ChargeOutcome, at: Timestamp },
    RequestRefund(RequestRefund),
    RecordRefund { refund_id: RefundId, outcome: RefundOutcome, at: Timestamp },
    RecordDispute(RecordDispute),
}

/// What the channel said about the charge, or that it said nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum ChargeOutcome {
    /// `amount` and `fee` in minor units; no fee if the channel tells it later.
    Captured {
        channel_reference: String,
        amount: i64,
        fee: Option<i64>,
    },
    ActionRequired {
        channel_reference: String,
        action: Sealed,
    },
    Accepted {
        channel_reference: String,
    },
    Declined {
        channel_reference: Option<String>,
        failure: Failure,
    },
    /// The channel confirms that this charge is void and can no longer take effect.
    Voided,
    Unknown,
}

#[derive(Debug, Clone)]
pub struct RequestRefund {
    pub refund_id: RefundId,
    /// Minor units; without it, what is left.
    pub amount: Option<i64>,
    pub reason: Option<Sealed>,
    /// What the merchant's own money and credit limit can cover, in minor units of the payment's currency.
    pub cover: i128,
    pub at: Timestamp,
}

impl Decider for Payment {
    const CATEGORY: &'static str = "payment";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = PaymentRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, PaymentRejection> {
        match (command, state) {
            (Command::Create(terms), State::Absent) => create(terms),
            (Command::Create(terms), State::Exists(record)) if record.terms == terms => Ok(vec![]),
            (Command::Create(_), State::Exists(_)) => Err(PaymentRejection::AlreadyExists),
            (_, State::Absent) => Err(PaymentRejection::NotFound),
            (Command::Cancel { at }, State::Exists(record)) => charge::cancel(record, at),
            (Command::Expire { at }, State::Exists(record)) => charge::expire(record, at),
            (Command::RecordCharge { outcome, at }, State::Exists(record)) => charge::record(record, outcome, at),
            (Command::RequestRefund(request), State::Exists(record)) => refund::request(record, request),
            (Command::RecordRefund { refund_id, outcome, at }, State::Exists(record)) => {
                refund::record(record, refund_id, outcome, at)
            }
            (Command::RecordDispute(told), State::Exists(record)) => dispute::record(record, &told),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Created(terms)) => State::Exists(Box::new(Record {
                terms: (**terms).clone(),
                channel_reference: None,
                phase: Phase::Open(Open { charge: Charge::Due, cancellation: None }),
            })),
            (State::Exists(mut record), event) => {
                if let (None, Some(told)) = (record.capture(), event.charge_reference()) {
                    record.channel_reference = Some(told.to_owned());
                }
                record.phase = record.phase.evolve(event);
                State::Exists(record)
            }
            (State::Absent, _) => State::Absent,
        }
    }

    fn guarded(state: &State) -> Vec<Holding> {
        state.record().map(invariants::guarded_by_payment).unwrap_or_default()
    }

    fn check(state: &State) -> Result<(), Violation> {
        state.record().map_or(Ok(()), invariants::payment_amounts)
    }
}

/// The longest that a payment may wait for its outcome: 90 days, far beyond any page that a customer comes back to.
pub const LIFETIME_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);

fn create(terms: Created) -> Result<Vec<Event>, PaymentRejection> {
    if !(1..=AMOUNT_MAX).contains(&terms.amount) {
        return Err(PaymentRejection::InvalidAmount);
    }
    if terms.expires_at <= terms.created_at || terms.expires_at > terms.created_at.plus(LIFETIME_MAX) {
        return Err(PaymentRejection::InvalidExpiry);
    }
    let rates = [terms.pricing.markup_rate, terms.expected_channel_fee_rate];
    if rates.iter().any(|rate| !(Decimal::ZERO..=Decimal::ONE).contains(rate)) {
        return Err(PaymentRejection::InvalidRate);
    }

    Ok(vec![Event::Created(Box::new(terms))])
}

impl Phase {
    fn evolve(self, event: &Event) -> Phase {
        match (self, event) {
            (Phase::Captured(capture), event) => Phase::Captured(capture.evolve(event)),
            (_, Event::Captured(captured)) => Phase::Captured(Capture::from(captured)),
            (_, Event::Failed(failed)) => Phase::Failed(failed.failure.clone()),
            (_, Event::Cancelled { .. }) => Phase::Cancelled,
            (_, Event::Expired { .. }) => Phase::Expired,
            (Phase::Open(open), event) => Phase::Open(open.evolve(event)),
            (closed, _) => closed,
        }
    }
}

impl Open {
    fn evolve(mut self, event: &Event) -> Open {
        match event {
            Event::Accepted { .. } => self.charge = Charge::Accepted,
            Event::ActionRequired(required) => self.charge = Charge::ActionRequired(required.action.clone()),
            Event::OutcomeUnknown { since } => self.charge = Charge::OutcomeUnknown { since: *since },
            Event::CancellationRequested { cause, .. } => self.cancellation = Some(*cause),
            _ => {}
        }
        self
    }
}

impl From<&Captured> for Capture {
    fn from(captured: &Captured) -> Capture {
        Capture {
            amount: captured.amount,
            channel_fee: captured.channel_fee,
            markup: captured.markup,
            markup_returned: 0,
            channel_fee_returned: 0,
            captured_at: captured.captured_at,
            refunds: vec![],
            disputes: vec![],
            over_returned: 0,
        }
    }
}

impl State {
    pub fn record(&self) -> Option<&Record> {
        match self {
            State::Absent => None,
            State::Exists(record) => Some(record),
        }
    }
}

impl Record {
    pub fn payment_id(&self) -> PaymentId {
        self.terms.payment_id
    }

    pub fn capture(&self) -> Option<&Capture> {
        match &self.phase {
            Phase::Captured(capture) => Some(capture),
            _ => None,
        }
    }

    /// How much of its merchant's limits the payment holds now, in minor units of USD: all of its reservation while it is
    /// open, its share for what was captured and not given back, nothing once it ended without money.
    pub fn limit_held(&self) -> i64 {
        let usd = self.terms.limit.map_or(0, |limit| limit.usd);
        match &self.phase {
            Phase::Open(_) => usd,
            Phase::Captured(capture) => {
                let kept = (capture.amount - capture.amount_refunded()).clamp(0, self.terms.amount);
                usd - floor_share(usd, self.terms.amount - kept, self.terms.amount)
            }
            Phase::Failed(_) | Phase::Cancelled | Phase::Expired => 0,
        }
    }

    /// Minor units that it may still bring to its order.
    pub fn open_amount(&self) -> i64 {
        match &self.phase {
            Phase::Open(_) => self.terms.amount,
            Phase::Captured(_) | Phase::Failed(_) | Phase::Cancelled | Phase::Expired => 0,
        }
    }

    /// What it has brought to its order. A late success is not wanted any more and goes back by itself; what was lost in a
    /// dispute went back to the customer as a refund does, by another way.
    pub fn brought(&self) -> Option<Brought> {
        let late = |refund: &Refund| refund.cause == RefundCause::LateSuccess;
        let capture = self.capture().filter(|capture| !capture.refunds.iter().any(late))?;
        let refunded = (capture.amount_refunded() + capture.amount_lost()).min(capture.amount);
        Some(Brought { payment_id: self.terms.payment_id, amount: capture.amount, refunded })
    }

    /// The address that the customer must visit; none any more once the payment is being cancelled.
    pub fn next_action(&self) -> Option<&Sealed> {
        match &self.phase {
            Phase::Open(Open { charge: Charge::ActionRequired(action), cancellation: None }) => Some(action),
            _ => None,
        }
    }

    pub fn status(&self) -> PaymentStatus {
        match &self.phase {
            Phase::Open(_) if self.next_action().is_some() => PaymentStatus::RequiresAction,
            Phase::Open(_) => PaymentStatus::Processing,
            Phase::Captured(_) => PaymentStatus::Succeeded,
            Phase::Failed(_) => PaymentStatus::Failed,
            Phase::Cancelled => PaymentStatus::Cancelled,
            Phase::Expired => PaymentStatus::Expired,
        }
    }
}

/// What merchants see of a payment's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Processing,
    RequiresAction,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
}

impl PaymentStatus {
    pub const ALL: [PaymentStatus; 6] = [
        PaymentStatus::Processing,
        PaymentStatus::RequiresAction,
        PaymentStatus::Succeeded,
        PaymentStatus::Failed,
        PaymentStatus::Cancelled,
        PaymentStatus::Expired,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            PaymentStatus::Processing => "processing",
            PaymentStatus::RequiresAction => "requires_action",
            PaymentStatus::Succeeded => "succeeded",
            PaymentStatus::Failed => "failed",
            PaymentStatus::Cancelled => "cancelled",
            PaymentStatus::Expired => "expired",
        }
    }

    /// No longer waiting for the channel or the customer. A cancelled or expired payment may still succeed late.
    pub fn is_final(&self) -> bool {
        !matches!(self, PaymentStatus::Processing | PaymentStatus::RequiresAction)
    }
}

impl std::str::FromStr for PaymentStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        PaymentStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or("must be processing, requires_action, succeeded, failed, cancelled or expired")
    }
}
