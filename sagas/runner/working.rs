//! Works on what is due, so many at once: the fresh ones as they come, the rest as the agenda hands them out.

use std::collections::HashMap;

use commands::ports::SagaId;
use commands::ports::agenda::{ClaimedSaga, Settlement};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use super::{SagaRunner, stop_ordered};
use crate::interpreter::Pumped;

/// What this node works on now. A saga that is claimed once more meanwhile is let go of when the work on it has ended:
/// its row then says whether it is still due.
#[derive(Default)]
struct AtWork {
    sagas: HashMap<SagaId, Option<ClaimedSaga>>,
    pumps: JoinSet<SagaId>,
}

impl SagaRunner {
    pub(super) async fn work(&self, mut fresh: mpsc::Receiver<ClaimedSaga>, mut stopped: watch::Receiver<bool>) {
        let mut at_work = AtWork::default();
        let mut poll = tokio::time::interval(self.config.poll_every);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more_due = true;
        loop {
            let free = self.config.concurrency.saturating_sub(at_work.pumps.len());
            if more_due && free > self.config.concurrency / 4 {
                more_due = self.claim_due(&mut at_work, free).await;
            }
            tokio::select! {
                biased;
                () = stop_ordered(&mut stopped) => break,
                Some(claimed) = fresh.recv(), if free > 0 => self.start(&mut at_work, claimed),
                Some(ended) = at_work.pumps.join_next() => {
                    if let Some(claimed_again) = at_work.ended(ended) {
                        self.settle(&claimed_again, &Settlement::LetGo).await;
                        more_due = true;
                    }
                }
                _ = poll.tick() => more_due = true,
                () = self.wake.notified() => more_due = true,
            }
        }
        let finish = async { while at_work.pumps.join_next().await.is_some() {} };
        if tokio::time::timeout(self.config.stop_within, finish).await.is_err() {
            tracing::warn!("some sagas were still being worked on: they are taken up again");
        }
    }

    /// Starts on what is due; true if there may be more.
    async fn claim_due(&self, at_work: &mut AtWork, free: usize) -> bool {
        match self.agenda.claim_due(&self.claim(self.config.claim_for), free).await {
            Ok(claimed) => {
                let full = claimed.len() == free;
                for saga in claimed {
                    self.start(at_work, saga);
                }
                full
            }
            Err(error) => {
                tracing::warn!(%error, "what is due cannot be asked for");
                false
            }
        }
    }

    fn start(&self, at_work: &mut AtWork, claimed: ClaimedSaga) {
        let saga = claimed.saga.clone();
        if let Some(claimed_again) = at_work.sagas.get_mut(&saga) {
            *claimed_again = Some(claimed);
            return;
        }
        at_work.sagas.insert(saga.clone(), None);
        let runner = self.clone();
        at_work.pumps.spawn(async move {
            runner.pump(&claimed).await;
            saga
        });
    }

    async fn pump(&self, claimed: &ClaimedSaga) {
        let pumped = tokio::time::timeout(self.config.pump_for, self.interpreter.pump(claimed)).await;
        let settlement = match pumped {
            Ok(Pumped::ToItsEnd) => return,
            Ok(Pumped::Settled(settlement)) => settlement,
            Err(_) => Settlement::Postponed {
                until: self.interpreter.now(),
                error: format!("gave up after {} s", self.config.pump_for.as_secs()),
            },
        };
        self.settle(claimed, &settlement).await;
    }

    async fn settle(&self, claimed: &ClaimedSaga, settlement: &Settlement) {
        let by = self.claim(self.config.claim_for);
        if let Err(error) = self.agenda.settle(claimed, &by, settlement).await {
            tracing::warn!(saga.id = %claimed.saga, %error, "a saga's row was not updated: its claim lapses");
        }
    }
}

impl AtWork {
    /// The claim that came while the work went on, if one did.
    fn ended(&mut self, ended: Result<SagaId, JoinError>) -> Option<ClaimedSaga> {
        match ended {
            Ok(saga) => self.sagas.remove(&saga).flatten(),
            // A bug: which saga it was is not known here, so all may be claimed again; two pumps at once are harmless.
            Err(error) => {
                tracing::error!(%error, "work on a saga ended in a panic");
                self.sagas.clear();
                None
            }
        }
    }
}
