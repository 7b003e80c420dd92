//! The whole ledger inside the test: real Postgres, real sandbox channel, every role, reached over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use adapters::sandbox_provider::{self, SandboxConfig, SandboxHandle};
use adapters::vault::{KeyVault, MasterKey, PostgresVault};
use commands::Channels;
use commands::keys::IssueKey;
use commands::ports::Role as KeyRole;
use commands::withdrawal::WithdrawalPolicy;
use domain::MerchantId;
use domain::merchant::Terms;
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use payledger::bank;
use payledger::cli::{ChannelFlags, Role};
use payledger::ledger::{self, Ledger};
use payledger::operator::issued;
use payledger::serve::Node;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use test_support::process::{Binary, free_port};
use test_support::{TestDatabase, test_database};
use uuid::Uuid;

const WEBHOOK_SECRET: &str = "whsec_of_the_tests";
const MASTER_KEY: [u8; 32] = [42; 32];

pub struct TestApp {
    pub ledger: Ledger,
    pub sandbox: Option<SandboxHandle>,
    pub base_url: String,
    pub http: reqwest::Client,
    node: Option<Node>,
    _database: TestDatabase,
    _folder: tempfile::TempDir,
}

/// A merchant of the app with its key.
#[derive(Clone)]
pub struct TestMerchant {
    pub id: MerchantId,
    pub key_id: String,
    pub secret: String,
}

impl TestApp {
    /// With the sandbox as its channel.
    pub async fn start() -> TestApp {
        TestApp::with_roles(&[Role::Api, Role::Sagas, Role::Projections]).await
    }

