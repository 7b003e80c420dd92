//! What every operator command begins with: the ledger of the given database, without channels, and a command's issuer.

use std::time::Duration;

use commands::{Channels, Issued};
use projections::{Projection, Runner, Running, Snapshot};
use std::sync::Arc;
use uuid::Uuid;

use crate::cli;
use crate::database::Database;
use crate::ledger::Ledger;
use crate::master_key;

const CONNECTIONS_MAX: u32 = 8;
/// How long a list waits for its read model.
const READ_MODEL_WITHIN: Duration = Duration::from_secs(30);

/// An open ledger and the database below it.
pub struct Operator {
    pub ledger: Ledger,
    database: Database,
}

impl Operator {
    pub async fn open(flags: &cli::Database) -> anyhow::Result<Operator> {
        let database = Database::open(flags).await?;
        let pool = database.pool(CONNECTIONS_MAX).await?;
        let ledger = Ledger::open(pool, &master_key::read(flags)?, Channels::default()).await?;
        Ok(Operator { ledger, database })
    }

    pub async fn close(self) -> anyhow::Result<()> {
        self.ledger.pool.close().await;
        self.database.close().await
    }

    /// Feeds read models until it is stopped, beside any server that does.
    pub fn feed(&self, projections: Vec<Arc<dyn Projection>>) -> Running {
        let ledger = &self.ledger;
        Runner::new(ledger.pool.clone(), ledger.store.clone(), ledger.progress.clone()).start(projections)
    }

    /// A view of one read model that includes everything appended so far, whether or not a server feeds it.
    pub async fn view(&self, projection: Arc<dyn Projection>) -> anyhow::Result<Snapshot> {
        let ledger = &self.ledger;
        let head = ledger.store.head().await?;
        let running = self.feed(vec![projection.clone()]);
        let view = ledger.reader.at_least(&[projection.as_ref()], Some(head), READ_MODEL_WITHIN).await;
        running.stop().await;
        Ok(view?)
    }
}

/// A command typed in by the user of this machine; each run is a new one.
pub fn issued() -> Issued {
    let actor = format!("cli:{}", std::env::var("USER").unwrap_or_else(|_| "operator".to_owned()));
    let purpose = Uuid::now_v7().to_string();
    Issued::internally(&actor, &purpose, &purpose)
}
