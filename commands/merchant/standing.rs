//! A merchant as it stands when something new is decided for it: exactly the version of its agreement that was read,
//! and the newest tier and rates. Its streams stand last among those of the request.

use domain::merchant::{InForce, Merchant, Record};
use domain::merchant_limits::LimitRejection;
use domain::rates::{self, InUsd, Rates};
use domain::tier::Tier;
use domain::{Decider, MerchantId, Money, Timestamp};

use super::load;
use crate::executor::{CommandError, Executor};
use crate::ports::{Expected, Receipt, Request, StreamRef, StreamState, nth_state, state_of};

#[derive(Debug, Clone)]
pub(crate) struct Standing {
    merchant: Record,
    /// What the merchant's stream must still have when the request is decided: what was read chose the streams.
    version: u64,
    at: Timestamp,
}

/// How often a merchant's agreement may change while one command of it is being decided.
pub(crate) const CHANGES_MAX: usize = 5;

/// The streams of a standing, counted from the end.
const MERCHANT: usize = 3;
const TIER: usize = 2;
const RATES: usize = 1;

/// Decides what `request` makes of the merchant as it stands; again, if its agreement has changed since it was read.
pub(crate) async fn execute(
    executor: &Executor,
    merchant_id: MerchantId,
    at: Timestamp,
    request: impl Fn(Standing) -> Request,
) -> Result<Receipt, CommandError> {
    for _ in 0..CHANGES_MAX {
        match execute_once(executor, merchant_id, at, &request).await {
            Err(CommandError::Conflict) => {}
            answered => return answered,
        }
    }
    Err(CommandError::Conflict)
}

/// The same once: a conflict if anything that the request expects has changed.
pub(crate) async fn execute_once(
    executor: &Executor,
    merchant_id: MerchantId,
    at: Timestamp,
    request: impl Fn(Standing) -> Request,
) -> Result<Receipt, CommandError> {
    let standing = Standing::read(executor, merchant_id, at).await?;
    executor.execute(request(standing)).await
}

impl Standing {
    async fn read(executor: &Executor, merchant_id: MerchantId, at: Timestamp) -> Result<Standing, CommandError> {
        let stream = load(executor, merchant_id).await?;
        let merchant = state_of::<Merchant>(&stream).record().cloned();
        let merchant = merchant.ok_or_else(|| CommandError::Bug(format!("{merchant_id} has a key but no terms")))?;
        Ok(Standing { merchant, version: stream.version, at })
    }

    /// `own` and behind them what the standing is decided on.
    pub fn behind(&self, own: impl IntoIterator<Item = StreamRef>) -> Vec<StreamRef> {
        let merchant_id = self.merchant.merchant_id.to_string();
        let standing: [StreamRef; MERCHANT] = [
            StreamRef::new::<Merchant>(merchant_id, Expected::Exactly(self.version)),
            StreamRef::new::<Tier>(self.merchant.tier_at(self.at).as_str(), Expected::Any),
            StreamRef::new::<Rates>(rates::STREAM, Expected::Any),
        ];
        own.into_iter().chain(standing).collect()
    }

    /// The merchant's local day.
    pub fn day(&self) -> chrono::NaiveDate {
        self.merchant.local_day(self.at)
    }

    pub fn in_force(&self, states: &[StreamState]) -> InForce {
        let tier = last::<Tier>(states, TIER).in_force(self.at);
        InForce::of(&self.merchant, tier.expect("every tier is defined before anything is served"))
    }

    /// What the amount is worth on the merchant's day.
    pub fn in_usd(&self, states: &[StreamState], amount: Money) -> Result<InUsd, LimitRejection> {
        last::<Rates>(states, RATES).in_usd(amount, self.day()).ok_or(LimitRejection::RateMissing)
    }
}

fn last<D: Decider>(states: &[StreamState], from_end: usize) -> &D::State {
    nth_state::<D>(states, states.len() - from_end)
}
