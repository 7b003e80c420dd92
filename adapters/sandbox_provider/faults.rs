//! Random faults for all payments, set at run time and forgotten by a restart.

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

/// Probabilities between 0 and 1; what a request leaves out is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Faults {
    /// The call takes effect, the answer never comes.
    pub(super) timeout_after: f64,
    /// No effect, no answer.
    pub(super) timeout_before: f64,
    /// No effect, 503.
    pub(super) error: f64,
    /// A webhook is posted two or three times.
    pub(super) duplicate: f64,
    /// A webhook is held back while later ones pass.
    pub(super) reorder: f64,
    /// A webhook is never posted.
    pub(super) lose_webhook: f64,
}

impl Faults {
    /// The first field that is not a probability.
    pub(super) fn first_invalid(&self) -> Option<&'static str> {
        [
            ("timeout_after", self.timeout_after),
            ("timeout_before", self.timeout_before),
            ("error", self.error),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("lose_webhook", self.lose_webhook),
        ]
        .into_iter()
        .find(|(_, probability)| !(0.0..=1.0).contains(probability))
        .map(|(name, _)| name)
    }
}

/// What one call suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallFault {
    None,
    TimeoutAfter,
    TimeoutBefore,
    Error,
}

#[derive(Default)]
pub(super) struct FaultSwitch(RwLock<Faults>);

impl FaultSwitch {
    pub(super) fn get(&self) -> Faults {
        *self.0.read()
    }

    pub(super) fn set(&self, faults: Faults) {
        *self.0.write() = faults;
    }

    pub(super) fn roll_call(&self) -> CallFault {
        let faults = self.get();
        if roll(faults.error) {
            CallFault::Error
        } else if roll(faults.timeout_before) {
            CallFault::TimeoutBefore
        } else if roll(faults.timeout_after) {
            CallFault::TimeoutAfter
        } else {
            CallFault::None
        }
    }
}

/// True with this probability; exactly never at 0 and always at 1.
pub(super) fn roll(probability: f64) -> bool {
    probability > 0.0 && rand::random::<f64>() < probability
}
