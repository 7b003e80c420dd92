//! Onboarding a merchant.

use std::sync::Arc;

use domain::merchant::{Command, Merchant, Terms};
use domain::{Decider, MerchantId};

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState};

pub async fn onboard(executor: &Executor, issued: Issued, terms: Terms) -> Result<Receipt, CommandError> {
    let merchant_id = terms.merchant_id;
    let decide = move |states: &[StreamState]| match states.first().and_then(StreamState::of::<Merchant>) {
        None => Decision::Append(vec![]),
        Some(state) => match Merchant::decide(state, Command::Onboard(terms.clone())) {
            Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
            Err(rejection) => Decision::Reject(rejection.into()),
        },
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
    Ok(stream.of::<Merchant>().and_then(|state| state.terms().cloned()))
}
