//! What a merchant has used of its limits, as of now.

use domain::merchant::InForce;
use domain::merchant_limits::{MerchantLimits, Used, stream_id};
use domain::{MerchantId, Timestamp};

use crate::executor::{CommandError, Executor};
use crate::merchant;
use crate::ports::{Category, state_of};

/// The merchant's limits at `at`, and what is used of them on its local day and in its local month.
pub async fn used(
    executor: &Executor,
    merchant_id: MerchantId,
    at: Timestamp,
) -> Result<Option<(InForce, Used)>, CommandError> {
    let Some(in_force) = merchant::terms(executor, merchant_id, at).await? else { return Ok(None) };
    let day = in_force.calendar.local_day(at);
    let stream = executor.store().load(Category::of::<MerchantLimits>(), &stream_id(merchant_id, day)).await?;
    Ok(Some((in_force, Used::of(state_of::<MerchantLimits>(&stream), day))))
}
