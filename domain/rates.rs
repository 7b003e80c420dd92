//! What currencies are worth in USD, day by day. The limits are counted by it; no money is ever changed by it.
//!
//! ```text
//! absent --published (a day's table)--> published --published--> published
//! ```

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::{Currency, Decider, DomainEvent, Money, Rejection, RejectionClass, Timestamp};

#[derive(Debug)]
pub struct Rates;

/// There is one stream of rates.
pub const STREAM: &str = "usd";

/// USD for one major unit of each currency.
pub type Table = BTreeMap<Currency, Decimal>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "rates.published")]
    Published { date: NaiveDate, usd: Table, published_at: Timestamp },
}

/// The tables of the last days. A currency that a day's table leaves out keeps its rate of before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    tables: BTreeMap<NaiveDate, Table>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Publish { date: NaiveDate, usd: Table, at: Timestamp },
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RatesRejection {
    #[error("a table names at least one currency and never USD itself")]
    InvalidTable,
    #[error("a rate is above 0, at most 1000000000, and has at most 12 decimal places")]
    InvalidRate,
}

/// An amount in USD and by which rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUsd {
    /// Minor units of USD.
    pub usd: i64,
    pub rate: Decimal,
    /// The day of the table that the rate stood in; none for USD itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_date: Option<NaiveDate>,
}

/// Tables that are kept apart; what is older is one table, so that no currency ever loses its rate.
const TABLES_MAX: usize = 45;
const SCALE_MAX: u32 = 12;

impl Decider for Rates {
    const CATEGORY: &'static str = "rates";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = RatesRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, RatesRejection> {
        let Command::Publish { date, usd, at } = command;
        if state.tables.get(&date) == Some(&usd) {
            return Ok(vec![]);
        }
        if usd.is_empty() || usd.contains_key(&Currency::USD) {
            return Err(RatesRejection::InvalidTable);
        }
        let most = Decimal::from(1_000_000_000);
        if usd.values().any(|rate| *rate <= Decimal::ZERO || *rate > most || rate.scale() > SCALE_MAX) {
            return Err(RatesRejection::InvalidRate);
        }

        Ok(vec![Event::Published { date, usd, published_at: at }])
    }

    fn evolve(mut state: State, event: &Event) -> State {
        let Event::Published { date, usd, .. } = event;
        state.tables.insert(*date, usd.clone());
        while state.tables.len() > TABLES_MAX
            && let Some((_, oldest)) = state.tables.pop_first()
            && let Some(mut next) = state.tables.first_entry()
        {
            for (currency, rate) in oldest {
                next.get_mut().entry(currency).or_insert(rate);
            }
        }
        state
    }
}

impl State {
    /// USD for one major unit of `currency` on `day`, and the day of the table that says so: the newest one that is not
    /// later and names the currency, else the oldest that does.
    pub fn rate(&self, currency: Currency, day: NaiveDate) -> Option<(Decimal, Option<NaiveDate>)> {
        if currency == Currency::USD {
            return Some((Decimal::ONE, None));
        }
        let named = |(date, table): (&NaiveDate, &Table)| table.get(&currency).map(|rate| (*rate, Some(*date)));
        let known = self.tables.range(..=day).rev().find_map(named);
        known.or_else(|| self.tables.iter().find_map(named))
    }

    /// `amount` in minor units of USD, rounded up, so that a limit is never exceeded by a fraction of a cent.
    pub fn in_usd(&self, amount: Money, day: NaiveDate) -> Option<InUsd> {
        let (rate, rate_date) = self.rate(amount.currency(), day)?;
        let major = Decimal::new(amount.minor(), u32::from(amount.currency().exponent()));
        let exact = major.checked_mul(rate).and_then(|usd| usd.checked_mul(Decimal::ONE_HUNDRED));
        let minor = exact.map(|exact| exact.round_dp_with_strategy(0, RoundingStrategy::ToPositiveInfinity));
        let usd = minor.and_then(|minor| minor.to_i64()).unwrap_or(i64::MAX);
        Some(InUsd { usd, rate, rate_date })
    }

    /// `usd` minor units of USD in minor units of `currency`, rounded down; all that an `i64` holds where it is more.
    pub fn from_usd(&self, usd: i64, currency: Currency, day: NaiveDate) -> Option<i64> {
        let (rate, _) = self.rate(currency, day)?;
        let major = Decimal::new(usd, 2).checked_div(rate);
        let minor = major.and_then(|major| major.checked_mul(Decimal::from(currency.minor_per_major())));
        Some(minor.and_then(|minor| minor.floor().to_i64()).unwrap_or(i64::MAX))
    }

    /// The tables that are kept, by day.
    pub fn tables(&self) -> &BTreeMap<NaiveDate, Table> {
        &self.tables
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("rates.published", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Published { .. } => "rates.published",
        }
    }
}

