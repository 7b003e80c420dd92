//! A pre-auth: money held on a customer's method, taken in captures, the rest given back. Each capture is a payment of
//! its own; this stream alone bounds their sum. The channel is called by sagas that read this state.
//!
//! ```text
//!          created        authorized (memo)                    captures: in flight ─▶ succeeded
//! absent ──────────▶ open ──────────────────▶ held, open          │               └▶ failed: capturable again
//!                     │ due / unknown /         │
//!                     │ accepted / action       │ closed: final capture, all captured, cancel, expiry, channel
//!                     ▼                         ▼
//!          failed | cancelled | expired    held, closed ──▶ hold released by the channel
//! ```
//!
//! Closing gives back what is neither captured nor in flight; a capture that fails after that gives back its own part.

mod authorization;
mod capture;
mod event;
mod postings;
mod rejection;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use event::{
    ActionRequired, Authorized, CaptureFailed, CaptureRequested, Captured, CapturedLate, Closed, ClosingCause, Created,
    Event, Failed,
};
pub use rejection::PreAuthRejection;

use crate::decider::Holding;
use crate::invariants::Violation;
use crate::money::AMOUNT_MAX;
use crate::payment::{CancellationCause, Failure};
use crate::{Account, Decider, PaymentId, PreAuthId, Sealed, Timestamp};

#[derive(Debug)]
pub struct PreAuth;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

/// A pre-auth that was created: its unchanging terms and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub terms: Created,
    /// The channel's own id of the authorisation as last told.
    pub channel_reference: Option<String>,
    pub phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Not authorised yet.
    Open(Open),
    /// Authorised once, whatever came of it.
    Authorized(Hold),
    Failed(Failure),
    Cancelled,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    pub authorization: Authorization,
    /// Set once the pre-auth is no longer wanted; the channel is asked before it ends.
    pub cancellation: Option<CancellationCause>,
}

/// What is known of the authorisation at the channel. Knowledge only grows, as with a payment's charge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Authorization {
    /// The intent is durable; the call may or may not have gone out.
    Due,
    /// The call went out and its answer was lost, as of this moment.
    OutcomeUnknown { since: Timestamp },
    /// The channel took it and will tell its result later.
    Accepted,
    /// The customer must act at this address first.
    ActionRequired(Sealed),
}

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub amount: i64,
    /// The pre-auth's own expiry, or the channel's if that is sooner.
    pub expires_at: Timestamp,
    pub captures: Vec<Capture>,
    /// Set once nothing more can be captured.
    pub closed: Option<ClosingCause>,
    /// The channel has confirmed that it holds nothing any more.
    pub released_by_channel: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    pub payment_id: PaymentId,
    /// Minor units, as asked for.
    pub amount: i64,
    /// Closes the pre-auth once it succeeds.
    pub is_final: bool,
    pub status: CaptureStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureStatus {
    InFlight,
    Succeeded {
        amount: i64,
    },
    Failed,
    /// The channel made it after it had called it failed; this part of it was still held.
    SucceededLate {
        covered: i64,
    },
}

#[derive(Debug, Clone)]
pub enum Command {
    Create(Created),
    Cancel { at: Timestamp },
    Expire { at: Timestamp },
    RecordAuthorization { outcome: AuthorizationOutcome, at: Timestamp },
    RequestCapture(RequestCapture),
    RecordCapture { payment_id: PaymentId, outcome: CaptureOutcome, at: Timestamp },
}

/// What the channel said about the authorisation, or that it said nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthorizationOutcome {
    /// `amount` in minor units; `capture_before` where the channel lets go earlier than we would.
    Authorized {
        channel_reference: String,
        amount: i64,
        capture_before: Option<Timestamp>,
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
    /// The channel holds nothing under this authorisation and never will again.
    Released,
    Unknown,
}

