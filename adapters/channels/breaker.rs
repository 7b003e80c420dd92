//! A circuit breaker: after a row of failures no new work is sent for a while, so that a dead channel is not hammered.
//! It knows no channel and no clock.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row that open the circuit. One payment that times out says little about the channel.
const FAILURES_MAX: u32 = 10;
/// How long an open circuit holds new work back before the next call goes out as a probe.
const PAUSE: Duration = Duration::from_secs(2);

/// ```text
/// closed ──failures in a row──▶ open ──pause──▶ one probe ──fails──▶ open
///    ▲                            │                 │
///    └───────── any success ──────┴─────────────────┘
/// ```
///
/// Only new work asks [`admits`](CircuitBreaker::admits). Questions about work that is already out always go through:
/// they are rare, money hangs on their answers, and the first that succeeds closes the circuit.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while the circuit is open: when the next probe may go out.
    probe_at: Option<Instant>,
}

impl CircuitBreaker {
    /// May new work be sent? A probe whose result never comes blocks nobody: the next one goes out a pause later.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        match state.probe_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                state.probe_at = Some(now + PAUSE);
                true
            }
        }
    }

    pub fn succeeded(&self) {
        *self.state.lock() = State::default();
    }

    pub fn failed(&self, now: Instant) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX && state.probe_at.is_none() {
            state.probe_at = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> CircuitBreaker {
        let breaker = CircuitBreaker::default();
        (0..FAILURES_MAX).for_each(|_| breaker.failed(now));
        breaker
    }

    #[test]
    fn a_row_of_failures_opens_it_and_nothing_less() {
        let (now, breaker) = (Instant::now(), CircuitBreaker::default());
        for _ in 0..3 {
            (1..FAILURES_MAX).for_each(|_| breaker.failed(now));
            assert!(breaker.admits(now));
            breaker.succeeded();
        }
        assert!(!opened(now).admits(now));
    }

    #[test]
    fn after_each_pause_one_probe_goes_out_even_if_its_result_is_never_told() {
        let now = Instant::now();
        let breaker = opened(now);
        for round in 1..=3 {
            let at = now + PAUSE * round;
            assert!(!breaker.admits(at - Duration::from_millis(1)), "before probe {round}");
            assert!(breaker.admits(at), "probe {round}");
            assert!(!breaker.admits(at), "a second probe in round {round}");
        }
    }

    #[test]
    fn a_failed_probe_keeps_it_open_and_any_success_closes_it() {
        let now = Instant::now();
        let breaker = opened(now);
        assert!(breaker.admits(now + PAUSE));
        breaker.failed(now + PAUSE);
        assert!(!breaker.admits(now + PAUSE));
        breaker.succeeded();
        assert!(breaker.admits(now + PAUSE));
        breaker.failed(now + PAUSE);
        assert!(breaker.admits(now + PAUSE));
    }
}
