//! Withdrawals through the router, on Postgres, with the sandbox bank on the other side of its folders.

use std::sync::Arc;
use std::time::Duration;

use commands::audit;
use commands::keys::IssueKey;
use commands::ports::{Decision, Expected, NewEvent, Request, Role as KeyRole, StreamRef, nth_state};
use domain::merchant_account::{Action, Adjust, Command, Holder, MerchantAccount};
use domain::{Account, AdjustmentId, Currency, Decider, MerchantId};
use futures::future::join_all;
use payledger::operator::issued;
use serde_json::{Value, json};
use test_support::wait::until;
use uuid::Uuid;

use crate::app::{TestApp, TestMerchant};

const IBAN: &str = "DE89370400440532013000";

/// Money that the merchant can withdraw, by an adjustment.
pub async fn fund(app: &TestApp, merchant_id: MerchantId, currency: Currency, amount: i64) {
    let holder = Holder { merchant_id, currency };
    let adjustment_id = AdjustmentId::from_uuid(Uuid::now_v7());
    let adjust = Adjust { adjustment_id, counter: Account::EquityOwner, amount };
    let at = app.ledger.payments.clock.now();
    let command = Command { holder, action: Action::CreditAvailable(adjust), at };
    let issued = issued();
    let request = Request {
        metadata: issued.metadata,
        fingerprint: None,
        object: "funds".to_owned(),
        streams: vec![StreamRef::new::<MerchantAccount>(holder.stream_id(), Expected::Any)],
        decide: Arc::new(move |states| {
            let events = MerchantAccount::decide(nth_state::<MerchantAccount>(states, 0), command.clone()).unwrap();
            Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect())
        }),
    };
    app.ledger.store.execute(request).await.unwrap();
}

async fn funded(app: &TestApp, amount: i64) -> TestMerchant {
    let merchant = app.merchant().await;
    fund(app, merchant.id, Currency::EUR, amount).await;
    merchant
}

fn withdrawal(amount: i64, name: &str) -> Value {
    json!({"amount": amount, "currency": "EUR", "bank_account": {"iban": IBAN, "name": name}})
}

async fn posted(app: &TestApp, path: &str, secret: &str, body: &Value, status: u16) -> Value {
    let answer = app.post(path, secret, body).await;
    let got = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(got, status, "POST {path}: {body}");
    body
}

async fn requested(app: &TestApp, merchant: &TestMerchant, amount: i64, name: &str) -> String {
    let object = posted(app, "/withdrawals", &merchant.secret, &withdrawal(amount, name), 201).await;
    object["id"].as_str().unwrap().to_owned()
}

