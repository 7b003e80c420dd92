//! How much of its limits a merchant has used: a stream per merchant and local month, which holds the sums of the month
//! and of its newest day. Counted in minor units of USD.
//!
//! ```text
//! nothing used --reserved--> used --reserved | returned | retaken--> used
//! ```
//!
//! Every event carries the sums behind it, so the newest one alone tells the state, however long the stream is.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::calendar::month_of;
use crate::invariants::Violation;
use crate::rates::InUsd;
use crate::tier::Limits;
use crate::{Currency, Decider, DomainEvent, MerchantId, PaymentId, Rejection, RejectionClass};

#[derive(Debug)]
pub struct MerchantLimits;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "merchant_limits.reserved")]
    Reserved(Reserved),
    /// Part of a payment, or all of it, no longer counts: it failed, ended or was refunded.
    #[serde(rename = "merchant_limits.returned")]
    Returned(Moved),
    /// It counts again: the channel captured what had ended, or took a refund back. A fact, so no limit holds it up.
    #[serde(rename = "merchant_limits.retaken")]
    Retaken(Moved),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reserved {
    pub merchant_id: MerchantId,
    pub payment_id: PaymentId,
    /// Minor units of `currency`.
    pub amount: i64,
    pub currency: Currency,
    pub in_usd: InUsd,
    pub used: Used,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    pub merchant_id: MerchantId,
    pub payment_id: PaymentId,
    /// The local day on which the payment was reserved.
    pub reserved_on: NaiveDate,
    pub usd: i64,
    pub used: Used,
}

/// The sums behind an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The newest local day on which anything was reserved.
    pub day: NaiveDate,
    pub on_day: i64,
    pub in_month: i64,
}

/// None before the first reservation.
pub type State = Option<Used>;

/// What a payment holds of its merchant's limits, as it stands in the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub reserved_on: NaiveDate,
    /// Minor units of USD, for the payment's whole amount.
    pub usd: i64,
}

#[derive(Debug, Clone)]
pub enum Command {
    Reserve(Reserve),
    /// A payment that held `before` holds `after` now.
    Adjust {
        merchant_id: MerchantId,
        payment_id: PaymentId,
        reserved_on: NaiveDate,
        before: i64,
        after: i64,
    },
}

#[derive(Debug, Clone)]
pub struct Reserve {
    pub merchant_id: MerchantId,
    pub payment_id: PaymentId,
    pub day: NaiveDate,
    pub amount: i64,
    pub currency: Currency,
    pub in_usd: InUsd,
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitRejection {
    #[error("limits are counted in USD, and there is no rate for this currency")]
    RateMissing,
    #[error("the amount exceeds the merchant's limit per payment")]
    PaymentLimitExceeded,
    #[error("the amount exceeds what is left of the merchant's daily limit")]
    DailyLimitExceeded,
    #[error("the amount exceeds what is left of the merchant's monthly limit")]
    MonthlyLimitExceeded,
}

/// The stream that counts a merchant's local `day`.
pub fn stream_id(merchant_id: MerchantId, day: NaiveDate) -> String {
    format!("{merchant_id}:{}", month_of(day))
}

impl Decider for MerchantLimits {
    const CATEGORY: &'static str = "merchant_limits";
    const NEWEST_EVENT_TELLS_ALL: bool = true;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = LimitRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, LimitRejection> {
        match command {
            Command::Reserve(reserve) => reserve_on(state, reserve),
            Command::Adjust { before, after, .. } if before == after => Ok(vec![]),
            Command::Adjust { merchant_id, payment_id, reserved_on, before, after } => {
                let usd = after.saturating_sub(before);
                let used = Used::of(state, reserved_on).moved(reserved_on, usd);
                let moved = Moved { merchant_id, payment_id, reserved_on, usd: usd.saturating_abs(), used };
                Ok(vec![if usd < 0 { Event::Returned(moved) } else { Event::Retaken(moved) }])
            }
        }
    }

    fn evolve(_: State, event: &Event) -> State {
        Some(match event {
            Event::Reserved(reserved) => reserved.used,
            Event::Returned(moved) | Event::Retaken(moved) => moved.used,
        })
    }

