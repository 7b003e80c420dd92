//! What an installation of the sandbox provider can be told.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone)]
pub struct SandboxConfig {
    /// Port 0 takes a free one; `SandboxHandle::local_addr` tells which.
    pub bind: SocketAddr,
    /// Where the journal is; made if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Delay of every answer.
    pub latency: Duration,
    /// Where webhooks are posted; without it, what happens is told to nobody, also not later.
    pub webhook_url: Option<String>,
    /// Key of the `Sandbox-Signature` of each webhook.
    pub webhook_secret: String,
    /// How a customer's browser reaches this server, for `next_action.url`; the bound address if
    /// it is not given.
    pub public_url: Option<String>,
    /// How long an unanswered call is held before its connection is dropped.
    pub hang: Duration,
    /// Delay of what happens by itself: async results, late refund failures, disputes.
    pub event_delay: Duration,
    /// Length of the simulated day after which the provider pays out.
    pub payout_interval: Duration,
    /// Delay before the first retry of a webhook; it doubles from there.
    pub webhook_retry_first: Duration,
    pub webhook_retry_max: Duration,
    /// The answer to a webhook is not waited for any longer.
    pub webhook_timeout: Duration,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            data_dir: PathBuf::from(".payledger/sandbox"),
            latency: Duration::ZERO,
            webhook_url: None,
            webhook_secret: String::new(),
            public_url: None,
            hang: Duration::from_secs(60),
            event_delay: Duration::from_secs(1),
            payout_interval: Duration::from_secs(24 * 60 * 60),
            webhook_retry_first: Duration::from_secs(1),
            webhook_retry_max: Duration::from_secs(5 * 60),
            webhook_timeout: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for SandboxConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of logs.
        f.debug_struct("SandboxConfig")
            .field("bind", &self.bind)
            .field("data_dir", &self.data_dir)
            .field("latency", &self.latency)
            .field("webhook_url", &self.webhook_url)
            .finish_non_exhaustive()
    }
}
