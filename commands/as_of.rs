//! Which position a moment means, and what a stream was at a position. Uses nothing but that `recorded_at` never goes
//! back along the log.

use domain::Timestamp;

use crate::ports::{EventStore, RecordedEvent, StoreError, StreamId};

/// Events of a stream that are read at once.
const PAGE: usize = 100;

/// The position of the last event recorded at or before `moment`, 0 if there is none.
pub async fn position_at(store: &dyn EventStore, moment: Timestamp) -> Result<u64, StoreError> {
    // The answer lies in low..=high.
    let (mut low, mut high) = (0, store.head().await?);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let event = store.read_all(middle - 1, 1).await?;
        match event.first() {
            Some(event) if event.recorded_at <= moment => low = middle,
            _ => high = middle - 1,
        }
    }
    Ok(low)
}

/// When the event at `position` was recorded; none before the first one.
pub async fn moment_of(store: &dyn EventStore, position: u64) -> Result<Option<Timestamp>, StoreError> {
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    Ok(store.read_all(before, 1).await?.first().map(|event| event.recorded_at))
}

/// The events of a stream at `position` or before, oldest first.
pub async fn events_up_to(
    store: &dyn EventStore,
    stream: &StreamId,
    position: u64,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut events: Vec<RecordedEvent> = vec![];
    loop {
        let version = events.last().map_or(0, |event| event.version);
        let page = store.read_stream(stream, version, PAGE).await?;
        let read = page.len();
        events.extend(page.into_iter().take_while(|event| event.position <= position));
        let behind = events.last().map_or(0, |event| event.version);
        if read < PAGE || behind < version + u64::try_from(read).unwrap_or(u64::MAX) {
            return Ok(events);
        }
    }
}
