//! Asks channels by the clock what they have paid out.

use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::{Job, JobFailed, Timetable};
use crate::channel_account::ChannelAccounts;

/// Channels pay out once a day, each at its own time: what has arrived is booked within the hour.
pub struct CollectPayouts {
    pub channel_accounts: ChannelAccounts,
}

#[async_trait]
impl Job for CollectPayouts {
    fn name(&self) -> &'static str {
        "collect_payouts"
    }

    fn timetable(&self) -> Timetable {
        Timetable::every(Duration::from_secs(60 * 60))
    }

    async fn run(&self, _: Timestamp) -> Result<u64, JobFailed> {
        self.channel_accounts.collect_payouts().await.map_err(JobFailed::because)
    }
}
