//! Shows a batch in the traces of the requests that its events came from. Knows no exporter.

use std::time::Duration;

use commands::ports::clock::SystemClock;
use commands::ports::{Clock, RecordedEvent};
use commands::trace;
use tracing::Span;

/// Larger batches are a catch-up, which belongs to no request.
const EVENTS_MAX: usize = 100;
/// Older events are a rebuild, whose traces were told long ago.
const AGE_MAX: Duration = Duration::from_secs(60);

/// A span for each trace that the events belong to; it lasts until it is dropped.
pub(crate) fn spans(projection: &'static str, events: &[RecordedEvent]) -> Vec<Span> {
    if events.len() > EVENTS_MAX {
        return vec![];
    }
    let now = SystemClock.now();
    let mut traces: Vec<(String, u64)> = vec![];
    for event in events.iter().filter(|event| now.since(event.recorded_at) < AGE_MAX) {
        let traceparent = event.metadata().ok().and_then(|metadata| metadata.traceparent);
        if let Some(traceparent) = traceparent.filter(|new| traces.iter().all(|(known, _)| known != new)) {
            traces.push((traceparent, event.position));
        }
    }
    let span = |(traceparent, position): &(String, u64)| {
        let span = tracing::info_span!("projection.apply", projection, event.position = position);
        trace::set_parent(&span, Some(traceparent));
        span
    };
    traces.iter().map(span).collect()
}
