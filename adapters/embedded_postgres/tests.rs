//! The private Postgres against real servers: made, restarted, killed, left behind, contested, hidden away.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::processes::{PidFile, wait_until};
use super::run_as::{RunAs, is_root};
use super::{Cluster, ClusterError, ClusterOptions, start};

const PATIENCE: Duration = Duration::from_secs(60);

/// Set for the copy of this test program that plays an owner which is killed.
const OWNER_VARIABLE: &str = "PAYLEDGER_TEST_OWNS_DATA_DIR";

/// A folder which the server's user may pass through.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mode = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(folder.path(), mode).expect("a mode");
    folder
}

fn options(data_dir: &Path) -> ClusterOptions {
    ClusterOptions { max_connections: 20, shared_buffers_mb: 16, ..ClusterOptions::new(data_dir) }
}

async fn start_in(data_dir: &Path) -> Cluster {
    start(options(data_dir)).await.expect("a cluster")
}

async fn scalar(url: &str, sql: &str) -> Result<String, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let value = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(value)
}

async fn remember(cluster: &Cluster, word: &str) {
    let url = cluster.url("postgres");
    let sql = format!("CREATE TABLE kept AS SELECT '{word}'::text AS word");
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    sqlx::query(&sql).execute(&mut connection).await.expect("a table");
}

async fn recall(cluster: &Cluster) -> String {
    let url = cluster.url("postgres");
    scalar(&url, "SELECT word FROM kept").await.expect("a word")
}

fn pid_of(cluster: &Cluster) -> u32 {
    cluster.postmaster_pid().expect("a postmaster")
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).expect("a process to signal");
}

/// No process of the server works in its folder any more.
fn nothing_runs_in(pg_data: &Path) -> bool {
    !pg_data.join("postmaster.pid").exists()
        && std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .all(|entry| std::fs::read_link(entry.path().join("cwd")).map_or(true, |cwd| cwd != pg_data))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_is_durable_and_guarded_and_keeps_its_data_over_a_restart() {
    let folder = open_folder();
    let data_dir = folder.path().join("below").join("data");
    let cluster = start_in(&data_dir).await;
    let url = cluster.url("postgres");
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", "127.0.0.1"),
    ] {
        let value = scalar(&url, &format!("SELECT current_setting('{setting}')")).await;
        assert_eq!(value.expect("a setting"), expected, "{setting}");
    }
    let collation = "SELECT datcollate::text FROM pg_database WHERE datname = 'template0'";
    assert_eq!(scalar(&url, collation).await.expect("a collation"), "C");

    let socket = cluster.socket_url("postgres").expect("a short path");
    let over_socket = "SELECT coalesce(host(inet_client_addr()), 'socket')";
    let answer = scalar(&socket, over_socket).await;
    assert_eq!(answer.expect("an answer"), "socket");

    let secret = data_dir.join("password");
    let mode = std::fs::metadata(&secret).expect("a password").mode();
    assert_eq!(mode & 0o777, 0o600);
    let password = std::fs::read_to_string(&secret).expect("a password");
    for wrong in [url.replace(password.trim(), "wrong"), socket.replace(password.trim(), "wrong")] {
        let refused = scalar(&wrong, "SELECT 'in'").await.expect_err("no entry");
        assert!(refused.to_string().contains("password"), "{refused}");
    }

    assert!(cluster.create_database("books").await.expect("made"));
    assert!(!cluster.create_database("books").await.expect("there"));
    remember(&cluster, "first").await;
    let pg_data = cluster.folder().join("data");
    cluster.stop().await.expect("a stop");
    assert_eq!(cluster.postmaster_pid(), None);
    assert!(nothing_runs_in(&pg_data));
    drop(cluster);

    let cluster = start_in(&data_dir).await;
    assert_eq!(recall(&cluster).await, "first");
    assert_eq!(cluster.url("postgres"), url, "the port and password stay");
    cluster.drop_database("books").await.expect("dropped");
    let gone = scalar(&cluster.url("books"), "SELECT 'in'").await;
    assert!(gone.is_err());
    let name = "x; DROP TABLE kept";
    let refused = cluster.create_database(name).await.expect_err("a bad name");
    assert!(matches!(refused, ClusterError::BadDatabaseName(_)));

    drop(cluster);
    assert!(nothing_runs_in(&pg_data), "dropping stops it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postmaster_is_started_again_even_with_a_busy_backend() {
    let folder = open_folder();
    let cluster = start_in(folder.path()).await;
    remember(&cluster, "kept").await;
    let url = cluster.url("postgres");

    // It computes without ever looking up, so it does not notice by itself that the postmaster is gone.
    let busy = tokio::spawn({
        let url = url.clone();
        async move { scalar(&url, "SELECT count(*)::text FROM generate_series(1, 100000000000)").await }
    });
    let is_busy = "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%generate_series%' \
                   AND pid <> pg_backend_pid()";
    while scalar(&url, is_busy).await.expect("a count") != "1" {
        tokio::task::yield_now().await;
    }

    let killed = pid_of(&cluster);
    send(killed, Signal::SIGKILL);
    cluster.wait_restarted(Some(killed), PATIENCE).await.expect("another postmaster");
    assert!(busy.await.expect("joined").is_err());
    assert_eq!(cluster.restarts(), 1);
    assert_ne!(pid_of(&cluster), killed);
    assert_eq!(cluster.url("postgres"), url);
    assert_eq!(recall(&cluster).await, "kept");

    cluster.stop().await.expect("a stop");
    let stopped = cluster.wait_ready(PATIENCE).await.expect_err("stopped");
    assert!(matches!(stopped, ClusterError::Stopped));
}

/// Not a test of itself: the owner that the next test kills, run in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn owner_in_a_process_of_its_own() {
    let Some(data_dir) = std::env::var_os(OWNER_VARIABLE) else {
        return;
    };
    let cluster = start_in(Path::new(&data_dir)).await;
    remember(&cluster, "from the killed owner").await;
    std::fs::write(Path::new(&data_dir).join("up"), cluster.url("postgres")).expect("a note");
    std::future::pending::<()>().await;
}

