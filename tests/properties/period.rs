//! Random commands of periods.

use domain::Timestamp;
use domain::period::{Command, Period, State};

use crate::draw::{Draw, PEOPLE};
use crate::model::Model;

pub struct Periods;

impl Model for Periods {
    type D = Period;

    const STREAMS: u128 = 1;

    fn command(_: u128, _: &State, draw: &Draw, now: Timestamp) -> Command {
        let months = ["2026-09", "2026-10", "2026-11", "9998-12"];
        let month = months[usize::from(draw.id)].parse().unwrap();
        Command::Close { month, by: draw.pick(&PEOPLE).to_owned(), at: now }
    }
}
