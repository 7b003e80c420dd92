//! Two nodes on one database do all kinds of business side by side while each is killed in turn: what was acknowledged
//! is there once, money has moved once, and everything comes to its end.
//!
//! `PAYLEDGER_CRASH_SEED=7` draws other business; the moments of the kills are the machine's own.

mod client;
mod finance;
mod reckoning;
mod trade;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use test_support::balancer::Balancer;
use test_support::process::{Binary, Process, free_port};
use test_support::{TestDatabase, test_database};

use client::Client;
use finance::Finance;
use trade::Trader;

const SEED: u64 = 20_261_121;
const KILLS: usize = 6;
/// Of each merchant, each doing one deal after the other.
const TRADERS: usize = 3;
/// Waits may contain the start of a node, the lapse of a dead node's holds (30 s) and a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What stands around the nodes, and survives them.
struct World {
    database: TestDatabase,
    binary: Binary,
    ports: [u16; 2],
    sandbox_url: String,
    sandbox: Process,
    _balancer: Balancer,
    folder: tempfile::TempDir,
}

struct Merchant {
    id: String,
    secret: String,
    /// Its first currency, and the others that it takes.
    currencies: &'static [&'static str],
    has_pre_auths: bool,
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let database = test_database().await;
        let (ports, sandbox_port) = ([free_port(), free_port()], free_port());
        let balancer = Balancer::over(ports.to_vec()).await.unwrap();
        let sandbox_url = format!("http://127.0.0.1:{sandbox_port}");
        let setting = |name: &str, value: &str| (format!("PAYLEDGER_{name}"), value.to_owned());
        let binary = Binary {
            path: env!("CARGO_BIN_EXE_payledger").to_owned(),
            settings: vec![
                setting("DATABASE_URL", &database.url),
                setting("DATA_DIR", &folder.path().display().to_string()),
                setting("SANDBOX_URL", &sandbox_url),
                setting("WITHDRAWAL_COOLING_OFF_HOURS", "0"),
                setting("WITHDRAWAL_FEE", "USD=25"),
                // What nodes say when the other one is killed is told by the checks at the end.
                setting("LOG", "off"),
            ],
        };
        let webhooks = format!("http://{}/api/v1/webhooks/sandbox", balancer.address);
        let data_dir = folder.path().join("sandbox").display().to_string();
        let bind = format!("127.0.0.1:{sandbox_port}");
        let sandbox = ["sandbox", "--bind", &bind, "--webhook-url", &webhooks, "--data-dir", &data_dir];
        let sandbox = binary.serve(&sandbox, &format!("{sandbox_url}/health")).await.unwrap();
        assert_eq!(binary.run(&["migrate"]).await.unwrap().0, 0);
        World { database, binary, ports, sandbox_url, sandbox, _balancer: balancer, folder }
    }

    async fn start_node(&self, index: usize) -> Process {
        let bind = format!("127.0.0.1:{}", self.ports[index]);
        self.binary.serve(&["serve", "--bind", &bind], &format!("http://{bind}/health/live")).await.unwrap()
    }

    async fn merchant(&self, tier: &str, currencies: &'static [&'static str]) -> Merchant {
        let made = self.binary.json(&["merchants", "create", "--name", tier, "--tier", tier]).await.unwrap();
        let id = made["merchant_id"].as_str().unwrap().to_owned();
        let secret = self.key(&["--role", "merchant", "--merchant", &id]).await;
        Merchant { id, secret, currencies, has_pre_auths: matches!(tier, "enterprise" | "premium") }
    }

    async fn key(&self, of: &[&str]) -> String {
        let made = self.binary.json(&[&["keys", "create"], of].concat()).await.unwrap();
        made["secret"].as_str().unwrap().to_owned()
    }

    async fn finance(&self) -> Finance {
        Finance {
            one: self.key(&["--role", "finance"]).await,
            two: self.key(&["--role", "finance"]).await,
            operator: self.key(&["--role", "operator"]).await,
            sandbox_url: self.sandbox_url.clone(),
        }
    }
}

/// Small thresholds, so that batches and withdrawals need their approvals.
async fn lower_thresholds(world: &World, client: &Client, merchants: &[Merchant]) {
    let admin = world.key(&["--role", "admin"]).await;
    let terms = json!({"thresholds": {"settlement_approval": 60_000, "withdrawal_two_person": 6_000}});
    for merchant in merchants.iter().step_by(2) {
        client.patch(&admin, &format!("/merchants/{}", merchant.id), &terms).await;
    }
}

/// Kills the nodes in turn, each in the middle of work; the other works alone for a moment.
async fn kill_in_turn(
    world: &World,
    client: &Client,
    finance: &Finance,
    nodes: &mut [Process; 2],
    random: &mut StdRng,
) {
    let never = AtomicBool::new(false);
    for kill in 0..KILLS {
        client.progress(random.random_range(15..45), &never).await;
        if kill / 2 % 2 == 1 {
            // So that it may die while a job of it runs.
            finance.ask_for_jobs(client, &format!("kill-{kill}")).await;
        }
        let victim = &mut nodes[kill % 2];
        victim.kill().await.unwrap();
        client.progress(random.random_range(1..15), &never).await;
        *victim = world.start_node(kill % 2).await;
    }
    client.progress(20, &never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_killed_in_turn_lose_and_double_nothing() {
    let seed = std::env::var("PAYLEDGER_CRASH_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    eprintln!("the business of seed {seed}");
    rustls::crypto::ring::default_provider().install_default().ok();
    let world = World::new().await;
    let merchants = [
        world.merchant("premium", &["USD", "EUR", "JPY"]).await,
        world.merchant("enterprise", &["EUR", "USD"]).await,
        world.merchant("premium", &["USD"]).await,
        world.merchant("business", &["USD"]).await,
    ];
    let finance = world.finance().await;
    let mut nodes = [world.start_node(0).await, world.start_node(1).await];
    let client = Client::of(&world.ports);
    lower_thresholds(&world, &client, &merchants).await;

    let (started, stop) = (Instant::now(), AtomicBool::new(false));
    let traders = (0..merchants.len() * TRADERS).map(|number| {
        let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        let merchant = &merchants[number % merchants.len()];
        Trader { client: &client, merchant, number, random }.trade(&stop)
    });
    let killing = async {
        kill_in_turn(&world, &client, &finance, &mut nodes, &mut StdRng::seed_from_u64(seed)).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all(traders), finance.work(&client, &stop), killing);
    let traded = started.elapsed();
    let found = reckoning::check(&world, &client, &finance, &merchants).await;
    eprintln!("{KILLS} kills in {traded:?}, all checked after {:?}: {found}", started.elapsed());
    for node in nodes {
        node.terminate().await.unwrap();
    }
    world.sandbox.terminate().await.unwrap();
}
