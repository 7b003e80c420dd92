//! Watches what does not move: rows that stay due, rows that are stuck, and a log that nobody follows.
//! What is overdue is taken up by polling anyway; the watchdog makes sure that a person learns of it.

use commands::ports::Agenda;
use commands::ports::agenda::Census;
use domain::Timestamp;
use tokio::sync::watch;

use crate::interpreter::Interpreter;
use crate::runner::{SagaConfig, stop_ordered};

/// Since when the log lies ahead of the agenda without the agenda having moved.
#[derive(Debug, Default)]
struct Standstill {
    position: u64,
    since: Option<Timestamp>,
}

pub(crate) async fn watch(
    interpreter: &Interpreter,
    agenda: &dyn Agenda,
    config: &SagaConfig,
    mut stopped: watch::Receiver<bool>,
) {
    let mut standstill = Standstill::default();
    loop {
        tokio::select! {
            biased;
            () = stop_ordered(&mut stopped) => return,
            () = tokio::time::sleep(config.watch_every) => {}
        }
        let now = interpreter.now();
        let overdue_before = Timestamp::from_micros(
            now.as_micros().saturating_sub(i64::try_from(config.overdue_after.as_micros()).unwrap_or(i64::MAX)),
        );
        match (agenda.census(overdue_before).await, interpreter.store().head().await) {
            (Ok(census), Ok(head)) => {
                report(&census, head);
                if standstill.lasts(&census, head, now) > config.overdue_after {
                    tracing::error!(position = census.position, head, "nobody follows the log: no saga starts");
                }
            }
            (Err(error), _) => tracing::warn!(%error, "the sagas cannot be watched"),
            (_, Err(error)) => tracing::warn!(%error, "the sagas cannot be watched"),
        }
    }
}

fn report(census: &Census, head: u64) {
    for (state, rows) in [("running", census.running), ("waiting", census.waiting), ("stuck", census.stuck)] {
        metrics::gauge!("saga_agenda_rows", "state" => state).set(count(rows));
    }
    metrics::gauge!("saga_stuck").set(count(census.stuck + census.overdue));
    metrics::gauge!("saga_follower_lag_events").set(count(head.saturating_sub(census.position)));
    if census.overdue > 0 {
        tracing::error!(overdue = census.overdue, "sagas stay due without progress");
    }
}

/// Four thousand million is as alarming as more.
fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Standstill {
    fn lasts(&mut self, census: &Census, head: u64, now: Timestamp) -> std::time::Duration {
        if census.position >= head || census.position != self.position {
            *self = Standstill { position: census.position, since: None };
        }
        now.since(*self.since.get_or_insert(now))
    }
}
