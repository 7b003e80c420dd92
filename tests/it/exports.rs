//! Exports over HTTP on a real Postgres: the file says what the list says, is what its digest says, and is nobody else's.

mod takeover;

use std::time::Duration;

use commands::ports::Role as KeyRole;
use domain::pricing::{RefundFeePolicy, Tier};
use payledger::cli::Role;
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use test_support::wait::until;
use uuid::Uuid;

use crate::app::{TestApp, TestMerchant, payment};
use crate::withdrawals::fund;

const PATIENCE: Duration = Duration::from_secs(60);
/// Each with its list. Those without one are compared with what they are made of.
const LISTED: [(&str, &str); 7] = [
    ("payments", "/payments"),
    ("refunds", "/refunds"),
    ("pre_auths", "/pre-auths"),
    ("orders", "/orders"),
    ("settlements", "/settlements"),
    ("withdrawals", "/withdrawals"),
    ("disputes", "/disputes"),
];
/// Columns that stand deeper in the list's object, or are no part of it.
const PLACES: [(&str, &str); 9] = [
    ("fee_channel", "/fees/channel"),
    ("fee_markup", "/fees/markup"),
    ("fee_total", "/fees/total"),
    ("failure_code", "/failure/code"),
    ("decline_code", "/failure/decline_code"),
    ("bank_code", "/failure/bank_code"),
    ("window_from", "/window/from"),
    ("window_to", "/window/to"),
    ("bank_account_id", "/bank_account/id"),
];

impl TestApp {
    async fn asked(&self, secret: &str, body: &Value) -> Value {
        let answer = self.post("/exports", secret, body).await;
        let (status, object) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert_eq!((status.as_u16(), &object["status"]), (202, &json!("pending")), "{object}");
        object
    }

    async fn export_until(&self, secret: &str, id: &Value, status: &str) -> Value {
        let path = format!("/exports/{}", id.as_str().unwrap());
        until(status, PATIENCE, || async {
            let export = self.get_json(&path, secret).await;
            (export["status"] == status).then_some(export)
        })
        .await
    }

    async fn download(&self, secret: &str, id: &Value) -> Response {
        self.get(&format!("/exports/{}/download", id.as_str().unwrap()), secret).await
    }

    /// The export once it is ready, and its file, which is what its stamp says.
    async fn exported(&self, secret: &str, kind: &str, format: &str, filter: Value) -> (Value, String) {
        let asked = self.asked(secret, &json!({"kind": kind, "format": format, "filter": filter})).await;
        let export = self.export_until(secret, &asked["id"], "ready").await;
        let answer = self.download(secret, &asked["id"]).await;
        assert_eq!(answer.status(), 200);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("etag"), format!("\"{}\"", export["digest"].as_str().unwrap()));
        let position = export["position"].as_u64().unwrap();
        assert_eq!(header("ledger-position"), api::position::token(position));
        let name = format!("attachment; filename=\"{kind}-{}.{format}\"", asked["id"].as_str().unwrap());
        assert_eq!(header("content-disposition"), name);
        let content_type =
            if format == "csv" { "text/csv; charset=utf-8; header=present" } else { "application/x-ndjson" };
        assert_eq!(header("content-type"), content_type);
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(export["digest"], hex::encode(Sha256::digest(&bytes)));
        assert_eq!(export["bytes"], bytes.len());
        assert_eq!(export["is_complete"], true);
        (export, String::from_utf8(bytes.to_vec()).unwrap())
    }
}

