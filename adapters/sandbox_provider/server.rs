//! Starting and stopping: the listener, the writer of the journal, and the tasks beside them.

use super::api::{App, router};
use super::config::SandboxConfig;
use super::connection::{Cut, CuttableListener};
use super::desk::{Desk, SharedDesk};
use super::faults::FaultSwitch;
use super::journal::{JournalError, WriterThread};
use super::payouts::pay_out;
use super::render::Renderer;
use super::webhooks::{Dispatcher, Target};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// After this long, calls that are still running at a shutdown are cut.
const DRAIN_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the webhook client cannot be made: {0}")]
    WebhookClient(#[from] reqwest::Error),
}

/// A running sandbox provider. Dropping it stops it without waiting; nothing acknowledged is lost.
pub struct SandboxHandle {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    server: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    writer: Option<WriterThread>,
}

pub async fn start(config: SandboxConfig) -> Result<SandboxHandle, SandboxError> {
    let bind_failed = |source| SandboxError::Bind { address: config.bind, source };
    let listener = TcpListener::bind(config.bind).await.map_err(bind_failed)?;
    let address = listener.local_addr().map_err(bind_failed)?;
    let (desk, writer) = Desk::open(&config)?;
    let desk = Arc::new(desk);
    let faults = Arc::new(FaultSwitch::default());
    let renderer = renderer_of(&desk, &config, address);
    let (stopping, stop) = watch::channel(false);

    let mut tasks = vec![
        tokio::spawn(fire_jobs(Arc::clone(&desk))),
        tokio::spawn(pay_out_daily(Arc::clone(&desk), config.payout_interval)),
    ];
    if let Some(target) = target_of(&config) {
        let dispatcher = Dispatcher::new(Arc::clone(&desk), Arc::clone(&faults), renderer.clone(), target)?;
        tasks.push(tokio::spawn(dispatcher.run()));
    }
    let (latency, hang) = (config.latency, config.hang);
    let app = App { desk, faults, renderer, latency, hang, stopping: stop.clone() };
    let server = tokio::spawn(serve(listener, Arc::new(app), stop));
    tracing::info!(sandbox.address = %address, "the sandbox provider is listening");
    Ok(SandboxHandle { address, stopping, server, tasks, writer: Some(writer) })
}

fn renderer_of(desk: &Desk, config: &SandboxConfig, address: SocketAddr) -> Renderer {
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    Renderer { instance: desk.instance(), public_url: public_url.trim_end_matches('/').into() }
}

fn target_of(config: &SandboxConfig) -> Option<Target> {
    Some(Target {
        url: config.webhook_url.clone()?,
        secret: config.webhook_secret.clone(),
        retry_first: config.webhook_retry_first,
        retry_max: config.webhook_retry_max,
        timeout: config.webhook_timeout,
    })
}

async fn serve(listener: TcpListener, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let service = router(app).into_make_service_with_connect_info::<Cut>();
    let stopped = async move {
        // An error means that the handle is gone.
        let _ = stop.wait_for(|stopping| *stopping).await;
    };
    if let Err(error) = axum::serve(CuttableListener(listener), service).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the sandbox provider stopped listening");
    }
}

/// Does what is due: async results, late failures, disputes.
async fn fire_jobs(desk: SharedDesk) {
    loop {
        match desk.fire_due_jobs() {
            Some(Duration::ZERO) => tokio::task::yield_now().await,
            Some(wait) => {
                // Either way, what is due is looked up anew.
                let _ = tokio::time::timeout(wait, desk.scheduled.notified()).await;
            }
            None => desk.scheduled.notified().await,
        }
    }
}

async fn pay_out_daily(desk: SharedDesk, interval: Duration) {
    loop {
        tokio::time::sleep(desk.until_payout(interval)).await;
        if desk.act(|book| (pay_out(book), ())).await.is_err() {
            return;
        }
        desk.begin_day();
    }
}

impl SandboxHandle {
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the bound address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers what is running, refuses what is new, and closes the journal.
    pub async fn shutdown(mut self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(DRAIN_MAX, &mut self.server).await.is_err() {
            tracing::warn!("calls were still running when the sandbox provider was stopped");
        }
        self.abort_tasks();
        if let Some(writer) = self.writer.take() {
            // Joining waits for the disk, which is no business of the runtime's threads.
            let _ = tokio::task::spawn_blocking(move || writer.close()).await;
        }
    }

    fn abort_tasks(&self) {
        self.server.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for SandboxHandle {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        self.abort_tasks();
    }
}
