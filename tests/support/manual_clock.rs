//! A clock that stands still until it is told to go on, so that no test waits for time to pass.

use std::sync::Arc;
use std::time::Duration;

use commands::ports::Clock;
use domain::Timestamp;
use parking_lot::Mutex;

/// Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<Timestamp>>,
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock { now: Arc::new(Mutex::new(Timestamp::from_micros(1_795_000_000_000_000))) }
    }
}

impl ManualClock {
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock();
        *now = now.plus(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock()
    }
}
