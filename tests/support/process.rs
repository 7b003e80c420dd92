//! The real binary as a child process: started, waited for, killed without warning, started again.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A port of this machine that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// The binary with the settings that every call of one test shares.
#[derive(Debug, Clone)]
pub struct Binary {
    pub path: String,
    pub settings: Vec<(String, String)>,
}

impl Binary {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        for (name, value) in &self.settings {
            command.env(name, value);
        }
        command
    }

    /// Runs to the end and answers the exit code and what it printed on stdout.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
        let output = self.command(arguments).stderr(Stdio::inherit()).output().await?;
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Runs with `--json` and reads the result.
    pub async fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let (code, text) = self.run(&[arguments, &["--json"]].concat()).await?;
        if code != 0 {
            bail!("{arguments:?} ended with {code}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed {text:?}"))
    }

    /// Starts it and goes on.
    pub fn start(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        let child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Process { child })
    }

    /// Starts a server and waits until `GET {health}` answers 200.
    pub async fn serve(&self, arguments: &[&str], health: &str) -> anyhow::Result<Process> {
        let child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
        let mut process = Process { child };
        let started = Instant::now();
        let client = reqwest::Client::new();
        loop {
            if let Some(status) = process.child.try_wait()? {
                bail!("{arguments:?} ended at once with {status}");
            }
            let answer = client.get(health).timeout(Duration::from_secs(1)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(process);
            }
            if started.elapsed() > READY_WITHIN {
                bail!("{arguments:?} did not get ready within {READY_WITHIN:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A child process; it does not outlive this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// `kill -TERM`, and waits until it has ended by itself.
    pub async fn terminate(mut self) -> anyhow::Result<()> {
        let status = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status().await?;
        anyhow::ensure!(status.success(), "there is no such process");
        let status = tokio::time::timeout(READY_WITHIN, self.child.wait()).await??;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}
