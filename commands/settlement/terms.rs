//! What was agreed with a merchant about its settlements, in the currency that is settled.

use domain::Timestamp;
use domain::calendar::Calendar;
use domain::merchant_account::{Holder, ReservePlan};
use domain::tier::SettlementCycle;
use rust_decimal::Decimal;

use crate::executor::{CommandError, Executor};
use crate::{merchant, rates};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettlementTerms {
    pub cycle: SettlementCycle,
    pub calendar: Calendar,
    pub reserve: ReservePlan,
    /// A batch above it, in minor units of its currency, waits for finance.
    pub approval_threshold: i64,
}

pub(super) async fn terms(executor: &Executor, holder: Holder, at: Timestamp) -> Result<SettlementTerms, CommandError> {
    let Holder { merchant_id, currency } = holder;
    let agreed = merchant::terms(executor, merchant_id, at).await?;
    let agreed = agreed.ok_or_else(|| CommandError::Bug(format!("{merchant_id} has money but no terms")))?;
    let threshold = agreed.thresholds.settlement_approval;
    let threshold = rates::load(executor).await?.from_usd(threshold, currency, agreed.calendar.local_day(at));
    Ok(SettlementTerms {
        cycle: agreed.settlement_cycle,
        calendar: agreed.calendar,
        reserve: ReservePlan {
            rate: Decimal::new(agreed.reserve.basis_points.into(), 4).normalize(),
            days: agreed.reserve.days,
        },
        // What cannot be reckoned waits for a person.
        approval_threshold: threshold.unwrap_or(0),
    })
}
