//! `localstripe`, a stateful server of the Stripe API that nobody here wrote, for tests of the Stripe channel. It is
//! installed from PyPI into an environment under the target folder, once, and serves from memory on 127.0.0.1.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::guard::Guard;
use crate::process::free_port;

const REQUIREMENT: &str = "localstripe==1.15.*";

const START_PATIENCE: Duration = Duration::from_secs(60);

/// Its own `main` listens on all addresses and keeps its book in a fixed file under /tmp; tests want neither.
const LAUNCHER: &str = r#"
import sys
from aiohttp import web
from localstripe import resources, server
type(resources.store).dump_to_disk = lambda self: None
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"#;

/// A running server with an empty book; killed on drop, or when this process ends.
#[derive(Debug)]
pub struct Localstripe {
    /// Such as `http://127.0.0.1:28420`, without a slash at the end.
    pub base_url: String,
    _guard: Guard,
    _folder: tempfile::TempDir,
}

/// Starts a server of the test's own. Any key of the form `sk_test_...` is accepted.
pub async fn localstripe() -> Localstripe {
    let started = match tokio::task::spawn_blocking(python).await {
        Ok(Ok(python)) => start(&python).await,
        Ok(Err(error)) => Err(error),
        Err(error) => Err(error.into()),
    };
    started.unwrap_or_else(|error| panic!("no localstripe for this test: {error:#}"))
}

async fn start(python: &Path) -> Result<Localstripe> {
    // The port may be lost to another program before the server binds it.
    let mut last = None;
    for _ in 0..3 {
        match start_once(python).await {
            Ok(server) => return Ok(server),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("not tried")))
}

async fn start_once(python: &Path) -> Result<Localstripe> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let log = folder.path().join("log");
    let port_text = port.to_string();
    let command = [python.as_os_str(), OsStr::new("-c"), OsStr::new(LAUNCHER), OsStr::new(&port_text)];
    let guard = Guard::over_process(command, File::create(&log)?)?;
    let server = Localstripe { base_url: format!("http://127.0.0.1:{port}"), _guard: guard, _folder: folder };
    let deadline = Instant::now() + START_PATIENCE;
    while !answers(port).await {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let failed = said.contains("Traceback") || Instant::now() > deadline;
        ensure!(!failed, "the server does not answer: {said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(server)
}

/// Whether something speaks HTTP there. Every path will do: also a refusal is an answer.
async fn answers(port: u16) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    ask.await.is_ok_and(|answer| &answer == b"HTTP/")
}

/// The interpreter of the environment, which is made first if it is not there whole.
fn python() -> Result<PathBuf> {
    let tools = target_folder()?.join("tools");
    std::fs::create_dir_all(&tools)?;
    let environment = tools.join("localstripe-venv");
    let python = environment.join("bin/python");
    let complete = environment.join("complete");
    // Test processes that run side by side make one environment.
    let lock = File::create(tools.join("localstripe-venv.lock"))?;
    lock.lock()?;
    let is_whole = std::fs::read_to_string(&complete).is_ok_and(|text| text == REQUIREMENT);
    if !is_whole || !runs(&python) {
        let _ = std::fs::remove_dir_all(&environment);
        make_environment(&environment, &python)?;
        std::fs::write(&complete, REQUIREMENT)?;
    }
    Ok(python)
}

fn make_environment(environment: &Path, python: &Path) -> Result<()> {
    let install_hint = "Python 3 with venv and pip is needed for this test; on Debian: \
                        apt-get install -y python3 python3-venv";
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(environment)
        .stdin(Stdio::null())
        .output()
        .context(install_hint)?;
    succeeded(&made).context(install_hint)?;
    let installed = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", REQUIREMENT])
        .stdin(Stdio::null())
        .output()?;
    succeeded(&installed).with_context(|| format!("installing {REQUIREMENT} from PyPI by pip"))
}

fn succeeded(output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    bail!("{}: {}", output.status, String::from_utf8_lossy(&said).trim())
}

/// An environment breaks when the Python that it was made from is replaced.
fn runs(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import localstripe"])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The target folder of Cargo: tests run from `{target}/{profile}/deps`.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    program
        .ancestors()
        .find(|folder| folder.file_name() == Some(OsStr::new("deps")))
        .and_then(|deps| deps.parent()?.parent())
        .map(Path::to_owned)
        .with_context(|| format!("{} is not in a target folder of Cargo", program.display()))
}

#[cfg(test)]
mod tests {
    use super::{answers, localstripe};

    #[tokio::test]
    async fn serves_from_memory_and_is_gone_after_the_drop() {
        let server = localstripe().await;
        let port: u16 = server.base_url.rsplit(':').next().and_then(|text| text.parse().ok()).expect("a port");
        assert!(answers(port).await);
        tokio::task::spawn_blocking(move || drop(server)).await.expect("dropped");
        assert!(!answers(port).await);
    }
}
