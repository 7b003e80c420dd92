//! Waiting for a condition, with a limit: the only way in which tests wait.

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks again until there is an answer; panics with `what` after `limit`.
#[track_caller]
pub fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(started.elapsed() < limit, "{caller}: waited {limit:?} in vain for: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
