//! What this process knows of how far each projection has got, so that a waiting query wakes at once. A hint only:
//! what a query may rely on is the checkpoint that it reads in its own snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Mutex, watch};

use crate::Projection;
use crate::generation::readable_position;

/// How often a checkpoint is read while somebody waits and no runner of this process tells.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(50);

/// Cheap to clone; the runner and the reader of one process share it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    tracks: Arc<parking_lot::Mutex<BTreeMap<&'static str, Arc<Track>>>>,
}

#[derive(Debug, Default)]
struct Track {
    position: watch::Sender<u64>,
    /// Held by the one waiter that polls for all of them.
    polling: Mutex<()>,
}

impl Progress {
    pub(crate) fn publish(&self, name: &'static str, position: u64) {
        self.track(name).position.send_replace(position);
    }

    /// What is believed now.
    pub(crate) fn known(&self, name: &'static str) -> u64 {
        *self.track(name).position.borrow()
    }

    /// Corrects a belief that was held `before` the checkpoint was read, unless somebody knows better by now.
    pub(crate) fn correct(&self, name: &'static str, before: u64, read: u64) {
        self.track(name).correct(before, read);
    }

    /// Returns once `projection` is believed to have reached `position`.
    pub(crate) async fn reached(&self, pool: &PgPool, projection: &dyn Projection, position: u64) {
        let track = self.track(projection.name());
        let mut known = track.position.subscribe();
        tokio::select! {
            _ = known.wait_for(|known| *known >= position) => {}
            () = poll(pool, projection, &track, position) => {}
        }
    }

    fn track(&self, name: &'static str) -> Arc<Track> {
        self.tracks.lock().entry(name).or_default().clone()
    }
}

impl Track {
    fn correct(&self, before: u64, read: u64) {
        self.position.send_if_modified(|known| {
            let changed = *known == before && *known != read;
            if changed {
                *known = read;
            }
            changed
        });
    }
}

/// Reads the checkpoint of a runner elsewhere. One waiter does so at a time; what it learns, all of them learn.
async fn poll(pool: &PgPool, projection: &dyn Projection, track: &Track, position: u64) {
    let _turn = track.polling.lock().await;
    loop {
        let before = *track.position.borrow();
        if let Ok(Some(stored)) = readable_position(pool, projection).await {
            track.correct(before, stored);
            if stored >= position {
                return;
            }
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
