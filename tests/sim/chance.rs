//! All chance of a simulated world comes from its seed, through here.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

/// Clones draw from one sequence.
#[derive(Clone)]
pub struct Chance(Arc<Mutex<fastrand::Rng>>);

impl Chance {
    pub fn of(seed: u64) -> Chance {
        Chance(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A sequence of its own: what is drawn there does not change what is drawn here.
    pub fn fork(&self) -> Chance {
        let forked = self.0.lock().fork();
        Chance(Arc::new(Mutex::new(forked)))
    }

    pub fn percent(&self, percent: u32) -> bool {
        self.0.lock().u32(0..100) < percent
    }

    pub fn between(&self, range: RangeInclusive<i64>) -> i64 {
        self.0.lock().i64(range)
    }

    pub fn below(&self, end: usize) -> usize {
        self.0.lock().usize(0..end)
    }

    pub fn millis(&self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.0.lock().u64(range))
    }

    pub fn seconds(&self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.0.lock().u64(range))
    }

    pub fn pick<T: Clone>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// One of the choices, each as likely as its weight.
    pub fn weighted<T: Copy>(&self, choices: &[(u32, T)]) -> T {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.0.lock().u32(0..total);
        for (weight, choice) in choices {
            if drawn < *weight {
                return *choice;
            }
            drawn -= weight;
        }
        unreachable!("what is drawn lies below the sum of the weights")
    }

    pub fn uuid(&self) -> Uuid {
        Uuid::from_u128(self.0.lock().u128(..))
    }
}
