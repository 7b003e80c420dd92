//! The one node that leads follows the log into the agenda and hands fresh work on without a detour.

use commands::ports::agenda::{Advanced, Change, ChangeKind, ClaimedSaga, Lead};
use commands::ports::{AgendaUnavailable, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{SagaRunner, stop_ordered};

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Agenda(#[from] AgendaUnavailable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SagaRunner {
    pub(super) async fn follow(&self, fresh: mpsc::Sender<ClaimedSaga>, mut stopped: watch::Receiver<bool>) {
        let mut head = self.interpreter.store().watch_head();
        let mut failing = false;
        while !*stopped.borrow() {
            let led = tokio::select! {
                biased;
                () = stop_ordered(&mut stopped) => return,
                led = self.follow_while_leading(&fresh, &mut head) => led,
            };
            match led {
                Ok(()) => failing = false,
                Err(error) if failing => tracing::debug!(%error, "the log still cannot be followed"),
                Err(error) => {
                    failing = true;
                    tracing::warn!(%error, "the log cannot be followed: sagas start late until it can");
                }
            }
            tokio::select! {
                biased;
                () = stop_ordered(&mut stopped) => return,
                () = tokio::time::sleep(self.config.lead_for / 3) => {}
            }
        }
    }

    /// Returns when another node has the lead.
    async fn follow_while_leading(
        &self,
        fresh: &mpsc::Sender<ClaimedSaga>,
        head: &mut watch::Receiver<u64>,
    ) -> Result<(), FollowError> {
        let (store, processes) = (self.interpreter.store(), self.interpreter.processes());
        let keep_every = self.config.lead_for / 3;
        while let Some(mut lead) = self.agenda.lead(&self.claim(self.config.lead_for)).await? {
            let mut kept_at = Instant::now();
            while kept_at.elapsed() < keep_every {
                head.mark_unchanged();
                let page = store.read_all(lead.position, self.config.page).await?;
                if let Some(last) = page.last() {
                    if !self.advance(&mut lead, last.position, &processes.changes(&page), fresh).await? {
                        return Ok(());
                    }
                    kept_at = Instant::now();
                } else {
                    let _ = tokio::time::timeout(keep_every, head.changed()).await;
                }
            }
        }
        Ok(())
    }

    /// Enters a page; false if another node leads by now.
    async fn advance(
        &self,
        lead: &mut Lead,
        to: u64,
        changes: &[Change],
        fresh: &mpsc::Sender<ClaimedSaga>,
    ) -> Result<bool, FollowError> {
        let claim = self.claim(self.config.claim_for);
        let keep_until = claim.now.plus(self.config.lead_for);
        let room = fresh.capacity();
        match self.agenda.advance(lead, to, changes, keep_until, &claim, room).await? {
            Advanced::Fenced => Ok(false),
            Advanced::To(claimed) => {
                lead.position = to;
                if claimed.len() < changes.iter().filter(|change| change.kind == ChangeKind::Due).count() {
                    self.wake.notify_one();
                }
                for saga in claimed {
                    // There is room: nobody else sends. Without a receiver the node is stopping and its claims go.
                    let _ = fresh.send(saga).await;
                }
                Ok(true)
            }
        }
    }
}
