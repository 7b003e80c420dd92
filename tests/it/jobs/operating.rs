//! Jobs over HTTP and on the command line, and the real ones at their work.

use std::sync::Arc;
use std::time::Duration;

use commands::jobs::{ExpireOverduePayments, Job};
use commands::payment::Payments;
use commands::ports::{Clock, Role as KeyRole};
use domain::payment::{CancellationCause, Payment, Phase};
use payledger::cli::Role;
use projections::overdue::OverdueOfReadModel;
use serde_json::{Value, json};
use test_support::manual_clock::ManualClock;
use test_support::wait::until;

use crate::app::{TestApp, payment};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_jobs_and_run_them() {
    let app = TestApp::start().await;
    let operator = app.key(KeyRole::Operator, None).await.1;
    until("the node has entered its jobs", LIMIT, || async {
        let jobs = app.get_json("/jobs", &operator).await;
        let names = jobs["data"].as_array()?.iter().map(|job| job["name"].as_str().unwrap());
        let names: Vec<String> = names.map(str::to_owned).collect();
        let real = [
            "close_settlements",
            "expire_overdue_payments",
            "find_missed_disputes",
            "archive_channel_calls",
            "archive_job_runs",
            "forget_nonces",
            "archive_webhook_messages",
        ];
        real.iter().all(|real| names.iter().any(|name| name == real)).then_some(())
    })
    .await;

    let asked = app.post_keyed("/jobs/archive_job_runs/run", &operator, "once", &json!({})).await;
    assert_eq!(asked.status(), 202);
    let asked: Value = asked.json().await.unwrap();
    assert_eq!((&asked["object"], &asked["state"]), (&json!("job_run"), &json!("pending")));
    let repeated = app.post_keyed("/jobs/archive_job_runs/run", &operator, "once", &json!({})).await;
    assert_eq!(repeated.headers()["idempotency-hit"], "true");
    assert_eq!(repeated.json::<Value>().await.unwrap(), asked);
    let runs = until("the run has ended", LIMIT, || async {
        let runs = app.get_json("/jobs/archive_job_runs/runs?limit=5", &operator).await;
        (runs["data"][0]["state"] == "completed").then_some(runs)
    })
    .await;
    assert_eq!((&runs["data"][0]["id"], &runs["data"][0]["trigger"]), (&asked["id"], &json!("request")));
    assert_eq!(runs["data"].as_array().unwrap().len(), 1, "the repeat asked for nothing");
    for path in ["/jobs/none/runs", "/jobs/%00/runs"] {
        let missing: Value = app.get(path, &operator).await.json().await.unwrap();
        assert_eq!((&missing["status"], &missing["code"]), (&json!(404), &json!("job_not_found")), "{path}");
    }

    let binary = app.binary();
    let run = binary.json(&["jobs", "run", "archive_job_runs", "--wait", "30"]).await.unwrap();
    assert_eq!((&run["state"], &run["trigger"]), (&json!("completed"), &json!("request")));
    let listed = binary.json(&["jobs", "list"]).await.unwrap();
    let found = listed.as_array().unwrap().iter().find(|job| job["job"] == "archive_job_runs").unwrap();
    assert_eq!((&found["last_outcome"], &found["timetable"]), (&json!("completed"), &json!("daily at 03:10 UTC")));
    assert_eq!(binary.run(&["jobs", "run", "none"]).await.unwrap().0, 1);
    let text = binary.run(&["jobs", "list"]).await.unwrap().1;
    assert!(text.starts_with("JOB") && text.contains("forget_nonces"), "{text}");
    app.stop().await;
}

/// No node runs the sagas here, as if the payment's row had been lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_saga_was_lost_is_expired_all_the_same() {
    let app = TestApp::with_roles(&[Role::Api, Role::Projections]).await;
    let merchant = app.merchant().await;
    let mut body = payment("tok_success", 1_000);
    body["expires_in"] = json!(60);
    let request = app.request(reqwest::Method::POST, "/payments", &merchant.secret).header("Idempotency-Key", "k");
    let created: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    let payment_id = created["id"].as_str().unwrap().parse().unwrap();
    app.fresh("/payments", &merchant.secret).await;

    let clock = ManualClock::default();
    clock.advance(Duration::from_secs(400 * 24 * 3_600));
    let payments = Payments { clock: Arc::new(clock.clone()), ..app.ledger.payments.clone() };
    let overdue = Arc::new(OverdueOfReadModel::new(app.ledger.reader.clone()));
    let job = ExpireOverduePayments { payments: payments.clone(), overdue };
    assert_eq!(job.run(app.ledger.payments.clock.now()).await, Ok(0), "its time is not over");
    let soon_after = app.ledger.payments.clock.now().plus(Duration::from_secs(10 * 60));
    assert_eq!(job.run(soon_after).await, Ok(0), "its saga still has time");
    assert_eq!(job.run(clock.now()).await, Ok(1));
    let stream = payments.load(payment_id).await.unwrap();
    let record = stream.of::<Payment>().and_then(|state| state.record()).unwrap();
    let Phase::Open(open) = &record.phase else { panic!("{:?}", record.phase) };
    assert_eq!(open.cancellation, Some(CancellationCause::Expiry), "its saga asks the channel now");
    app.fresh("/payments", &merchant.secret).await;
    assert_eq!(job.run(clock.now()).await, Ok(0));
    app.stop().await;
}
