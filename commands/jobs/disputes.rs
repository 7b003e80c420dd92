//! The job that asks channels for disputes that no webhook told of.

use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use parking_lot::Mutex;

use super::{Job, JobFailed, Timetable};
use crate::dispute::Disputes;

pub struct FindMissedDisputes {
    disputes: Disputes,
    /// How far this node has asked. Another node asks further back, which costs calls and records nothing twice.
    from: Mutex<Option<Timestamp>>,
}

impl FindMissedDisputes {
    pub fn new(disputes: Disputes) -> FindMissedDisputes {
        FindMissedDisputes { disputes, from: Mutex::default() }
    }
}

#[async_trait]
impl Job for FindMissedDisputes {
    fn name(&self) -> &'static str {
        "find_missed_disputes"
    }

    fn timetable(&self) -> Timetable {
        Timetable::every(Duration::from_secs(15))
    }

    async fn run(&self, _now: Timestamp) -> Result<u64, JobFailed> {
        let mut from = *self.from.lock();
        let found = self.disputes.find_missed(&mut from).await.map_err(JobFailed::because)?;
        *self.from.lock() = from;
        Ok(u64::try_from(found).unwrap_or(u64::MAX))
    }
}
