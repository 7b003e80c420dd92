//! What a command came to: the object as of the command itself, or, for a caller who waits, as of its outcome. Both
//! are functions of the history, so a repeat is answered alike.

use std::time::Duration;

use commands::as_of;
use commands::ports::{Category, Receipt, RecordedEvent, StreamId, StreamState};
use domain::Decider;
use domain::payment::{Payment, Record};
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::problem::Problem;

const PAGE: usize = 100;
/// News of other streams wake a waiter too, so it rests between two looks: the longer it has waited, the longer.
const REST_MIN: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_millis(50);

/// The payment behind the command, as [`of_stream`].
pub async fn of(
    app: &App,
    receipt: &Receipt,
    wait: Option<Duration>,
    done: impl Fn(&Record) -> bool,
) -> Result<(StreamState, u64), Problem> {
    of_stream::<Payment>(app, receipt, wait, |state| state.record().is_some_and(&done)).await
}

/// The stream behind the command and the position of that state: folded until `done` for a caller who waits, unless
/// that does not come within `wait`.
pub async fn of_stream<D: Decider>(
    app: &App,
    receipt: &Receipt,
    wait: Option<Duration>,
    done: impl Fn(&D::State) -> bool,
) -> Result<(StreamState, u64), Problem> {
    let category = Category::of::<D>();
    let as_of_command = app.store().load_at(category, &receipt.stream.id, receipt.version).await?;
    let is_done = |stream: &StreamState| stream.of::<D>().is_some_and(&done);
    let Some(wait) = wait.filter(|_| !is_done(&as_of_command)) else {
        return Ok((as_of_command, receipt.position));
    };

    let deadline = Instant::now() + wait;
    let mut head = app.store().watch_head();
    let (mut latest, mut rest) = (as_of_command.clone(), REST_MIN);
    loop {
        head.mark_unchanged();
        for event in app.store().read_stream(&receipt.stream, latest.version, PAGE).await? {
            latest = apply(category, &latest, &event)?;
            if is_done(&latest) {
                return Ok((latest, event.position));
            }
        }
        let news = async {
            tokio::time::sleep(rest).await;
            head.changed().await
        };
        if !matches!(timeout_at(deadline, news).await, Ok(Ok(()))) {
            return Ok((as_of_command, receipt.position));
        }
        rest = (rest * 2).min(REST_MAX);
    }
}

/// A stream folded up to its last event at `position` or before.
pub async fn stream_at(app: &App, category: Category, id: &str, position: u64) -> Result<StreamState, Problem> {
    let events = events_up_to(app, &category.stream(id), position).await?;
    events.iter().try_fold(category.empty(), |state, event| apply(category, &state, event))
}

/// The events of a stream at `position` or before, oldest first.
pub async fn events_up_to(app: &App, stream: &StreamId, position: u64) -> Result<Vec<RecordedEvent>, Problem> {
    Ok(as_of::events_up_to(app.store().as_ref(), stream, position).await?)
}

fn apply(category: Category, state: &StreamState, event: &RecordedEvent) -> Result<StreamState, Problem> {
    category.apply_recorded(state, event).map_err(|error| Problem::internal(&error))
}
