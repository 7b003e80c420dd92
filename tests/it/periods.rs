//! Closing a month: who may, when, and that nothing counts from before its end afterwards.

use commands::ports::clock::SystemClock;
use commands::ports::{Clock, Role as KeyRole};
use serde_json::{Value, json};

use crate::app::TestApp;

/// The first day of the month that lies `back` months behind this one.
fn first_of_month(back: i32) -> String {
    let today = SystemClock.now().to_string();
    let (year, month): (i32, i32) = (today[..4].parse().unwrap(), today[5..7].parse().unwrap());
    let months = year * 12 + month - 1 - back;
    format!("{:04}-{:02}-01", months / 12, months % 12 + 1)
}

fn month(back: i32) -> Value {
    json!({"month": first_of_month(back)[..7]})
}

/// An adjustment that counts from this day on.
fn effective(day: String) -> Value {
    json!({
        "reason": "put right what was booked too late",
        "currency": "USD",
        "legs": [
            {"account": "bank:main:cash", "side": "debit", "amount": 5},
            {"account": "equity:owner", "side": "credit", "amount": 5},
        ],
        "effective_at": format!("{day}T00:00:00Z"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_counts_from_a_closed_month_any_more() {
    let app = TestApp::start().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let send = async |path: &str, secret: &str, body: Value| {
        let answer = app.post(path, secret, &body).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let code = |(status, body): (u16, Value)| (status, body["code"].as_str().unwrap_or_default().to_owned());
    let close = "/ledger/periods/close";
    let adjust = "/ledger/adjustments";

    let (_, early) = send(adjust, &anna, effective(first_of_month(2))).await;
    let (_, waiting) = send(adjust, &anna, effective(first_of_month(1))).await;
    let approve = |adjustment: &Value| format!("{adjust}/{}/approve", adjustment["id"].as_str().unwrap());
    assert_eq!(send(&approve(&early), &ben, json!({})).await.0, 200, "the past is open until it is closed");

    assert_eq!(code(send(close, &anna, month(0)).await), (422, "period_not_over".to_owned()));
    for wrong in ["2026-13", "2026", "2026-1"] {
        assert_eq!(code(send(close, &anna, json!({"month": wrong})).await), (422, "invalid_month".to_owned()));
    }
    let (status, requested) = send(close, &anna, month(1)).await;
    assert_eq!((status, &requested["status"]), (200, &json!("requested")));
    assert_eq!(code(send(close, &anna, month(1)).await), (422, "approver_is_requester".to_owned()));
    assert_eq!(send(adjust, &anna, effective(first_of_month(1))).await.0, 201, "asking closes nothing");
    let (status, closed) = send(close, &ben, month(1)).await;
    assert_eq!((status, &closed["status"], closed["closed_by"].is_string()), (200, &json!("closed"), true));
    assert_eq!(code(send(close, &anna, month(1)).await), (409, "period_already_closed".to_owned()));
    assert_eq!(code(send(close, &anna, month(2)).await), (409, "period_already_closed".to_owned()));

    let refused = (422, "period_closed".to_owned());
    assert_eq!(code(send(adjust, &anna, effective(first_of_month(1))).await), refused);
    assert_eq!(code(send(adjust, &anna, effective(first_of_month(2))).await), refused);
    assert_eq!(code(send(&approve(&waiting), &ben, json!({})).await), refused, "it was proposed before");
    let (status, allowed) = send(adjust, &anna, effective(first_of_month(0))).await;
    assert_eq!(status, 201, "down to the end of the last closed month: {allowed}");
    assert_eq!(send(&approve(&allowed), &ben, json!({})).await.0, 200);

    let entries = app.fresh("/ledger/accounts/equity:owner/entries", &anna).await;
    let counted: Vec<&str> =
        entries["data"].as_array().unwrap().iter().map(|entry| entry["effective_at"].as_str().unwrap()).collect();
    let at = |back| format!("{}T00:00:00.000000Z", first_of_month(back));
    assert_eq!(counted, [at(0), at(2)]);
    let listed = app.get_json("/ledger/periods", &anna).await;
    assert_eq!(listed["data"], json!([closed]));
    assert_eq!(app.get("/ledger/periods?status=closed", &anna).await.status(), 400);
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}
