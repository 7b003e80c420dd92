//! Makes a new cluster: whole and durable under its final name, or not there at all.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::binaries::Binaries;
use super::error::{ClusterError, IoContext};
use super::folder::{Folder, sync_folder};
use super::install::last_lines;

/// The database superuser. Its name is Postgres's own, so that a role of ours may be called anything.
pub(super) const SUPERUSER: &str = "postgres";

const UNFINISHED: &str = "unfinished-";

/// Runs `initdb` beside the final place, flushes it, and renames. A run that is killed leaves an `unfinished-*` folder,
/// which the next one deletes; each has a name of its own because a killed run's `initdb` may still be writing.
pub(super) fn create(folder: &Folder, binaries: &Binaries, durable: bool) -> Result<(), ClusterError> {
    delete_unfinished(&folder.cluster);
    let unfinished = folder.cluster.join(format!("{UNFINISHED}{:08x}", rand::random::<u32>()));
    DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .and_then(|()| folder.run_as.give(&unfinished))
        .during("creating", &unfinished)?;

    let password_file = unfinished.with_extension("password");
    give_password(folder, &password_file)?;
    // Flushing once at the end is several times faster than initdb's own way on a slow disk.
    let made = run(folder, binaries, |command| {
        command
            .arg("--pgdata")
            .arg(&unfinished)
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C"])
            .args(["--auth", "scram-sha-256", "--data-checksums", "--no-sync"]);
    });
    let _ = std::fs::remove_file(&password_file);
    made?;

    if durable {
        run(folder, binaries, |command| {
            command.arg("--sync-only").arg("--pgdata").arg(&unfinished);
        })?;
    }
    let pg_data = folder.pg_data();
    std::fs::rename(&unfinished, &pg_data).and_then(|()| sync_folder(&folder.cluster)).during("renaming", &pg_data)
}

/// `initdb` reads the password from a file, and runs as a user who may not read ours.
fn give_password(folder: &Folder, path: &Path) -> Result<(), ClusterError> {
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{}", folder.password))
        .and_then(|()| folder.run_as.give(path))
        .during("writing", path)
}

fn run(
    folder: &Folder,
    binaries: &Binaries,
    arguments: impl FnOnce(&mut std::process::Command),
) -> Result<(), ClusterError> {
    let program = binaries.initdb();
    let failed = |detail: String| ClusterError::Initdb { program: program.display().to_string(), detail };
    let mut command = folder.run_as.command(&program);
    arguments(&mut command);
    let output = command.output().map_err(|error| failed(format!("as {}: {error}", folder.run_as.name())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(last_lines(&said, 8)))
}

fn delete_unfinished(cluster: &Path) {
    for entry in std::fs::read_dir(cluster).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}
