//! A step that a saga can have due, and when. Pure.

use std::time::Duration;

use domain::Timestamp;

use crate::schedule::Schedule;

/// Each saga declares its own as constants.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// As metrics and logs have it.
    pub name: &'static str,
    pub schedule: Schedule,
}

impl Step {
    pub const fn new(name: &'static str, schedule: Schedule) -> Step {
        Step { name, schedule }
    }
}

/// Within its saga, a step is its name.
impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        self.name == other.name
    }
}

impl Eq for Step {}

/// What a saga must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub step: Step,
    /// Something else is due then, whatever the schedule says.
    pub deadline: Option<Timestamp>,
    /// Set while it is too early even for the first try.
    pub not_before: Option<Timestamp>,
    /// How often the same was tried in vain by sagas before this one.
    pub tried_before: u32,
}

impl Due {
    /// Due now, and then by the step's schedule.
    pub fn now(step: Step) -> Due {
        Due { step, deadline: None, not_before: None, tried_before: 0 }
    }

    /// When the step is next tried, seen from `now`, after `attempts` in vain.
    pub fn at(&self, now: Timestamp, attempts: u32) -> Timestamp {
        let scheduled = now.plus(self.step.schedule.wait(attempts));
        let scheduled = self.not_before.map_or(scheduled, |not_before| not_before.max(scheduled));
        self.deadline.map_or(scheduled, |deadline| deadline.min(scheduled))
    }

    pub fn is_at_once(&self) -> bool {
        self.not_before.is_none() && self.step.schedule.wait(0) == Duration::ZERO
    }

    /// Whether a person is to be told, after `attempts` in vain.
    pub fn alerts(&self, attempts: u32) -> bool {
        self.step.schedule.alerts(attempts.saturating_add(self.tried_before))
    }
}
