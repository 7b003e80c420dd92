//! `payledger dev`: the whole ledger on this machine with one command, and what to try first.

pub mod credentials;
mod sample;

use std::time::Duration;

use adapters::sandbox_provider::{self, SandboxConfig, SandboxHandle};
use anyhow::Context;
use commands::withdrawal::WithdrawalPolicy;

use crate::cli::{self, ChannelFlags, Role};
use crate::database::Database;
use crate::ledger::{self, Ledger};
use crate::sandbox::WEBHOOK_SECRET;
use crate::serve::Node;
use crate::{bank, master_key, signals, telemetry};
use credentials::Credentials;

const CONNECTIONS_MAX: u32 = 24;
const ROLES: [Role; 3] = [Role::Api, Role::Sagas, Role::Projections];

pub async fn run(flags: cli::Dev) -> anyhow::Result<()> {
    let _traces = telemetry::start(&flags.telemetry)?;
    let database = Database::open(&flags.database).await?;
    let pool = database.pool(CONNECTIONS_MAX).await?;
    adapters::migrations::migrate(&pool).await?;
    let sandbox = start_sandbox(&flags).await?;
    let channels = ledger::channels(&ChannelFlags { sandbox_url: Some(sandbox.url()), ..ChannelFlags::default() })?;
    let ledger = Ledger::open(pool, &master_key::read(&flags.database)?, channels).await?;
    let counter = bank::sandbox(flags.database.data_dir.join("bank"))?;
    let at_once = WithdrawalPolicy { cooling_off: Duration::ZERO, ..WithdrawalPolicy::default() };
    let ledger = ledger.paying_out(counter, at_once).limiting_calls(flags.api_call_limits.into());
    let node = Node::start(ledger.clone(), &ROLES, flags.bind, None, telemetry::metrics()).await?;
    let base_url = format!("http://{}", node.address);
    let data_dir = &flags.database.data_dir;
    let mut credentials = Credentials::find_or_create(data_dir, &ledger, &base_url, &sandbox.url()).await?;
    if flags.payments > 0 {
        credentials.add_samples(data_dir, &ledger).await?;
        sample::play(&credentials, flags.payments).await?;
    }
    introduce(&credentials, &flags);
    signals::stopped().await?;
    eprintln!("Stopping; the data stays in {}.", flags.database.data_dir.display());
    node.stop().await;
    sandbox.shutdown().await;
    ledger.pool.close().await;
    database.close().await?;
    Ok(())
}

async fn start_sandbox(flags: &cli::Dev) -> anyhow::Result<SandboxHandle> {
    let sandbox = sandbox_provider::start(SandboxConfig {
        bind: flags.sandbox_bind,
        data_dir: flags.database.data_dir.join("sandbox"),
        webhook_url: Some(format!("http://{}/api/v1/webhooks/sandbox", flags.bind)),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        ..SandboxConfig::default()
    });
    sandbox.await.context("the sandbox channel does not start")
}

/// Three lines that a person can paste at once.
fn introduce(credentials: &Credentials, flags: &cli::Dev) {
    let (url, secret) = (&credentials.base_url, &credentials.merchant.secret);
    let order = format!("DEMO-{}", uuid::Uuid::now_v7().simple());
    println!("payledger  {url}   (docs: {url}/docs)");
    println!("sandbox    {}", credentials.sandbox_url);
    println!("keys       {}\n", credentials::file(&flags.database.data_dir).display());
    println!("Try:\n");
    println!(
        "curl -s {url}/api/v1/payments -H 'Authorization: Bearer {secret}' -H 'Idempotency-Key: {order}' -H 'Prefer: wait=5' \
         -H 'Content-Type: application/json' -d '{{\"order_no\":\"{order}\",\"amount\":10000,\"currency\":\"USD\",\
         \"payment_method\":{{\"type\":\"card\",\"token\":\"tok_success\"}}}}'"
    );
    println!("curl -s {url}/api/v1/balances -H 'Authorization: Bearer {secret}'");
    println!("curl -s {url}/api/v1/ledger/trial-balance -H 'Authorization: Bearer {}'", credentials.finance.secret);
    println!("\nCtrl-C stops it; the data stays.");
}
