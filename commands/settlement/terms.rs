//! What was agreed with a merchant about its settlements.

use domain::calendar::{Calendar, TimeOfDay, saturday_and_sunday};
use domain::merchant_account::{Holder, ReservePlan};
use domain::money::AMOUNT_MAX;
use domain::pricing::Tier;
use domain::settlement::SettlementCycle;

use crate::executor::{CommandError, Executor};
use crate::merchant;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettlementTerms {
    pub cycle: SettlementCycle,
    pub calendar: Calendar,
    pub reserve: ReservePlan,
    /// A batch above it, in minor units of its currency, waits for finance.
    pub approval_threshold: i64,
}

/// Above this, in major units, finance looks at a batch.
const APPROVAL_ABOVE: i64 = 100_000;

pub(super) async fn terms(executor: &Executor, holder: Holder) -> Result<SettlementTerms, CommandError> {
    let Holder { merchant_id, currency } = holder;
    let agreed = merchant::terms(executor, merchant_id).await?;
    let agreed = agreed.ok_or_else(|| CommandError::Bug(format!("{merchant_id} has money but no terms")))?;
    let utc = "UTC".parse().expect("UTC is a time zone");
    Ok(SettlementTerms {
        cycle: match agreed.tier {
            Tier::Starter | Tier::Business => SettlementCycle::NextBusinessDay,
            Tier::Enterprise => SettlementCycle::SameBusinessDay,
            Tier::Premium => SettlementCycle::EveryDay,
        },
        calendar: Calendar {
            time_zone: agreed.time_zone.unwrap_or(utc),
            cut_off: TimeOfDay::end_of_business(),
            weekend: saturday_and_sunday(),
        },
        reserve: ReservePlan::default(),
        approval_threshold: currency.minor_per_major().saturating_mul(APPROVAL_ABOVE).min(AMOUNT_MAX),
    })
}
