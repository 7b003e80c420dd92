//! Closes batches. A run is noted under its key with the position that it settles up to, so a repeat closes the same
//! windows; a window's batch has one id for ever, and the account closes it once, whoever comes and how often.

use std::collections::HashMap;
use std::sync::Arc;

use domain::merchant_account::{
    Action, CloseSettlement, Command, Event, Holder, MerchantAccount, MerchantAccountRejection, Window,
};
use domain::settlement::{self, Closed, Settlement, Tally, last_cut_off, release_due};
use domain::{Decider, Rejection, SettlementId, Timestamp};
use parking_lot::Mutex;

use super::terms::{SettlementTerms, terms};
use super::{Scope, Settlements};
use crate::as_of::position_at;
use crate::executor::{CommandError, Issued};
use crate::ports::{Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state};

/// Whoever settles when it is time, and not because a person asked.
const SCHEDULE: &str = "schedule:settlement";
/// The stream that runs are noted under; it never has any event.
const RUNS: &str = "runs";

/// What a run was noted as: it settles everything up to `receipt.position`.
#[derive(Debug, Clone)]
pub struct Run {
    pub receipt: Receipt,
    /// Closed by this go at it; a repeat finds them closed.
    pub closed: Vec<SettlementId>,
}

/// Where a batch ends, and the moment that it stands for.
#[derive(Debug, Clone, Copy)]
struct CutOff {
    position: u64,
    at: Timestamp,
}

/// Accounts that this process found with nothing open at a cut-off. The log up to a moment that has passed stays as it
/// is, so there is no need to look again before the next one.
#[derive(Debug, Default)]
pub struct Idle(Mutex<HashMap<Holder, Timestamp>>);

impl Idle {
    fn has(&self, holder: Holder, cut_off_at: Timestamp) -> bool {
        self.0.lock().get(&holder) == Some(&cut_off_at)
    }

    fn note(&self, holder: Holder, cut_off_at: Timestamp) {
        self.0.lock().insert(holder, cut_off_at);
    }
}

impl Settlements {
    /// Closes what has come in up to now, for whoever asks, and releases what is due at once. If it is cut short, its
    /// repeat goes on with it.
    pub async fn run(&self, issued: Issued, scope: Scope) -> Result<Run, CommandError> {
        let (actor, correlation) = (issued.metadata.actor.clone(), issued.metadata.correlation_id.clone());
        let receipt = self.executor.execute(note(issued)).await?;
        let cut_off = CutOff { position: receipt.position, at: self.clock.now() };
        let mut closed = vec![];
        for holder in self.holders(scope, receipt.position).await? {
            let terms = terms(&self.executor, holder, cut_off.at).await?;
            let asked = (actor.as_str(), correlation.as_str());
            closed.extend(self.close(holder, &terms, cut_off, asked).await?);
        }
        for settlement_id in &closed {
            // Whatever is not due, or waits for a person, is the saga's.
            let issued = Issued::internally(&actor, &format!("{settlement_id}:release"), &correlation);
            self.release(issued, *settlement_id).await?;
        }
        Ok(Run { receipt, closed })
    }

    /// Closes every account whose cut-off has come since its last batch, at exactly that cut-off, however late this is.
    pub async fn settle_due(&self, now: Timestamp, idle: &Idle) -> Result<Vec<SettlementId>, CommandError> {
        let store = self.executor.store();
        let (mut closed, mut positions) = (vec![], HashMap::new());
        for holder in self.holders(Scope::default(), store.head().await?).await? {
            let terms = terms(&self.executor, holder, now).await?;
            let Some(at) = last_cut_off(&terms.calendar, terms.cycle, now) else { continue };
            if idle.has(holder, at) {
                continue;
            }
            if self.account(holder).await?.last_window.is_none_or(|last| last.cut_off_at < at) {
                let position = match positions.get(&at) {
                    Some(position) => *position,
                    None => position_at(store.as_ref(), at).await?,
                };
                positions.insert(at, position);
                let correlation = format!("settlement-{at}");
                let of_account = self.close(holder, &terms, CutOff { position, at }, (SCHEDULE, &correlation)).await?;
                if !of_account.is_empty() {
                    closed.extend(of_account);
                    continue;
                }
            }
            idle.note(holder, at);
        }
        Ok(closed)
    }

    async fn holders(&self, scope: Scope, position: u64) -> Result<Vec<Holder>, CommandError> {
        let holders = self.activity.holders(scope.merchant_id, scope.currency, position).await;
        holders.map_err(|error| CommandError::Unavailable(error.to_string()))
    }