    fn check(state: &State) -> Result<(), Violation> {
        match state {
            Some(used) if !(0 <= used.on_day && used.on_day <= used.in_month) => {
                Err(Violation::of(4, format!("{} is used of the day and {} of its month", used.on_day, used.in_month)))
            }
            _ => Ok(()),
        }
    }
}

/// May one payment be that large? What only holds money asks this and reserves nothing.
pub fn fits_one_payment(in_usd: InUsd, limits: &Limits) -> Result<(), LimitRejection> {
    if in_usd.usd > limits.per_payment { Err(LimitRejection::PaymentLimitExceeded) } else { Ok(()) }
}

/// A day that is over is not opened again: a node whose clock is late by a moment counts its payment on the newest day.
fn reserve_on(state: &State, reserve: Reserve) -> Result<Vec<Event>, LimitRejection> {
    let (usd, limits) = (reserve.in_usd.usd, &reserve.limits);
    let day = state.map_or(reserve.day, |used| used.day.max(reserve.day));
    let before = Used::of(state, day);
    fits_one_payment(reserve.in_usd, limits)?;
    if before.on_day.saturating_add(usd) > limits.daily {
        return Err(LimitRejection::DailyLimitExceeded);
    }
    if before.in_month.saturating_add(usd) > limits.monthly {
        return Err(LimitRejection::MonthlyLimitExceeded);
    }

    Ok(vec![Event::Reserved(Reserved {
        merchant_id: reserve.merchant_id,
        payment_id: reserve.payment_id,
        amount: reserve.amount,
        currency: reserve.currency,
        in_usd: reserve.in_usd,
        used: before.moved(day, usd),
    })])
}

impl Used {
    /// What is used as seen on `day`: nothing of a day that has only begun.
    pub fn of(state: &State, day: NaiveDate) -> Used {
        match state {
            Some(used) if used.day >= day => *used,
            Some(used) => Used { day, on_day: 0, ..*used },
            None => Used { day, on_day: 0, in_month: 0 },
        }
    }

    /// `usd` more, or less, of what was reserved on `day`. What an older day gives back is the month's alone, but a day
    /// never holds more than its month: the clock of a node that is late reserves on the newest day under an older date.
    fn moved(self, day: NaiveDate, usd: i64) -> Used {
        let on_day = if day == self.day { self.on_day.saturating_add(usd) } else { self.on_day };
        let in_month = self.in_month.saturating_add(usd).max(0);
        Used { on_day: on_day.clamp(0, in_month), in_month, ..self }
    }
}

impl Event {
    /// What was reserved, where this event reserves it.
    pub fn reservation(&self) -> Option<Reservation> {
        match self {
            Event::Reserved(reserved) => Some(Reservation { reserved_on: reserved.used.day, usd: reserved.in_usd.usd }),
            Event::Returned(_) | Event::Retaken(_) => None,
        }
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] =
        &[("merchant_limits.reserved", 1), ("merchant_limits.returned", 1), ("merchant_limits.retaken", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Reserved(_) => "merchant_limits.reserved",
            Event::Returned(_) => "merchant_limits.returned",
            Event::Retaken(_) => "merchant_limits.retaken",
        }
    }
}

impl Rejection for LimitRejection {
    fn code(&self) -> &'static str {
        match self {
            LimitRejection::RateMissing => "rate_missing",
            LimitRejection::PaymentLimitExceeded => "payment_limit_exceeded",
            LimitRejection::DailyLimitExceeded => "daily_limit_exceeded",
            LimitRejection::MonthlyLimitExceeded => "monthly_limit_exceeded",
        }
    }

    fn class(&self) -> RejectionClass {
        RejectionClass::Refused
    }

