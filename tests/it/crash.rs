//! The real binary and the real Postgres under `kill -9` and load: nothing acknowledged is lost, nothing is doubled,
//! and every payment comes to its end once everything is up again.

mod nodes;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use adapters::embedded_postgres::{self, Cluster, ClusterOptions};
use adapters::sandbox_provider::{self, SandboxConfig, SandboxHandle};
use serde_json::Value;
use test_support::load::{Acknowledged, Load};
use test_support::process::{Binary, Process, free_port};
use test_support::wait;

const CLIENTS: usize = 8;
const SERVER_KILLS: usize = 20;
const POSTGRES_KILLS: usize = 5;
/// Every payment is out of `processing` this soon after the last restart of the server.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// A killed Postgres syncs its whole folder before it answers: on a disk that others write to, that was seen to take
/// 18 s. Waits that may contain a recovery end here; the tests are about what is lost, not about the disk.
const RECOVERED_WITHIN: Duration = Duration::from_secs(240);
const WEBHOOK_SECRET: &str = "whsec_of_the_crash_tests";

/// Everything around the server under test; it survives the server.
struct World {
    cluster: Cluster,
    sandbox: SandboxHandle,
    binary: Binary,
    port: u16,
    secret: String,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let cluster = embedded_postgres::start(ClusterOptions::new(folder.path().join("postgres"))).await.unwrap();
        cluster.create_database("crash").await.unwrap();
        let port = free_port();
        let sandbox = sandbox_provider::start(SandboxConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            data_dir: folder.path().join("sandbox"),
            webhook_url: Some(format!("http://127.0.0.1:{port}/api/v1/webhooks/sandbox")),
            webhook_secret: WEBHOOK_SECRET.to_owned(),
            ..SandboxConfig::default()
        })
        .await
        .unwrap();
        let setting = |name: &str, value: &str| (format!("PAYLEDGER_{name}"), value.to_owned());
        let binary = Binary {
            path: env!("CARGO_BIN_EXE_payledger").to_owned(),
            settings: vec![
                setting("DATABASE_URL", &cluster.url("crash")),
                setting("DATA_DIR", &folder.path().display().to_string()),
                setting("SANDBOX_URL", &sandbox.url()),
                setting("SANDBOX_WEBHOOK_SECRET", WEBHOOK_SECRET),
                setting("LOG", "error"),
            ],
        };
        assert_eq!(binary.run(&["migrate"]).await.unwrap().0, 0);
        let merchant = binary.json(&["merchants", "create", "--name", "Crash", "--tier", "premium"]).await.unwrap();
        let merchant_id = merchant["merchant_id"].as_str().unwrap();
        let key = binary.json(&["keys", "create", "--role", "merchant", "--merchant", merchant_id]).await.unwrap();
        let secret = key["secret"].as_str().unwrap().to_owned();
        World { cluster, sandbox, binary, port, secret, _folder: folder }
    }

    async fn serve(&self) -> Process {
        let bind = format!("127.0.0.1:{}", self.port);
        let health = format!("http://{bind}/health/live");
        self.binary.serve(&["serve", "--bind", &bind], &health).await.unwrap()
    }

    fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1", self.port)
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let url = format!("{}{path}", self.base_url());
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.secret).send().await.ok()?;
        if answer.status().is_success() { answer.json().await.ok() } else { None }
    }

    /// Every payment of the merchant, read page by page.
    async fn payments(&self) -> Option<Vec<Value>> {
        let mut payments = vec![];
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/payments?limit=100{cursor}")).await?;
            payments.extend(page["data"].as_array()?.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Some(payments),
            }
        }
    }

    /// All payments once none is `processing` any more.
    async fn settled(&self, at_least: usize, limit: Duration) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let payments = self.payments().await;
            let open = |payment: &&Value| payment["status"] == "processing";
            if let Some(payments) = &payments
                && payments.len() >= at_least
                && !payments.iter().any(|payment| open(&payment))
            {
                return payments.clone();
            }
            if started.elapsed() > limit {
                let listed = payments.as_ref().map(Vec::len);
                let open: Vec<_> = payments.iter().flatten().filter(open).collect();
                panic!("after {limit:?}, of {at_least} payments {listed:?} are listed and these are open: {open:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What must hold once everything is up again.
    async fn check(&self, load: &Load, acknowledged: &[Acknowledged], settled_within: Duration) {
        let payments = self.settled(acknowledged.len(), settled_within).await;

        let by_id: HashMap<&str, &Value> =
            payments.iter().filter_map(|payment| Some((payment["id"].as_str()?, payment))).collect();
        let mut orders: Vec<&str> = payments.iter().filter_map(|payment| payment["order_no"].as_str()).collect();
        orders.sort_unstable();
        orders.dedup();
        assert_eq!(orders.len(), payments.len(), "a payment was created twice");
        assert_eq!(payments.len(), acknowledged.len(), "as many payments as acknowledged requests");
        let http = reqwest::Client::new();
        for (number, answer) in acknowledged.iter().enumerate() {
            assert_eq!(answer.status, 201, "{}", answer.body);
            let first: Value = serde_json::from_str(&answer.body).unwrap();
            let payment = by_id.get(first["id"].as_str().unwrap()).expect("an acknowledged payment is there");
            assert_eq!(
                (&payment["order_no"], &payment["amount"]),
                (&answer.request["order_no"], &answer.request["amount"])
            );
            if number % 10 == 0 {
                let (_, again) = load.until_answered(&http, &answer.key, &answer.request).await;
                assert_eq!(again, answer.body, "a repeat gets the first answer");
            }
        }
        self.verify().await;
    }

    /// `payledger verify` compares log, books, read models and the sandbox's own book.
    async fn verify(&self) {
        let verdict = wait::until("the ledger verifies", RECOVERED_WITHIN, || async {
            let (code, text) = self.binary.run(&["verify", "--json"]).await.ok()?;
            let verdict: Value = serde_json::from_str(&text).ok()?;
            (code == 0).then_some(verdict)
        })
        .await;
        let checked: Vec<u64> =
            verdict["checks"].as_array().unwrap().iter().filter_map(|check| check["invariant"].as_u64()).collect();
        for invariant in [1, 2, 3, 4, 5, 6, 7, 9] {
            assert!(checked.contains(&invariant), "invariant {invariant} was not checked: {verdict}");
        }
    }
}

/// Waits until `more` requests were answered, so that each kill comes into the middle of work.
async fn progress(load: &Load, more: u64) {
    let goal = load.answered.load(Ordering::Relaxed) + more;
    wait::until("the load goes on", RECOVERED_WITHIN, || async {
        (load.answered.load(Ordering::Relaxed) >= goal).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_of_the_server_lose_and_double_nothing() {
    let world = World::new().await;
    let mut server = world.serve().await;
    let load = Load::new(world.base_url(), world.secret.clone());
    let running = tokio::spawn({
        let load = load.clone();
        async move { load.run(CLIENTS).await }
    });
    for round in 0..SERVER_KILLS {
        progress(&load, 5 + (round as u64 * 7) % 23).await;
        server.kill().await.unwrap();
        server = world.serve().await;
    }
    progress(&load, 10).await;
    load.stop.store(true, Ordering::Relaxed);
    let acknowledged = running.await.unwrap();
    world.check(&load, &acknowledged, SETTLED_WITHIN).await;
    server.kill().await.unwrap();
    world.sandbox.shutdown().await;
    world.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn five_kills_of_postgres_lose_and_double_nothing() {
    let world = World::new().await;
    let mut server = world.serve().await;
    let load = Load::new(world.base_url(), world.secret.clone());
    let running = tokio::spawn({
        let load = load.clone();
        async move { load.run(CLIENTS).await }
    });
    for _ in 0..POSTGRES_KILLS {
        progress(&load, 20).await;
        let pid = world.cluster.postmaster_pid().expect("a postmaster runs");
        kill_all(pid);
        world.cluster.wait_restarted(Some(pid), RECOVERED_WITHIN).await.unwrap();
    }
    progress(&load, 20).await;
    load.stop.store(true, Ordering::Relaxed);
    let acknowledged = running.await.unwrap();
    world.check(&load, &acknowledged, RECOVERED_WITHIN).await;
    server.kill().await.unwrap();
    world.sandbox.shutdown().await;
    world.cluster.stop().await.unwrap();
}

/// `kill -9` of the postmaster; its backends notice and end.
fn kill_all(postmaster: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(postmaster).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