async fn refused(app: &TestApp, path: &str, secret: &str, body: &Value, status: u16, code: &str) -> Value {
    let problem = posted(app, path, secret, body, status).await;
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

async fn withdrawal_until(app: &TestApp, merchant: &TestMerchant, id: &str, status: &str) -> Value {
    until(&format!("{id} is {status}"), Duration::from_secs(30), || async {
        let object = app.get_json(&format!("/withdrawals/{id}"), &merchant.secret).await;
        (object["status"] == status).then_some(object)
    })
    .await
}

/// `(available, on_hold)` once the books have caught up.
async fn money(app: &TestApp, merchant: &TestMerchant) -> (i64, i64) {
    let balances = app.fresh("/balances", &merchant.secret).await;
    let balance = &balances["balances"][0];
    (balance["available"].as_i64().unwrap(), balance["on_hold"].as_i64().unwrap())
}

async fn balance_of(app: &TestApp, finance: &str, account: &str) -> i64 {
    let trial = app.fresh("/ledger/trial-balance", finance).await;
    let lines = trial["currencies"].as_array().unwrap().iter().flat_map(|one| one["accounts"].as_array().unwrap());
    lines.filter(|line| line["account"] == account).map(|line| line["balance"].as_i64().unwrap()).sum()
}

/// Every invariant on the whole log, and every read model against it.
async fn assert_green(app: &TestApp) {
    let store = app.ledger.store.as_ref();
    app.fresh("/balances", &app.key(KeyRole::Auditor, None).await.1).await;
    let mut audit = audit::replay(store, |_| {}).await.unwrap();
    for check in audit.checks() {
        assert!(check.ok, "{check:?}");
    }
    for verification in projections::verify::verify_all(&app.ledger.reader, store).await.unwrap() {
        assert!(verification.is_clean(), "{verification:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_approved_by_finance_and_paid_by_the_bank() {
    let app = TestApp::start().await;
    let merchant = funded(&app, 20_000).await;
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    let body = withdrawal(5_000, "Acme Ltd");
    let answer = app.post_keyed("/withdrawals", &merchant.secret, "w-1", &body).await;
    assert_eq!(answer.status(), 201);
    let first = answer.text().await.unwrap();
    let asked: Value = serde_json::from_str(&first).unwrap();
    let id = asked["id"].as_str().unwrap();
    for (field, expected) in [
        ("object", json!("withdrawal")),
        ("merchant_id", json!(merchant.id.to_string())),
        ("amount", json!(5_000)),
        ("fee", json!(0)),
        ("currency", json!("EUR")),
        ("status", json!("requested")),
        ("approvals", json!([])),
        ("approvals_left", json!(1)),
        ("failure", json!(null)),
        ("version", json!(1)),
    ] {
        assert_eq!(asked[field], expected, "{field}");
    }
    assert_eq!(asked["bank_account"]["masked"], "DE****************3000");
    assert_eq!(asked["bank_account"]["status"], "requested");
    assert_eq!(money(&app, &merchant).await, (15_000, 5_000));

    let approved = posted(&app, &format!("/withdrawals/{id}/approve"), &finance, &json!({}), 200).await;
    assert_eq!((&approved["status"], &approved["bank_account"]["status"]), (&json!("approved"), &json!("approved")));
    assert!(approved["approvals"][0]["approved_by"].as_str().unwrap().starts_with("key:"));
    let paid = withdrawal_until(&app, &merchant, id, "paid").await;
    assert_eq!(paid["approvals"][0]["approved_by"], json!(null), "who approved is not the merchant's business");
    assert_eq!(money(&app, &merchant).await, (15_000, 0));
    assert_eq!(balance_of(&app, &finance, "bank:sandbox:cash").await, -5_000);

    let again = app.post_keyed("/withdrawals", &merchant.secret, "w-1", &body).await;
    assert_eq!(again.headers()["idempotency-hit"], "true");
    assert_eq!(again.text().await.unwrap(), first, "byte for byte, also after the object has moved on");
    refused(&app, &format!("/withdrawals/{id}/approve"), &finance, &json!({}), 409, "withdrawal_already_decided").await;
    refused(
        &app,
        &format!("/withdrawals/{id}/cancel"),
        &merchant.secret,
        &json!({}),
        409,
        "withdrawal_not_cancellable",
    )
    .await;

    let list = app.fresh("/withdrawals?status=paid&currency=EUR", &merchant.secret).await;
    assert_eq!(list["data"], json!([paid]), "a list shows what a look-up shows");
    let accounts = app.fresh("/bank-accounts", &finance).await;
    assert_eq!(
        (&accounts["data"][0]["status"], &accounts["data"][0]["name"]),
        (&json!("approved"), &json!("Acme Ltd"))
    );
    for event in app.ledger.store.read_all(0, 1_000).await.unwrap() {
        for personal in [IBAN, "Acme Ltd", "0532013000"] {
            assert!(!event.payload.contains(personal) && !event.metadata.contains(personal), "{}", event.event_type);
        }
    }
    assert_green(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_the_bank_does_not_pay_or_sends_back_is_available_again() {
    let app = TestApp::start().await;
    let merchant = funded(&app, 20_000).await;
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    let table =
        [("Reject Ltd", 0, 20_000, 0), ("Return Ltd", 5_000, 20_000, 0), ("Short Return Ltd", 4_900, 20_000, 100)];
    for (name, returned, available, bank_fee) in table {
        let id = requested(&app, &merchant, 5_000, name).await;
        posted(&app, &format!("/withdrawals/{id}/approve"), &finance, &json!({}), 200).await;
        let failed = withdrawal_until(&app, &merchant, &id, "failed").await;
        assert_eq!(failed["failure"]["code"], "account_closed", "{name}");
        assert_eq!(failed["failure"]["bank_code"], "AC04", "{name}");
        assert_eq!(failed["amount_returned"], returned, "{name}");
        assert_eq!(money(&app, &merchant).await, (available, 0), "{name}");
        assert_eq!(balance_of(&app, &finance, "expense:bank_fee").await, bank_fee, "{name}");
    }
    assert_eq!(balance_of(&app, &finance, "bank:sandbox:cash").await, -100);
    assert_green(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_or_cancelled_gives_the_money_back() {
    let app = TestApp::start().await;
    let merchant = funded(&app, 20_000).await;
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    let id = requested(&app, &merchant, 20_000, "Acme").await;
    let reason = json!({"reason": "Call us first"});
    let rejected = posted(&app, &format!("/withdrawals/{id}/reject"), &finance, &reason, 200).await;
    assert_eq!((&rejected["status"], &rejected["rejection_reason"]), (&json!("rejected"), &json!("Call us first")));
    assert_eq!(rejected["approvals_left"], 0);
    assert_eq!(money(&app, &merchant).await, (20_000, 0));
    refused(&app, &format!("/withdrawals/{id}/reject"), &finance, &json!({}), 409, "withdrawal_already_decided").await;

    let id = requested(&app, &merchant, 20_000, "Acme").await;
    let cancel = format!("/withdrawals/{id}/cancel");
    assert_eq!(posted(&app, &cancel, &merchant.secret, &json!({}), 200).await["status"], "cancelled");
    assert_eq!(posted(&app, &cancel, &merchant.secret, &json!({}), 200).await["status"], "cancelled");
    assert_eq!(money(&app, &merchant).await, (20_000, 0));
    refused(&app, &format!("/withdrawals/{id}/approve"), &finance, &json!({}), 409, "withdrawal_already_decided").await;

    let account = app.fresh("/bank-accounts", &merchant.secret).await["data"][0]["id"].as_str().unwrap().to_owned();
    let approved = posted(&app, &format!("/bank-accounts/{account}/approve"), &finance, &json!({}), 200).await;
    assert_eq!(approved["status"], "approved");
    let object = posted(&app, "/withdrawals", &merchant.secret, &withdrawal(1, " acme "), 201).await;
    assert_eq!(
        object["bank_account"],
        json!({"id": account, "masked": "DE****************3000", "status": "approved"})
    );
    assert_green(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_and_nothing_is_posted() {
    let app = TestApp::start().await;
    let merchant = funded(&app, 20_000).await;
    let other = app.merchant().await;
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    let changed = |pointer: &str, value: Value| {
        let mut body = withdrawal(5_000, "Acme");
        match pointer.rsplit_once('/').unwrap() {
            ("", field) => body[field] = value,
            (parent, field) => body.pointer_mut(parent).unwrap()[field] = value,
        }
        body
    };
    let table = [
        (changed("/amount", json!(20_001)), "insufficient_balance", "/amount"),
        (changed("/amount", json!(0)), "invalid_amount", "/amount"),
        (changed("/currency", json!("USD")), "insufficient_balance", "/amount"),
        (changed("/currency", json!("BTC")), "currency_not_supported_by_bank", "/currency"),
        (changed("/currency", json!("XYZ")), "unknown_currency", "/currency"),
        (changed("/bank_account/iban", json!("DE88370400440532013000")), "invalid_iban", "/bank_account/iban"),
        (changed("/bank_account/iban", json!(7)), "invalid_iban", "/bank_account/iban"),
        (changed("/bank_account/bic", json!("NOBANK")), "invalid_bic", "/bank_account/bic"),
        (changed("/bank_account/account_number", json!("1")), "invalid_account_number", "/bank_account/account_number"),
        (changed("/bank_account/account_number", json!("12345678")), "invalid_field", "/bank_account"),
        (changed("/bank_account", json!({"name": "Acme"})), "invalid_field", "/bank_account"),
        (changed("/bank_account", json!({"iban": IBAN})), "missing_field", "/bank_account/name"),
        (changed("/bank_account/name", json!("  ")), "invalid_field", "/bank_account/name"),
        (changed("/bank_account/sort_code", json!("1")), "unknown_field", "/bank_account/sort_code"),
        (changed("/fee", json!(0)), "unknown_field", "/fee"),
    ];
    let before = app.ledger.store.head().await.unwrap();
    for (body, code, pointer) in table {
        let problem = refused(&app, "/withdrawals", &merchant.secret, &body, 422, code).await;
        assert_eq!(problem["pointer"], pointer, "{body}");
        assert!(!problem.to_string().contains("3704"), "{problem}");
    }
    assert_eq!(app.ledger.store.head().await.unwrap(), before);

    let id = requested(&app, &merchant, 5_000, "Acme").await;
    let (approve, cancel) = (format!("/withdrawals/{id}/approve"), format!("/withdrawals/{id}/cancel"));
    refused(&app, &approve, &merchant.secret, &json!({}), 403, "forbidden").await;
    refused(&app, &cancel, &other.secret, &json!({}), 404, "withdrawal_not_found").await;
    refused(&app, &approve, &finance, &json!({"by": "me"}), 422, "unknown_field").await;
    let missing = "/withdrawals/wd_00000000000000000000000001/approve";
    refused(&app, missing, &finance, &json!({}), 404, "withdrawal_not_found").await;
    refused(&app, "/bank-accounts/ba_1/approve", &finance, &json!({}), 404, "bank_account_not_found").await;
    assert_eq!(app.get(&format!("/withdrawals/{id}"), &other.secret).await.status(), 404);
    assert_eq!(app.get("/withdrawals?colour=red", &merchant.secret).await.status(), 400);
    assert_eq!(money(&app, &merchant).await, (15_000, 5_000));
    app.stop().await;
}

/// The secret of a key that belongs to this person.
async fn key_of(app: &TestApp, role: KeyRole, merchant_id: Option<MerchantId>, person: &str) -> String {
    let issue = IssueKey { role, merchant_id, principal: Some(person.to_owned()), signed_only: false };
    app.ledger.keys.issue(issued(), issue).await.unwrap().secret.unwrap().expose().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_their_own_and_large_amounts_need_two() {
    let app = TestApp::start().await;
    let merchant = funded(&app, 2_000_000).await;
    let alice_as_merchant = key_of(&app, KeyRole::Merchant, Some(merchant.id), "alice").await;
    let alice = key_of(&app, KeyRole::Finance, None, "alice").await;
    let bob = key_of(&app, KeyRole::Finance, None, "bob").await;
    let bob_again = key_of(&app, KeyRole::Finance, None, "bob").await;
    let carol = key_of(&app, KeyRole::Finance, None, "carol").await;
    let large = posted(&app, "/withdrawals", &alice_as_merchant, &withdrawal(1_000_001, "Acme"), 201).await;
    assert_eq!(large["approvals_left"], 2);
    let id = large["id"].as_str().unwrap();
    let approve = format!("/withdrawals/{id}/approve");
    refused(&app, &approve, &alice, &json!({}), 422, "approver_is_requester").await;
    let once = posted(&app, &approve, &bob, &json!({}), 200).await;
    assert_eq!((&once["status"], &once["approvals_left"]), (&json!("requested"), &json!(1)));
    refused(&app, &approve, &bob_again, &json!({}), 422, "approver_has_approved").await;
    let twice = posted(&app, &approve, &carol, &json!({}), 200).await;
    assert_eq!((&twice["status"], &twice["approvals_left"]), (&json!("approved"), &json!(0)));
    assert_eq!(twice["approvals"].as_array().unwrap().len(), 2);
    withdrawal_until(&app, &merchant, id, "paid").await;

    let account = withdrawal(100, "Somebody else");
    let named = posted(&app, "/withdrawals", &alice_as_merchant, &account, 201).await;
    let path = format!("/bank-accounts/{}/approve", named["bank_account"]["id"].as_str().unwrap());
    refused(&app, &path, &alice, &json!({}), 422, "approver_is_requester").await;
    let later = posted(&app, "/withdrawals", &merchant.secret, &account, 201).await;
    let approve = format!("/withdrawals/{}/approve", later["id"].as_str().unwrap());
    refused(&app, &approve, &alice, &json!({}), 422, "approver_is_requester").await;
    assert_green(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_withdrawals_at_once_never_take_more_than_there_is() {
    let app = TestApp::start().await;
    let merchant = funded(&app, 10_000).await;
    let body = withdrawal(3_000, "Acme");
    let answers = join_all((0..12).map(|_| app.post("/withdrawals", &merchant.secret, &body))).await;
    let accepted = answers.iter().filter(|answer| answer.status() == 201).count();
    assert_eq!(accepted, 3);
    for answer in answers.into_iter().filter(|answer| answer.status() != 201) {
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "insufficient_balance");
    }
    assert_eq!(money(&app, &merchant).await, (1_000, 9_000));
    assert_green(&app).await;
    app.stop().await;
}

/// The default threshold is 10,000.00 USD, of which 7,000.00 EUR are less and twice as much are more.
#[tokio::test(flavor = "multi_thread")]
async fn small_withdrawals_of_one_day_need_as_many_people_as_a_large_one() {
    let app = TestApp::start().await;
    let merchant = funded(&app, 5_000_000).await;
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    let asked = async |amount: i64| -> (String, u64) {
        let object = posted(&app, "/withdrawals", &merchant.secret, &withdrawal(amount, "Acme Ltd"), 201).await;
        (object["id"].as_str().unwrap().to_owned(), object["approvals_left"].as_u64().unwrap())
    };
    let (first, alone) = asked(700_000).await;
    assert_eq!(alone, 1);
    assert_eq!(asked(700_000).await.1, 2, "the second of the day brings the sum above the threshold");
    let reject = json!({"reason": "not today"});
    posted(&app, &format!("/withdrawals/{first}/reject"), &finance, &reject, 200).await;
    assert_eq!(asked(1_000).await.1, 1, "what was rejected does not count");
    assert_green(&app).await;
    app.stop().await;
}
