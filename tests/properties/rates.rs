//! Random commands of the rates of the day.

use domain::rates::{Command, Rates, State};
use domain::{Currency, Timestamp};
use rust_decimal::Decimal;

use crate::draw::{CURRENCIES, Draw};
use crate::model::Model;

pub struct DailyRates;

impl Model for DailyRates {
    type D = Rates;

    const STREAMS: u128 = 1;

    fn command(_: u128, _: &State, draw: &Draw, now: Timestamp) -> Command {
        let rate = draw.pick(&[Decimal::new(65, 4), Decimal::ZERO, Decimal::MAX, Decimal::new(1, 13), Decimal::ONE]);
        let currencies: &[Currency] = if draw.one_in(5) { &CURRENCIES } else { &CURRENCIES[1..] };
        let listed = currencies.iter().take(usize::from(draw.id));
        let date = draw.pick(&["2026-11-18", "2026-11-19", "0001-01-01", "9999-12-31"]).parse().unwrap();
        Command::Publish { date, usd: listed.map(|currency| (*currency, rate)).collect(), at: now }
    }
}
