//! Runs the sagas of one node: follows the log while it leads, works on what is due, watches for what does not move.
//! Several nodes may run; one that dies anywhere is taken over once its claims lapse.

mod following;
mod working;

use std::sync::Arc;
use std::time::Duration;

use commands::payment::Payments;
use commands::ports::agenda::{Claim, ClaimedSaga};
use commands::ports::{Agenda, AgendaUnavailable};
use tokio::sync::{Notify, mpsc, watch};

use crate::interpreter::{Interpreter, Patience};
use crate::{UseCases, watchdog};

#[derive(Debug, Clone)]
pub struct SagaConfig {
    /// How many sagas are worked on at once.
    pub concurrency: usize,
    /// Events that are followed in one go.
    pub page: usize,
    /// How long a lead lasts that is not kept: what a takeover waits for.
    pub lead_for: Duration,
    /// How long a claim on a saga lasts: what a dead node's sagas wait for.
    pub claim_for: Duration,
    /// How often the agenda is asked for what is due.
    pub poll_every: Duration,
    pub watch_every: Duration,
    /// Due for longer than this without progress alerts.
    pub overdue_after: Duration,
    /// One go at a saga that takes longer is given up and comes back.
    pub pump_for: Duration,
    /// What is being worked on may go on for so long after the order to stop.
    pub stop_within: Duration,
    pub patience: Patience,
}

impl Default for SagaConfig {
    fn default() -> Self {
        SagaConfig {
            concurrency: 256,
            page: 1_000,
            lead_for: Duration::from_secs(3),
            claim_for: Duration::from_secs(10),
            poll_every: Duration::from_millis(500),
            watch_every: Duration::from_secs(10),
            overdue_after: Duration::from_secs(60),
            pump_for: Duration::from_secs(60),
            stop_within: Duration::from_secs(5),
            patience: Patience::default(),
        }
    }
}

/// Cheap to clone; `run` it once for each node.
#[derive(Clone)]
pub struct SagaRunner {
    node: Arc<str>,
    interpreter: Interpreter,
    agenda: Arc<dyn Agenda>,
    config: Arc<SagaConfig>,
    /// Something may be due that nobody has claimed.
    wake: Arc<Notify>,
}

impl SagaRunner {
    pub fn new(use_cases: &UseCases, agenda: Arc<dyn Agenda>, config: SagaConfig) -> SagaRunner {
        let Payments { executor, clock, .. } = &use_cases.payments;
        let store = executor.store().clone();
        SagaRunner {
            node: format!("node-{}", uuid::Uuid::new_v4()).into(),
            interpreter: Interpreter::new(
                store,
                clock.clone(),
                use_cases.processes(),
                use_cases.calls.clone(),
                config.patience.clone(),
            ),
            agenda,
            config: Arc::new(config),
            wake: Arc::default(),
        }
    }

    /// Runs until `shutdown` says so, then lets go of everything. Dropped at any point, nothing is lost either.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopped) = watch::channel(false);
        let (fresh, claimed) = mpsc::channel::<ClaimedSaga>(self.config.concurrency);
        let working = async {
            tokio::join!(
                self.follow(fresh, stopped.clone()),
                self.work(claimed, stopped.clone()),
                watchdog::watch(&self.interpreter, self.agenda.as_ref(), &self.config, stopped.clone()),
            );
        };
        let stopping = async {
            shutdown.await;
            let _ = stop.send(true);
        };
        tokio::join!(working, stopping);
        if let Err(error) = self.agenda.leave(&self.node).await {
            tracing::warn!(%error, "the sagas stopped without letting go: their claims lapse");
        }
    }

    /// Looks at a stream at once, for whoever heard that something happened to what it is about.
    pub async fn nudge(&self, stream_id: &str) -> Result<(), AgendaUnavailable> {
        self.agenda.hasten(stream_id, self.interpreter.now()).await?;
        self.wake.notify_one();
        Ok(())
    }

    fn claim(&self, duration: Duration) -> Claim {
        let now = self.interpreter.now();
        Claim { node: self.node.to_string(), now, until: now.plus(duration) }
    }
}

/// Resolves once the order to stop was given.
pub(crate) async fn stop_ordered(stopped: &mut watch::Receiver<bool>) {
    // An error means that the runner itself is gone.
    let _ = stopped.wait_for(|stop| *stop).await;
}