#[derive(Debug, Clone)]
pub struct RequestCapture {
    /// The payment that the capture becomes.
    pub payment_id: PaymentId,
    /// Minor units; without it, what is left.
    pub amount: Option<i64>,
    pub is_final: bool,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptureOutcome {
    /// Minor units.
    Succeeded {
        amount: i64,
    },
    Failed,
}

impl Decider for PreAuth {
    const CATEGORY: &'static str = "pre_auth";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = PreAuthRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, PreAuthRejection> {
        match (command, state) {
            (Command::Create(terms), State::Absent) => create(terms),
            (Command::Create(terms), State::Exists(record)) if record.terms == terms => Ok(vec![]),
            (Command::Create(_), State::Exists(_)) => Err(PreAuthRejection::AlreadyExists),
            (_, State::Absent) => Err(PreAuthRejection::NotFound),
            (Command::Cancel { at }, State::Exists(record)) => authorization::cancel(record, at),
            (Command::Expire { at }, State::Exists(record)) => Ok(authorization::expire(record, at)),
            (Command::RecordAuthorization { outcome, at }, State::Exists(record)) => {
                authorization::record(record, outcome, at)
            }
            (Command::RequestCapture(request), State::Exists(record)) => capture::request(record, request),
            (Command::RecordCapture { payment_id, outcome, at }, State::Exists(record)) => {
                capture::record(record, payment_id, outcome, at)
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Created(terms)) => State::Exists(Box::new(Record {
                terms: (**terms).clone(),
                channel_reference: None,
                phase: Phase::Open(Open { authorization: Authorization::Due, cancellation: None }),
            })),
            (State::Exists(mut record), event) => {
                if let Some(told) = event.channel_reference() {
                    record.channel_reference = Some(told.to_owned());
                }
                record.phase = record.phase.evolve(event);
                State::Exists(record)
            }
            (State::Absent, _) => State::Absent,
        }
    }

    /// What is held and neither captured nor given back. Memo accounts grow on the debit side, so it counts as less.
    fn guarded(state: &State) -> Vec<Holding> {
        let Some((record, hold)) = state.record().and_then(|record| Some((record, record.hold()?))) else {
            return vec![];
        };
        let account = Account::MemoAuthorized(record.terms.merchant_id, record.terms.pre_auth_id);
        vec![((account, record.terms.currency), -hold.memo())]
    }

    fn check(state: &State) -> Result<(), Violation> {
        let Some((record, hold)) = state.record().and_then(|record| Some((record, record.hold()?))) else {
            return Ok(());
        };
        let (id, taken) = (record.terms.pre_auth_id, hold.captured() + hold.in_flight());
        if hold.amount > record.terms.amount {
            return Err(Violation::of(4, format!("{id} holds {} of {}", hold.amount, record.terms.amount)));
        }
        if taken > hold.amount {
            return Err(Violation::of(4, format!("{id} captured {taken} of {}", hold.amount)));
        }
        Ok(())
    }
}

/// The longest that money may be held: 30 days, as long as any channel of ours holds it.
pub const LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn create(terms: Created) -> Result<Vec<Event>, PreAuthRejection> {
    if !(1..=AMOUNT_MAX).contains(&terms.amount) {
        return Err(PreAuthRejection::InvalidAmount);
    }
    let lifetime = terms.created_at..=terms.created_at.plus(LIFETIME_MAX);
    let is_ordered = terms.created_at < terms.authorize_before && terms.authorize_before <= terms.expires_at;
    if !is_ordered || !lifetime.contains(&terms.expires_at) {
        return Err(PreAuthRejection::InvalidExpiry);
    }
    let rates = [terms.pricing.markup_rate, terms.expected_channel_fee_rate];
    if rates.iter().any(|rate| !(Decimal::ZERO..=Decimal::ONE).contains(rate)) {
        return Err(PreAuthRejection::InvalidRate);
    }

    Ok(vec![Event::Created(Box::new(terms))])
}

impl Phase {
    fn evolve(self, event: &Event) -> Phase {
        match (self, event) {
            (Phase::Open(_), Event::Authorized(authorized)) => Phase::Authorized(Hold {
                amount: authorized.amount,
                expires_at: authorized.expires_at,
                captures: vec![],
                closed: None,
                released_by_channel: false,
            }),
            (Phase::Open(_), Event::Failed(failed)) => Phase::Failed(failed.failure.clone()),
            (Phase::Open(_), Event::Cancelled { .. }) => Phase::Cancelled,
            (Phase::Open(_), Event::Expired { .. }) => Phase::Expired,
            (Phase::Open(open), event) => Phase::Open(open.evolve(event)),
            (Phase::Authorized(hold), event) => Phase::Authorized(hold.evolve(event)),
            (ended, _) => ended,
        }
    }
}

