//! A real kill -9 of a process that is taking charges: nothing acknowledged is lost, nothing is
//! there twice. The child is this test binary, running the second test of this file, which does nothing
//! by itself.

use super::support::{Sandbox, charge_body, client, test_config, until};
use crate::sandbox_provider::start;
use futures::StreamExt;
use parking_lot::Mutex;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const DATA_DIR: &str = "SANDBOX_PROVIDER_CRASH_DATA_DIR";
const CHILD: &str = "sandbox_provider::tests::crash::child";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_kill_loses_no_acknowledged_effect_and_doubles_none() {
    let mut sandbox = Sandbox::start().await;
    sandbox.stop().await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        acknowledged.extend(charge_until_killed(sandbox.folder.path(), round).await);
        sandbox.restart().await;
        for reference in &acknowledged {
            assert_eq!(sandbox.kinds(reference).await, ["charge"], "{reference}");
        }
        let retried = acknowledged.last().unwrap();
        assert_eq!(sandbox.charge(retried, "tok_success").await.status, 201);
        assert_eq!(sandbox.kinds(retried).await, ["charge"]);
        sandbox.stop().await;
    }
}

/// Charges in parallel, kills the provider in the middle, and gives what was acknowledged.
async fn charge_until_killed(folder: &Path, round: u32) -> Vec<String> {
    let _ = std::fs::remove_file(folder.join("url"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, "--exact"]).env(DATA_DIR, folder).stdout(Stdio::null());
    let mut child = Killed(command.spawn().unwrap());
    until(|| async { folder.join("url").exists() }).await;
    let url = std::fs::read_to_string(folder.join("url")).unwrap();
    let (client, acknowledged) = (client(), Arc::new(Mutex::new(Vec::new())));
    let calls = futures::stream::iter(0..).for_each_concurrent(16, |number| {
        let (client, url, acknowledged) = (client.clone(), url.clone(), Arc::clone(&acknowledged));
        async move {
            let reference = format!("pay_{round}_{number}");
            let body = charge_body(&reference, "tok_success");
            let call = client.post(format!("{url}/charges")).header("idempotency-key", format!("key-{reference}"));
            if call.json(&body).send().await.is_ok_and(|answer| answer.status() == 201) {
                acknowledged.lock().push(reference);
            }
        }
    });
    tokio::select! {
        () = calls => {}
        () = until(|| async { acknowledged.lock().len() >= 200 }) => {}
    }
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    acknowledged.lock().clone()
}

#[tokio::test]
async fn child() {
    let Ok(data_dir) = std::env::var(DATA_DIR) else {
        return;
    };
    let folder = Path::new(&data_dir);
    let handle = start(test_config(folder)).await.unwrap();
    // Renamed into place, so that it is never read half written.
    std::fs::write(folder.join("url.new"), handle.url()).unwrap();
    std::fs::rename(folder.join("url.new"), folder.join("url")).unwrap();
    // Longer than the test lasts, and an end if the parent has died.
    tokio::time::sleep(Duration::from_secs(60)).await;
}
