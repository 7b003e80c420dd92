//! What has had its term is moved to the archive: nothing before its time, everything once, and nothing there tells of a
//! person who was erased.

use std::time::Duration;

use commands::ports::Clock;
use commands::ports::Subject;
use commands::ports::clock::SystemClock;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use test_support::wait::until;

use crate::app::{TestApp, TestMerchant, payment};

const SHELVES: [&str; 4] = ["channel_calls", "exports", "job_runs", "webhook_messages"];
/// Whatever is there is past its term.
const AT_ONCE: [&str; 9] = [
    "archive",
    "--keep-channel-calls-days",
    "0",
    "--keep-exports-days",
    "0",
    "--keep-job-runs-days",
    "0",
    "--keep-webhook-messages-days",
    "0",
];
const MAIL: &str = "ada@example.com";

fn counts(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|shelf| shelf["count"].as_u64().unwrap()).collect()
}

impl TestApp {
    async fn archive(&self, more: &[&str]) -> Value {
        self.binary().json(&[&AT_ONCE, more].concat()).await.unwrap()
    }

    /// What stands on a shelf of the archive.
    async fn archived(&self, shelf: &str) -> Vec<Value> {
        let (code, text) = self.binary().run(&["archive", "--read", shelf]).await.unwrap();
        assert_eq!(code, 0);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn settled_webhooks(&self, payment_id: &str) -> Vec<commands::ports::inbox::WebhookRecord> {
        until("the webhook is settled", Duration::from_secs(30), || async {
            let told = self.ledger.inbox.about(&[payment_id.to_owned()]).await.unwrap();
            (!told.is_empty() && told.iter().all(|webhook| webhook.outcome.is_some())).then_some(told)
        })
        .await
    }

    /// An export whose file is gone.
    async fn ended_export(&self, merchant: &TestMerchant) -> String {
        let asked = self.post("/exports", &merchant.secret, &json!({"kind": "payments", "format": "csv"})).await;
        let id = asked.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        until("the export is ready", Duration::from_secs(30), || async {
            (self.get_json(&format!("/exports/{id}"), &merchant.secret).await["status"] == "ready").then_some(())
        })
        .await;
        let end = "UPDATE exports SET state = 'expired', expires_at = now() - interval '1 second'";
        sqlx::query(end).execute(&self.ledger.pool).await.unwrap();
        id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_had_its_term_is_moved_and_can_be_read() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let mut body = payment("tok_success", 10_000);
    body["customer"] = json!({"email": MAIL, "name": "Ada"});
    let paid: Value = app.post("/payments", &merchant.secret, &body).await.json().await.unwrap();
    let id = paid["id"].as_str().unwrap();
    app.ledger.calls.flush().await;
    let webhooks = app.settled_webhooks(id).await;
    let calls = app.ledger.calls.about(&[id.to_owned()]).await.unwrap();
    let export = app.ended_export(&merchant).await;
    assert_eq!(app.binary().run(&["jobs", "run", "forget_nonces", "--wait", "30"]).await.unwrap().0, 0);

    let binary = app.binary();
    assert_eq!(counts(&binary.json(&["archive", "--yes"]).await.unwrap()), [0; 4], "the terms are not over");
    let would = app.archive(&["--dry-run"]).await;
    assert!(counts(&would).iter().all(|count| *count > 0) && would[0]["dry_run"] == true, "{would}");
    assert_eq!(would.as_array().unwrap().iter().map(|shelf| &shelf["shelf"]).collect::<Vec<_>>(), SHELVES);
    assert_eq!(binary.run(&AT_ONCE).await.unwrap().0, 1, "nobody agreed");
    assert!(app.archived("channel_calls").await.is_empty(), "a dry run and a refusal move nothing");
    let moved = counts(&app.archive(&["--yes"]).await);
    assert!(moved.iter().zip(counts(&would)).all(|(moved, would)| *moved >= would), "{moved:?} of {would}");
    for (shelf, count) in SHELVES.iter().zip(&moved) {
        assert_eq!(app.archived(shelf).await.len() as u64, *count, "{shelf}");
    }

    assert_eq!(app.ledger.calls.about(&[id.to_owned()]).await, Ok(vec![]));
    let archived = app.archived("channel_calls").await;
    let keys: Vec<&Value> = archived.iter().map(|row| &row["content"]["idempotency_key"]).collect();
    assert!(calls.iter().all(|call| keys.contains(&&json!(call.idempotency_key))), "{archived:?}");
    let exports = app.archived("exports").await;
    assert_eq!((&exports[0]["name"], exports[0]["content"]["digest"].is_string()), (&json!(export), true));
    assert_eq!(app.get(&format!("/exports/{export}"), &merchant.secret).await.status(), 404);
    assert_eq!(app.archived("job_runs").await[0]["content"]["job"], "forget_nonces");

    assert_eq!(app.settled_webhooks(id).await, webhooks, "that they came stays known");
    let told = app.archived("webhook_messages").await;
    assert_eq!(told.len(), webhooks.len());
    let content = &told[0]["content"];
    let text = content["message"]["body"].as_str().unwrap();
    assert!(text.contains(id) && content["stream_id"] == id && content["outcome"] == "acted", "{content}");
    assert_eq!(content["body_sha256"], hex::encode(Sha256::digest(text)));
    assert_eq!(binary.run(&["archive", "--read", "nothing"]).await.unwrap().0, 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_message_goes_with_the_person_that_it_tells_about() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let mut body = payment("tok_success", 10_000);
    body["customer"] = json!({"email": MAIL});
    let paid: Value = app.post("/payments", &merchant.secret, &body).await.json().await.unwrap();
    let early = app.settled_webhooks(paid["id"].as_str().unwrap()).await.len();
    app.archive(&["--yes"]).await;
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT content::text FROM archive").fetch_all(&app.ledger.pool).await.unwrap();
    assert!(stored.len() > early && stored.iter().all(|row| !row.contains(MAIL) && !row.contains("body\":")));
    assert!(app.archived("webhook_messages").await.iter().all(|row| row["content"]["message"].is_object()));

    // Of a second payment the message is still where it came to when the person is erased.
    let mut body = payment("tok_success", 20_000);
    body["customer"] = json!({"email": MAIL});
    let second: Value = app.post("/payments", &merchant.secret, &body).await.json().await.unwrap();
    let late = app.settled_webhooks(second["id"].as_str().unwrap()).await.len();
    let vault = app.vault();
    assert!(vault.erase(&Subject { merchant_id: merchant.id, customer: Some(MAIL.to_owned()) }).await.unwrap());
    let archive = app.ledger.archive(commands::archive::Terms::in_days(0, 0, 0, 0));
    until("every node has noticed", Duration::from_secs(30), || async {
        archive.clear(commands::archive::Shelf::WebhookMessages, SystemClock.now()).await.ok()
    })
    .await;
    let told = app.archived("webhook_messages").await;
    assert_eq!(told.len(), early + late);
    for row in told {
        assert!(row["content"]["message"].is_null() && row["content"]["body_sha256"].is_string(), "{row}");
    }
    app.stop().await;
}

/// Two nodes and a process that dies: whatever the order, each row is in one place.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_move_at_once_each_row_is_moved_once() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    for _ in 0..3 {
        app.pay(&merchant, "tok_success", 1_000).await;
    }
    app.ledger.calls.flush().await;
    let before: i64 =
        sqlx::query_scalar("SELECT count(*) FROM channel_calls").fetch_one(&app.ledger.pool).await.unwrap();
    let archive = app.ledger.archive(commands::archive::Terms::in_days(0, 0, 0, 0));
    let now = SystemClock.now();
    let moving = (0..8).map(|number| {
        let archive = archive.clone();
        tokio::spawn(async move {
            let shelf = commands::archive::Shelf::ALL[number % 4];
            // One of them is dropped in the middle of its work.
            let moved = tokio::time::timeout(Duration::from_millis(number as u64 * 3), archive.clear(shelf, now)).await;
            moved.map_or(Ok(0), |moved| moved)
        })
    });
    for moved in futures::future::join_all(moving.collect::<Vec<_>>()).await {
        moved.unwrap().unwrap();
    }
    for shelf in commands::archive::Shelf::ALL {
        archive.clear(shelf, now).await.unwrap();
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM channel_calls").fetch_one(&app.ledger.pool).await.unwrap();
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM archive WHERE shelf = 'channel_calls'")
        .fetch_all(&app.ledger.pool)
        .await
        .unwrap();
    let archived = i64::try_from(names.len()).unwrap();
    assert!(left + archived >= before && archived >= 3, "{before} were there, {left} are left, {archived} archived");
    app.stop().await;
}
