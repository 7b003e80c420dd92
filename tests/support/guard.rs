//! Cleans up after a test process that can no longer do so itself: a shell that holds the other end of a pipe, sees it
//! close when the process ends (by return, panic, Ctrl-C or kill -9), and then ends and deletes what it was told to.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

/// `$1` is a Postgres data directory; its cluster may be kept elsewhere, as its `location` says. The postmaster is
/// ended only if it works in that cluster; it deletes its pid file when it has ended.
const DELETE_CLUSTER: &str = r#"
trap '' INT HUP TERM
while read -r _; do :; done
folder=$1
delete() {
    place=$folder
    [ -f "$folder/location" ] && place=$(cat "$folder/location")
    pid_file=$place/data/postmaster.pid
    if [ -f "$pid_file" ]; then
        read -r pid < "$pid_file"
        if [ ! -d /proc/self ] || [ "$(readlink "/proc/$pid/cwd")" = "$place/data" ]; then
            kill -QUIT "$pid"
            n=0
            while [ -f "$pid_file" ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
        fi
    fi
    rm -rf -- "$place" "$folder"
}
delete
# A server or initdb that was only just starting may have written meanwhile.
n=0
while [ -e "$folder" ] && [ $n -lt 20 ]; do sleep 0.5; delete; n=$((n + 1)); done
"#;

/// Runs the command line `$@` and kills it when the pipe closes. The shell has not waited for it before, so the number
/// is still its own.
const RUN_PROCESS: &str = r#"
"$@" < /dev/null &
pid=$!
trap '' INT HUP TERM
while read -r _; do :; done
kill -KILL "$pid"
wait "$pid"
"#;

/// Dropping it cleans up at once and waits until that is done; otherwise the end of this process does.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Ends the Postgres of this data directory and deletes the directory. Set up before the cluster is made. The path
    /// must be free of links, as processes report it.
    pub fn over_cluster(data_dir: &Path) -> Result<Self> {
        Self::run(DELETE_CLUSTER, [data_dir.as_os_str()], None)
    }

    /// Starts a program that lives no longer than the guard or this process. Its output goes to the file.
    pub fn over_process<'a>(command: impl IntoIterator<Item = &'a OsStr>, output: File) -> Result<Self> {
        Self::run(RUN_PROCESS, command, Some(output))
    }

    fn run<'a>(script: &str, arguments: impl IntoIterator<Item = &'a OsStr>, output: Option<File>) -> Result<Self> {
        let (stdout, stderr) = match output {
            Some(file) => (Stdio::from(file.try_clone()?), Stdio::from(file)),
            None => (Stdio::null(), Stdio::null()),
        };
        let mut shell = Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            // Ctrl-C is for the tests; the guard goes on until they have gone.
            .process_group(0)
            .spawn()
            .context("starting /bin/sh")?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}

/// Deletes clusters of earlier test runs whose guard was killed as well (a container that was stopped, a power cut).
/// A cluster in use is recognised by its owner's lock; a very young one may not have taken it yet.
pub(crate) fn sweep(parent: &Path, prefix: &str) {
    const AGE_MIN: Duration = Duration::from_secs(600);
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(prefix);
        if is_ours && is_old(&path, AGE_MIN) && is_unowned(&path) {
            drop(Guard::over_cluster(&path));
        }
    }
}

fn is_old(path: &Path, age_min: Duration) -> bool {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > age_min))
}

fn is_unowned(path: &Path) -> bool {
    File::options().write(true).open(path.join("owner.lock")).is_ok_and(|file| file.try_lock().is_ok())
}
