//! Defining tiers, and what each of them means at a moment.

use domain::Timestamp;
use domain::tier::{Command, State, Terms, Tier, TierName};

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{Category, Receipt, state_of};

pub async fn define(executor: &Executor, issued: Issued, terms: Terms, at: Timestamp) -> Result<Receipt, CommandError> {
    executor.decide::<Tier>(issued, terms.tier.to_string(), Command::Define { terms, at }).await
}

/// What the platform starts with; a tier that has a definition keeps it.
pub async fn seed(executor: &Executor, seeds: &[Terms], at: Timestamp) -> Result<(), CommandError> {
    for terms in seeds {
        if load(executor, terms.tier).await? == State::default() {
            let issued = Issued::internally("platform", &format!("seed tier {}", terms.tier), "seeds");
            define(executor, issued, terms.clone(), at).await?;
        }
    }
    Ok(())
}

/// Every definition of the tier that is or will be in force.
pub async fn load(executor: &Executor, tier: TierName) -> Result<State, CommandError> {
    let stream = executor.store().load(Category::of::<Tier>(), tier.as_str()).await?;
    Ok(state_of::<Tier>(&stream).clone())
}

/// What the tier means at `at`.
pub async fn in_force(executor: &Executor, tier: TierName, at: Timestamp) -> Result<Terms, CommandError> {
    let state = load(executor, tier).await?;
    state.in_force(at).cloned().ok_or_else(|| undefined(tier))
}

/// Every tier that was ever defined is in the log, and the platform defines all of them before it serves anything.
pub(crate) fn undefined(tier: TierName) -> CommandError {
    CommandError::Bug(format!("tier {tier} was never defined"))
}
