//! How files come in: raw or in a form, by whom, under which key, and what is no statement.

use std::path::Path;

use commands::ports::Role as KeyRole;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{HEADINGS, bring, bring_keyed, completed, line, told};
use crate::app::TestApp;

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/statements");
    std::fs::read(folder.join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_is_read_and_compared() {
    let app = TestApp::start().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let columns = "reference%3DTransaction%20ID,own_reference%3DOur%20ID,kind%3DType,gross%3DAmount,fee%3DCommission,\
                   net%3DNet%20Amount,currency%3DCcy,date%3DTxn%20Date";
    let table = [
        ("format=stripe_payout", "stripe_payout.csv", "channel:stripe", 7, 2),
        ("format=paypal_stl", "paypal_stl.csv", "channel:paypal", 7, 1),
        ("format=alipay_bill", "alipay_bill.csv", "channel:alipay", 3, 1),
        ("format=camt053", "camt053.xml", "bank:sandbox", 4, 1),
        (&format!("format=csv&channel=acquirer&columns={columns}"), "columns.csv", "channel:acquirer", 4, 4),
    ];
    for (terms, name, counterparty, lines, bad_lines) in table {
        let run = bring(&app, &finance, terms, sample(name)).await;
        let statement = &run["statement"];
        let counted = (statement["lines"].as_u64().unwrap(), statement["bad_lines"].as_u64().unwrap());
        assert_eq!(
            (statement["counterparty"].as_str().unwrap(), counted),
            (counterparty, (lines, bad_lines)),
            "{name}"
        );
        let missing: u64 = run["result"]["exceptions"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!(missing, lines, "nothing of {name} is booked: {run}");
    }
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_and_a_raw_body_are_the_same_statement() {
    let app = TestApp::start().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let file = format!("{HEADINGS}{}", line("a", "charge", 100, 1, "2026-11-18"));
    let first = bring_keyed(&app, &finance, "raw", "format=csv", file.clone()).await;
    let first = first.text().await.unwrap();
    let run: Value = serde_json::from_str(&first).unwrap();
    completed(&app, &finance, run["id"].as_str().unwrap()).await;
    let repeat = bring_keyed(&app, &finance, "raw", "format=csv", file.clone()).await;
    assert_eq!(repeat.headers()["idempotency-hit"], "true");
    assert_eq!(repeat.text().await.unwrap(), first);
    let other = bring_keyed(&app, &finance, "raw", "format=csv&tolerance=5", file.clone()).await;
    assert_eq!(told(other).await, "422 idempotency_key_reused");

    let part =
        |name: &str, text: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    let file_part = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"s.csv\"\r\nContent-Type: text/csv\r\n\r\n{file}\r\n--b--\r\n"
    );
    let send = async |query: &str, body: String| {
        let request = app.request(Method::POST, &format!("/reconciliation/statements{query}"), &finance);
        let request = request.header("Idempotency-Key", uuid::Uuid::now_v7().to_string());
        request.header(CONTENT_TYPE, "multipart/form-data; boundary=b").body(body).send().await.unwrap()
    };
    let in_form = send("", format!("{}{file_part}", part("format", "csv"))).await;
    assert_eq!(in_form.status(), 202);
    let in_form: Value = in_form.json().await.unwrap();
    assert_eq!(in_form["id"], run["id"]);
    let in_query: Value = send("?format=csv", file_part.clone()).await.json().await.unwrap();
    assert_eq!(in_query["id"], run["id"]);
    for (query, body, expected) in [
        ("", file_part.clone(), "400 invalid_parameter"),
        ("?format=csv", part("colour", "red") + &file_part, "400 unknown_parameter"),
        ("?format=csv", part("channel", "sandbox") + "--b--\r\n", "422 missing_field"),
        ("?format=csv", "no form".to_owned(), "400 malformed_request"),
    ] {
        assert_eq!(told(send(query, body).await).await, expected, "{query}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_statement_is_refused_and_nothing_is_kept() {
    let app = TestApp::start().await;
    let (merchant, finance) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    let auditor = app.key(KeyRole::Auditor, None).await.1;
    let good = format!("{HEADINGS}{}", line("a", "charge", 100, 1, "2026-11-18"));
    for (terms, file, expected) in [
        ("format=csv", "", "422 statement_unreadable"),
        ("format=csv", "a,b\n1,2\n", "422 statement_unreadable"),
        ("format=camt053", "<a>", "422 statement_unreadable"),
        ("format=paypal_stl", "\"RH\",1\n", "422 statement_unreadable"),
        ("format=xls", &good, "400 invalid_parameter"),
        ("", &good, "400 invalid_parameter"),
        ("format=csv&colour=red", &good, "400 unknown_parameter"),
        ("format=csv&columns=gross", &good, "400 invalid_parameter"),
        ("format=csv&channel=sandbox&bank=sandbox", &good, "400 invalid_parameter"),
        ("format=csv&channel=NO", &good, "400 invalid_parameter"),
        ("format=csv&tolerance=-1", &good, "422 invalid_field"),
        ("format=csv&lag_days_max=99", &good, "422 invalid_field"),
    ] {
        let key = uuid::Uuid::now_v7().to_string();
        let answer = bring_keyed(&app, &finance, &key, terms, file.to_owned()).await;
        assert_eq!(told(answer).await, expected, "{terms} {file}");
    }
    for secret in [&merchant.secret, &auditor] {
        assert_eq!(told(bring_keyed(&app, secret, "k", "format=csv", good.clone()).await).await, "403 forbidden");
    }
    assert_eq!(told(bring_keyed(&app, "nobody", "k", "format=csv", good.clone()).await).await, "401 unauthenticated");
    let keyless = app.request(Method::POST, "/reconciliation/statements?format=csv", &finance).body(good).send();
    assert_eq!(told(keyless.await.unwrap()).await, "400 idempotency_key_missing");
    for id in ["rec_0000000000000000000000000a", "none"] {
        let answer = app.get(&format!("/reconciliation/runs/{id}"), &finance).await;
        assert_eq!(told(answer).await, "404 reconciliation_run_not_found");
        let answer = app.post(&format!("/reconciliation/runs/{id}/again"), &finance, &json!({})).await;
        assert_eq!(answer.status(), 404);
    }
    let events = app.ledger.store.read_all(0, 1_000).await.unwrap();
    assert!(events.iter().all(|event| event.stream.category != "reconciliation"));

    // Too large to be taken is told before it is sent.
    let address = app.base_url.strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/reconciliation/statements?format=csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {finance}\r\n\
         Idempotency-Key: large\r\nContent-Length: 300000000\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_covers_the_file() {
    let app = TestApp::start().await;
    let (key_id, secret) = app.key(KeyRole::Finance, None).await;
    let file = format!("{HEADINGS}{}", line("a", "charge", 100, 1, "2026-11-18"));
    let send = async |signed: &str, sent: &str, nonce: &str| {
        let (path, key) = ("/api/v1/reconciliation/statements?format=csv", format!("signed-{nonce}"));
        let timestamp = app.ledger.payments.clock.now().as_micros().div_euclid(1_000_000).to_string();
        let digest = hex::encode(Sha256::digest(signed));
        let message = [&timestamp, nonce, "POST", path, &key, &digest].join("\n");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(message.as_bytes());
        let request = app.http.post(format!("{}{path}", app.base_url)).header("X-Api-Key", &key_id);
        let request =
            request.header("X-Timestamp", &timestamp).header("X-Nonce", nonce).header("Idempotency-Key", &key);
        let signature = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
        request.header("X-Signature", signature).body(sent.to_owned()).send().await.unwrap()
    };
    assert_eq!(send(&file, &file, "n-1").await.status(), 202);
    assert_eq!(send(&file, &file, "n-1").await.status(), 401, "a nonce is good for once");
    assert_eq!(send(&file, &format!("{file}x,charge,9,0,USD,2026-11-18\n"), "n-2").await.status(), 401);
    app.stop().await;
}
