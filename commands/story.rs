//! The story of one object, in order: its events, the calls that went out for it, the webhooks that came in, what is still
//! due, and where its money went until it left for a bank. Read from the log and from what stands beside it; nothing is
//! ever decided on a story.

mod available;
mod gather;
#[cfg(test)]
mod tests;
mod trail;

use std::sync::Arc;

use domain::Timestamp;
use serde::Serialize;

pub use available::{Available, Flow, Mover};
pub use trail::{BatchShare, Released, Trail};

use crate::ports::channel_calls::ChannelCall;
use crate::ports::inbox::WebhookRecord;
use crate::ports::{
    Agenda, BatchParts, ChannelCallLog, EventStore, RecordedEvent, SagaStatus, StreamId, Unreadable, WebhookInbox,
};

/// Where stories are read from. Cheap to clone.
#[derive(Clone)]
pub struct Storyteller {
    pub store: Arc<dyn EventStore>,
    pub calls: Arc<dyn ChannelCallLog>,
    pub inbox: Arc<dyn WebhookInbox>,
    pub agenda: Arc<dyn Agenda>,
    pub batches: Arc<dyn BatchParts>,
}

/// How far a story goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The object's own stream, and what went out and came in about it.
    Itself,
    /// Further to everything that its money went through: captures, disputes, settlements, withdrawals.
    Money,
}

#[derive(Debug, Clone)]
pub struct Story {
    pub subject: StreamId,
    /// By time, then by position.
    pub happenings: Vec<Happening>,
    /// What sagas still have to do, soonest first; of the present only.
    pub due: Vec<SagaStatus>,
    pub trails: Vec<Trail>,
    /// What a withdrawal was made of, by the same rule.
    pub made_of: Vec<Flow>,
}

#[derive(Debug, Clone)]
pub enum Happening {
    Event(Box<RecordedEvent>),
    Call(Box<ChannelCall>),
    Webhook(Box<WebhookRecord>),
}

impl Happening {
    pub fn at(&self) -> Timestamp {
        match self {
            Happening::Event(event) => event.recorded_at,
            Happening::Call(call) => call.started_at,
            Happening::Webhook(webhook) => webhook.received_at,
        }
    }

    /// What goes out or comes in leads to events, so it stands before those of the same moment.
    fn key(&self) -> (Timestamp, u64) {
        let position = match self {
            Happening::Event(event) => event.position,
            Happening::Call(_) | Happening::Webhook(_) => 0,
        };
        (self.at(), position)
    }
}

impl Story {
    /// The subject's own events.
    pub fn own_events(&self) -> Vec<RecordedEvent> {
        let events = self.events();
        let mut own: Vec<_> = events.filter(|event| event.stream == self.subject).cloned().collect();
        own.sort_by_key(|event| event.version);
        own
    }

    pub fn events(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.happenings.iter().filter_map(|happening| match happening {
            Happening::Event(event) => Some(event.as_ref()),
            Happening::Call(_) | Happening::Webhook(_) => None,
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    #[error("not available: {0}")]
    Unavailable(String),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Something that is kept beside the log is not what this program writes.
    #[error("what is kept beside the log is damaged: {0}")]
    Damaged(String),
}

/// An amount of one account's money that went from here to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Portion {
    #[serde(flatten)]
    pub mover: Mover,
    /// Minor units.
    pub amount: i64,
}