/// A child that is killed with the test, also when that fails.
struct Owner(Child);

impl Owner {
    fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn_owner(data_dir: &Path) -> Owner {
    let name = "embedded_postgres::tests::owner_in_a_process_of_its_own";
    let owner = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(OWNER_VARIABLE, data_dir)
        .stdout(Stdio::null())
        .spawn()
        .expect("an owner");
    let owner = Owner(owner);
    let is_up = wait_until(PATIENCE, || data_dir.join("up").exists());
    assert!(is_up, "the owner is up");
    owner
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_is_refused_and_takes_over_once_the_first_is_killed() {
    let folder = open_folder();
    let data_dir = folder.path().to_owned();
    let mut owner = spawn_owner(&data_dir);

    let refused = start(options(&data_dir)).await.expect_err("in use");
    let text = refused.to_string();
    assert!(text.contains(&owner.0.id().to_string()), "{text}");
    assert!(matches!(refused, ClusterError::InUse { .. }), "{text}");

    let pg_data = data_dir.join("data");
    let orphan = PidFile::read(&pg_data).expect("a postmaster").pid;
    owner.kill();
    assert!(!nothing_runs_in(&pg_data), "it outlives its owner");

    let cluster = start_in(&data_dir).await;
    assert_ne!(pid_of(&cluster).cast_signed(), orphan);
    assert_eq!(recall(&cluster).await, "from the killed owner");
    cluster.stop().await.expect("a stop");
    assert!(nothing_runs_in(&pg_data));
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_and_postmaster_killed_together_are_recovered_from() {
    let folder = open_folder();
    let data_dir = folder.path().to_owned();
    let mut owner = spawn_owner(&data_dir);
    let orphan = PidFile::read(&data_dir.join("data")).expect("a postmaster");
    owner.kill();
    send(orphan.pid.cast_unsigned(), Signal::SIGKILL);

    let cluster = start_in(&data_dir).await;
    assert_eq!(recall(&cluster).await, "from the killed owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_the_pid_of_a_dead_postmaster_is_left_alone() {
    let folder = open_folder();
    let cluster = start_in(folder.path()).await;
    let (pg_data, pid, port) = (cluster.folder().join("data"), pid_of(&cluster), cluster.port());
    let pid_file = std::fs::read_to_string(pg_data.join("postmaster.pid")).expect("a pid file");
    cluster.stop().await.expect("a stop");
    drop(cluster);

    // Of the same user: Postgres by itself would refuse to start beside it.
    let run_as = RunAs::choose().expect("a user");
    let mut stranger = run_as.command("sleep").arg("600").spawn().expect("a process");
    let renamed = pid_file.replacen(&pid.to_string(), &stranger.id().to_string(), 1);
    let socket_lock = format!("socket/.s.PGSQL.{port}.lock");
    std::fs::write(folder.path().join(socket_lock), &renamed).expect("a socket lock");
    std::fs::write(pg_data.join("postmaster.pid"), renamed).expect("a pid file");

    let started = start(options(folder.path())).await;
    let left_alone = stranger.try_wait().expect("a state").is_none();
    stranger.kill().expect("killed");
    stranger.wait().expect("reaped");
    assert!(left_alone);
    started.expect("a cluster beside the stranger");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_root_the_server_is_unprivileged_and_finds_a_place_it_may_enter() {
    if !is_root() {
        return;
    }
    let folder = open_folder();
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).expect("a folder");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let data_dir = locked.join("data");

    let cluster = start_in(&data_dir).await;
    let process = PathBuf::from(format!("/proc/{}", pid_of(&cluster)));
    assert_ne!(std::fs::metadata(process).expect("a process").uid(), 0);
    assert!(!cluster.folder().starts_with(&locked), "{cluster:?}");
    remember(&cluster, "elsewhere").await;
    drop(cluster);

    let cluster = start_in(&data_dir).await;
    assert_eq!(recall(&cluster).await, "elsewhere");
    let elsewhere = cluster.folder().to_owned();
    cluster.destroy().await.expect("deleted");
    assert!(!elsewhere.exists());

    // What the marker names and is not there is never silently replaced by an empty database.
    let marker = data_dir.join("location");
    std::fs::write(&marker, elsewhere.as_os_str().as_encoded_bytes()).expect("a marker");
    let refused = start(options(&data_dir)).await.expect_err("vanished");
    assert!(matches!(refused, ClusterError::Vanished { .. }), "{refused}");
}