impl Rejection for RatesRejection {
    fn code(&self) -> &'static str {
        match self {
            RatesRejection::InvalidTable => "invalid_rate_table",
            RatesRejection::InvalidRate => "invalid_exchange_rate",
        }
    }

    fn class(&self) -> RejectionClass {
        RejectionClass::Refused
    }

    fn retryable(&self) -> bool {
        false
    }

    fn pointer(&self) -> Option<&'static str> {
        Some("/usd")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn table(rates: &[(&str, &str)]) -> Table {
        rates.iter().map(|(code, rate)| (code.parse().unwrap(), rate.parse().unwrap())).collect()
    }

    fn publish(state: State, date: &str, rates: &[(&str, &str)]) -> Result<State, RatesRejection> {
        let at = Timestamp::default();
        let events = Rates::decide(&state, Command::Publish { date: day(date), usd: table(rates), at })?;
        Ok(events.iter().fold(state, Rates::evolve))
    }

    #[test]
    fn the_newest_table_that_is_not_later_counts() {
        let state = publish(State::default(), "2026-11-02", &[("EUR", "1.10"), ("JPY", "0.0065")]).unwrap();
        let state = publish(state, "2026-11-04", &[("EUR", "1.20")]).unwrap();
        let table = [
            ("EUR", "2026-11-01", Some(("1.10", "2026-11-02"))),
            ("EUR", "2026-11-03", Some(("1.10", "2026-11-02"))),
            ("EUR", "2026-11-04", Some(("1.20", "2026-11-04"))),
            ("JPY", "2026-12-31", Some(("0.0065", "2026-11-02"))),
            ("KWD", "2026-11-04", None),
        ];
        for (code, date, expected) in table {
            let expected = expected.map(|(rate, date)| (rate.parse().unwrap(), Some(day(date))));
            assert_eq!(state.rate(code.parse().unwrap(), day(date)), expected, "{code} on {date}");
        }
        assert_eq!(State::default().rate(Currency::USD, day("2026-11-01")), Some((Decimal::ONE, None)));
    }

    #[test]
    fn amounts_are_rounded_against_the_merchant() {
        let rates = [("JPY", "0.0067"), ("KWD", "3.25"), ("BTC", "95000"), ("EUR", "1.08")];
        let state = publish(State::default(), "2026-11-01", &rates).unwrap();
        let table = [
            (10_000, "USD", 10_000, 10_000),
            (10_000, "EUR", 10_800, 10_000),
            (1, "EUR", 2, 1),
            (1, "JPY", 1, 1),
            (1_000, "JPY", 670, 1_000),
            (1_000, "KWD", 325, 1_000),
            (1, "BTC", 1, 10),
            (100_000_000, "BTC", 9_500_000, 100_000_000),
            (crate::money::AMOUNT_MAX, "BTC", 95_000_000_000_000, crate::money::AMOUNT_MAX),
        ];
        for (amount, code, usd, back) in table {
            let money = Money::new(amount, code.parse().unwrap()).unwrap();
            let converted = state.in_usd(money, day("2026-11-01")).unwrap();
            assert_eq!(converted.usd, usd, "{amount} {code}");
            let returned = state.from_usd(converted.usd, money.currency(), day("2026-11-01")).unwrap();
            assert!(returned >= back, "{amount} {code} is {returned} on the way back");
        }
        assert_eq!(state.from_usd(670, Currency::JPY, day("2026-11-01")), Some(1_000));
        assert_eq!(state.from_usd(1, Currency::EUR, day("2026-11-01")), Some(0));
    }

    #[test]
    fn a_rate_is_positive_and_bounded() {
        for rate in ["0", "-1", "1000000001", "0.0000000000001"] {
            assert_eq!(publish(State::default(), "2026-11-01", &[("EUR", rate)]), Err(RatesRejection::InvalidRate));
        }
        for rates in [&[][..], &[("USD", "1")][..]] {
            assert_eq!(publish(State::default(), "2026-11-01", rates), Err(RatesRejection::InvalidTable));
        }
    }

    #[test]
    fn old_tables_are_merged_and_no_currency_is_lost() {
        let mut state = publish(State::default(), "2026-01-01", &[("KWD", "3.25"), ("EUR", "1")]).unwrap();
        let mut date = day("2026-01-02");
        for _ in 0..100 {
            state = publish(state, &date.to_string(), &[("EUR", "1.1")]).unwrap();
            date = date.succ_opt().unwrap();
        }
        assert_eq!(state.tables.len(), TABLES_MAX);
        assert_eq!(state.rate(Currency::KWD, date).map(|(rate, _)| rate), Some("3.25".parse().unwrap()));
        let oldest = *state.tables.keys().next().unwrap();
        assert_eq!(state.rate(Currency::EUR, oldest).map(|(rate, _)| rate), Some("1.1".parse().unwrap()));
    }
}
