//! Onboarding a merchant.

use std::sync::Arc;

use domain::merchant::{Command, Merchant, Terms};
use domain::{Decider, MerchantId};

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state, state_of};

pub async fn onboard(executor: &Executor, issued: Issued, terms: Terms) -> Result<Receipt, CommandError> {
    let merchant_id = terms.merchant_id;
    let decide = move |states: &[StreamState]| match Merchant::decide(
        nth_state::<Merchant>(states, 0),
        Command::Onboard(terms.clone()),
    ) {
        Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
        Err(rejection) => Decision::Reject(rejection.into()),
    };
    let request = Request {
        metadata: issued.metadata,
        fingerprint: issued.fingerprint,
        object: merchant_id.to_string(),
        streams: vec![StreamRef::new::<Merchant>(merchant_id.to_string(), Expected::Any)],
        decide: Arc::new(decide),
    };
    executor.execute(request).await
}

/// The merchant's terms, or none if there is no such merchant.
pub async fn terms(executor: &Executor, merchant: MerchantId) -> Result<Option<Terms>, CommandError> {
    let category = crate::ports::Category::of::<Merchant>();
    let stream = executor.store().load(category, &merchant.to_string()).await?;
    Ok(state_of::<Merchant>(&stream).terms().cloned())
}
