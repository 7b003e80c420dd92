//! What is done about a difference. Where the books move with it, the channel's account posts in the same entry; where
//! another stream has a say, it is decided on with it.

use std::sync::Arc;

use domain::adjustment::{Adjustment, Phase};
use domain::channel_account::{self, ChannelAccount, DifferenceReason, ExceptionWrittenOff};
use domain::reconciliation_exception::{
    Command, Event, ExceptionRejection, Facts, ReconciliationException, Resolution, Resolve, State,
};
use domain::{AdjustmentId, ChannelName, Decider, ExceptionId};

use super::Reconciliations;
use crate::channel_account::true_up_fee;
use crate::executor::{CommandError, Issued};
use crate::ports::request::DecideFn;
use crate::ports::{
    Category, Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state, state_of,
};

impl Reconciliations {
    /// Says what is done about a difference. `by` is a principal, not a key.
    pub async fn resolve(
        &self,
        issued: Issued,
        exception_id: ExceptionId,
        resolution: Resolution,
        reason: String,
        by: String,
    ) -> Result<Receipt, CommandError> {
        if let Some(receipt) = self.payments.executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let Some(facts) = self.book.find_exception(exception_id).await? else {
            let stream = StreamRef::new::<ReconciliationException>(exception_id.to_string(), Expected::Any);
            let missing = CommandError::refused(ExceptionRejection::NotFound);
            return self.payments.executor.refuse(issued, stream, missing).await;
        };
        let counterpart = match &resolution {
            Resolution::Match { exception_id } => self.book.find_exception(*exception_id).await?,
            _ => None,
        };
        let resolve = Resolve { facts, resolution, counterpart, reason, by, at: self.payments.clock.now() };
        let (streams, decide) = plan(&resolve);
        if resolve.resolution == Resolution::TrueUp {
            self.true_up(&resolve).await?;
        }
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: exception_id.to_string(),
            streams,
            decide,
        };
        self.payments.executor.execute(request).await
    }

    /// The payment comes first: if the process dies behind it, the repeat finds its fee known.
    async fn true_up(&self, resolve: &Resolve) -> Result<(), CommandError> {
        let exception_id = resolve.facts.exception_id.to_string();
        let store = self.payments.executor.store();
        let stream = store.load(Category::of::<ReconciliationException>(), &exception_id).await?;
        let decided = decide(state_of::<ReconciliationException>(&stream), resolve);
        match (decided, resolve.facts.estimated_fee_of) {
            (Ok(events), Some((payment_id, fee))) if !events.is_empty() => {
                let issued = Issued::internally("reconciliation", &format!("true_up:{exception_id}"), &exception_id);
                true_up_fee(&self.payments, issued, payment_id, Some(fee)).await
            }
            _ => Ok(()),
        }
    }
}

fn decide(state: &State, resolve: &Resolve) -> Result<Vec<Event>, ExceptionRejection> {
    ReconciliationException::decide(state, Command::Resolve(Box::new(resolve.clone())))
}

/// The streams that have a say, in an order in which any prefix is safe, and how they are decided on.
fn plan(resolve: &Resolve) -> (Vec<StreamRef>, DecideFn) {
    let exception =
        |facts: &Facts| StreamRef::new::<ReconciliationException>(facts.exception_id.to_string(), Expected::Any);
    let own = exception(&resolve.facts);
    let resolve = resolve.clone();
    match (&resolve.resolution, &resolve.counterpart) {
        (Resolution::Adjust { adjustment_id }, _) => {
            let adjustment_id = *adjustment_id;
            let adjustment = StreamRef::new::<Adjustment>(adjustment_id.to_string(), Expected::Any);
            (vec![own, adjustment], Arc::new(move |states| with_adjustment(states, &resolve, adjustment_id)))
        }
        (Resolution::Match { .. }, Some(counterpart)) => {
            let other = exception(counterpart);
            (vec![own, other], Arc::new(move |states| with_other_side(states, &resolve)))
        }
        (Resolution::WriteOff { cause }, _) => {
            let (channel, cause) = (resolve.facts.counterparty.channel().cloned(), *cause);
            let Some(channel) = channel else {
                return (vec![own], Arc::new(move |states| alone(states, &resolve)));
            };
            let account = channel_account::stream_id(&channel, resolve.facts.currency);
            // The account comes before the exception: one that does not say so yet is written off again, and the account
            // knows that it was.
            let account = StreamRef::new::<ChannelAccount>(account, Expected::Any);
            (vec![account, own], Arc::new(move |states| with_account(states, &resolve, &channel, cause)))
        }
        _ => (vec![own], Arc::new(move |states| alone(states, &resolve))),
    }
}

fn append(stream: usize, events: Vec<Event>) -> impl Iterator<Item = NewEvent> {
    events.into_iter().map(move |event| NewEvent::of(stream, event))
}

fn alone(states: &[StreamState], resolve: &Resolve) -> Decision {
    match decide(nth_state::<ReconciliationException>(states, 0), resolve) {
        Ok(events) => Decision::Append(append(0, events).collect()),
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}

fn with_adjustment(states: &[StreamState], resolve: &Resolve, adjustment_id: AdjustmentId) -> Decision {
    let record = nth_state::<Adjustment>(states, 1).record();
    let is_approved = record.is_some_and(|record| {
        record.proposal.adjustment_id == adjustment_id && matches!(record.phase, Phase::Approved { .. })
    });
    match alone(states, resolve) {
        Decision::Append(events) if !events.is_empty() && !is_approved => {
            Decision::Reject(ExceptionRejection::AdjustmentNotApproved.into())
        }
        decision => decision,
    }
}

/// Both sides say the same of each other, or neither does.
fn with_other_side(states: &[StreamState], resolve: &Resolve) -> Decision {
    let Some(counterpart) = resolve.counterpart.clone() else { return alone(states, resolve) };
    let mirrored = Resolve {
        resolution: Resolution::Match { exception_id: resolve.facts.exception_id },
        counterpart: Some(resolve.facts.clone()),
        facts: counterpart,
        ..resolve.clone()
    };
    let own = decide(nth_state::<ReconciliationException>(states, 0), resolve);
    let other = decide(nth_state::<ReconciliationException>(states, 1), &mirrored);
    match (own, other) {
        (Ok(own), Ok(other)) => Decision::Append(append(0, own).chain(append(1, other)).collect()),
        (Err(rejection), _) | (_, Err(rejection)) => Decision::Reject(rejection.into()),
    }
}

fn with_account(states: &[StreamState], resolve: &Resolve, channel: &ChannelName, cause: DifferenceReason) -> Decision {
    let said = match decide(nth_state::<ReconciliationException>(states, 1), resolve) {
        Ok(events) => events,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    if !said.iter().any(|event| matches!(event, Event::Resolved(_))) {
        return Decision::Append(append(1, said).collect());
    }
    let written_off = ExceptionWrittenOff {
        exception_id: resolve.facts.exception_id,
        channel: channel.clone(),
        currency: resolve.facts.currency,
        amount: resolve.facts.amount,
        reason: cause,
        written_off_at: resolve.at,
    };
    let command = channel_account::Command::WriteOffException(written_off);
    match ChannelAccount::decide(nth_state::<ChannelAccount>(states, 0), command) {
        Ok(posted) => {
            let posted = posted.into_iter().map(|event| NewEvent::of(0, event));
            Decision::Append(posted.chain(append(1, said)).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}
