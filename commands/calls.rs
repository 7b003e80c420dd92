//! Notes each call that goes out to a channel or bank while a saga works on an object. Who works on what is carried beside
//! the task, as a span is, so that an adapter that makes the call need not be told; a call that nobody works for (a job
//! that asks for payouts, a webhook that asks whose dispute it is) is not noted. Knows no protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::ports::channel_calls::{CallResult, ChannelCall};
use crate::ports::{ChannelCallLog, Clock};

/// Whom calls are made for, and where they are noted.
pub struct Caller {
    pub log: Arc<dyn ChannelCallLog>,
    pub clock: Arc<dyn Clock>,
    pub stream_id: String,
    pub step: &'static str,
    /// Counted from 1.
    pub attempt: u32,
}

struct Current {
    caller: Caller,
    made: AtomicU32,
}

tokio::task_local! {
    static CURRENT: Arc<Current>;
}

/// Everything that `work` calls is noted as called by `caller`; what it spawns is not.
pub async fn noted<T>(caller: Caller, work: impl Future<Output = T>) -> T {
    CURRENT.scope(Arc::new(Current { caller, made: AtomicU32::new(0) }), work).await
}

/// A call that begins now; none if nobody is noted for it. Dropped without its end it was given up.
#[must_use]
pub fn begin(called: String, operation: &str) -> Option<OpenCall> {
    let current = CURRENT.try_with(Arc::clone).ok()?;
    let number = current.made.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    let call = ChannelCall {
        stream_id: current.caller.stream_id.clone(),
        called,
        operation: operation.to_owned(),
        step: current.caller.step.to_owned(),
        attempt: current.caller.attempt,
        number,
        idempotency_key: None,
        request_id: None,
        started_at: current.caller.clock.now(),
        latency_ms: 0,
        result: CallResult::GivenUp,
    };
    Some(OpenCall { current, begun: Instant::now(), call })
}

/// A call that is not answered yet.
pub struct OpenCall {
    current: Arc<Current>,
    begun: Instant,
    call: ChannelCall,
}

impl OpenCall {
    pub fn under_key(&mut self, idempotency_key: &str) {
        self.call.idempotency_key = Some(idempotency_key.to_owned());
    }

    pub fn known_as(&mut self, request_id: &str) {
        self.call.request_id = Some(request_id.to_owned());
    }

    pub fn end(mut self, result: CallResult) {
        self.call.result = result;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let latency_ms = u32::try_from(self.begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        self.current.caller.log.note(ChannelCall { latency_ms, ..self.call.clone() });
    }
}
