//! Checks every day what must hold of the books, and alerts where it does not.

use std::sync::Arc;

use async_trait::async_trait;
use domain::Timestamp;
use metrics::gauge;

use super::{Job, JobFailed, Timetable};
use crate::ports::DailyAssertions;

/// Behind the banks' statements of the day before, which come in the night.
pub struct CheckDailyAssertions {
    pub assertions: Arc<dyn DailyAssertions>,
}

#[async_trait]
impl Job for CheckDailyAssertions {
    fn name(&self) -> &'static str {
        "check_daily_assertions"
    }

    fn timetable(&self) -> Timetable {
        Timetable::daily_at(5, 30)
    }

    /// A run that finds a difference has failed: its history says which.
    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed> {
        let (mut checked, mut failures) = (0, vec![]);
        for assertion in self.assertions.check(now).await.map_err(JobFailed::because)? {
            checked += assertion.checked;
            let failed = u32::try_from(assertion.failures.len()).unwrap_or(u32::MAX);
            gauge!("daily_assertion_failures", "assertion" => assertion.name).set(failed);
            for failure in assertion.failures {
                tracing::error!(assertion.name = assertion.name, failure, "a daily assertion does not hold");
                failures.push(format!("{}: {failure}", assertion.name));
            }
        }
        if failures.is_empty() { Ok(checked) } else { Err(JobFailed(failures.join("; "))) }
    }
}
