//! What happened in one world, for people: kept only where somebody will read it.

use std::fmt::Write;
use std::sync::Arc;

use commands::ports::{Clock, RecordedEvent};
use domain::Timestamp;
use parking_lot::Mutex;

use crate::weather::VirtualClock;

type Line = (Timestamp, String);

/// Clones write into one trace.
#[derive(Clone)]
pub struct Trace {
    clock: VirtualClock,
    lines: Option<Arc<Mutex<Vec<Line>>>>,
}

impl Trace {
    pub fn new(clock: VirtualClock, is_read: bool) -> Trace {
        Trace { clock, lines: is_read.then(Arc::default) }
    }

    pub fn note(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            lines.lock().push((self.clock.now(), line()));
        }
    }

    /// The notes and the log side by side, in the order of their times.
    pub fn with(&self, log: &[RecordedEvent]) -> String {
        let Some(lines) = &self.lines else { return String::new() };
        let mut lines = lines.lock().clone();
        let event = |event: &RecordedEvent| {
            (event.recorded_at, format!("{:>5} {} v{}  {}", event.position, event.stream, event.version, event.payload))
        };
        lines.extend(log.iter().map(event));
        lines.sort_by_key(|(at, _)| *at);
        lines.iter().fold(String::new(), |mut text, (at, line)| {
            let _ = writeln!(text, "{at} {line}");
            text
        })
    }
}