/// Every line of an NDJSON file.
fn objects(file: &str) -> Vec<Map<String, Value>> {
    file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of a CSV file as RFC 4180 has them.
fn records(file: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut quoted) = (vec![], vec![], String::new(), false);
    let mut rest = file.chars().peekable();
    while let Some(next) = rest.next() {
        match (next, quoted) {
            ('"', true) if rest.peek() == Some(&'"') => field.extend(rest.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => record.push(std::mem::take(&mut field)),
            ('\r', false) => {
                assert_eq!(rest.next(), Some('\n'));
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            (other, _) => field.push(other),
        }
    }
    assert!(field.is_empty() && record.is_empty() && !quoted, "the file ends within a record");
    records
}

/// As CSV shows a value.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Both formats say the same; answers the rows.
async fn rows(app: &TestApp, secret: &str, kind: &str, filter: Value) -> Vec<Map<String, Value>> {
    let (export, ndjson) = app.exported(secret, kind, "ndjson", filter.clone()).await;
    let objects = objects(&ndjson);
    assert_eq!(export["rows"], objects.len(), "{kind}");
    let (export, csv) = app.exported(secret, kind, "csv", filter).await;
    let records = records(&csv);
    assert_eq!((export["rows"].as_u64().unwrap() + 1, objects.len() + 1), (records.len() as u64, records.len()));
    for (object, record) in objects.iter().zip(&records[1..]) {
        let columns = |object: &Map<String, Value>| object.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let mut headings = records[0].clone();
        headings.sort();
        assert_eq!(columns(object), headings, "{kind}");
        for (heading, text) in records[0].iter().zip(record) {
            assert_eq!(text, &cell(&object[heading]), "{heading} of {kind}");
        }
    }
    objects
}

/// The rows are the list's objects, in its order, in every column that the list shows.
fn assert_listed(kind: &str, rows: &[Map<String, Value>], list: &Value) {
    let data = list["data"].as_array().unwrap();
    assert!(!rows.is_empty() && list["has_more"] == false, "{kind} has too little to compare");
    assert_eq!(rows.len(), data.len(), "{kind}");
    for (row, object) in rows.iter().zip(data) {
        let mut compared = 0;
        for (column, value) in row {
            let place = PLACES.iter().find(|(name, _)| name == column);
            let shown = object.pointer(&place.map_or(format!("/{column}"), |(_, place)| (*place).to_owned()));
            let expected = match shown {
                Some(Value::Array(items)) => {
                    let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                    json!(items.join(" "))
                }
                Some(shown) => shown.clone(),
                None if place.is_some() => Value::Null,
                // Of a refund and its payment's merchant, say: the list says it elsewhere or not at all.
                None => continue,
            };
            assert_eq!(value, &expected, "{column} of {kind}");
            compared += 1;
        }
        assert!(compared >= 7, "only {compared} columns of {kind} were compared");
    }
}

/// A bit of every kind of business.
async fn busy(app: &TestApp, finance: &str) -> TestMerchant {
    let merchant = app.merchant_with(Tier::Premium, RefundFeePolicy::Retain).await;
    let mut formula = payment("tok_success", 10_000);
    formula["order_no"] = json!("=HYPERLINK(\"http://x\",1)");
    assert_eq!(app.post("/payments", &merchant.secret, &formula).await.status(), 201);
    app.pay(&merchant, "tok_declined", 777).await;
    let paid = app.pay(&merchant, "tok_success", 5_000).await;
    let refund = json!({"payment_id": paid["id"], "amount": 1_234});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    let id = paid["id"].as_str().unwrap();
    app.payment_until(&merchant, id, "the refund", |paid| paid["amount_refunded"] == 1_234).await;
    let held = app.hold(&merchant, "tok_success", 9_000).await;
    assert_eq!(app.on_hold(&merchant, &held, "capture", &json!({"amount": 4_000})).await.0, 200);
    let disputed = app.pay(&merchant, "tok_dispute_lost", 3_000).await;
    until("the dispute is lost", PATIENCE, || async {
        let list: Value = app.get("/disputes?status=lost", &merchant.secret).await.json().await.ok()?;
        (list["data"][0]["payment_id"] == disputed["id"]).then_some(())
    })
    .await;
    let run = json!({"merchant_id": merchant.id.to_string()});
    assert_eq!(app.post("/settlements/run", finance, &run).await.status(), 202);
    fund(app, merchant.id, domain::Currency::EUR, 50_000).await;
    let bank_account = json!({"iban": "DE89370400440532013000", "name": "Acme Ltd"});
    let withdrawal = json!({"amount": 20_000, "currency": "EUR", "bank_account": bank_account});
    assert_eq!(app.post("/withdrawals", &merchant.secret, &withdrawal).await.status(), 201);
    until("all is at rest", PATIENCE, || async {
        let open: Value = app.get("/payments?status=processing", &merchant.secret).await.json().await.ok()?;
        let settled: Value = app.get("/settlements?status=released", &merchant.secret).await.json().await.ok()?;
        (open["data"] == json!([]) && settled["data"] != json!([])).then_some(())
    })
    .await;
    merchant
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_says_what_its_list_says_in_both_formats() {
    let app = TestApp::start().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let merchant = busy(&app, &finance).await;
    let other = busy(&app, &finance).await;
    for (kind, path) in LISTED {
        let all = rows(&app, &finance, kind, json!({})).await;
        assert_listed(kind, &all, &app.fresh(&format!("{path}?limit=100"), &finance).await);
        let own = rows(&app, &merchant.secret, kind, json!({})).await;
        assert_listed(kind, &own, &app.fresh(&format!("{path}?limit=100"), &merchant.secret).await);
        assert!(own.len() < all.len() && own.iter().all(|row| row["merchant_id"] == merchant.id.to_string()), "{kind}");
        let theirs = rows(&app, &finance, kind, json!({"merchant_id": other.id.to_string()})).await;
        assert_eq!(theirs.len() + own.len(), all.len(), "{kind}");
    }
    let filter = json!({"status": "succeeded", "currency": "USD", "amount_min": 5_000});
    let some = rows(&app, &merchant.secret, "payments", filter).await;
    let list = app.fresh("/payments?status=succeeded&currency=USD&amount_min=5000", &merchant.secret).await;
    assert_listed("payments", &some, &list);
    assert_eq!(some.len(), 2);

    let movements = rows(&app, &merchant.secret, "movements", json!({"currency": "USD"})).await;
    let statement = app.fresh("/statements?currency=USD&limit=100", &merchant.secret).await;
    assert_eq!(statement["has_more"], false);
    assert_eq!(movements.len(), statement["movements"].as_array().unwrap().len());
    for (row, shown) in movements.iter().zip(statement["movements"].as_array().unwrap()) {
        for (field, value) in shown.as_object().unwrap() {
            assert_eq!(&row[field], value, "{field}");
        }
    }
    assert!(movements.iter().any(|row| row["amount"].as_i64().unwrap() < 0), "no negative number was written");

    let journal = rows(&app, &finance, "journal", json!({})).await;
    for (_, side) in [("debits", "debit"), ("credits", "credit")] {
        assert!(journal.iter().map(|line| line[side].as_i64().unwrap()).sum::<i64>() > 0);
    }
    let sum = |side: &str| journal.iter().map(|line| line[side].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sum("debit"), sum("credit"));
    let account = "channel:sandbox:receivable";
    let entries = rows(&app, &finance, "journal", json!({"account": account, "currency": "USD"})).await;
    let listed = app.fresh(&format!("/ledger/accounts/{account}/entries?limit=100"), &finance).await;
    let mut listed = listed["data"].as_array().unwrap().clone();
    listed.reverse();
    assert_eq!(entries.len(), listed.len());
    for (row, entry) in entries.iter().zip(&listed) {
        for field in ["position", "line", "account", "currency", "debit", "credit", "recorded_at", "effective_at"] {
            assert_eq!(row[field], entry[field], "{field}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_is_a_formula() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let numbers = ["=1+1", "+1", "-1", "@SUM(A1)", "=A1,\"x\"", "1=1"];
    for number in numbers {
        let mut body = payment("tok_success", 100);
        body["order_no"] = json!(number);
        let answer = app.post("/payments", &merchant.secret, &body).await;
        assert_eq!(answer.status(), 201, "{number}: {:?}", answer.text().await);
    }
    let (_, csv) = app.exported(&merchant.secret, "orders", "csv", json!({})).await;
    let written: Vec<String> = records(&csv)[1..].iter().rev().map(|record| record[0].clone()).collect();
    assert_eq!(written, ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'=A1,\"x\"", "1=1"]);
    let (_, ndjson) = app.exported(&merchant.secret, "orders", "ndjson", json!({})).await;
    let exact: Vec<String> =
        objects(&ndjson).iter().rev().map(|row| row["order_no"].as_str().unwrap().to_owned()).collect();
    assert_eq!(exact, numbers);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_seen_by_whoever_could_have_asked_for_it() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let operator = app.key(KeyRole::Operator, None).await.1;
    let (finance, auditor) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Auditor, None).await.1);
    let journal = json!({"kind": "journal", "format": "csv"});
    for secret in [&merchant.secret, &operator] {
        let answer = app.post("/exports", secret, &journal).await;
        assert_eq!(
            (answer.status(), answer.json::<Value>().await.unwrap()["code"].clone()),
            (403.try_into().unwrap(), json!("forbidden"))
        );
    }
    let payments = json!({"kind": "payments", "format": "csv"});
    let own = app.asked(&merchant.secret, &payments).await;
    let staff = app.asked(&finance, &payments).await;
    let journal = app.asked(&auditor, &journal).await;
    let table = [(&own, [200, 404, 200, 200]), (&staff, [404, 404, 200, 200]), (&journal, [404, 404, 404, 200])];
    for (export, expected) in table {
        app.export_until(&auditor, &export["id"], "ready").await;
        let path = format!("/exports/{}", export["id"].as_str().unwrap());
        for (secret, expected) in [&merchant.secret, &other.secret, &operator, &finance].into_iter().zip(expected) {
            for path in [path.clone(), format!("{path}/download")] {
                assert_eq!(app.get(&path, secret).await.status(), expected, "{path}");
            }
        }
    }
    for path in ["/exports/exp_00000000000000000000000000", "/exports/x", "/exports/x/download"] {
        let answer: Value = app.get(path, &finance).await.json().await.unwrap();
        assert_eq!(answer["code"], "export_not_found", "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_pointed_at_and_asks_for_nothing() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let table = [
        (json!({}), "missing_field", "/kind"),
        (json!({"kind": "customers", "format": "csv"}), "invalid_field", "/kind"),
        (json!({"kind": "payments"}), "missing_field", "/format"),
        (json!({"kind": "payments", "format": "xlsx"}), "invalid_field", "/format"),
        (json!({"kind": "payments", "format": "csv", "limit": 5}), "unknown_field", "/limit"),
        (json!({"kind": "payments", "format": "csv", "filter": []}), "invalid_field", "/filter"),
        (json!({"kind": "payments", "format": "csv", "filter": {"a/b": 1}}), "unknown_field", "/filter/a~1b"),
        (
            json!({"kind": "payments", "format": "csv", "filter": {"currency": "usd"}}),
            "invalid_field",
            "/filter/currency",
        ),
        (json!({"kind": "payments", "format": "csv", "filter": {"status": "paid"}}), "invalid_field", "/filter/status"),
    ];
    for (body, code, pointer) in table {
        let answer = app.post("/exports", &merchant.secret, &body).await;
        let (status, problem) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        assert_eq!((status, &problem["code"], &problem["pointer"]), (422, &json!(code), &json!(pointer)), "{body}");
    }
    let exports: i64 = sqlx::query_scalar("SELECT count(*) FROM exports").fetch_one(&app.ledger.pool).await.unwrap();
    assert_eq!(exports, 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_the_same_export_and_the_sixth_at_once_is_too_many() {
    // No node makes them.
    let app = TestApp::with_roles(&[Role::Api, Role::Sagas]).await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let body = json!({"kind": "payments", "format": "csv"});
    let first = app.post_keyed("/exports", &merchant.secret, "export-1", &body).await.bytes().await.unwrap();
    let again = app.post_keyed("/exports", &merchant.secret, "export-1", &body).await;
    assert_eq!(again.headers()["idempotency-hit"], "true");
    assert_eq!(again.bytes().await.unwrap(), first);
    let other_body = json!({"kind": "orders", "format": "csv"});
    let reused: Value =
        app.post_keyed("/exports", &merchant.secret, "export-1", &other_body).await.json().await.unwrap();
    assert_eq!(reused["code"], "idempotency_key_reused");

    let asked = (0..9).map(|_| app.post("/exports", &merchant.secret, &body));
    let statuses: Vec<u16> =
        futures::future::join_all(asked).await.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 4, "{statuses:?}");
    let refused = app.post_keyed("/exports", &merchant.secret, "export-6", &body).await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "too_many_exports");
    app.asked(&other.secret, &body).await;

    let export: Value = serde_json::from_slice(&first).unwrap();
    let waiting: Value = app.download(&merchant.secret, &export["id"]).await.json().await.unwrap();
    assert_eq!((&waiting["code"], &waiting["retryable"]), (&json!("export_not_ready"), &json!(true)));
    sqlx::query("UPDATE exports SET state = 'failed' WHERE export_id = $1")
        .bind(export["id"].as_str().unwrap())
        .execute(&app.ledger.pool)
        .await
        .unwrap();
    let failed: Value = app.download(&merchant.secret, &export["id"]).await.json().await.unwrap();
    assert_eq!(failed["code"], "export_failed");
    // It was not kept under the key, and there is room for one again.
    let now = app.post_keyed("/exports", &merchant.secret, "export-6", &body).await;
    assert_eq!(now.status(), 202);
    let repeat = app.post_keyed("/exports", &merchant.secret, "export-1", &body).await;
    assert_eq!(repeat.bytes().await.unwrap(), first);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_can_be_downloaded_and_what_is_expired_cannot() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    for _ in 0..3 {
        app.pay(&merchant, "tok_success", 100).await;
    }
    let (export, file) = app.exported(&merchant.secret, "payments", "ndjson", json!({})).await;
    let path = format!("/exports/{}/download", export["id"].as_str().unwrap());
    for (range, expected, content_range) in [
        ("bytes=0-9", &file[..10], format!("bytes 0-9/{}", file.len())),
        ("bytes=100-", &file[100..], format!("bytes 100-{}/{}", file.len() - 1, file.len())),
        ("bytes=-5", &file[file.len() - 5..], format!("bytes {}-{}/{}", file.len() - 5, file.len() - 1, file.len())),
    ] {
        let answer = app.request(Method::GET, &path, &merchant.secret).header("range", range).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-range"]),
            (206, &content_range.parse().unwrap())
        );
        assert_eq!(answer.text().await.unwrap(), expected, "{range}");
    }
    let answer =
        app.request(Method::GET, &path, &merchant.secret).header("range", "bytes=999999-").send().await.unwrap();
    assert_eq!(answer.headers()["content-range"], format!("bytes */{}", file.len()));
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "range_not_satisfiable");

    let term = "SELECT expires_at - completed_at = interval '180 days' FROM exports";
    assert!(sqlx::query_scalar::<_, bool>(term).fetch_one(&app.ledger.pool).await.unwrap());
    sqlx::query("UPDATE exports SET expires_at = clock_timestamp()").execute(&app.ledger.pool).await.unwrap();
    let chunks = "SELECT count(*) FROM export_chunks";
    assert_eq!(sqlx::query_scalar::<_, i64>(chunks).fetch_one(&app.ledger.pool).await.unwrap(), 1);
    let gone = app.get(&path, &merchant.secret).await;
    assert_eq!(gone.status(), 410);
    assert_eq!(gone.json::<Value>().await.unwrap()["code"], "export_expired");
    let terms = projections::exports::ExportTerms::default();
    let exporter = projections::exports::Exporter::new(app.ledger.pool.clone(), app.ledger.reader.clone(), terms);
    exporter.tidy().await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(chunks).fetch_one(&app.ledger.pool).await.unwrap(), 0);
    let shown = app.export_until(&merchant.secret, &export["id"], "expired").await;
    assert_eq!((&shown["digest"], &shown["rows"]), (&export["digest"], &json!(3)));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_includes_what_was_acknowledged_before_it() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    for nth in 1..=5 {
        app.pay(&merchant, "tok_success", 100).await;
        let (export, _) = app.exported(&merchant.secret, "payments", "csv", json!({})).await;
        assert_eq!(export["rows"], nth);
    }
    let token = api::position::token(1_000_000);
    let request = app.request(Method::POST, "/exports", &merchant.secret).header("Ledger-Min-Position", token);
    let request = request.header("Idempotency-Key", Uuid::now_v7().to_string());
    let beyond = request.json(&json!({"kind": "payments", "format": "csv"})).send().await.unwrap();
    assert_eq!(beyond.json::<Value>().await.unwrap()["code"], "position_beyond_head");
    app.stop().await;
}
