//! Corrections of the books by two people. Each is decided together with the closed periods, so that none counts from
//! a time that was closed a moment before.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::adjustment::{Adjustment, AdjustmentRejection, Command, Delegated, Event, Propose};
use domain::merchant_account::MerchantAccount;
use domain::period::{self, Period};
use domain::{AdjustmentId, Decider, MerchantId, Timestamp, merchant_account};

use crate::executor::{CommandError, Executor, Issued};
use crate::merchant;
use crate::ports::request::DecideFn;
use crate::ports::{
    Category, Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state, state_of,
};

/// A proposal whose legs name a merchant that does not exist is none.
pub async fn propose(executor: &Executor, issued: Issued, propose: Propose) -> Result<Receipt, CommandError> {
    let adjustment_id = propose.adjustment_id;
    if let Err(error) = known_merchants(executor, &propose).await {
        let adjustment = StreamRef::new::<Adjustment>(adjustment_id.to_string(), Expected::New);
        return executor.refuse(issued, adjustment, error).await;
    }
    decide_on(executor, issued, adjustment_id, Expected::New, move |closed_until| {
        Command::Propose(Propose { closed_until, ..propose.clone() })
    })
    .await
}

/// `by` is a principal, not a key. What a merchant's account guards, it posts in the same entry.
pub async fn approve(
    executor: &Executor,
    issued: Issued,
    adjustment_id: AdjustmentId,
    by: String,
    at: Timestamp,
) -> Result<Receipt, CommandError> {
    let stream = executor.store().load(Category::of::<Adjustment>(), &adjustment_id.to_string()).await?;
    let record = state_of::<Adjustment>(&stream).record();
    let delegated = record.and_then(|record| record.proposal.delegated());
    let command = move |closed_until| Command::Approve { by: by.clone(), closed_until, at };
    match delegated {
        // One that was proposed in between might be for a merchant's account to post.
        None if record.is_none() => decide_on(executor, issued, adjustment_id, Expected::New, command).await,
        None => decide_on(executor, issued, adjustment_id, Expected::Any, command).await,
        Some(Delegated { holder, action }) => {
            let ask = merchant_account::Command { holder, action, at };
            decide_with_account(executor, issued, adjustment_id, ask, command).await
        }
    }
}

/// `by` is a principal, not a key.
pub async fn reject(
    executor: &Executor,
    issued: Issued,
    adjustment_id: AdjustmentId,
    by: String,
    at: Timestamp,
) -> Result<Receipt, CommandError> {
    let command = move |_| Command::Reject { by: by.clone(), at };
    decide_on(executor, issued, adjustment_id, Expected::Any, command).await
}

async fn known_merchants(executor: &Executor, propose: &Propose) -> Result<(), CommandError> {
    let merchants: BTreeSet<MerchantId> = propose.legs.iter().filter_map(|leg| leg.account.merchant()).collect();
    for merchant_id in merchants {
        if merchant::find(executor, merchant_id).await?.is_none() {
            let detail = format!("there is no merchant {merchant_id}");
            return Err(CommandError::ruled_out("unknown_account", "/legs", detail));
        }
    }
    Ok(())
}

async fn decide_on(
    executor: &Executor,
    issued: Issued,
    adjustment_id: AdjustmentId,
    expected: Expected,
    command: impl Fn(Option<Timestamp>) -> Command + Send + Sync + 'static,
) -> Result<Receipt, CommandError> {
    let streams = vec![
        StreamRef::new::<Adjustment>(adjustment_id.to_string(), expected),
        StreamRef::new::<Period>(period::STREAM, Expected::Any),
    ];
    let decide = move |states: &[StreamState]| match adjustment_events(states, &command) {
        Ok(events) => Decision::Append(events),
        Err(rejection) => Decision::Reject(rejection.into()),
    };
    execute(executor, issued, adjustment_id, streams, Arc::new(decide)).await
}

/// The account comes first: where entries are appended one after the other, an adjustment that does not say so yet is
/// approved again, and the account knows that it has posted it.
async fn decide_with_account(
    executor: &Executor,
    issued: Issued,
    adjustment_id: AdjustmentId,
    ask: merchant_account::Command,
    command: impl Fn(Option<Timestamp>) -> Command + Send + Sync + 'static,
) -> Result<Receipt, CommandError> {
    let streams = vec![
        StreamRef::new::<MerchantAccount>(ask.holder.stream_id(), Expected::Any),
        StreamRef::new::<Adjustment>(adjustment_id.to_string(), Expected::Any),
        StreamRef::new::<Period>(period::STREAM, Expected::Any),
    ];
    let decide = move |states: &[StreamState]| {
        let approved = match adjustment_events(&states[1..], &command) {
            Ok(events) => events,
            Err(rejection) => return Decision::Reject(rejection.into()),
        };
        if approved.is_empty() {
            return Decision::Append(approved);
        }
        match MerchantAccount::decide(nth_state::<MerchantAccount>(states, 0), ask.clone()) {
            Ok(posted) => {
                let effective_at = approved.iter().find_map(|event| event.effective_at);
                let posted = posted.into_iter().map(|event| NewEvent { effective_at, ..NewEvent::of(0, event) });
                let approved = approved.into_iter().map(|event| NewEvent { stream: 1, ..event });
                Decision::Append(posted.chain(approved).collect())
            }
            Err(rejection) => Decision::Reject(rejection.into()),
        }
    };
    execute(executor, issued, adjustment_id, streams, Arc::new(decide)).await
}

/// Decides on an adjustment and, behind it, the closed periods. What is posted counts from when it was proposed to.
fn adjustment_events(
    states: &[StreamState],
    command: impl Fn(Option<Timestamp>) -> Command,
) -> Result<Vec<NewEvent>, AdjustmentRejection> {
    let state = nth_state::<Adjustment>(states, 0);
    let closed_until = nth_state::<Period>(states, 1).closed_until();
    let effective_at = |event: &Event| match event {
        Event::Approved(_) => state.record().and_then(|record| record.proposal.effective_at),
        Event::Proposed(_) | Event::Rejected(_) => None,
    };
    let events = Adjustment::decide(state, command(closed_until))?.into_iter();
    Ok(events.map(|event| NewEvent { effective_at: effective_at(&event), ..NewEvent::of(0, event) }).collect())
}

async fn execute(
    executor: &Executor,
    issued: Issued,
    adjustment_id: AdjustmentId,
    streams: Vec<StreamRef>,
    decide: DecideFn,
) -> Result<Receipt, CommandError> {
    let request = Request {
        metadata: issued.metadata,
        fingerprint: issued.fingerprint,
        object: adjustment_id.to_string(),
        streams,
        decide,
    };
    executor.execute(request).await
}
