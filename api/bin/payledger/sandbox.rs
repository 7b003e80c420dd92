//! `payledger sandbox`: the sandbox channel as a program of its own.

use std::time::Duration;

use adapters::sandbox_provider::{self, SandboxConfig};

use crate::cli;
use crate::database::make_private_folder;
use crate::signals;

/// Signs webhooks where no secret was given: the sandbox moves no real money.
pub const WEBHOOK_SECRET: &str = "whsec_sandbox";

pub async fn run(flags: cli::Sandbox) -> anyhow::Result<()> {
    make_private_folder(&flags.data_dir)?;
    let sandbox = sandbox_provider::start(SandboxConfig {
        bind: flags.bind,
        data_dir: flags.data_dir,
        latency: Duration::from_millis(flags.latency_ms),
        webhook_url: Some(flags.webhook_url),
        webhook_secret: flags.sandbox_webhook_secret.unwrap_or_else(|| WEBHOOK_SECRET.to_owned()),
        ..SandboxConfig::default()
    })
    .await?;
    eprintln!("The sandbox channel listens on {}", sandbox.url());
    signals::stopped().await?;
    sandbox.shutdown().await;
    Ok(())
}