    /// Closes one account up to the cut-off, in as many batches as its money needs; none if nothing happened, or if
    /// somebody else closed it. A batch that is refused is an error in the log and no reason to settle nobody else.
    async fn close(
        &self,
        holder: Holder,
        terms: &SettlementTerms,
        cut_off: CutOff,
        asked: (&str, &str),
    ) -> Result<Vec<SettlementId>, CommandError> {
        let mut closed = vec![];
        loop {
            let from = self.account(holder).await?.cut_off();
            if from >= cut_off.position {
                return Ok(closed);
            }
            let tally = self.activity.tally(holder, from, cut_off.position).await;
            let tally = tally.map_err(|error| CommandError::Unavailable(error.to_string()))?;
            if tally.items == 0 {
                return Ok(closed);
            }
            let window = match tally.cut_short(cut_off.position) {
                None => Window { from, to: cut_off.position, cut_off_at: cut_off.at },
                Some(to) => Window { from, to, cut_off_at: self.recorded_at(to).await? },
            };
            let batch = self.close_window(holder, terms, (window, cut_off), &tally, asked).await?;
            let Some(settlement_id) = batch else { return Ok(closed) };
            closed.push(settlement_id);
            if window.to == cut_off.position {
                return Ok(closed);
            }
        }
    }

    /// The moment that a position of the log stands for.
    async fn recorded_at(&self, position: u64) -> Result<Timestamp, CommandError> {
        let events = self.executor.store().read_all(position.saturating_sub(1), 1).await?;
        let event = events.first().filter(|event| event.position == position);
        let missing = || CommandError::Bug(format!("the books know a position that the log has not: {position}"));
        event.map(|event| event.recorded_at).ok_or_else(missing)
    }

    async fn close_window(
        &self,
        holder: Holder,
        terms: &SettlementTerms,
        (window, cut_off): (Window, CutOff),
        tally: &Tally,
        (actor, correlation): (&str, &str),
    ) -> Result<Option<SettlementId>, CommandError> {
        let settlement_id = SettlementId::of_window(holder.merchant_id, holder.currency.code(), window.from);
        let asked_by = (actor != SCHEDULE).then(|| actor.to_owned());
        // A refusal is kept for this window alone: a later one, with another end, is decided anew.
        let issued = Issued::internally(actor, &format!("{settlement_id}:close:{}", window.to), correlation);
        let due = release_due(&terms.calendar, terms.cycle, cut_off.at);
        let request = self.close_request(issued, holder, (terms, due), window, tally, asked_by);
        let receipt = self.executor.execute(request).await?;
        match &receipt.rejection {
            None => Ok(Some(settlement_id)),
            Some(rejection) if rejection.code == MerchantAccountRejection::WindowClosed.code() => Ok(None),
            Some(rejection) => {
                tracing::error!(settlement.id = %settlement_id, code = rejection.code, "a batch was not closed");
                Ok(None)
            }
        }
    }

    /// The batch and its workflow, in one entry.
    fn close_request(
        &self,
        issued: Issued,
        holder: Holder,
        (terms, due): (&SettlementTerms, Timestamp),
        window: Window,
        tally: &Tally,
        asked_by: Option<String>,
    ) -> Request {
        let settlement_id = SettlementId::of_window(holder.merchant_id, holder.currency.code(), window.from);
        let action = Action::CloseSettlement(CloseSettlement {
            window,
            net: tally.net,
            gross_captured: tally.gross_captured,
            items: tally.items,
            items_digest: tally.digest(),
            reserve: terms.reserve,
        });
        let command = Command { holder, action, at: self.clock.now() };
        let needs_approval = tally.net > i128::from(terms.approval_threshold);
        let decide = move |states: &[StreamState]| {
            let batch = match MerchantAccount::decide(nth_state::<MerchantAccount>(states, 0), command.clone()) {
                Ok(events) => events,
                Err(rejection) => return Decision::Reject(rejection.into()),
            };
            let mut workflow = vec![];
            for event in &batch {
                let Event::SettlementClosed(closed) = event else { continue };
                let closed = Closed::of(closed, needs_approval, due, asked_by.clone());
                let command = settlement::Command::Close(closed);
                match Settlement::decide(nth_state::<Settlement>(states, 1), command) {
                    Ok(events) => workflow.extend(events),
                    Err(rejection) => return Decision::Reject(rejection.into()),
                }
            }
            let batch = batch.into_iter().map(|event| NewEvent::of(0, event));
            Decision::Append(batch.chain(workflow.into_iter().map(|event| NewEvent::of(1, event))).collect())
        };
        Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: settlement_id.to_string(),
            streams: vec![
                StreamRef::new::<MerchantAccount>(holder.stream_id(), Expected::Any),
                StreamRef::new::<Settlement>(settlement_id.to_string(), Expected::Any),
            ],
            decide: Arc::new(decide),
        }
    }
}

fn note(issued: Issued) -> Request {
    Request {
        metadata: issued.metadata,
        fingerprint: issued.fingerprint,
        object: RUNS.to_owned(),
        streams: vec![StreamRef::new::<Settlement>(RUNS, Expected::Any)],
        decide: Arc::new(|_| Decision::Append(vec![])),
    }
}
