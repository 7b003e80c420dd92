//! The log over HTTP, as auditors replay it.

use commands::ports::Role as KeyRole;
use serde_json::json;

use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_replays_the_log() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let auditor = app.key(KeyRole::Auditor, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let id = paid["id"].as_str().unwrap();
    let (mut positions, mut path) = (vec![], "/events?limit=2".to_owned());
    loop {
        let page = app.get_json(&path, &auditor).await;
        positions.extend(page["data"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/events?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let head = app.ledger.store.head().await.unwrap();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());

    let captured = app.get_json("/events?category=payment&type=payment.captured", &auditor).await;
    let event = &captured["data"][0];
    assert_eq!(captured["data"].as_array().unwrap().len(), 1);
    assert_eq!(event["stream"], json!({"category": "payment", "id": id}));
    assert_eq!(
        (&event["version"], &event["schema_version"], &event["data"]["amount"]),
        (&json!(2), &json!(1), &json!(10_000))
    );
    assert_eq!(
        (event["metadata"]["actor"].as_str(), event["hash"].as_str().unwrap().len()),
        (Some("saga:payment"), 64)
    );
    let later = app.get_json(&format!("/events?from={}", event["position"]), &auditor).await;
    assert_eq!(later["data"][0], *event);

    let stream = app.get_json(&format!("/streams/payment/{id}?limit=1"), &auditor).await;
    assert_eq!(stream["data"][0]["type"], "payment.created");
    assert_eq!(stream["data"][0]["metadata"]["actor"], format!("merchant:{}", merchant.id));
    let next = format!("/streams/payment/{id}?limit=1&cursor={}", stream["next_cursor"].as_str().unwrap());
    assert_eq!(app.get_json(&next, &auditor).await["data"][0], *event);
    for missing in ["payment/none", "nothing/x", "payment/%00"] {
        assert_eq!(app.get(&format!("/streams/{missing}"), &auditor).await.status(), 404, "{missing}");
    }
    app.stop().await;
}
