//! A payment and its refunds, from the merchant's intent to the last refund. One stream holds both, so that the
//! sum of refunds can never exceed what was captured. The channel is called by a saga that reads this state.
//!
//! ```text
//!            created                     captured
//! absent ───────────────▶ open ───────────────────────────▶ captured ──▶ refunds:
//!                        │  ▲ charge due / accepted /          ▲            pending ─▶ succeeded ─▶ reversed
//!                        │  │ action required / unknown        │ late              └─▶ failed
//!                        │  └─ (cancellation requested)        │
//!                        └──▶ failed | cancelled | expired ────┘ (booked, and refunded at once)
//! ```

mod event;
mod postings;
mod refund;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{
    ActionRequired, CancellationCause, Captured, ChannelFee, Created, Event, Failed, Failure, FeeTruedUp, RefundCause,
    RefundFailed, RefundRequested, RefundReversed, RefundSucceeded,
};
pub use refund::{Refund, RefundOutcome, RefundStatus};
pub use rejection::PaymentRejection;

use crate::money::AMOUNT_MAX;
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
    pub phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// No outcome yet.
    Open(Open),
    Captured(Capture),
    Failed(Failed),
    Cancelled,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    pub charge: Charge,
    pub channel_reference: Option<String>,
    /// Set once the payment is no longer wanted; the channel is asked before it ends.
    pub cancellation: Option<CancellationCause>,
}

/// What is known of the charge at the channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Charge {
    /// The intent is durable; the call may or may not have gone out.
    Due,
    /// The channel took it and will tell its result later.
    Accepted,
    /// The customer must act at this address first.
    ActionRequired(Sealed),
    /// The call went out and its answer was lost, as of this moment.
    OutcomeUnknown { since: Timestamp },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    pub channel_reference: String,
    /// Minor units, at most the payment's amount.
    pub amount: i64,
    pub channel_fee: ChannelFee,
    pub markup: i64,
    pub captured_at: Timestamp,
    pub refunds: Vec<Refund>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Create(Created),
    Cancel { at: Timestamp },
    Expire { at: Timestamp },
    RecordCharge { outcome: ChargeOutcome, at: Timestamp },
    RequestRefund(RequestRefund),
    RecordRefund { refund_id: RefundId, outcome: RefundOutcome, at: Timestamp },
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
            (Command::Cancel { at }, State::Exists(record)) => cancel(record, at),
            (Command::Expire { at }, State::Exists(record)) => expire(record, at),
            (Command::RecordCharge { outcome, at }, State::Exists(record)) => record_charge(record, outcome, at),
            (Command::RequestRefund(request), State::Exists(record)) => refund::request(record, request),
            (Command::RecordRefund { refund_id, outcome, at }, State::Exists(record)) => {
                refund::record(record, refund_id, outcome, at)
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Created(terms)) => State::Exists(Box::new(Record {
                terms: (**terms).clone(),
                phase: Phase::Open(Open { charge: Charge::Due, channel_reference: None, cancellation: None }),
            })),
            (State::Exists(mut record), event) => {
                record.phase = record.phase.evolve(event);
                State::Exists(record)
            }
            (State::Absent, _) => State::Absent,
        }
    }
}

fn create(terms: Created) -> Result<Vec<Event>, PaymentRejection> {
    if !(1..=AMOUNT_MAX).contains(&terms.amount) {
        return Err(PaymentRejection::InvalidAmount);
    }
    if terms.expires_at <= terms.created_at {
        return Err(PaymentRejection::InvalidExpiry);
    }

    Ok(vec![Event::Created(Box::new(terms))])
}

fn cancel(record: &Record, at: Timestamp) -> Result<Vec<Event>, PaymentRejection> {
    match &record.phase {
        Phase::Open(Open { cancellation: Some(_), .. }) | Phase::Cancelled => return Ok(vec![]),
        Phase::Open(_) => {}
        Phase::Captured(_) | Phase::Failed(_) | Phase::Expired => return Err(PaymentRejection::NotCancellable),
    }

    Ok(vec![Event::CancellationRequested { cause: CancellationCause::Merchant, requested_at: at }])
}

/// A timer that rings too early, twice or after the end is harmless.
fn expire(record: &Record, at: Timestamp) -> Result<Vec<Event>, PaymentRejection> {
    match &record.phase {
        Phase::Open(Open { cancellation: None, .. }) if at >= record.terms.expires_at => {}
        _ => return Ok(vec![]),
    }

    Ok(vec![Event::CancellationRequested { cause: CancellationCause::Expiry, requested_at: at }])
}