    fn retryable(&self) -> bool {
        match self {
            LimitRejection::PaymentLimitExceeded => false,
            LimitRejection::RateMissing | LimitRejection::DailyLimitExceeded | LimitRejection::MonthlyLimitExceeded => {
                true
            }
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            LimitRejection::RateMissing => Some("/currency"),
            LimitRejection::PaymentLimitExceeded
            | LimitRejection::DailyLimitExceeded
            | LimitRejection::MonthlyLimitExceeded => Some("/amount"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;

    const LIMITS: Limits = Limits { per_payment: 60, daily: 100, monthly: 250 };

    fn merchant() -> MerchantId {
        MerchantId::from_uuid(Uuid::nil())
    }

    fn payment() -> PaymentId {
        PaymentId::from_uuid(Uuid::nil())
    }

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 10, day).unwrap()
    }

    fn reserve(on: u32, usd: i64) -> Command {
        Command::Reserve(Reserve {
            merchant_id: merchant(),
            payment_id: payment(),
            day: day(on),
            amount: usd,
            currency: Currency::USD,
            in_usd: InUsd { usd, rate: Decimal::ONE, rate_date: None },
            limits: LIMITS,
        })
    }

    fn adjust(on: u32, before: i64, after: i64) -> Command {
        Command::Adjust { merchant_id: merchant(), payment_id: payment(), reserved_on: day(on), before, after }
    }

    fn run(commands: Vec<Command>) -> Result<State, LimitRejection> {
        commands.into_iter().try_fold(None, |state, command| {
            let events = MerchantLimits::decide(&state, command)?;
            let state = events.iter().fold(state, MerchantLimits::evolve);
            assert_eq!(MerchantLimits::check(&state), Ok(()));
            Ok(state)
        })
    }

    fn used(on: u32, on_day: i64, in_month: i64) -> State {
        Some(Used { day: day(on), on_day, in_month })
    }

    #[test]
    fn a_limit_is_reached_and_never_passed() {
        let table = [
            (vec![reserve(1, 60)], Ok(used(1, 60, 60))),
            (vec![reserve(1, 61)], Err(LimitRejection::PaymentLimitExceeded)),
            (vec![reserve(1, 60), reserve(1, 40)], Ok(used(1, 100, 100))),
            (vec![reserve(1, 60), reserve(1, 41)], Err(LimitRejection::DailyLimitExceeded)),
            (vec![reserve(1, 60), reserve(2, 60)], Ok(used(2, 60, 120))),
            (vec![reserve(2, 10), reserve(1, 60), adjust(1, 60, 0)], Ok(used(2, 10, 10))),
            (
                vec![reserve(1, 60), reserve(1, 40), reserve(2, 60), reserve(2, 40), reserve(3, 50)],
                Ok(used(3, 50, 250)),
            ),
            (
                vec![reserve(1, 60), reserve(1, 40), reserve(2, 60), reserve(2, 40), reserve(3, 51)],
                Err(LimitRejection::MonthlyLimitExceeded),
            ),
            // A node whose clock is late.
            (vec![reserve(2, 60), reserve(1, 40)], Ok(used(2, 100, 100))),
            (vec![reserve(2, 60), reserve(1, 41)], Err(LimitRejection::DailyLimitExceeded)),
            (vec![reserve(1, i64::MAX)], Err(LimitRejection::PaymentLimitExceeded)),
        ];
        for (commands, expected) in table {
            assert_eq!(run(commands.clone()), expected, "{commands:?}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_used_again() {
        let table = [
            (vec![reserve(1, 60), adjust(1, 60, 0)], used(1, 0, 0)),
            (vec![reserve(1, 60), adjust(1, 60, 60)], used(1, 60, 60)),
            (vec![reserve(1, 60), adjust(1, 60, 20), reserve(1, 60)], used(1, 80, 80)),
            // Given back after midnight: the day is another one, the month is the same.
            (vec![reserve(1, 60), reserve(2, 40), adjust(1, 60, 0)], used(2, 40, 40)),
            (vec![reserve(1, 60), adjust(1, 60, 0), reserve(2, 40)], used(2, 40, 40)),
            // Captured after all, and once more above the limit: it is a fact.
            (vec![reserve(1, 60), adjust(1, 60, 0), adjust(1, 0, 60)], used(1, 60, 60)),
            (
                vec![reserve(1, 60), adjust(1, 60, 0), reserve(1, 60), reserve(1, 40), adjust(1, 0, 60)],
                used(1, 160, 160),
            ),
        ];
        for (commands, expected) in table {
            assert_eq!(run(commands.clone()), Ok(expected), "{commands:?}");
        }
    }

    #[test]
    fn a_month_is_a_stream_of_its_own() {
        let november = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
        assert!(stream_id(merchant(), day(31)).ends_with(":2026-10"));
        assert!(stream_id(merchant(), november).ends_with(":2026-11"));
    }
}
