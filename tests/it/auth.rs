//! Who may call: bearer and signed keys, roles, and other merchants' objects.

use commands::keys::IssueKey;
use commands::ports::Role;
use hmac::{Hmac, KeyInit, Mac};
use payledger::operator::issued;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::app::{TestApp, payment};

/// A signed request, each part of which a test may change after signing.
#[derive(Clone)]
struct Signed {
    key_id: String,
    timestamp: i64,
    nonce: String,
    method: Method,
    path: String,
    idempotency_key: String,
    body: Vec<u8>,
    signature: String,
}

impl Signed {
    fn payment(app: &TestApp, key_id: &str, secret: &str) -> Signed {
        let unsigned = Signed {
            key_id: key_id.to_owned(),
            timestamp: app.ledger.payments.clock.now().as_micros() / 1_000_000,
            nonce: Uuid::new_v4().to_string(),
            method: Method::POST,
            path: "/api/v1/payments".to_owned(),
            idempotency_key: Uuid::new_v4().to_string(),
            body: serde_json::to_vec(&payment("tok_success", 1_000)).unwrap(),
            signature: String::new(),
        };
        unsigned.sign(secret)
    }

    fn sign(mut self, secret: &str) -> Signed {
        let digest = hex::encode(Sha256::digest(&self.body));
        let Signed { timestamp, nonce, method, path, idempotency_key, .. } = &self;
        let message = format!("{timestamp}\n{nonce}\n{method}\n{path}\n{idempotency_key}\n{digest}");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(message.as_bytes());
        self.signature = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
        self
    }

