//! `payledger serve`: the roles of one node, started together and stopped together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adapters::bank::SandboxBank;
use anyhow::Context;
use api::App;
use commands::ports::ChannelCallLog;
use commands::webhook::Webhooks;
use commands::withdrawal::Withdrawals;
use metrics_exporter_prometheus::PrometheusHandle;
use projections::Runner;
use projections::exports::{ExportTerms, Exporter};
use sagas::{SagaConfig, SagaRunner};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::{self, Role};
use crate::database::Database;
use crate::ledger::{self, Ledger};
use crate::{bank, master_key, signals, telemetry};

/// Connections for queries, projections and everything beside the appender.
const CONNECTIONS_MAX: u32 = 32;
const SWEEP_EVERY: Duration = Duration::from_secs(2);
const LOOK_FOR_BANK_NEWS_EVERY: Duration = Duration::from_millis(500);

pub async fn run(flags: cli::Serve) -> anyhow::Result<()> {
    let _traces = telemetry::start(&flags.telemetry)?;
    let database = Database::open(&flags.database).await?;
    let pool = database.pool(CONNECTIONS_MAX).await?;
    let channels = ledger::channels(&flags.channels)?;
    let ledger = Ledger::open(pool, &master_key::read(&flags.database)?, channels).await?;
    let ledger = ledger.limiting_calls(flags.api_call_limits.into());
    let mut ledger = ledger.keeping(flags.terms.terms());
    let sandbox_folder = flags.channels.sandbox_url.as_ref().map(|_| flags.database.data_dir.join("bank"));
    if let Some(counter) = bank::counter(&flags.bank, sandbox_folder)? {
        ledger = ledger.paying_out(counter, flags.withdrawals.policy());
    }
    let node = Node::start(ledger, &flags.roles, flags.bind, flags.ops_bind, telemetry::metrics()).await?;
    eprintln!("payledger listens on http://{}", node.address);
    signals::stopped().await?;
    node.stop().await;
    database.close().await?;
    Ok(())
}

/// The running roles of this process.
pub struct Node {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    projections: Option<projections::Running>,
    calls: Arc<dyn ChannelCallLog>,
}

impl Node {
    pub async fn start(
        ledger: Ledger,
        roles: &[Role],
        bind: SocketAddr,
        ops_bind: Option<SocketAddr>,
        metrics: PrometheusHandle,
    ) -> anyhow::Result<Node> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![];
        let sagas = SagaRunner::new(&ledger.use_cases(), ledger.agenda.clone(), SagaConfig::default());
        let webhooks = webhooks(&ledger, &sagas);
        let projections = roles.contains(&Role::Projections).then(|| {
            Runner::new(ledger.pool.clone(), ledger.store.clone(), ledger.progress.clone()).start(projections::all())
        });
        if roles.contains(&Role::Projections) {
            let terms = ExportTerms { kept_for: ledger.terms.exports, ..ExportTerms::default() };
            let exporter = Exporter::new(ledger.pool.clone(), ledger.reader.clone(), terms);
            tasks.push(tokio::spawn(exporter.run(ordered(stopped.clone()))));
        }
        if roles.contains(&Role::Sagas) {
            tasks.push(tokio::spawn(sweep(webhooks.clone(), stopped.clone())));
            tasks.push(tokio::spawn(look_for_bank_news(ledger.withdrawals.clone(), stopped.clone())));
            if let Some(config) = ledger.sandbox_bank.clone() {
                tasks.push(tokio::spawn(SandboxBank::open(config)?.run(stopped.clone())));
            }
            let scheduler = ledger.scheduler();
            tasks.push(tokio::spawn({
                let stopped = stopped.clone();
                async move { scheduler.run(ordered(stopped)).await }
            }));
            tasks.push(tokio::spawn({
                let stopped = stopped.clone();
                async move { sagas.run(ordered(stopped)).await }
            }));
        }
        let app = App::new(api::Parts {
            payments: ledger.payments.clone(),
            channel_accounts: ledger.channel_accounts.clone(),
            withdrawals: ledger.withdrawals.clone(),
            reconciliations: ledger.reconciliations.clone(),
            settlements: ledger.settlements.clone(),
            keys: ledger.keys.clone(),
            nonces: ledger.nonces.clone(),
            webhooks,
            agenda: ledger.agenda.clone(),
            jobs: ledger.jobs.clone(),
            storyteller: ledger.storyteller(),
            reader: ledger.reader.clone(),
            database: ledger.pool.clone(),
            readiness: Arc::new(crate::readiness::DatabaseReadiness { pool: ledger.pool.clone() }),
            metrics,
            call_limits: ledger.call_limits,
            in_flight_max: 2_048,
        });
        let router = match (roles.contains(&Role::Api), ops_bind) {
            (true, None) => api::router(app.clone()),
            (true, Some(_)) => api::api_router(app.clone()),
            (false, _) => api::ops_router(app.clone()),
        };
        let listener = TcpListener::bind(bind).await.with_context(|| format!("{bind} cannot be listened on"))?;
        let address = listener.local_addr()?;
        tasks.push(tokio::spawn(listen(listener, router, stopped.clone())));
        if let Some(ops_bind) = ops_bind {
            let listener =
                TcpListener::bind(ops_bind).await.with_context(|| format!("{ops_bind} cannot be listened on"))?;
            tasks.push(tokio::spawn(listen(listener, api::ops_router(app), stopped)));
        }
        Ok(Node { address, stop, tasks, projections, calls: ledger.calls.clone() })
    }

    /// Finishes what is running and takes nothing new.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a role ended badly");
            }
        }
        if let Some(projections) = self.projections {
            projections.stop().await;
        }
        self.calls.flush().await;
    }
}

/// Webhooks put their facts to the payments and wake the sagas of this node.
fn webhooks(ledger: &Ledger, sagas: &SagaRunner) -> Webhooks {
    let sagas = sagas.clone();
    Webhooks {
        payments: ledger.payments.clone(),
        inbox: ledger.inbox.clone(),
        nudge: Arc::new(move |stream_id: &str| {
            let (sagas, stream_id) = (sagas.clone(), stream_id.to_owned());
            tokio::spawn(async move {
                if let Err(error) = sagas.nudge(&stream_id).await {
                    tracing::debug!(%error, stream.id = stream_id, "not nudged: the agenda finds it by itself");
                }
            });
        }),
    }
}

async fn sweep(webhooks: Webhooks, stopped: watch::Receiver<bool>) {
    let sweeping = async {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        loop {
            every.tick().await;
            if let Err(error) = webhooks.sweep().await {
                tracing::warn!(%error, "webhooks that were kept could not be gone on with");
            }
        }
    };
    tokio::select! {
        () = sweeping => {}
        () = ordered(stopped) => {}
    }
}

/// What the bank tells concerns withdrawals that no saga waits for any more, such as returns, so it is looked for always.
async fn look_for_bank_news(withdrawals: Withdrawals, stopped: watch::Receiver<bool>) {
    let looking = async {
        let mut every = tokio::time::interval(LOOK_FOR_BANK_NEWS_EVERY);
        loop {
            every.tick().await;
            if let Err(error) = withdrawals.record_news().await {
                tracing::warn!(%error, "the bank's news could not be recorded");
            }
        }
    };
    tokio::select! {
        () = looking => {}
        () = ordered(stopped) => {}
    }
}

async fn listen(listener: TcpListener, router: axum::Router, stopped: watch::Receiver<bool>) {
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(ordered(stopped)).await {
        tracing::error!(%error, "the listener stopped");
    }
}

/// Resolves once the order to stop was given.
async fn ordered(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
