//! Closing a month of the books, by two people.

use std::sync::Arc;

use domain::Decider;
use domain::period::{Command, Month, Period, STREAM};

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state};

/// The first person's command asks for it, the second one's closes the month. `by` is a principal, not a key.
pub async fn close(
    executor: &Executor,
    issued: Issued,
    month: Month,
    by: String,
    at: domain::Timestamp,
) -> Result<Receipt, CommandError> {
    let decide = move |states: &[StreamState]| {
        let command = Command::Close { month, by: by.clone(), at };
        match Period::decide(nth_state::<Period>(states, 0), command) {
            Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
            Err(rejection) => Decision::Reject(rejection.into()),
        }
    };
    let request = Request {
        metadata: issued.metadata,
        fingerprint: issued.fingerprint,
        object: month.to_string(),
        streams: vec![StreamRef::new::<Period>(STREAM, Expected::Any)],
        decide: Arc::new(decide),
    };
    executor.execute(request).await
}
