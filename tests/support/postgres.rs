//! A database for each test. The tests of one process share a cluster, started when first needed and deleted when the
//! process ends; migrations run once, into a template that each test's database is copied from.
//!
//! `PAYLEDGER_TEST_DATABASE_URL` names a server to use instead (its user must be allowed to create databases);
//! `PAYLEDGER_TEST_FSYNC=off` trades durability for speed in all tests, for a machine with a busy disk.

mod dropper;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

pub use server::{PrivateCluster, private_cluster};
use server::{Server, shared};

/// A pool that a test holds to its own database: several connections, because races are what tests look for.
const CONNECTIONS_MAX: u32 = 10;

/// A busy machine answers late; a test should wait rather than fail for that.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether a commit reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// As in production.
    #[default]
    Durable,
    /// `fsync` is off: for tests of logic, which kill nothing.
    Volatile,
}

/// A database of its own for one test, deleted some time after the drop.
#[derive(Debug)]
pub struct TestDatabase {
    pub url: String,
    pub pool: PgPool,
    name: String,
    server: &'static Server,
}

/// A database with the newest schema.
pub async fn test_database() -> TestDatabase {
    migrated(Durability::Durable).await
}

/// The same on a server that does not wait for the disk.
pub async fn volatile_test_database() -> TestDatabase {
    migrated(Durability::Volatile).await
}

/// A database without any table.
pub async fn empty_test_database() -> TestDatabase {
    expect(async {
        let server = shared(Durability::Durable).await?;
        let name = server.new_name();
        server.create_database(&name, None).await?;
        TestDatabase::open(server, name).await
    })
    .await
}

/// A database that looks as `prepare` left the first one of this `template` name: for fixtures that take long to make.
/// Nothing may stay connected when `prepare` returns.
pub async fn test_database_from<F>(durability: Durability, template: &'static str, prepare: F) -> TestDatabase
where
    F: AsyncFnOnce(PgPool) -> Result<()>,
{
    expect(from_template(durability, template, prepare)).await
}

async fn migrated(durability: Durability) -> TestDatabase {
    let migrate = async |pool: PgPool| Ok(adapters::migrations::MIGRATOR.run(&pool).await?);
    expect(from_template(durability, "migrated", migrate)).await
}

async fn from_template<F>(durability: Durability, template: &'static str, prepare: F) -> Result<TestDatabase>
where
    F: AsyncFnOnce(PgPool) -> Result<()>,
{
    let server = shared(durability).await?;
    let name = server.new_name();
    if server.keeps_templates() {
        let template = server.template(template, prepare).await?;
        server.create_database(&name, Some(&template)).await?;
        TestDatabase::open(server, name).await
    } else {
        server.create_database(&name, None).await?;
        let database = TestDatabase::open(server, name).await?;
        prepare(database.pool.clone()).await?;
        Ok(database)
    }
}

impl TestDatabase {
    async fn open(server: &'static Server, name: String) -> Result<Self> {
        let url = server.url(&name)?;
        // The database is given back even if no connection can be had.
        let pool = pool_options().connect_lazy(&url)?;
        let database = Self { url, pool, name, server };
        database.pool.acquire().await.context("connecting")?;
        Ok(database)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.server.drop_later(std::mem::take(&mut self.name));
    }
}

pub(crate) fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIMEOUT)
}

/// A test without its database cannot say anything: it fails with the whole chain of causes.
async fn expect<T>(work: impl Future<Output = Result<T>>) -> T {
    work.await.unwrap_or_else(|error| panic!("no Postgres for this test: {error:#}"))
}
