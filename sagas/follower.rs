//! Follows the event log and keeps the agenda: what an event makes due is entered, what it ends is struck off.
//! Reads events only, no states, so that a page of a thousand costs one read and one write.

use std::collections::BTreeMap;

use commands::ports::agenda::{Change, ChangeKind};
use commands::ports::{RecordedEvent, SagaId};

use crate::process::Processes;

impl Processes {
    /// What a page of the log means for the agenda: the last word on each saga.
    pub fn changes(&self, page: &[RecordedEvent]) -> Vec<Change> {
        let mut changes = BTreeMap::new();
        for recorded in page {
            for process in self.iter().filter(|process| process.category().name == recorded.stream.category) {
                let Some(meaning) = process.meaning(recorded) else { continue };
                let saga = SagaId::new(process.kind(), &recorded.stream.id, meaning.object);
                let metadata = if meaning.kind == ChangeKind::Due { recorded.metadata().ok() } else { None };
                let change = Change { saga: saga.clone(), position: recorded.position, kind: meaning.kind, metadata };
                changes.insert(saga, change);
            }
        }
        changes.into_values().collect()
    }
}