    /// [`TestApp::start`] with some of the roles only.
    pub async fn with_roles(roles: &[Role]) -> TestApp {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let sandbox = sandbox_provider::start(SandboxConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            data_dir: PathBuf::from(folder.path()).join("sandbox"),
            webhook_url: Some(format!("http://127.0.0.1:{port}/api/v1/webhooks/sandbox")),
            webhook_secret: WEBHOOK_SECRET.to_owned(),
            ..SandboxConfig::default()
        })
        .await
        .unwrap();
        let flags = ChannelFlags {
            sandbox_url: Some(sandbox.url()),
            sandbox_webhook_secret: Some(WEBHOOK_SECRET.to_owned()),
            ..ChannelFlags::default()
        };
        TestApp {
            sandbox: Some(sandbox),
            ..TestApp::over(ledger::channels(&flags).unwrap(), port, folder, roles).await
        }
    }

    /// Over any channels.
    pub async fn with_channels(channels: Channels, port: u16) -> TestApp {
        TestApp::over(channels, port, tempfile::tempdir().unwrap(), &[Role::Api, Role::Sagas, Role::Projections]).await
    }

    async fn over(channels: Channels, port: u16, folder: tempfile::TempDir, roles: &[Role]) -> TestApp {
        // As `main` does; another test may have done it before.
        rustls::crypto::ring::default_provider().install_default().ok();
        let database = test_database().await;
        let master = MasterKey::from_bytes(MASTER_KEY);
        let ledger = Ledger::open(database.pool.clone(), &master, channels).await.unwrap();
        let counter = bank::sandbox(folder.path().join("bank")).unwrap();
        let at_once = WithdrawalPolicy { cooling_off: Duration::ZERO, ..WithdrawalPolicy::default() };
        let ledger = ledger.paying_out(counter, at_once);
        let bind = format!("127.0.0.1:{port}").parse().unwrap();
        let node = Node::start(ledger.clone(), roles, bind, None, payledger::telemetry::metrics()).await.unwrap();
        TestApp {
            ledger,
            sandbox: None,
            base_url: format!("http://127.0.0.1:{port}"),
            http: reqwest::Client::new(),
            node: Some(node),
            _database: database,
            _folder: folder,
        }
    }

    /// The ledger as another node has it: an appender of its own on the same database.
    pub async fn another_ledger(&self) -> Ledger {
        let channels = self.ledger.payments.channels.clone();
        Ledger::open(self._database.pool.clone(), &MasterKey::from_bytes(MASTER_KEY), channels).await.unwrap()
    }

    /// The vault as a program of its own would open it.
    pub fn vault(&self) -> PostgresVault {
        KeyVault::on_postgres(self.ledger.pool.clone(), &MasterKey::from_bytes(MASTER_KEY))
    }

    pub async fn merchant(&self) -> TestMerchant {
        self.merchant_with(Tier::Premium, RefundFeePolicy::Retain).await
    }

    pub async fn merchant_with(&self, tier: Tier, refund_fee_policy: RefundFeePolicy) -> TestMerchant {
        let id = MerchantId::from_uuid(Uuid::now_v7());
        let terms = Terms {
            merchant_id: id,
            name: "A merchant".to_owned(),
            tier,
            pricing_model: PricingModel::CostPlus,
            refund_fee_policy,
            home_currency: None,
            time_zone: None,
            onboarded_at: self.ledger.payments.clock.now(),
        };
        commands::merchant::onboard(&self.ledger.payments.executor, issued(), terms).await.unwrap();
        let (key_id, secret) = self.key(KeyRole::Merchant, Some(id)).await;
        TestMerchant { id, key_id, secret }
    }

    /// The key id and secret of a fresh key.
    pub async fn key(&self, role: KeyRole, merchant_id: Option<MerchantId>) -> (String, String) {
        let issue = IssueKey { role, merchant_id, principal: None, signed_only: false };
        let made = self.ledger.keys.issue(issued(), issue).await.unwrap();
        (made.key.key_id.to_string(), made.secret.unwrap().expose().to_owned())
    }

    pub fn request(&self, method: Method, path: &str, secret: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.base_url)).bearer_auth(secret)
    }

    pub async fn get(&self, path: &str, secret: &str) -> Response {
        self.request(Method::GET, path, secret).send().await.unwrap()
    }

    pub async fn get_json(&self, path: &str, secret: &str) -> Value {
        let answer = self.get(path, secret).await;
        assert_eq!(answer.status(), 200, "GET {path}");
        answer.json().await.unwrap()
    }

    /// What a read model answers once it has seen everything that is in the log now.
    pub async fn fresh(&self, path: &str, secret: &str) -> Value {
        let head = self.ledger.store.head().await.unwrap();
        let request = self.request(Method::GET, path, secret).header("Ledger-Min-Position", api::position::token(head));
        let answer = request.header("Prefer", "wait=30").send().await.unwrap();
        assert_eq!(answer.status(), 200, "GET {path}");
        answer.json().await.unwrap()
    }

    /// POSTs with a fresh idempotency key and waits for the outcome.
    pub async fn post(&self, path: &str, secret: &str, body: &Value) -> Response {
        self.post_keyed(path, secret, &Uuid::now_v7().to_string(), body).await
    }

    pub async fn post_keyed(&self, path: &str, secret: &str, key: &str, body: &Value) -> Response {
        let request = self.request(Method::POST, path, secret).header("Idempotency-Key", key);
        request.header("Prefer", "wait=10").json(body).send().await.unwrap()
    }

    /// A payment created with this token, waited for.
    pub async fn pay(&self, merchant: &TestMerchant, token: &str, amount: i64) -> Value {
        let answer = self.post("/payments", &merchant.secret, &payment(token, amount)).await;
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }

    /// Asks for the payment until `end` accepts it.
    pub async fn payment_until(
        &self,
        merchant: &TestMerchant,
        id: &str,
        what: &str,
        end: impl Fn(&Value) -> bool,
    ) -> Value {
        test_support::wait::until(what, Duration::from_secs(30), || async {
            let answer = self.get(&format!("/payments/{id}"), &merchant.secret).await;
            let payment: Value = answer.json().await.ok()?;
            end(&payment).then_some(payment)
        })
        .await
    }

    /// Every effective operation of one reference in the sandbox's own book.
    pub async fn book(&self, reference: &str) -> Vec<Value> {
        let url = format!("{}/book?reference={reference}", self.sandbox.as_ref().unwrap().url());
        let page: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        page["data"].as_array().unwrap().clone()
    }

    /// The operator's commands on the same database.
    pub fn binary(&self) -> Binary {
        let settings = [
            ("PAYLEDGER_DATABASE_URL", self._database.url.clone()),
            ("PAYLEDGER_MASTER_KEY", hex::encode(MASTER_KEY)),
            ("PAYLEDGER_LOG", "error".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Binary { path: env!("CARGO_BIN_EXE_payledger").to_owned(), settings }
    }

    /// Stops every role; the database goes with the app.
    pub async fn stop(mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.shutdown().await;
        }
    }
}

/// A request body for `POST /payments` with an order number of its own.
pub fn payment(token: &str, amount: i64) -> Value {
    json!({
        "order_no": format!("T-{}", Uuid::now_v7().simple()),
        "amount": amount,
        "currency": "USD",
        "payment_method": {"type": "card", "token": token},
    })
}