impl Open {
    fn evolve(mut self, event: &Event) -> Open {
        match event {
            Event::Accepted { .. } => self.authorization = Authorization::Accepted,
            Event::ActionRequired(required) => {
                self.authorization = Authorization::ActionRequired(required.action.clone());
            }
            Event::OutcomeUnknown { since } => {
                self.authorization = Authorization::OutcomeUnknown { since: *since };
            }
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
    pub fn pre_auth_id(&self) -> PreAuthId {
        self.terms.pre_auth_id
    }

    pub fn hold(&self) -> Option<&Hold> {
        match &self.phase {
            Phase::Authorized(hold) => Some(hold),
            _ => None,
        }
    }

    /// The address that the customer must visit; none any more once the pre-auth is being cancelled.
    pub fn next_action(&self) -> Option<&Sealed> {
        match &self.phase {
            Phase::Open(Open { authorization: Authorization::ActionRequired(action), cancellation: None }) => {
                Some(action)
            }
            _ => None,
        }
    }

    pub fn status(&self) -> PreAuthStatus {
        match &self.phase {
            Phase::Open(_) if self.next_action().is_some() => PreAuthStatus::RequiresAction,
            Phase::Open(_) => PreAuthStatus::Processing,
            Phase::Authorized(hold) => hold.status(),
            Phase::Failed(_) => PreAuthStatus::Failed,
            Phase::Cancelled => PreAuthStatus::Cancelled,
            Phase::Expired => PreAuthStatus::Expired,
        }
    }

    /// Minor units that its captures may still bring to its order.
    pub fn open_amount(&self) -> i64 {
        match &self.phase {
            Phase::Open(_) => self.terms.amount,
            Phase::Authorized(hold) => hold.rest() + hold.in_flight(),
            Phase::Failed(_) | Phase::Cancelled | Phase::Expired => 0,
        }
    }

    /// It is over and took nothing: its order number is free again.
    pub fn ended_without_capture(&self) -> bool {
        matches!(self.status(), PreAuthStatus::Failed | PreAuthStatus::Cancelled | PreAuthStatus::Expired)
    }
}

/// What merchants see of a pre-auth's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreAuthStatus {
    Processing,
    RequiresAction,
    Authorized,
    PartiallyCaptured,
    Captured,
    Cancelled,
    Expired,
    Failed,
}

impl PreAuthStatus {
    pub const ALL: [PreAuthStatus; 8] = [
        PreAuthStatus::Processing,
        PreAuthStatus::RequiresAction,
        PreAuthStatus::Authorized,
        PreAuthStatus::PartiallyCaptured,
        PreAuthStatus::Captured,
        PreAuthStatus::Cancelled,
        PreAuthStatus::Expired,
        PreAuthStatus::Failed,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            PreAuthStatus::Processing => "processing",
            PreAuthStatus::RequiresAction => "requires_action",
            PreAuthStatus::Authorized => "authorized",
            PreAuthStatus::PartiallyCaptured => "partially_captured",
            PreAuthStatus::Captured => "captured",
            PreAuthStatus::Cancelled => "cancelled",
            PreAuthStatus::Expired => "expired",
            PreAuthStatus::Failed => "failed",
        }
    }

    /// Nothing can be captured any more, and nothing is in flight.
    pub fn is_final(&self) -> bool {
        match self {
            PreAuthStatus::Captured | PreAuthStatus::Cancelled | PreAuthStatus::Expired | PreAuthStatus::Failed => true,
            PreAuthStatus::Processing
            | PreAuthStatus::RequiresAction
            | PreAuthStatus::Authorized
            | PreAuthStatus::PartiallyCaptured => false,
        }
    }
}

impl std::str::FromStr for PreAuthStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        PreAuthStatus::ALL.into_iter().find(|status| status.as_str() == text).ok_or("is not a status of a pre-auth")
    }
}
