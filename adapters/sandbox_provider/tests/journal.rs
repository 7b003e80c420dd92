//! Recovery from the journal: torn tails, damage, locks, scheduled work.

use super::support::{Sandbox, test_config, until};
use crate::sandbox_provider::{JournalError, SandboxError, start};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

fn append(sandbox: &Sandbox, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(sandbox.journal_path()).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_restart_finds_everything_as_it_was() {
    let mut sandbox = Sandbox::start().await;
    let first = sandbox.charge("pay_1", "tok_success").await;
    sandbox.authorize("pa_1", "tok_success").await;
    sandbox.post("/charges/pa_1/capture", "key", json!({ "reference": "pay_2", "amount": 400 })).await;
    sandbox.refund("re_1", "pay_1", 200).await;
    sandbox.charge("pay_3", "tok_declined").await;
    let paths =
        ["/charges/pay_1", "/charges/pa_1", "/captures/pay_2", "/refunds/re_1", "/charges/pay_3", "/book", "/health"];
    let mut before = Vec::new();
    for path in paths {
        before.push(sandbox.get(path).await.body);
    }
    sandbox.restart().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(sandbox.get(path).await.body, before, "{path}");
    }
    assert_eq!(sandbox.charge("pay_1", "tok_success").await.body, first.body);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_wherever_it_tore() {
    for torn in [&b"{\"s\":9"[..], b"{", b"\0\0\0\0", b"{\"s\":3,\"t\":1,\"e\":{\"k\":\n"] {
        let mut sandbox = Sandbox::start().await;
        sandbox.charge("pay_1", "tok_success").await;
        sandbox.stop().await;
        append(&sandbox, torn);
        sandbox.restart().await;
        assert_eq!(sandbox.kinds("pay_1").await, ["charge"]);
        sandbox.charge("pay_2", "tok_success").await;
        sandbox.restart().await;
        assert_eq!(sandbox.kinds("pay_2").await, ["charge"]);
    }
}

#[tokio::test]
async fn damage_before_the_last_line_stops_the_start() {
    let mut sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_success").await;
    sandbox.stop().await;
    append(&sandbox, b"garbage\n{\"s\":4}\n");
    let error = start(test_config(sandbox.folder.path())).await.err().unwrap();
    assert!(matches!(error, SandboxError::Journal(JournalError::Damaged { .. })), "{error}");
}

#[tokio::test]
async fn one_process_at_a_time_has_the_book() {
    let sandbox = Sandbox::start().await;
    let error = start(test_config(sandbox.folder.path())).await.err().unwrap();
    assert!(matches!(error, SandboxError::Journal(JournalError::Locked { .. })), "{error}");
}

#[tokio::test]
async fn scheduled_work_resumes_after_a_restart() {
    let delay = Duration::from_secs(2);
    let mut sandbox = Sandbox::start_with(|config| config.event_delay = delay).await;
    sandbox.charge("pay_async", "tok_async").await;
    sandbox.charge("pay_dispute", "tok_dispute").await;
    sandbox.charge("pay_late", "tok_refund_fails_late").await;
    sandbox.refund("re_late", "pay_late", 100).await;
    assert_eq!(sandbox.charge_status("pay_async").await, "pending");
    sandbox.restart().await;
    until(|| async { sandbox.charge_status("pay_async").await == "succeeded" }).await;
    until(|| async { sandbox.get("/refunds/re_late").await.status_field() == "failed" }).await;
    until(|| async { sandbox.get("/charges/pay_dispute").await.body["amount_disputed"] == 1000 }).await;
    assert_eq!(sandbox.book("re_late").await.len(), 2);
    // What has been done is not done again by the next start.
    let before = sandbox.get("/book").await.body;
    sandbox.restart().await;
    sandbox.charge("pay_marker", "tok_async").await;
    until(|| async { sandbox.charge_status("pay_marker").await == "succeeded" }).await;
    let after = sandbox.get("/book").await.body;
    assert_eq!(after["data"].as_array().unwrap()[..6], before["data"].as_array().unwrap()[..]);
    assert_eq!(after["data"].as_array().unwrap().len(), 7);
}
