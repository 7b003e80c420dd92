//! The promises of the test support itself: databases are apart, prepared once, and nothing is left of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::server::shared;
use super::{
    Durability, empty_test_database, private_cluster, test_database, test_database_from, volatile_test_database,
};
use crate::wait::until;

const PATIENCE: Duration = Duration::from_secs(60);

const NOTE_VARIABLE: &str = "PAYLEDGER_TEST_NOTE";

async fn count(pool: &sqlx::PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a count")
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_and_gives_it_back() {
    let (one, two) = tokio::join!(test_database(), test_database());
    sqlx::query("CREATE TABLE mine (n bigint)").execute(&one.pool).await.expect("a table");
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'";
    assert_eq!(count(&one.pool, tables).await, 1);
    assert_eq!(count(&two.pool, tables).await, 0);

    let name = one.name.clone();
    drop(one);
    let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    until("the database to be deleted", PATIENCE, async || (count(&two.pool, &there).await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_template_is_prepared_once() {
    let prepare = async |pool: sqlx::PgPool| {
        // A second run would fail: the table is there.
        sqlx::query("CREATE TABLE fixture AS SELECT generate_series(1, 1000) AS n").execute(&pool).await?;
        Ok(())
    };
    let make = || test_database_from(Durability::Volatile, "fixture", prepare);
    let (one, two) = tokio::join!(make(), make());
    for database in [&one, &two] {
        let rows = count(&database.pool, "SELECT count(*) FROM fixture").await;
        assert_eq!(rows, 1_000);
    }
}

#[tokio::test]
async fn fsync_is_on_unless_given_up() {
    if ["PAYLEDGER_TEST_DATABASE_URL", "PAYLEDGER_TEST_FSYNC"].iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let is_on = "SELECT count(*) FROM pg_settings WHERE name = 'fsync' AND setting = 'on'";
    assert_eq!(count(&test_database().await.pool, is_on).await, 1);
    assert_eq!(count(&volatile_test_database().await.pool, is_on).await, 0);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(count(&empty_test_database().await.pool, tables).await, 0);
}

#[tokio::test]
async fn a_private_cluster_is_deleted_on_drop() {
    let cluster = private_cluster().await;
    let folder = cluster.cluster.folder().to_owned();
    assert!(folder.join("data/postmaster.pid").exists());
    tokio::task::spawn_blocking(move || drop(cluster)).await.expect("dropped");
    assert!(!folder.exists());
}

/// Not a test of itself: the process that the next test kills.
#[tokio::test]
async fn a_process_with_a_database() {
    let Some(note) = std::env::var_os(NOTE_VARIABLE).map(PathBuf::from) else {
        return;
    };
    let _database = test_database().await;
    let server = shared(Durability::Durable).await.expect("a server");
    let cluster = server.cluster().expect("a cluster of ours");
    let pid = cluster.postmaster_pid().expect("a postmaster");
    let text = format!("{pid}\n{}", cluster.folder().display());
    std::fs::write(note.with_extension("new"), text).expect("a note");
    std::fs::rename(note.with_extension("new"), note).expect("a note");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_is_left_when_the_test_process_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let note = folder.path().join("note");
    let mut process = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "postgres::tests::a_process_with_a_database"])
        .env(NOTE_VARIABLE, &note)
        .env_remove("PAYLEDGER_TEST_DATABASE_URL")
        .env_remove("PAYLEDGER_TEST_FSYNC")
        .stdout(Stdio::null())
        .spawn()
        .expect("a process");
    let text = until("the process to be up", PATIENCE, async || std::fs::read_to_string(&note).ok()).await;
    process.kill().expect("killed");
    process.wait().expect("reaped");

    let (pid, cluster) = text.split_once('\n').expect("two lines");
    let working_folder = Path::new("/proc").join(pid).join("cwd");
    until("server and folder to be gone", PATIENCE, async || {
        let gone = !Path::new(cluster).exists() && std::fs::read_link(&working_folder).is_err();
        gone.then_some(())
    })
    .await;
}
