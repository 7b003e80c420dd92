//! Learns of what other processes append: by notification, and by asking now and then in case one got lost.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::append::CHANNEL;
use super::connection::backoff;
use super::rows;

/// A server that says nothing for so long is taken to be gone, although the connection looks alive.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Starts a task with a connection of its own that moves `head` forward until it is aborted.
pub(super) fn spawn(options: &PgConnectOptions, head: watch::Sender<u64>, poll_every: Duration) -> AbortHandle {
    let options = options.clone().application_name("payledger follower");
    tokio::spawn(async move {
        let mut waits = backoff();
        loop {
            if let Err(error) = follow(&options, &head, poll_every, || waits = backoff()).await {
                tracing::debug!(%error, "the follower of the log connects again");
            }
            tokio::time::sleep(waits.next().unwrap_or(poll_every)).await;
        }
    })
    .abort_handle()
}

/// Returns when the connection fails. `connected` is called once it listens.
async fn follow(
    options: &PgConnectOptions,
    head: &watch::Sender<u64>,
    poll_every: Duration,
    connected: impl FnOnce(),
) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    connected();
    loop {
        // Asked after LISTEN took effect and after each silence, so nothing falls between the two.
        let newest = sqlx::query_scalar(rows::NEWEST_POSITION).fetch_one(&mut listener);
        match tokio::time::timeout(ANSWER_WITHIN, newest).await {
            Ok(newest) => advance(head, newest?),
            Err(_) => return Ok(()),
        }
        while let Ok(notification) = tokio::time::timeout(poll_every, listener.try_recv()).await {
            let Some(notification) = notification? else { return Ok(()) };
            advance(head, notification.payload().parse().unwrap_or_default());
        }
    }
}

fn advance(head: &watch::Sender<u64>, position: i64) {
    move_to(head, u64::try_from(position).unwrap_or_default());
}

/// Tells the head to those who wait for it, unless they know of a newer one.
pub(super) fn move_to(head: &watch::Sender<u64>, position: u64) {
    head.send_if_modified(|known| {
        let newer = position > *known;
        *known = position.max(*known);
        newer
    });
}
