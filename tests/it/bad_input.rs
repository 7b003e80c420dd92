//! Whatever a client sends: a 4xx with a code and the field, and nothing recorded.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{TestApp, payment};

struct Answer {
    status: u16,
    problem: Value,
}

/// POSTs raw bytes as JSON with a fresh key.
async fn post(app: &TestApp, secret: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.request(Method::POST, path, secret).header("Idempotency-Key", Uuid::now_v7().to_string());
    read(request.header("Content-Type", "application/json").body(body)).await
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{status}");
    assert!(!answer.headers()["x-request-id"].is_empty());
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status);
    for field in ["type", "title", "detail", "code", "request_id"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {problem}");
    }
    assert!(problem["retryable"].is_boolean());
    assert_eq!(problem["type"], format!("/errors#{}", problem["code"].as_str().unwrap()));
    Answer { status, problem }
}

/// A valid payment as text, with one member replaced by raw JSON.
fn with(field: &str, raw: &str) -> String {
    let mut fields = payment("tok_success", 1_000);
    fields[field] = json!("@");
    fields.to_string().replace("\"@\"", raw)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_the_wrong_shape_is_refused_with_the_field() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let long = |length: usize| format!("\"{}\"", "x".repeat(length));
    let many = format!("{{{}}}", (0..51).map(|n| format!("\"{n}\":\"\"")).collect::<Vec<_>>().join(","));
    let mut table = vec![
        (with("currency", "\"usd\""), "unknown_currency", "/currency"),
        (with("currency", "\"XXX\""), "unknown_currency", "/currency"),
        (with("currency", "5"), "unknown_currency", "/currency"),
        (with("order_no", "\"\""), "invalid_field", "/order_no"),
        (with("order_no", "\"a\\u0000b\""), "invalid_field", "/order_no"),
        (with("order_no", &long(65)), "invalid_field", "/order_no"),
        (with("order_no", "7"), "invalid_field", "/order_no"),
        (with("surprise", "1"), "unknown_field", "/surprise"),
        (with("a/b~", "1"), "unknown_field", "/a~1b~0"),
        (with("payment_method", "null"), "invalid_field", "/payment_method"),
        (with("payment_method", "\"card\""), "invalid_field", "/payment_method"),
        (with("payment_method", "{\"type\":\"card\"}"), "missing_field", "/payment_method/token"),
        (with("payment_method", "{\"type\":\"card\",\"token\":\"\"}"), "invalid_field", "/payment_method/token"),
        (with("payment_method", "{\"type\":\"CARD\",\"token\":\"t\"}"), "invalid_field", "/payment_method/type"),
        (
            with("payment_method", "{\"type\":\"card\",\"token\":\"t\",\"pan\":\"4\"}"),
            "unknown_field",
            "/payment_method/pan",
        ),
        (with("customer", "{\"email\":\"nobody\"}"), "invalid_field", "/customer/email"),
        (with("customer", "{\"phone\":\"1\"}"), "unknown_field", "/customer/phone"),
        (with("description", &long(1_001)), "invalid_field", "/description"),
        (with("return_url", "\"javascript:alert(1)\""), "invalid_field", "/return_url"),
        (with("metadata", "{\"a\":1}"), "invalid_field", "/metadata/a"),
        (with("metadata", "{\"a\":\"1\",\"a\":\"2\"}"), "duplicate_field", "/metadata/a"),
        (with("metadata", &many), "invalid_field", "/metadata"),
        (with("channel", "\"nowhere\""), "unknown_channel", "/channel"),
        (with("channel", "\"\""), "unknown_channel", "/channel"),
        (with("expires_in", "0"), "invalid_expiry", "/expires_in"),
        (with("expires_in", "1e99"), "invalid_expiry", "/expires_in"),
        ("[]".to_owned(), "invalid_field", ""),
        ("null".to_owned(), "invalid_field", ""),
        ("{}".to_owned(), "missing_field", "/order_no"),
        ("{\"amount\":1,\"amount\":1}".to_owned(), "duplicate_field", "/amount"),
    ];
    let amounts = [
        "0",
        "-1",
        "10.5",
        "1.0",
        "1e3",
        "1e30",
        "1e400",
        "\"100\"",
        "null",
        "true",
        "[100]",
        "1000000000000000",
        "99999999999999999999999999",
    ];
    table.extend(amounts.map(|amount| (with("amount", amount), "invalid_amount", "/amount")));
    let before = app.ledger.store.head().await.unwrap();
    for (body, code, pointer) in table {
        let Answer { status, problem } = post(&app, &merchant.secret, "/payments", body.clone()).await;
        assert_eq!((status, &problem["code"], &problem["pointer"]), (422, &json!(code), &json!(pointer)), "{body}");
    }
    for (body, pointer) in [
        (json!({"payment_id": "pay_1"}), "/payment_id"),
        (json!({"payment_id": "pay_00000000000000000000000000", "amount": 0}), "/amount"),
        (json!({"payment_id": "pay_00000000000000000000000000", "reason": 1}), "/reason"),
        (json!({"amount": 1}), "/payment_id"),
    ] {
        let Answer { status, problem } = post(&app, &merchant.secret, "/refunds", body.to_string()).await;
        assert_eq!((status, &problem["pointer"]), (422, &json!(pointer)), "{body}");
    }
    assert_eq!(app.ledger.store.head().await.unwrap(), before, "nothing was recorded");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_in_time_and_size_is_refused() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let good = payment("tok_success", 1_000).to_string();
    let large = with("description", &format!("\"{}\"", "x".repeat(65_536)));
    let huge = vec![b' '; 3 * 1024 * 1024];
    let table: [(Vec<u8>, u16, &str); 10] = [
        (vec![], 400, "malformed_json"),
        (b"{\"amount\":".to_vec(), 400, "malformed_json"),
        (good.replace('}', ",}").into_bytes(), 400, "malformed_json"),
        (format!("{good}{good}").into_bytes(), 400, "malformed_json"),
        (b"\xef\xbb\xbf{}".to_vec(), 400, "malformed_json"),
        (good.replace("card", "c\u{1}rd").into_bytes(), 400, "malformed_json"),
        (
            good.into_bytes().into_iter().map(|byte| if byte == b'c' { 0xff } else { byte }).collect(),
            400,
            "malformed_json",
        ),
        ("[".repeat(20_000).into_bytes(), 400, "malformed_json"),
        (large.into_bytes(), 413, "body_too_large"),
        (huge, 413, "body_too_large"),
    ];
    for (body, expected, code) in table {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let Answer { status, problem } = post(&app, &merchant.secret, "/payments", body).await;
        assert_eq!((status, &problem["code"]), (expected, &json!(code)), "{shown}");
    }
    let nested = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    assert_eq!(post(&app, &merchant.secret, "/payments", nested[..60_000].to_owned()).await.status, 400);

    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "nonsense"]
    {
        let request = app.request(Method::POST, "/payments", &merchant.secret).header("Idempotency-Key", "k");
        let request = request.header("Content-Type", content_type).body(payment("tok_success", 1).to_string());
        let Answer { status, problem } = read(request).await;
        assert_eq!((status, &problem["code"]), (415, &json!("unsupported_media_type")), "{content_type}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_addresses_methods_and_parameters_are_named() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let get = |path: String| read(app.request(Method::GET, &path, &merchant.secret));
    for path in ["/nowhere", "/payments/", "/payments/x/y/z", "/../payments"] {
        assert_eq!(get(path.to_owned()).await.status, 404, "{path}");
    }
    for path in ["/payments/pay_%00", "/payments/%ff", "/orders/%00", "/refunds/re_x"] {
        assert_eq!(get(path.to_owned()).await.status, 404, "{path}");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/payments", vec!["GET", "HEAD", "POST"]),
        (Method::PUT, "/payments/pay_1", vec!["GET", "HEAD"]),
        (Method::GET, "/payments/batch", vec!["POST"]),
    ] {
        let answer = app.request(method.clone(), path, &merchant.secret).send().await.unwrap();
        let mut named: Vec<&str> = answer.headers()["allow"].to_str().unwrap().split(',').collect();
        named.sort_unstable();
        assert_eq!((answer.status().as_u16(), named), (405, allowed), "{method} {path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "method_not_allowed");
    }
    for (path, code, parameter) in [
        ("/payments?colour=red", "unknown_parameter", "colour"),
        ("/payments/pay_00000000000000000000000000?x=1", "unknown_parameter", "x"),
        ("/payments?limit=0", "invalid_parameter", "limit"),
        ("/payments?limit=101", "invalid_parameter", "limit"),
        ("/payments?limit=ten", "invalid_parameter", "limit"),
        ("/payments?status=done", "invalid_parameter", "status"),
        ("/payments?status=failed&status=failed", "invalid_parameter", "status"),
        ("/payments?currency=usd", "invalid_parameter", "currency"),
        ("/payments?created_from=yesterday", "invalid_parameter", "created_from"),
        ("/payments?amount_min=1e3", "invalid_parameter", "amount_min"),
        ("/payments?order_no=%00", "invalid_parameter", "order_no"),
        ("/payments?cursor=nonsense", "invalid_cursor", "cursor"),
        ("/refunds?status=done", "invalid_parameter", "status"),
        ("/refunds?payment_id=1", "invalid_parameter", "payment_id"),
        ("/orders?status=open", "invalid_parameter", "status"),
        ("/balances?as_of=never", "invalid_parameter", "as_of"),
        ("/balances?currency=USD", "unknown_parameter", "currency"),
    ] {
        let Answer { status, problem } = get(path.to_owned()).await;
        assert_eq!((status, &problem["code"], &problem["parameter"]), (400, &json!(code), &json!(parameter)), "{path}");
    }
    let with_query =
        post(&app, &merchant.secret, "/payments?dry_run=true", payment("tok_success", 1).to_string()).await;
    assert_eq!((with_query.status, &with_query.problem["parameter"]), (400, &json!("dry_run")));
    app.stop().await;
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// In a process of its own, because what other tests log or do not log decides for the whole process; and there on one
/// thread, so that the log of every role is this test's.
#[test]
fn no_log_line_holds_what_a_client_sent() {
    const ALONE: &str = "PAYLEDGER_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "bad_input::no_log_line_holds_what_a_client_sent", "--nocapture"]).env(ALONE, "yes");
        assert!(alone.status().unwrap().success());
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(log_and_search());
}

async fn log_and_search() {
    let log = Captured::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let mut body = payment("tok_success", 1_000);
    body["customer"] = json!({"email": "marker@example.com", "name": "marker"});
    body["description"] = json!("a marker");
    body["metadata"] = json!({"marker": "marker"});
    let good = body.to_string();
    let paid: Value = app.post("/payments", &merchant.secret, &body).await.json().await.unwrap();
    assert_eq!(paid["status"], "succeeded");
    let refund = json!({"payment_id": paid["id"], "reason": "marker"});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    for bad in [
        good.replace("1000", "-1"),
        good.replace("USD", "marker"),
        format!("{good}marker"),
        good.replace("tok_success", ""),
    ] {
        assert!(post(&app, &merchant.secret, "/payments", bad).await.status >= 400);
    }
    app.get("/payments?marker=marker", &merchant.secret).await;
    app.get("/payments", "sk_marker").await;
    app.stop().await;

    let log = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(log.contains("request answered"), "the log is captured: {log}");
    for secret in ["marker", merchant.secret.as_str()] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}
