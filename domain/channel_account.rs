//! What a channel pays out to us, per channel and currency: each payout once, and what of it is unexplained until
//! somebody says what it was; and what of its statements was given up. What payments add to the channel's receivable is
//! posted by the payments.
//!
//! ```text
//! payout: absent --received--> settled (it was as expected)
//!                     '------> differing --(above a limit: resolution_requested)--> difference_resolved
//! ```

mod event;
mod rejection;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use event::{DifferenceResolved, Event, ExceptionWrittenOff, PayoutReceived, ResolutionRequested};
pub use rejection::ChannelAccountRejection;

use crate::money::AMOUNT_MAX;
use crate::{ChannelName, Currency, Decider, ExceptionId, Timestamp};

/// Whole currency units up to which one person may say what a difference was.
const RESOLVED_ALONE_MAX_MAJOR: i64 = 100;
/// Characters of a channel's own reference of a payout.
const REFERENCE_MAX: usize = 255;

#[derive(Debug)]
pub struct ChannelAccount;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// By the channel's own reference.
    pub payouts: BTreeMap<String, Payout>,
    /// Differences of statements that were given up, each once.
    #[serde(default)]
    pub written_off: BTreeSet<ExceptionId>,
}

/// Minor units; negative if the channel took money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payout {
    pub channel: ChannelName,
    pub currency: Currency,
    /// What arrived.
    pub amount: i64,
    /// What its statement adds up to.
    pub expected: i64,
    pub resolution: Option<Resolution>,
}

/// What somebody said of a payout's difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    pub reason: DifferenceReason,
    pub requested_by: String,
    /// Requested only, until a second person has said the same.
    pub is_final: bool,
}

/// What a difference between a payout and its statement can turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceReason {
    BankFee,
    FxDifference,
    Rounding,
    WriteOff,
}

#[derive(Debug, Clone)]
pub enum Command {
    ReceivePayout(PayoutReceived),
    ResolveDifference {
        payout: String,
        reason: DifferenceReason,
        /// A principal, not a key.
        by: String,
        at: Timestamp,
    },
    /// Whoever sends it has seen to it that enough people said so.
    WriteOffException(ExceptionWrittenOff),
}

/// The id of the account's stream.
pub fn stream_id(channel: &ChannelName, currency: Currency) -> String {
    format!("{channel}:{currency}")
}

impl Decider for ChannelAccount {
    const CATEGORY: &'static str = "channel_account";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = ChannelAccountRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, ChannelAccountRejection> {
        match command {
            Command::ReceivePayout(received) => receive(state, received),
            Command::ResolveDifference { payout, reason, by, at } => resolve(state, payout, reason, by, at),
            Command::WriteOffException(written_off) => write_off(state, written_off),
        }
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::PayoutReceived(received) => {
                state.payouts.insert(received.payout.clone(), Payout::from(received));
            }
            Event::ResolutionRequested(requested) => {
                let resolution = Resolution {
                    reason: requested.reason,
                    requested_by: requested.requested_by.clone(),
                    is_final: false,
                };
                state.say(&requested.payout, resolution);
            }
            Event::DifferenceResolved(resolved) => {
                let resolution =
                    Resolution { reason: resolved.reason, requested_by: resolved.requested_by.clone(), is_final: true };
                state.say(&resolved.payout, resolution);
            }
            Event::ExceptionWrittenOff(written_off) => {
                state.written_off.insert(written_off.exception_id);
            }
        }
        state
    }
}

/// A payout is known by its reference: told again, it is the same one.
fn receive(state: &State, received: PayoutReceived) -> Result<Vec<Event>, ChannelAccountRejection> {
    match state.payouts.get(&received.payout) {
        Some(known) if (known.amount, known.expected) == (received.amount, received.expected) => return Ok(vec![]),
        Some(_) => return Err(ChannelAccountRejection::ContradictsPayout),
        None => {}
    }
    if !(1..=REFERENCE_MAX).contains(&received.payout.chars().count()) {
        return Err(ChannelAccountRejection::InvalidReference);
    }
    let in_range = |amount: i64| (-AMOUNT_MAX..=AMOUNT_MAX).contains(&amount);
    if !in_range(received.amount) || !in_range(received.expected) {
        return Err(ChannelAccountRejection::AmountOutOfRange);
    }

    Ok(vec![Event::PayoutReceived(received)])
}

fn resolve(
    state: &State,
    payout: String,
    reason: DifferenceReason,
    by: String,
    at: Timestamp,
) -> Result<Vec<Event>, ChannelAccountRejection> {
    let known = state.payouts.get(&payout).ok_or(ChannelAccountRejection::PayoutNotFound)?;
    let requested = match &known.resolution {
        Some(resolution) if resolution.is_final => return Err(ChannelAccountRejection::NoDifference),
        requested => requested.as_ref().filter(|resolution| resolution.reason == reason),
    };
    if known.difference() == 0 {
        return Err(ChannelAccountRejection::NoDifference);
    }
    if requested.is_some_and(|resolution| resolution.requested_by == by) {
        return Err(ChannelAccountRejection::ApproverIsRequester);
    }

    let (channel, currency) = (known.channel.clone(), known.currency);
    Ok(vec![match requested {
        None if known.needs_two_people() => {
            Event::ResolutionRequested(ResolutionRequested { payout, reason, requested_by: by, requested_at: at })
        }
        requested => Event::DifferenceResolved(DifferenceResolved {
            channel,
            currency,
            payout,
            difference: known.difference(),
            reason,
            requested_by: requested.map_or_else(|| by.clone(), |resolution| resolution.requested_by.clone()),
            resolved_by: by,
            resolved_at: at,
        }),
    }])
}

fn write_off(state: &State, written_off: ExceptionWrittenOff) -> Result<Vec<Event>, ChannelAccountRejection> {
    if state.written_off.contains(&written_off.exception_id) {
        return Ok(vec![]);
    }
    if written_off.amount == 0 || !(-AMOUNT_MAX..=AMOUNT_MAX).contains(&written_off.amount) {
        return Err(ChannelAccountRejection::AmountOutOfRange);
    }

    Ok(vec![Event::ExceptionWrittenOff(written_off)])
}

impl State {
    fn say(&mut self, payout: &str, resolution: Resolution) {
        if let Some(payout) = self.payouts.get_mut(payout) {
            payout.resolution = Some(resolution);
        }
    }
}

impl From<&PayoutReceived> for Payout {
    fn from(received: &PayoutReceived) -> Payout {
        Payout {
            channel: received.channel.clone(),
            currency: received.currency,
            amount: received.amount,
            expected: received.expected,
            resolution: None,
        }
    }
}

impl Payout {
    /// What arrived beyond what was expected, negative if it fell short.
    pub fn difference(&self) -> i64 {
        self.amount - self.expected
    }

    fn needs_two_people(&self) -> bool {
        let limit = i128::from(RESOLVED_ALONE_MAX_MAJOR) * i128::from(self.currency.minor_per_major());
        i128::from(self.difference()).abs() > limit
    }
}
