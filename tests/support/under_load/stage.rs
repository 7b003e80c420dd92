//! The processes of a run, its merchants and keys, and what must be there once before it begins.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Plan;
use super::line::Line;
use crate::process::{Binary, Process, free_port};
use crate::{TestDatabase, test_database};

const MERCHANTS: usize = 6;
/// A statement with a line that nobody knows, so that there is a run and an exception to ask for.
const STATEMENT: &str = "reference,kind,gross,fee,currency,date\nnobody-knows,charge,1.00,0.01,USD,2026-11-18\n";

pub(super) struct Stage {
    pub(super) database: TestDatabase,
    pub(super) binary: Binary,
    pub(super) base_urls: Vec<String>,
    pub(super) sandbox_url: String,
    pub(super) merchants: Vec<Merchant>,
    pub(super) finance: [String; 2],
    pub(super) operator: String,
    pub(super) auditor: String,
    pub(super) admin: String,
    _nodes: Vec<Process>,
    _sandbox: Process,
    _folder: TempDir,
}

pub(super) struct Merchant {
    pub(super) id: String,
    pub(super) secret: String,
}

impl Stage {
    pub(super) async fn set(plan: &Plan) -> anyhow::Result<Stage> {
        let (folder, database) = (tempfile::tempdir()?, test_database().await);
        let ports: Vec<u16> = (0..plan.nodes).map(|_| free_port()).collect();
        let sandbox_port = free_port();
        let sandbox_url = format!("http://127.0.0.1:{sandbox_port}");
        let setting = |name: &str, value: &str| (format!("PAYLEDGER_{name}"), value.to_owned());
        let settings = vec![
            setting("DATABASE_URL", &database.url),
            setting("DATA_DIR", &folder.path().display().to_string()),
            setting("SANDBOX_URL", &sandbox_url),
            setting("WITHDRAWAL_COOLING_OFF_HOURS", "0"),
            setting("LOG", "error"),
        ];
        let binary = Binary { path: plan.program.clone(), settings };
        let webhooks = format!("http://127.0.0.1:{}/api/v1/webhooks/sandbox", ports[0]);
        let (bind, data_dir) = (format!("127.0.0.1:{sandbox_port}"), folder.path().join("sandbox"));
        let data_dir = data_dir.display().to_string();
        let sandbox = ["sandbox", "--bind", &bind, "--webhook-url", &webhooks, "--data-dir", &data_dir];
        let sandbox = binary.serve(&sandbox, &format!("{sandbox_url}/health")).await?;
        anyhow::ensure!(binary.run(&["migrate"]).await?.0 == 0, "the database is migrated");
        let mut nodes = vec![];
        for port in &ports {
            let bind = format!("127.0.0.1:{port}");
            nodes.push(binary.serve(&["serve", "--bind", &bind], &format!("http://{bind}/health/live")).await?);
        }
        let mut merchants = vec![];
        for number in 0..MERCHANTS {
            let name = format!("Merchant {number}");
            let made = binary.json(&["merchants", "create", "--name", &name, "--tier", "premium"]).await?;
            let id = text(&made["merchant_id"]);
            let secret = key(&binary, &["--role", "merchant", "--merchant", &id]).await?;
            merchants.push(Merchant { id, secret });
        }
        Ok(Stage {
            finance: [key(&binary, &["--role", "finance"]).await?, key(&binary, &["--role", "finance"]).await?],
            operator: key(&binary, &["--role", "operator"]).await?,
            auditor: key(&binary, &["--role", "auditor"]).await?,
            admin: key(&binary, &["--role", "admin"]).await?,
            base_urls: ports.iter().map(|port| format!("http://127.0.0.1:{port}/api/v1")).collect(),
            database,
            binary,
            sandbox_url,
            merchants,
            _nodes: nodes,
            _sandbox: sandbox,
            _folder: folder,
        })
    }

    /// One of each object that the load itself does not make.
    pub(super) async fn furnish(&self, line: &Line) {
        let leg = |account: &str, side: &str| json!({"account": account, "side": side, "amount": 1_000});
        let adjustment = json!({"reason": "the owner's first money", "currency": "USD",
                                "legs": [leg("bank:main:cash", "debit"), leg("equity:owner", "credit")]});
        let proposed = line.post("/ledger/adjustments", &self.finance[0], "first", &adjustment).await;
        let id = proposed.map(|proposed| text(&proposed.body["id"])).unwrap_or_default();
        line.post(&format!("/ledger/adjustments/{id}/approve"), &self.finance[1], "second", &json!({})).await;
        let export = json!({"kind": "payments", "format": "csv"});
        line.post("/exports", &self.merchants[0].secret, "export", &export).await;
        let upload = line.upload("/reconciliation/statements?format=csv", &self.finance[0], STATEMENT).await;
        crate::wait::until("the statement is reconciled", super::line::PATIENCE, async || {
            let run = line.get_json(&format!("/reconciliation/runs/{}", text(&upload["id"])), &self.finance[0]).await;
            (run["status"] == "completed").then_some(())
        })
        .await;
    }

    pub(super) async fn events(&self) -> u64 {
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events")
            .fetch_one(&self.database.pool)
            .await
            .expect("the log has a head");
        u64::try_from(head).expect("positions are not negative")
    }
}

async fn key(binary: &Binary, of: &[&str]) -> anyhow::Result<String> {
    Ok(text(&binary.json(&[&["keys", "create"], of].concat()).await?["secret"]))
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