/// What the channel tells is a fact; facts come twice, late and out of order, so old news is no event.
fn record_charge(record: &Record, outcome: ChargeOutcome, at: Timestamp) -> Result<Vec<Event>, PaymentRejection> {
    let terms = &record.terms;
    if let ChargeOutcome::Captured { channel_reference, amount, fee } = outcome {
        return record_capture(record, channel_reference, amount, fee, at);
    }
    let Phase::Open(open) = &record.phase else {
        return Ok(vec![]);
    };

    Ok(match outcome {
        ChargeOutcome::ActionRequired { channel_reference, action } => match &open.charge {
            Charge::ActionRequired(_) => vec![],
            _ => vec![Event::ActionRequired(ActionRequired { channel_reference, action })],
        },
        ChargeOutcome::Accepted { .. } if open.charge == Charge::Accepted => vec![],
        ChargeOutcome::Accepted { channel_reference } => vec![Event::Accepted { channel_reference }],
        ChargeOutcome::Declined { channel_reference, failure } => {
            vec![Event::Failed(Failed { channel_reference, failure, failed_at: at })]
        }
        ChargeOutcome::Voided => match open.cancellation {
            Some(CancellationCause::Merchant) => vec![Event::Cancelled { payment_id: terms.payment_id }],
            Some(CancellationCause::Expiry) => vec![Event::Expired { payment_id: terms.payment_id }],
            None => vec![Event::Failed(Failed {
                channel_reference: open.channel_reference.clone(),
                failure: Failure::voided_by_channel(),
                failed_at: at,
            })],
        },
        ChargeOutcome::Unknown if matches!(open.charge, Charge::OutcomeUnknown { .. }) => vec![],
        ChargeOutcome::Unknown => vec![Event::OutcomeUnknown { since: at }],
        ChargeOutcome::Captured { .. } => vec![],
    })
}

fn record_capture(
    record: &Record,
    channel_reference: String,
    amount: i64,
    fee: Option<i64>,
    at: Timestamp,
) -> Result<Vec<Event>, PaymentRejection> {
    let terms = &record.terms;
    if let Phase::Captured(capture) = &record.phase {
        return Ok(true_up(terms, capture, fee));
    }
    if !(1..=terms.amount).contains(&amount) {
        return Err(PaymentRejection::CaptureOutOfRange);
    }
    let captured = Captured::of(terms, channel_reference, amount, fee, at)?;
    let wanted = matches!(&record.phase, Phase::Open(Open { cancellation: None, .. }));

    let mut events = vec![Event::Captured(captured)];
    if !wanted {
        events.push(Event::RefundRequested(RefundRequested {
            refund_id: RefundId::of_late_success(terms.payment_id),
            payment_id: terms.payment_id,
            merchant_id: terms.merchant_id,
            channel: terms.channel.clone(),
            amount,
            currency: terms.currency,
            cause: RefundCause::LateSuccess,
            reason: None,
            requested_at: at,
        }));
    }
    Ok(events)
}

fn true_up(terms: &Created, capture: &Capture, fee: Option<i64>) -> Vec<Event> {
    match (capture.channel_fee, fee) {
        (ChannelFee::Estimated(estimate), Some(actual)) if (0..=AMOUNT_MAX).contains(&actual) => {
            vec![Event::FeeTruedUp(FeeTruedUp {
                payment_id: terms.payment_id,
                merchant_id: terms.merchant_id,
                channel: terms.channel.clone(),
                currency: terms.currency,
                estimate,
                actual,
                pricing_model: terms.pricing.model,
            })]
        }
        _ => vec![],
    }
}

impl Phase {
    fn evolve(self, event: &Event) -> Phase {
        match (self, event) {
            (_, Event::Captured(captured)) => Phase::Captured(Capture {
                channel_reference: captured.channel_reference.clone(),
                amount: captured.amount,
                channel_fee: captured.channel_fee,
                markup: captured.markup,
                captured_at: captured.captured_at,
                refunds: vec![],
            }),
            (Phase::Captured(capture), event) => Phase::Captured(capture.evolve(event)),
            (_, Event::Failed(failed)) => Phase::Failed(failed.clone()),
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
            Event::Accepted { channel_reference } => {
                self.charge = Charge::Accepted;
                self.channel_reference = Some(channel_reference.clone());
            }
            Event::ActionRequired(required) => {
                self.charge = Charge::ActionRequired(required.action.clone());
                self.channel_reference = Some(required.channel_reference.clone());
            }
            Event::OutcomeUnknown { since } => self.charge = Charge::OutcomeUnknown { since: *since },
            Event::CancellationRequested { cause, .. } => self.cancellation = Some(*cause),
            _ => {}
        }
        self
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

    pub fn status(&self) -> PaymentStatus {
        match &self.phase {
            Phase::Open(Open { charge: Charge::ActionRequired(_), .. }) => PaymentStatus::RequiresAction,
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
