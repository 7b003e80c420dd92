//! When and how calls go wrong. While it is rough, any call may be slow or lose its answer before or after its effect;
//! once it is calm, nothing does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use commands::ports::Clock;
use domain::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Arrives,
    /// The call never arrives.
    LostBefore,
    /// It takes effect, and its answer is lost.
    LostAfter,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Weather {
    chance: Chance,
    rough: Arc<AtomicBool>,
    outage_until: Arc<Mutex<Instant>>,
    /// Of a hundred calls, so many lose their answer.
    losses: u32,
}

impl Weather {
    pub fn rough(chance: Chance) -> Weather {
        let losses = chance.pick(&[0, 2, 5, 15]);
        Weather {
            chance,
            rough: Arc::new(AtomicBool::new(true)),
            outage_until: Arc::new(Mutex::new(Instant::now())),
            losses,
        }
    }

    pub fn calm_down(&self) {
        self.rough.store(false, Ordering::Relaxed);
    }

    pub fn is_rough(&self) -> bool {
        self.rough.load(Ordering::Relaxed)
    }

    /// Nothing arrives for this long.
    pub fn break_down(&self, duration: Duration) {
        *self.outage_until.lock() = Instant::now() + duration;
    }

    /// The way to the other side: it takes its time, and may end on the way.
    pub async fn there(&self) -> Fate {
        if !self.is_rough() {
            return Fate::Arrives;
        }
        self.dawdle().await;
        if Instant::now() < *self.outage_until.lock() || self.chance.percent(self.losses) {
            return if self.chance.percent(50) { Fate::LostBefore } else { Fate::LostAfter };
        }
        Fate::Arrives
    }

    /// The way back.
    pub async fn back(&self) {
        if self.is_rough() {
            self.dawdle().await;
        }
    }

    /// Mostly at once, sometimes milliseconds, rarely longer than any claim or lease lasts.
    async fn dawdle(&self) {
        match self.chance.below(1_000) {
            0..600 => {}
            600..985 => sleep(self.chance.millis(1..=60)).await,
            985..998 => sleep(self.chance.millis(100..=3_000)).await,
            _ => sleep(self.chance.millis(5_000..=30_000)).await,
        }
    }
}

/// The machine's clock of one node: it runs with the virtual time, and wrong by a constant.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    began: Instant,
    ahead_by: Duration,
}

/// Microseconds since 1970: a Wednesday in November 2026, three minutes before the business day is cut off.
const BEGINNING: i64 = 1_795_021_020_000_000;

impl VirtualClock {
    pub fn new() -> VirtualClock {
        VirtualClock { began: Instant::now(), ahead_by: Duration::ZERO }
    }

    pub fn ahead_by(self, ahead_by: Duration) -> VirtualClock {
        VirtualClock { ahead_by, ..self }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(BEGINNING).plus(self.began.elapsed() + self.ahead_by)
    }
}
