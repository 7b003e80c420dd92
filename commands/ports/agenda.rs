//! What the sagas have left to do: a durable row for each that is not finished, and how far the log was followed.
//! It is a to-do list, never the truth: the stream of what a saga drives says what is due, so a row too many does no harm.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use domain::Timestamp;
use serde::{Serialize, Serializer};

use super::event::Metadata;

/// - One node at a time leads: it follows the log and enters what is due. The lease is fenced by its epoch.
/// - Any node claims what is due and works on it; a dead node's claims lapse. Two nodes on one saga are harmless.
/// - Times come in with the calls; the adapter reads no clock.
#[async_trait]
pub trait Agenda: Send + Sync {
    /// Takes the lead, or keeps it, until `claim.until`; `None` while another node has it.
    async fn lead(&self, claim: &Claim) -> Result<Option<Lead>, AgendaUnavailable>;

    /// Enters a page's changes, moves the checkpoint from `lead.position` to `to` and keeps the lead, all or nothing.
    /// Of the first `claim_at_most` that are due, those that are entered anew are claimed at once. What is due by an
    /// event that is not newer than its row does nothing.
    async fn advance(
        &self,
        lead: &Lead,
        to: u64,
        changes: &[Change],
        keep_until: Timestamp,
        claim: &Claim,
        claim_at_most: usize,
    ) -> Result<Advanced, AgendaUnavailable>;

    /// Claims what is due and not claimed, longest due first, at most `limit`.
    async fn claim_due(&self, claim: &Claim, limit: usize) -> Result<Vec<ClaimedSaga>, AgendaUnavailable>;

    /// Says how work on a claimed saga ended. Without effect once another node has claimed it.
    async fn settle(&self, claimed: &ClaimedSaga, by: &Claim, end: &Settlement) -> Result<(), AgendaUnavailable>;

    /// Gives up this node's lead and claims, so that others need not wait for them to lapse.
    async fn leave(&self, node: &str) -> Result<(), AgendaUnavailable>;

    /// Makes everything of one stream due now; how many rows that were.
    async fn hasten(&self, stream_id: &str, now: Timestamp) -> Result<u64, AgendaUnavailable>;

    /// Makes one saga due now as if for the first time, and by hand: what is too early is tried all the same. False if
    /// there is none.
    async fn retry(&self, saga_id: &str, now: Timestamp) -> Result<bool, AgendaUnavailable>;

    async fn find(&self, saga_id: &str) -> Result<Option<SagaStatus>, AgendaUnavailable>;

    /// In one state or in any, soonest due first, at most `limit`.
    async fn list(&self, state: Option<SagaState>, limit: usize) -> Result<Vec<SagaStatus>, AgendaUnavailable>;

    /// How many rows are in each state, and how many have been due since before `overdue_before`.
    async fn census(&self, overdue_before: Timestamp) -> Result<Census, AgendaUnavailable>;
}

/// One saga: its kind, the stream that says what it has left to do, and the object of that stream that it drives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SagaId {
    /// `payment`, `refund`, ...
    pub kind: Cow<'static, str>,
    pub stream_id: String,
    /// The text of its id, as unique as its prefix makes it: the saga is known to people by it.
    pub object: String,
}

impl SagaId {
    pub fn new(kind: impl Into<Cow<'static, str>>, stream_id: impl Into<String>, object: impl Into<String>) -> SagaId {
        SagaId { kind: kind.into(), stream_id: stream_id.into(), object: object.into() }
    }
}

/// The id of what the saga drives: `pay_...`, `re_...`.
impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)
    }
}

impl Serialize for SagaId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaState {
    /// Due, or being worked on.
    Running,
    /// Comes back at its time.
    Waiting,
    /// Has alerted: a person should look. It still comes back at its time.
    Stuck,
}

impl SagaState {
    pub const ALL: [SagaState; 3] = [SagaState::Running, SagaState::Waiting, SagaState::Stuck];

    pub fn as_str(&self) -> &'static str {
        match self {
            SagaState::Running => "running",
            SagaState::Waiting => "waiting",
            SagaState::Stuck => "stuck",
        }
    }
}

impl FromStr for SagaState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        SagaState::ALL.into_iter().find(|state| state.as_str() == text).ok_or("must be running, waiting or stuck")
    }
}

/// A node's hold on something, from `now` to `until`.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Different for each process, also after a restart.
    pub node: String,
    pub now: Timestamp,
    pub until: Timestamp,
}

/// The right to follow the log, and how far it was followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    pub epoch: u64,
    pub position: u64,
}

/// What an event of the log means for a saga.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub saga: SagaId,
    /// Of the event.
    pub position: u64,
    pub kind: ChangeKind,
    /// Of the event: what the saga does goes into the same trace.
    pub metadata: Option<Metadata>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Due,
    /// Nothing is left to do, for good.
    Finished,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Advanced {
    /// The checkpoint moved; these rows are claimed.
    To(Vec<ClaimedSaga>),
    /// Another node leads, or the checkpoint was elsewhere: nothing was changed.
    Fenced,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedSaga {
    pub saga: SagaId,
    /// How often the present step was tried in vain.
    pub attempts: u32,
    /// Changes whenever somebody makes the row due.
    pub revision: u64,
    /// A person asked for the next try, which is made even if it is too early.
    pub by_hand: bool,
    /// Of the event that made it due, where it is at hand.
    pub metadata: Option<Metadata>,
}

impl ClaimedSaga {
    /// Entered and claimed in one go.
    pub fn anew(change: &Change) -> ClaimedSaga {
        let (saga, metadata) = (change.saga.clone(), change.metadata.clone());
        ClaimedSaga { saga, attempts: 0, revision: 1, by_hand: false, metadata }
    }
}

/// How work on a saga ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    Finished,
    /// Unless it was made due meanwhile, it comes back at `due_at`. `error` carries no secret.
    ComeBack {
        state: SagaState,
        due_at: Timestamp,
        attempts: u32,
        error: Option<String>,
    },
    /// Nothing was done: only the claim is given up.
    LetGo,
    /// Our own side failed: it stays due, but nobody takes it before `until`.
    Postponed {
        until: Timestamp,
        error: String,
    },
}

/// A row as people see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SagaStatus {
    pub saga_id: SagaId,
    pub kind: Cow<'static, str>,
    /// What it says is left to do is found in this stream.
    pub stream_id: String,
    pub state: SagaState,
    pub due_at: Timestamp,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub claimed_by: Option<String>,
    pub claimed_until: Option<Timestamp>,
    /// Of the event that made it due.
    pub position: u64,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    pub running: u64,
    pub waiting: u64,
    pub stuck: u64,
    /// Due for too long, whatever the state.
    pub overdue: u64,
    /// How far the log was followed.
    pub position: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sagas' agenda is not available: {0}")]
pub struct AgendaUnavailable(pub String);
