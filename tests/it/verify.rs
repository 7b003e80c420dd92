//! Invariants 8 and 10 in `payledger verify`: a line each with its figure, and red once somebody damages what they are
//! about.

use commands::audit::Check;
use serde_json::json;
use sqlx::Executor;

use crate::app::TestApp;

async fn line(app: &TestApp, invariant: u8) -> Check {
    let checks = payledger::verify::checks(&app.ledger, None).await.unwrap();
    let mut lines = checks.into_iter().filter(|check| check.invariant == invariant);
    let line = lines.next().expect("the invariant has a line");
    assert_eq!(lines.next(), None);
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_nobody_would_take_up_is_named() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    app.pay(&merchant, "tok_success", 10_000).await;
    let waits = json!({
        "order_no": "waits", "amount": 5_000, "currency": "USD",
        "payment_method": {"type": "card", "token": "tok_requires_action"}
    });
    let waits: serde_json::Value = app.post("/payments", &merchant.secret, &waits).await.json().await.unwrap();
    let id = waits["id"].as_str().unwrap();
    app.payment_until(&merchant, id, "the payment waits for its payer", |payment| {
        payment["status"] == "requires_action"
    })
    .await;
    test_support::wait::until("the sagas have nothing to do", std::time::Duration::from_secs(30), || async {
        let quiet = line(&app, 8).await;
        (quiet.ok && quiet.figure == 2).then_some(())
    })
    .await;

    let damage = |change: &str| format!("{change} WHERE saga_id = '{id}'");
    let change =
        "UPDATE saga_agenda SET state = 'waiting', claimed_until = NULL, updated_at = now() + interval '1 hour',
                         due_at = now() + interval '40 minutes'";
    app.ledger.pool.execute(damage(change).as_str()).await.unwrap();
    let stands = line(&app, 8).await;
    assert!(!stands.ok && stands.detail.as_ref().unwrap().starts_with(&format!("{id} (payment) has been due since")));
    app.ledger.pool.execute(damage("UPDATE saga_agenda SET state = 'stuck'").as_str()).await.unwrap();
    assert_eq!((line(&app, 8).await.ok, line(&app, 8).await.figure), (true, 2), "it has alerted");

    app.ledger.pool.execute(damage("DELETE FROM saga_agenda").as_str()).await.unwrap();
    let detail = format!("{id} (payment) has something left to do and is not on the agenda");
    assert_eq!(line(&app, 8).await.detail, Some(detail));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_an_event_in_clear_is_named_and_not_shown() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    app.fresh("/payments", &merchant.secret).await;
    let clean = line(&app, 10).await;
    assert!(clean.ok && clean.figure > 2, "{clean:?}");
    let damage = format!(
        "ALTER TABLE events DISABLE TRIGGER events_are_append_only;
         UPDATE events SET payload = replace(payload::text, '\"card\"', '\"ann@example.com\"')::json
          WHERE aggregate_id = '{}' AND event_type = 'payment.created';
         ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only",
        paid["id"].as_str().unwrap()
    );
    sqlx::raw_sql(&damage).execute(&app.ledger.pool).await.unwrap();
    let found = line(&app, 10).await;
    let detail = found.detail.unwrap();
    assert!(!found.ok && detail.ends_with("has an e-mail address in clear in method"), "{detail}");
    assert!(!detail.contains("ann"), "{detail}");
    app.stop().await;
}
