//! Which streams a batch is decided on, and where they come from: the cache, one query for all that are cold, or the
//! word of the commands that create them.

use std::collections::HashMap;

use commands::ports::{Category, Expected, Receipt, Request, StreamId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::cache::StateCache;
use super::connection::Setback;
use super::locked;
use crate::event_store::batch::Streams;

/// What is believed without looking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trust {
    /// A stream is empty if its command says that it is new. The append proves it.
    NewStreams,
    Nothing,
}

pub(super) struct Needed {
    streams: Streams,
    missing: HashMap<StreamId, Category>,
    fresh: HashMap<StreamId, Category>,
}

impl Needed {
    /// The streams of those requests that are not `known` already.
    pub(super) fn of<'a>(
        requests: impl Iterator<Item = &'a Request>,
        known: &HashMap<Uuid, Receipt>,
        states: &StateCache,
        trust: Trust,
    ) -> Needed {
        let mut needed = Needed { streams: Streams::new(), missing: HashMap::new(), fresh: HashMap::new() };
        let undecided = requests.filter(|request| !known.contains_key(&request.command_id()));
        for reference in undecided.flat_map(|request| &request.streams) {
            let stream = &reference.stream;
            if needed.streams.contains_key(stream) {
                continue;
            }
            if let Some(state) = states.get(stream) {
                needed.streams.insert(stream.clone(), Ok(state));
            } else if reference.expected == Expected::New && trust == Trust::NewStreams {
                needed.fresh.insert(stream.clone(), reference.category);
            } else {
                needed.missing.insert(stream.clone(), reference.category);
            }
        }
        needed.fresh.retain(|stream, _| !needed.missing.contains_key(stream));
        needed
    }

    /// Every stream of the batch, and which of them were taken to be empty.
    pub(super) async fn load(mut self, connection: &mut PgConnection) -> Result<(Streams, Vec<StreamId>), Setback> {
        let loaded = locked::load(connection, self.missing.into_iter().collect()).await?;
        self.streams.extend(loaded);
        self.streams.extend(self.fresh.iter().map(|(stream, category)| (stream.clone(), Ok(category.empty()))));
        Ok((self.streams, self.fresh.into_keys().collect()))
    }
}