    async fn send(&self, app: &TestApp) -> StatusCode {
        let request = app.http.request(self.method.clone(), format!("{}{}", app.base_url, self.path));
        let request = request
            .header("X-Api-Key", &self.key_id)
            .header("X-Timestamp", self.timestamp.to_string())
            .header("X-Nonce", &self.nonce)
            .header("X-Signature", &self.signature)
            .header("Content-Type", "application/json");
        let request = if self.idempotency_key.is_empty() {
            request
        } else {
            request.header("Idempotency-Key", &self.idempotency_key)
        };
        request.body(self.body.clone()).send().await.unwrap().status()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_covers_every_part_of_a_request_and_is_good_once() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let sign = || Signed::payment(&app, &merchant.key_id, &merchant.secret);

    let good = sign();
    assert_eq!(good.send(&app).await, 201);
    assert_eq!(good.send(&app).await, 401, "a nonce is good once");
    let get = Signed {
        method: Method::GET,
        path: "/api/v1/payments?limit=1".to_owned(),
        body: vec![],
        idempotency_key: String::new(),
        ..sign()
    };
    assert_eq!(get.clone().sign(&merchant.secret).send(&app).await, 200);

    let other = app.merchant().await;
    let changed = [
        ("body", Signed { body: serde_json::to_vec(&payment("tok_success", 2_000)).unwrap(), ..sign() }),
        ("white space of the body", Signed { body: [sign().body, b" ".to_vec()].concat(), ..sign() }),
        ("path", Signed { path: "/api/v1/refunds".to_owned(), ..sign() }),
        ("query", Signed { path: "/api/v1/payments?limit=2".to_owned(), ..get.sign(&merchant.secret) }),
        ("idempotency key", Signed { idempotency_key: Uuid::new_v4().to_string(), ..sign() }),
        ("nonce", Signed { nonce: Uuid::new_v4().to_string(), ..sign() }),
        ("timestamp", Signed { timestamp: sign().timestamp - 1, ..sign() }),
        ("key", Signed { key_id: other.key_id.clone(), ..sign() }),
        ("unknown key", Signed { key_id: "key_00000000000000000000000000".to_owned(), ..sign() }),
        ("old", Signed { timestamp: sign().timestamp - 301, ..sign() }.sign(&merchant.secret)),
        ("early", Signed { timestamp: sign().timestamp + 302, ..sign() }.sign(&merchant.secret)),
        ("version", Signed { signature: sign().signature.replace("v1=", "v2="), ..sign() }),
        ("secret", sign().sign(&other.secret)),
    ];
    let before = app.ledger.store.head().await.unwrap();
    for (part, request) in changed {
        assert_eq!(request.send(&app).await, 401, "{part}");
    }
    let payments = app.get_json("/payments", &merchant.secret).await;
    assert_eq!(payments["data"].as_array().unwrap().len(), 1, "{before}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let signed_only =
        IssueKey { role: Role::Merchant, merchant_id: Some(merchant.id), principal: None, signed_only: true };
    let signed_only = app.ledger.keys.issue(issued(), signed_only).await.unwrap();
    let signed_secret = signed_only.secret.unwrap();
    let revoked = app.key(Role::Merchant, Some(merchant.id)).await;
    assert_eq!(app.get("/payments", &revoked.1).await.status(), 200);
    let (_, admin) = app.key(Role::Admin, None).await;
    let revoke = app.request(Method::DELETE, &format!("/keys/{}", revoked.0), &admin).send().await.unwrap();
    assert_eq!(revoke.status(), 200);

    let mut answers = vec![];
    let bearer = |secret: &str| format!("Bearer {secret}");
    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        bearer("sk_nonsense"),
        bearer(&merchant.key_id),
        bearer(signed_secret.expose()),
        bearer(&revoked.1),
        format!("Basic {}", merchant.secret),
        merchant.secret.clone(),
    ] {
        let request = app.http.get(format!("{}/api/v1/payments", app.base_url)).header("X-Request-Id", "same");
        let answer = request.header("Authorization", &authorization).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{authorization}");
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        answers.push(answer.text().await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");

    let signed = Signed::payment(&app, &signed_only.key.key_id.to_string(), signed_secret.expose());
    assert_eq!(signed.send(&app).await, 201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_opens_the_routes_that_the_table_names() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let [finance, auditor, operator, admin] = [
        app.key(Role::Finance, None).await.1,
        app.key(Role::Auditor, None).await.1,
        app.key(Role::Operator, None).await.1,
        app.key(Role::Admin, None).await.1,
    ];
    let keys = [&merchant.secret, &finance, &auditor, &operator, &admin];
    let everybody = [200; 5];
    let (books, log, operators, admins) =
        ([403, 200, 200, 403, 403], [403, 403, 200, 200, 200], [403, 403, 403, 200, 200], [403, 403, 403, 403, 200]);
    let gets = [
        ("/payments", everybody),
        ("/refunds", everybody),
        ("/orders", everybody),
        ("/balances", everybody),
        ("/ledger/trial-balance", books),
        ("/ledger/accounts", books),
        ("/ledger/accounts/revenue:processing/entries", books),
        ("/events", log),
        ("/projections", operators),
        ("/sagas", operators),
        ("/jobs", operators),
        ("/jobs/none/runs", [403, 403, 403, 404, 404]),
        ("/merchants", admins),
        ("/keys", admins),
    ];
    for (path, statuses) in gets {
        for (key, status) in keys.iter().zip(statuses) {
            assert_eq!(app.get(path, key).await.status(), status, "GET {path}");
        }
    }
    let paid = app.pay(&merchant, "tok_success", 1_000).await;
    let refund = json!({"payment_id": paid["id"], "amount": 1});
    let cancel = format!("/payments/{}/cancel", paid["id"].as_str().unwrap());
    let writes = [
        ("/payments", payment("tok_success", 1_000), [201, 403, 403, 403, 403]),
        ("/refunds", refund, [201, 403, 403, 403, 403]),
        (&cancel, json!({}), [409, 403, 403, 403, 403]),
        ("/merchants", json!({"name": "Acme", "tier": "starter"}), [403, 403, 403, 403, 201]),
        ("/keys", json!({"role": "auditor"}), [403, 403, 403, 403, 201]),
        ("/projections/none/rebuild", json!({}), [403, 403, 403, 404, 404]),
        ("/jobs/none/run", json!({}), [403, 403, 403, 404, 404]),
        ("/sagas/pay_none/retry", json!({}), [403, 403, 403, 404, 404]),
    ];
    for (path, body, statuses) in &writes {
        for (key, status) in keys.iter().zip(statuses) {
            assert_eq!(app.post(path, key, body).await.status().as_u16(), *status, "POST {path}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchants_object_is_not_told_from_a_missing_one() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.merchant().await, app.merchant().await);
    let paid = app.pay(&owner, "tok_success", 1_000).await;
    let refund = app.post("/refunds", &owner.secret, &json!({"payment_id": paid["id"], "amount": 100})).await;
    let refund: Value = refund.json().await.unwrap();
    let (payment_id, refund_id) = (paid["id"].as_str().unwrap(), refund["id"].as_str().unwrap());
    let order_no = paid["order_no"].as_str().unwrap();
    let missing_payment = "pay_00000000000000000000000000";
    let pairs = [
        (format!("/payments/{payment_id}"), format!("/payments/{missing_payment}")),
        (format!("/payments/{payment_id}/events"), format!("/payments/{missing_payment}/events")),
        (format!("/refunds/{refund_id}"), "/refunds/re_00000000000000000000000000".to_owned()),
        (format!("/orders/{order_no}"), "/orders/none".to_owned()),
        (format!("/payments/{payment_id}"), "/payments/nonsense".to_owned()),
    ];
    for (foreign, missing) in &pairs {
        let mut texts = vec![];
        for path in [foreign, missing] {
            let answer =
                app.request(Method::GET, path, &stranger.secret).header("X-Request-Id", "same").send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
            texts.push(answer.text().await.unwrap());
        }
        assert_eq!(texts[0], texts[1]);
        assert_eq!(app.get(foreign, &owner.secret).await.status(), 200, "{foreign}");
    }
    for (path, foreign, missing) in [
        ("/refunds", json!({"payment_id": payment_id}), json!({"payment_id": missing_payment})),
        (&format!("/payments/{payment_id}/cancel"), json!({}), json!({})),
    ] {
        let missing_path = path.replace(payment_id, missing_payment);
        let mut texts = vec![];
        for (path, body) in [(path, foreign), (missing_path.as_str(), missing)] {
            let request = app.request(Method::POST, path, &stranger.secret).header("X-Request-Id", "same");
            let answer =
                request.header("Idempotency-Key", Uuid::new_v4().to_string()).json(&body).send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
            texts.push(answer.text().await.unwrap());
        }
        assert_eq!(texts[0], texts[1]);
    }
    let batch = json!({"ids": [payment_id, missing_payment, "nonsense"]});
    let found: Value = app.post("/payments/batch", &stranger.secret, &batch).await.json().await.unwrap();
    assert_eq!(found, json!({"found": [], "missing": [payment_id, missing_payment, "nonsense"]}));
    app.stop().await;
}
