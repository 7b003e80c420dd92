//! When a step is tried again, and from when on a person is told. Pure.

use std::time::Duration;

/// The waits before the first try, the second, and so on; the last one repeats.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    waits: &'static [Duration],
    /// Tries in vain after which each further one alerts.
    alert_after: u32,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Schedule {
    /// What must happen happens at once, and if it cannot, again for ever.
    pub const AT_ONCE: Schedule = Schedule {
        waits: &[
            seconds(0),
            seconds(5),
            seconds(30),
            seconds(5 * MINUTE),
            seconds(HOUR),
            seconds(6 * HOUR),
            seconds(DAY),
        ],
        alert_after: 6,
    };

    /// An answer was lost.
    pub const OUTCOME_UNKNOWN: Schedule = Schedule {
        waits: &[seconds(5), seconds(30), seconds(5 * MINUTE), seconds(HOUR), seconds(6 * HOUR), seconds(DAY)],
        alert_after: 5,
    };

    /// The channel works on it and will tell, by a webhook that may be lost. Channels take up to ten days for a
    /// refund; longer than that alerts.
    pub const CHANNEL_WORKS: Schedule = Schedule {
        waits: &[
            seconds(3),
            seconds(15),
            seconds(MINUTE),
            seconds(5 * MINUTE),
            seconds(30 * MINUTE),
            seconds(HOUR),
            seconds(6 * HOUR),
        ],
        alert_after: 46,
    };

    /// The channel judges a dispute, which takes months: only its webhook can be lost.
    pub const VERDICT: Schedule = Schedule {
        waits: &[
            seconds(15),
            seconds(MINUTE),
            seconds(5 * MINUTE),
            seconds(30 * MINUTE),
            seconds(HOUR),
            seconds(6 * HOUR),
        ],
        alert_after: u32::MAX,
    };

    /// A bank works on it, on its business days; after about five days a person should ask.
    pub const BANK_WORKS: Schedule = Schedule {
        waits: &[seconds(MINUTE), seconds(5 * MINUTE), seconds(30 * MINUTE), seconds(HOUR), seconds(6 * HOUR)],
        alert_after: 24,
    };

    /// The customer has a page to visit; the payment's expiry ends this.
    pub const CUSTOMER_ACTS: Schedule =
        Schedule { waits: &[seconds(30), seconds(MINUTE), seconds(5 * MINUTE)], alert_after: u32::MAX };

    /// How long the next try waits after `attempts` in vain.
    pub fn wait(&self, attempts: u32) -> Duration {
        let index = usize::try_from(attempts).unwrap_or(usize::MAX).min(self.waits.len() - 1);
        self.waits[index]
    }

    pub fn alerts(&self, attempts: u32) -> bool {
        attempts >= self.alert_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_asked_for_ever_more_rarely_and_then_daily_with_an_alert() {
        let expected = [(5, false), (30, false), (300, false), (3_600, false), (21_600, false), (86_400, true)];
        for (attempts, (wait, alert)) in (0..).zip(expected) {
            let schedule = Schedule::OUTCOME_UNKNOWN;
            assert_eq!((schedule.wait(attempts).as_secs(), schedule.alerts(attempts)), (wait, alert), "{attempts}");
        }
        assert_eq!(Schedule::OUTCOME_UNKNOWN.wait(u32::MAX).as_secs(), 86_400);
    }

    #[test]
    fn what_is_due_at_once_falls_back_to_the_same_waits() {
        assert_eq!(Schedule::AT_ONCE.wait(0), Duration::ZERO);
        for attempts in 0..10 {
            assert_eq!(Schedule::AT_ONCE.wait(attempts + 1), Schedule::OUTCOME_UNKNOWN.wait(attempts));
            assert_eq!(Schedule::AT_ONCE.alerts(attempts + 1), Schedule::OUTCOME_UNKNOWN.alerts(attempts));
        }
    }
}
