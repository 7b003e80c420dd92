//! Corrections of the books by two people. Each is decided together with the closed periods, so that none counts from
//! a time that was closed a moment before.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::adjustment::{Adjustment, Command, Event, Propose, State};
use domain::period::{self, Period};
use domain::{AdjustmentId, Decider, MerchantId, Timestamp};

use crate::executor::{CommandError, Executor, Issued};
use crate::merchant;
use crate::ports::{Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state};

/// A proposal whose legs name a merchant that does not exist is none.
pub async fn propose(executor: &Executor, issued: Issued, propose: Propose) -> Result<Receipt, CommandError> {
    if let Err(error) = known_merchants(executor, &propose).await {
        // What was proposed once is answered from history, whatever is known by now.
        return executor.replay(&issued).await?.ok_or(error);
    }
    let adjustment_id = propose.adjustment_id;
    decide_on(executor, issued, adjustment_id, Expected::New, move |closed_until| {
        Command::Propose(Propose { closed_until, ..propose.clone() })
    })
    .await
}

/// `by` is a principal, not a key.
pub async fn approve(
    executor: &Executor,
    issued: Issued,
    adjustment_id: AdjustmentId,
    by: String,
    at: Timestamp,
) -> Result<Receipt, CommandError> {
    let command = move |closed_until| Command::Approve { by: by.clone(), closed_until, at };
    decide_on(executor, issued, adjustment_id, Expected::Any, command).await
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
            return Err(CommandError::Invalid {
                code: "unknown_account",
                pointer: "/legs",
                detail: format!("there is no merchant {merchant_id}"),
            });
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
    let decide = move |states: &[StreamState]| {
        let state = nth_state::<Adjustment>(states, 0);
        let closed_until = nth_state::<Period>(states, 1).closed_until();
        match Adjustment::decide(state, command(closed_until)) {
            Ok(events) => Decision::Append(events.into_iter().map(|event| new_event(state, event)).collect()),
            Err(rejection) => Decision::Reject(rejection.into()),
        }
    };
    let request = Request {
        metadata: issued.metadata,
        fingerprint: issued.fingerprint,
        object: adjustment_id.to_string(),
        streams: vec![
            StreamRef::new::<Adjustment>(adjustment_id.to_string(), expected),
            StreamRef::new::<Period>(period::STREAM, Expected::Any),
        ],
        decide: Arc::new(decide),
    };
    executor.execute(request).await
}

/// What is posted counts from when it was proposed to.
fn new_event(state: &State, event: Event) -> NewEvent {
    let effective_at = match &event {
        Event::Approved(_) => state.record().and_then(|record| record.proposal.effective_at),
        Event::Proposed(_) | Event::Rejected(_) => None,
    };
    NewEvent { effective_at, ..NewEvent::of(0, event) }
}
