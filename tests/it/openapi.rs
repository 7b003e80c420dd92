//! The documents that the server serves, and whether its answers are what they say.

use commands::ports::Role as KeyRole;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

/// What is wrong with `value` under `schema`, as far as the schemas of this document go.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        return faults(document, document.pointer(&reference[1..]).unwrap(), value, place, found);
    }
    for (keyword, enough) in [("oneOf", true), ("anyOf", true), ("allOf", false)] {
        let Some(options) = schema[keyword].as_array() else { continue };
        if enough {
            let fits = |option: &Value| {
                let mut inner = vec![];
                faults(document, option, value, place, &mut inner);
                inner.is_empty()
            };
            if !options.iter().any(fits) {
                found.push(format!("{place} fits no option"));
            }
        }
    }
    if !types(schema).is_empty() && !types(schema).contains(&kind(value)) {
        found.push(format!("{place} is {} and not {:?}", kind(value), types(schema)));
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(required.as_str().unwrap()) {
                found.push(format!("{place} lacks {required}"));
            }
        }
        for (name, inner) in fields {
            match properties.get(name) {
                Some(property) => faults(document, property, inner, &format!("{place}/{name}"), found),
                None => found.push(format!("{place}/{name} is not described")),
            }
        }
    }
    if let (Some(items), Some(rows)) = (schema.get("items"), value.as_array()) {
        for (index, row) in rows.iter().enumerate() {
            faults(document, items, row, &format!("{place}/{index}"), found);
        }
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_what_the_document_says() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let keys = [app.key(KeyRole::Auditor, None).await.1, app.key(KeyRole::Admin, None).await.1];
    let document: Value =
        app.http.get(format!("{}/openapi.json", app.base_url)).send().await.unwrap().json().await.unwrap();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(committed).unwrap()).unwrap();
    assert!(document == committed, "the served document is not the committed one");

    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    app.pay(&merchant, "tok_declined", 10_000).await;
    app.pay(&merchant, "tok_requires_action", 10_000).await;
    let id = paid["id"].as_str().unwrap();
    let refund = app.post("/refunds", &merchant.secret, &json!({"payment_id": id, "reason": "broken"})).await;
    let refund: Value = refund.json().await.unwrap();
    let refund_id = refund["id"].as_str().unwrap();
    let order_no = paid["order_no"].as_str().unwrap();
    let paths = [
        ("/payments", "/payments".to_owned()),
        ("/payments/{id}", format!("/payments/{id}")),
        ("/payments/{id}/events", format!("/payments/{id}/events")),
        ("/refunds", "/refunds".to_owned()),
        ("/refunds/{id}", format!("/refunds/{refund_id}")),
        ("/orders", "/orders".to_owned()),
        ("/orders/{order_no}", format!("/orders/{order_no}")),
        ("/balances", "/balances".to_owned()),
        ("/ledger/trial-balance", "/ledger/trial-balance".to_owned()),
        ("/ledger/accounts", "/ledger/accounts".to_owned()),
        ("/ledger/accounts/{path}/entries", "/ledger/accounts/revenue:processing/entries".to_owned()),
        ("/events", "/events".to_owned()),
        ("/streams/{category}/{id}", format!("/streams/payment/{id}")),
        ("/merchants", "/merchants".to_owned()),
        ("/merchants/{id}", format!("/merchants/{}", merchant.id)),
        ("/merchants/{id}/limits", format!("/merchants/{}/limits", merchant.id)),
        ("/tiers", "/tiers".to_owned()),
        ("/rates", "/rates".to_owned()),
        ("/keys", "/keys".to_owned()),
        ("/projections", "/projections".to_owned()),
        ("/sagas", "/sagas".to_owned()),
        ("/jobs", "/jobs".to_owned()),
        ("/jobs/{name}/runs", "/jobs/forget_nonces/runs".to_owned()),
        ("/payments/{id}", "/payments/none".to_owned()),
        ("/payments", "/payments?limit=0".to_owned()),
    ];
    let head = api::position::token(app.ledger.store.head().await.unwrap());
    for (template, path) in paths {
        let mut answered = false;
        for secret in [&merchant.secret, &keys[0], &keys[1]] {
            let answer =
                app.request(Method::GET, &path, secret).header("Ledger-Min-Position", &head).send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            let mut response = &document["paths"][format!("/api/v1{template}")]["get"]["responses"][status.to_string()];
            if let Some(reference) = response["$ref"].as_str() {
                response = document.pointer(&reference[1..]).unwrap();
            }
            let content =
                response["content"].as_object().unwrap_or_else(|| panic!("{template} {status} is not described"));
            let mut found = vec![];
            faults(&document, &content.values().next().unwrap()["schema"], &body, "", &mut found);
            assert!(found.is_empty(), "GET {path} {status}: {found:?}\n{body}");
            answered |= status != 403;
        }
        assert!(answered, "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_served_with_its_headers() {
    let app = TestApp::start().await;
    let get = |path: &str| app.http.get(format!("{}{path}", app.base_url)).send();
    for (path, content_type, holds) in [
        ("/health", "application/json", "\"status\":\"ok\""),
        ("/health/live", "application/json", "\"status\":\"ok\""),
        ("/health/ready", "application/json", "database"),
        ("/docs", "text/html", "swagger-ui"),
        ("/docs/swagger-initializer.js", "javascript", "/openapi.json"),
        ("/errors", "text/html", "id=\"idempotency_key_missing\""),
        ("/metrics", "text/plain", "http_requests_total{"),
    ] {
        let answer = get(path).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().contains(content_type), "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert!(answer.text().await.unwrap().contains(holds), "{path}");
    }
    let own = app.http.get(format!("{}/health", app.base_url)).header("X-Request-Id", "mine-1").send().await.unwrap();
    assert_eq!(own.headers()["x-request-id"], "mine-1");
    let (first, second) = (get("/health").await.unwrap(), get("/health").await.unwrap());
    assert_ne!(first.headers()["x-request-id"], second.headers()["x-request-id"]);
    let metrics = get("/metrics").await.unwrap().text().await.unwrap();
    assert!(metrics.contains("http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"}"), "{metrics}");
    assert!(metrics.contains("http_request_duration_seconds"));
    app.stop().await;
}
