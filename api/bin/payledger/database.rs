//! Which Postgres a command works on: the one of `--database-url`, else the private one of the data folder, which is
//! started if no other program runs it at this moment.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use adapters::embedded_postgres::{self, Cluster, ClusterError, ClusterOptions};
use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};

use crate::cli;

const NAME: &str = "payledger";

/// A reachable database, and the private cluster if this program runs it.
pub struct Database {
    pub url: String,
    pub cluster: Option<Cluster>,
}

impl Database {
    pub async fn open(flags: &cli::Database) -> anyhow::Result<Database> {
        if let Some(url) = &flags.database_url {
            return Ok(Database { url: url.clone(), cluster: None });
        }
        make_private_folder(&flags.data_dir)?;
        let options =
            ClusterOptions { install: !flags.no_install, ..ClusterOptions::new(flags.data_dir.join("postgres")) };
        match embedded_postgres::start(options).await {
            Ok(cluster) => {
                cluster.create_database(NAME).await?;
                let url = cluster.url(NAME);
                write_secret(&address_file(&flags.data_dir), &url)?;
                Ok(Database { url, cluster: Some(cluster) })
            }
            Err(ClusterError::InUse { .. }) => {
                let file = address_file(&flags.data_dir);
                let url = fs::read_to_string(&file).with_context(|| {
                    format!("another program runs this database, but {} cannot be read", file.display())
                })?;
                Ok(Database { url, cluster: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A pool for queries and the appender's own connections beside it.
    pub async fn pool(&self, connections_max: u32) -> anyhow::Result<PgPool> {
        let options: PgConnectOptions = self.url.parse().context("the database URL cannot be read")?;
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options.application_name("payledger").disable_statement_logging())
            .await;
        pool.context("the database cannot be reached")
    }

    pub async fn close(self) -> anyhow::Result<()> {
        match self.cluster {
            Some(cluster) => Ok(cluster.stop().await?),
            None => Ok(()),
        }
    }
}

fn address_file(data_dir: &Path) -> PathBuf {
    data_dir.join("database.url")
}

/// Only this user may look inside: keys and addresses with passwords lie here.
pub fn make_private_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o711).create(folder);
    made.with_context(|| format!("{} cannot be made", folder.display()))
}

/// Writes a file that only this user can read, whole or not at all.
pub fn write_secret(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let fresh = file.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut open| open.write_all(text.as_bytes()).and_then(|()| open.sync_all()))
        .and_then(|()| fs::rename(&fresh, file));
    written.with_context(|| format!("{} cannot be written", file.display()))
}
