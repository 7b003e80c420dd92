//! A folded stream with its aggregate's type erased, so that one store serves every aggregate.

use std::any::Any;
use std::sync::Arc;

use domain::{Decider, Timestamp};

use super::event::{RecordedEvent, StreamId, Unreadable};

/// A state or an event whose aggregate only its [`Category`] knows.
type Erased = dyn Any + Send + Sync;

/// A stream folded up to `version`; version 0 is a stream without events.
#[derive(Debug, Clone)]
pub struct StreamState {
    pub version: u64,
    /// When the event of that version was recorded.
    pub updated_at: Timestamp,
    state: Arc<Erased>,
}

impl StreamState {
    /// The aggregate's state; `None` if the stream belongs to another aggregate.
    pub fn of<D: Decider>(&self) -> Option<&D::State> {
        self.state.downcast_ref::<D::State>()
    }
}

/// The state of a stream that was loaded as one of `D`.
///
/// # Panics
/// If it is another aggregate's: a bug that must not pass for an empty stream. A store that decides a command answers
/// the panic as that command's failure.
pub fn state_of<D: Decider>(stream: &StreamState) -> &D::State {
    stream.of::<D>().unwrap_or_else(|| panic!("a stream was loaded as another aggregate than {}", D::CATEGORY))
}

/// The state of the `index`-th stream that a request names.
///
/// # Panics
/// As [`state_of`], and if the request names fewer streams.
pub fn nth_state<D: Decider>(streams: &[StreamState], index: usize) -> &D::State {
    state_of::<D>(streams.get(index).expect("a decision is given every stream that its request names"))
}

/// What a store must know of an aggregate: how its streams begin and how they fold.
#[derive(Debug, Clone, Copy)]
pub struct Category {
    pub name: &'static str,
    /// The newest event of a stream folds to the same state as all of them.
    pub newest_event_tells_all: bool,
    initial: fn() -> Arc<Erased>,
    evolve: fn(&Erased, &Erased) -> Option<Arc<Erased>>,
    decode: fn(&RecordedEvent) -> Result<Box<Erased>, Unreadable>,
}

impl Category {
    pub fn of<D: Decider>() -> Category {
        Category {
            name: D::CATEGORY,
            newest_event_tells_all: D::NEWEST_EVENT_TELLS_ALL,
            initial: || Arc::new(D::State::default()),
            evolve: |state, event| {
                let (state, event) = (state.downcast_ref::<D::State>()?, event.downcast_ref::<D::Event>()?);
                Some(Arc::new(D::evolve(state.clone(), event)))
            },
            decode: |recorded| Ok(Box::new(recorded.decode::<D::Event>()?)),
        }
    }

    pub fn stream(&self, id: impl Into<String>) -> StreamId {
        StreamId::new(self.name, id)
    }

    pub fn empty(&self) -> StreamState {
        StreamState { version: 0, updated_at: Timestamp::default(), state: (self.initial)() }
    }

    /// What `event` of a stream follows, for a fold that begins with it.
    pub fn before(&self, event: &RecordedEvent) -> StreamState {
        StreamState { version: event.version.saturating_sub(1), ..self.empty() }
    }

    /// The stream one event further.
    ///
    /// # Panics
    /// If the state or the event is another aggregate's: a bug that must not pass for an event without effect.
    pub fn apply(&self, stream: &StreamState, event: &Erased, recorded_at: Timestamp) -> StreamState {
        let state = (self.evolve)(stream.state.as_ref(), event);
        let state = state.unwrap_or_else(|| panic!("an event was applied to a {} that belongs to another", self.name));
        StreamState { version: stream.version + 1, updated_at: recorded_at, state }
    }

    /// The stream one stored event further.
    pub fn apply_recorded(&self, stream: &StreamState, event: &RecordedEvent) -> Result<StreamState, Unreadable> {
        Ok(self.apply(stream, (self.decode)(event)?.as_ref(), event.recorded_at))
    }
}
