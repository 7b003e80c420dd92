//! What operators and admins do over HTTP.

use std::time::Duration;

use commands::ports::Role as KeyRole;
use serde_json::{Value, json};
use test_support::wait;

use crate::app::{TestApp, payment};

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_projections_and_sagas() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (operator, admin) = (app.key(KeyRole::Operator, None).await.1, app.key(KeyRole::Admin, None).await.1);
    let waiting = app.pay(&merchant, "tok_requires_action", 10_000).await;
    let id = waiting["id"].as_str().unwrap();
    let saga = app.get_json(&format!("/sagas/{id}"), &operator).await;
    assert_eq!((&saga["id"], &saga["kind"]), (&json!(id), &json!("payment")));
    wait::until("the saga waits for the customer", Duration::from_secs(30), || async {
        let waiting = app.get_json("/sagas?state=waiting", &operator).await;
        (waiting["data"][0]["id"] == id).then_some(())
    })
    .await;
    let retried: Value = app.post(&format!("/sagas/{id}/retry"), &operator, &json!({})).await.json().await.unwrap();
    assert_eq!(retried, json!({"id": id, "object": "saga", "state": "running"}));
    assert_eq!(app.get("/sagas/re_none", &operator).await.status(), 404);

    let projections = app.get_json("/projections", &operator).await;
    let names: Vec<&str> =
        projections["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    for name in ["books", "orders", "payments", "refunds"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(app.post("/projections/payments/rebuild", &operator, &json!({})).await.status(), 202);
    let rebuilt = app.fresh("/payments", &merchant.secret).await;
    assert_eq!(rebuilt["data"][0]["id"], id);

    let made: Value = app
        .post(
            "/merchants",
            &admin,
            &json!({"name": "Acme", "tier": "enterprise", "home_currency": "EUR", "time_zone": "Asia/Shanghai"}),
        )
        .await
        .json()
        .await
        .unwrap();
    assert_eq!((&made["home_currency"], &made["time_zone"]), (&json!("EUR"), &json!("Asia/Shanghai")));
    assert_eq!(
        (&made["tier"], &made["pricing"], &made["markup_rate"]),
        (&json!("enterprise"), &json!("cost_plus"), &json!("0.0045"))
    );
    assert_eq!(app.get_json(&format!("/merchants/{}", made["id"].as_str().unwrap()), &admin).await, made);
    assert_eq!(app.fresh("/merchants", &admin).await["data"][0], made);
    let key = json!({"role": "merchant", "merchant_id": made["id"]});
    let key: Value = app.post("/keys", &admin, &key).await.json().await.unwrap();
    let body = payment("tok_success", 100);
    assert_eq!(app.post("/payments", key["secret"].as_str().unwrap(), &body).await.status(), 201);
    let listed = app.get_json("/keys?limit=1", &admin).await;
    assert_eq!((&listed["data"][0]["key_id"], listed["data"][0].get("secret")), (&key["key_id"], None));
    for (body, pointer) in [
        (json!({"name": "", "tier": "starter"}), "/name"),
        (json!({"name": "A", "tier": "gold"}), "/tier"),
        (json!({"name": "A", "tier": "starter", "pricing": "free"}), "/pricing"),
        (json!({"name": "A", "tier": "starter", "home_currency": "euro"}), "/home_currency"),
        (json!({"name": "A", "tier": "starter", "time_zone": "/etc"}), "/time_zone"),
    ] {
        let refused: Value = app.post("/merchants", &admin, &body).await.json().await.unwrap();
        assert_eq!((&refused["status"], &refused["pointer"]), (&json!(422), &json!(pointer)), "{body}");
    }
    for (body, pointer) in [
        (json!({"role": "merchant"}), "/merchant_id"),
        (json!({"role": "finance", "merchant_id": made["id"]}), "/merchant_id"),
        (json!({"role": "owner"}), "/role"),
        (json!({"role": "finance", "principal": "a b"}), "/principal"),
    ] {
        let refused: Value = app.post("/keys", &admin, &body).await.json().await.unwrap();
        assert_eq!((&refused["status"], &refused["pointer"]), (&json!(422), &json!(pointer)), "{body}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_is_rebuilt_rolled_back_and_verified_by_hand() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let operator = app.key(KeyRole::Operator, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let (binary, id) = (app.binary(), paid["id"].as_str().unwrap());
    for command in [["projections", "rebuild", "payments", "--yes"], ["projections", "rollback", "payments", "--yes"]] {
        assert_eq!(binary.run(&command).await.unwrap().0, 0, "{command:?}");
        assert_eq!(app.fresh("/payments", &merchant.secret).await["data"][0]["id"], id, "{command:?}");
    }
    assert_eq!(binary.run(&["projections", "retry", "payments"]).await.unwrap().0, 0);
    assert_eq!(binary.json(&["projections", "parked"]).await.unwrap(), json!([]));
    let parked = app.get_json("/projections/payments/parked", &operator).await;
    assert_eq!(parked, json!({"object": "list", "data": []}));
    assert_eq!(app.get("/projections/nothing/parked", &operator).await.status(), 404);
    for (order, status, state) in
        [("retry", 202, "retrying"), ("rollback", 200, "running"), ("rebuild", 202, "rebuilding")]
    {
        let answer = app.post(&format!("/projections/payments/{order}"), &operator, &json!({})).await;
        assert_eq!(answer.status(), status, "{order}");
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({"name": "payments", "state": state}));
    }
    let refused = app.post("/projections/refunds/rollback", &operator, &json!({})).await;
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "nothing_to_roll_back_to");

    let clean = binary.json(&["projections", "verify", "merchants"]).await.unwrap();
    assert_eq!((&clean["ok"], &clean["projections"][0]["tables"][0]["rows"]), (&json!(true), &json!(1)));
    let live = "SELECT 'rm_merchants_' || generation FROM projections WHERE name = 'merchants' AND standing = 'live'";
    let schema: String = sqlx::query_scalar(live).fetch_one(&app.ledger.pool).await.unwrap();
    let damage = format!("UPDATE {schema}.merchants SET status = 'closed'");
    sqlx::query(&damage).execute(&app.ledger.pool).await.unwrap();
    let (code, told) = binary.run(&["projections", "verify", "merchants"]).await.unwrap();
    assert_eq!(code, 3, "{told}");
    let expected = format!("merchants {}: status is \"closed\", not \"active\"", merchant.id);
    assert!(told.contains(&expected), "{told}");
    app.stop().await;
}
