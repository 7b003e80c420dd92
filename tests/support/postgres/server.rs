//! The servers that tests share, and clusters that one test has to itself.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use adapters::embedded_postgres::{Cluster, ClusterOptions, start};
use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool};
use tokio::sync::{Mutex, OnceCell};

use super::dropper::Dropper;
use super::{Durability, pool_options};
use crate::guard::{Guard, sweep};

const FOLDER_PREFIX: &str = "payledger-test-postgres-";

/// All threads of a test process with a full pool each.
const CONNECTIONS_MAX: u16 = 400;

static DURABLE: OnceCell<Server> = OnceCell::const_new();
static VOLATILE: OnceCell<Server> = OnceCell::const_new();

/// A server on which tests have databases. It is never dropped: its guard deletes it when the process ends.
#[derive(Debug)]
pub(super) struct Server {
    place: Place,
    templates: Mutex<HashMap<&'static str, Arc<OnceCell<String>>>>,
    dropper: Dropper,
    names: AtomicU64,
}

#[derive(Debug)]
enum Place {
    Ours(PrivateCluster),
    Given(PgConnectOptions),
}

/// The server of this process for tests of that kind.
pub(super) async fn shared(durability: Durability) -> Result<&'static Server> {
    let off = std::env::var("PAYLEDGER_TEST_FSYNC").is_ok_and(|value| value == "off");
    let given = std::env::var("PAYLEDGER_TEST_DATABASE_URL").ok();
    let durable = durability == Durability::Durable && !off;
    let cell = if durable || given.is_some() { &DURABLE } else { &VOLATILE };
    cell.get_or_try_init(|| async {
        let place = match given {
            Some(url) => Place::Given(PgConnectOptions::from_str(&url)?),
            None => Place::Ours(PrivateCluster::start(durable).await?),
        };
        let admin = place.url("postgres")?;
        Ok(Server { place, templates: Mutex::default(), dropper: Dropper::new(admin), names: AtomicU64::new(1) })
    })
    .await
}

impl Place {
    fn url(&self, database: &str) -> Result<String> {
        Ok(match self {
            Self::Ours(cluster) => cluster.cluster.url(database),
            Self::Given(options) => options.clone().database(database).to_url_lossy().into(),
        })
    }
}

impl Server {
    pub fn url(&self, database: &str) -> Result<String> {
        self.place.url(database)
    }

    /// A name that no other test of this machine has.
    pub fn new_name(&self) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        format!("payledger_test_{}_{number}", std::process::id())
    }

    /// On a server which outlives us a template would stay behind.
    pub fn keeps_templates(&self) -> bool {
        matches!(self.place, Place::Ours(_))
    }

    /// The database to copy from, made once; those who come while it is being made wait for it.
    pub async fn template<F>(&self, key: &'static str, prepare: F) -> Result<String>
    where
        F: AsyncFnOnce(PgPool) -> Result<()>,
    {
        let cell = self.templates.lock().await.entry(key).or_default().clone();
        let name = cell
            .get_or_try_init(|| async {
                let name = self.new_name();
                self.create_database(&name, None).await?;
                let pool = pool_options().connect(&self.url(&name)?).await?;
                let prepared = prepare(pool.clone()).await;
                pool.close().await;
                prepared.with_context(|| format!("preparing the template `{key}`"))?;
                anyhow::Ok(name)
            })
            .await?;
        Ok(name.clone())
    }

    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<()> {
        let from = template.unwrap_or("template0");
        let sql = format!("CREATE DATABASE {name} TEMPLATE {from}");
        let mut connection = PgConnection::connect(&self.url("postgres")?).await?;
        connection.execute(sql.as_str()).await.with_context(|| sql.clone())?;
        connection.close().await?;
        Ok(())
    }

    pub fn drop_later(&self, name: String) {
        self.dropper.drop_later(name);
    }

    #[cfg(test)]
    pub fn cluster(&self) -> Option<&Cluster> {
        match &self.place {
            Place::Ours(cluster) => Some(&cluster.cluster),
            Place::Given(_) => None,
        }
    }
}

/// A cluster that one test has to itself, to kill, stop and fill as it likes. Deleted on drop.
#[derive(Debug)]
pub struct PrivateCluster {
    // In this order: the server stops before its folder is deleted.
    pub cluster: Cluster,
    _guard: Guard,
}

/// Starts one, durable as in production.
pub async fn private_cluster() -> PrivateCluster {
    super::expect(PrivateCluster::start(true)).await
}

impl PrivateCluster {
    async fn start(durable: bool) -> Result<Self> {
        let parent = std::env::temp_dir().canonicalize()?;
        sweep(&parent, FOLDER_PREFIX);
        let data_dir = make_folder(&parent)?;
        let guard = Guard::over_cluster(&data_dir)?;
        let cluster = start(ClusterOptions {
            durable,
            max_connections: CONNECTIONS_MAX,
            // Benchmarks, whose tables are large, run on the volatile one.
            shared_buffers_mb: if durable { 64 } else { 512 },
            ..ClusterOptions::new(data_dir)
        })
        .await?;
        Ok(Self { cluster, _guard: guard })
    }
}

/// A new folder that the server's user may pass through, which `tempfile` would not let it.
fn make_folder(parent: &Path) -> Result<std::path::PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .prefix(FOLDER_PREFIX)
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir_in(parent)
        .context("making a temporary folder")?;
    Ok(folder.keep())
}
