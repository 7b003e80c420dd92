//! Stories: what happened to one object, with what went out and came in, and where its money went.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use commands::ports::Role as KeyRole;
use serde_json::{Value, json};
use test_support::wait::until;

use crate::app::{TestApp, TestMerchant};

const LIMIT: Duration = Duration::from_secs(30);

async fn posted(app: &TestApp, path: &str, secret: &str, body: &Value, status: u16) -> Value {
    let answer = app.post(path, secret, body).await;
    let got = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(got, status, "POST {path}: {body}");
    body
}

fn entries<'a>(story: &'a Value, kind: &str) -> Vec<&'a Value> {
    story["data"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind).collect()
}

/// A pre-auth captured twice, settled, released, and a part of it withdrawn and paid by the bank.
async fn from_the_hold_to_the_bank(app: &TestApp, merchant: &TestMerchant) -> (String, String) {
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    let mut body = crate::app::payment("tok_webhook_lost", 12_000);
    body["order_no"] = json!("ROOM-7");
    let held = posted(app, "/pre-auths", &merchant.secret, &body, 201).await;
    for capture in [json!({"amount": 4_000}), json!({"amount": 6_000, "final": true})] {
        let (status, captured) = app.on_hold(merchant, &held, "capture", &capture).await;
        assert_eq!(status, 200, "{captured}");
    }
    let pre_auth = held["id"].as_str().unwrap().to_owned();
    until("the channel has let go of the rest", LIMIT, || async {
        let state = app.get_json(&format!("/streams/pre_auth/{pre_auth}?limit=100"), &app_auditor(app).await).await;
        let types: Vec<&str> = state["data"].as_array()?.iter().filter_map(|event| event["type"].as_str()).collect();
        types.contains(&"pre_auth.hold_released").then_some(())
    })
    .await;
    posted(app, "/settlements/run", &finance, &json!({"merchant_id": merchant.id.to_string()}), 202).await;
    app.fresh("/balances", &merchant.secret).await;
    let bank_account = json!({"iban": "DE89370400440532013000", "name": "Acme Ltd"});
    let body = json!({"amount": 7_000, "currency": "USD", "bank_account": bank_account});
    let asked = posted(app, "/withdrawals", &merchant.secret, &body, 201).await;
    let withdrawal = asked["id"].as_str().unwrap().to_owned();
    posted(app, &format!("/withdrawals/{withdrawal}/approve"), &finance, &json!({}), 200).await;
    until("the bank has paid", LIMIT, || async {
        let object = app.get_json(&format!("/withdrawals/{withdrawal}"), &merchant.secret).await;
        (object["status"] == "paid").then_some(())
    })
    .await;
    app.ledger.calls.flush().await;
    (pre_auth, withdrawal)
}

async fn app_auditor(app: &TestApp) -> String {
    app.key(KeyRole::Auditor, None).await.1
}

/// Ids, moments, positions and latencies are told by their order: everything else is the same each time.
fn normalised(text: &str) -> String {
    let mut numbers: HashMap<String, HashMap<String, usize>> = HashMap::new();
    let mut number = |kind: &str, id: &str| {
        let known = numbers.entry(kind.to_owned()).or_default();
        let next = known.len() + 1;
        *known.entry(id.to_owned()).or_insert(next)
    };
    let is_part = |character: char| character.is_ascii_alphanumeric() || "_-.#".contains(character);
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        if end == 0 {
            let first = rest.chars().next().unwrap();
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, behind) = rest.split_at(end);
        rest = behind;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = word.split('_').next().unwrap_or_default();
        if let Some(position) = word.strip_prefix('#').filter(|position| digits(position)) {
            out.push_str(&format!("#{}", number("#", position)));
        } else if word.len() > prefix.len() + 16 && !word.contains('.') {
            out.push_str(&format!("{prefix}_{}", number(prefix, word)));
        } else if word.len() == 10
            && word.split('-').count() == 3
            && word.replace('-', "").bytes().all(|b| b.is_ascii_digit())
        {
            out.push_str("2026-01-01");
        } else if rest.starts_with(" ms") && digits(word) {
            out.push('N');
        } else {
            out.push_str(word);
        }
    }
    let time = |line: &str| -> String {
        let mut characters: Vec<char> = line.chars().collect();
        for begin in 0..characters.len().saturating_sub(7) {
            let is_time = (0..8).all(|at| match at {
                2 | 5 => characters[begin + at] == ':',
                _ => characters[begin + at].is_ascii_digit(),
            });
            if is_time {
                for (at, zero) in "00:00:00".chars().enumerate() {
                    characters[begin + at] = zero;
                }
                if characters.get(begin + 8) == Some(&'.') {
                    characters[begin + 9..begin + 12].fill('0');
                }
            }
        }
        characters.into_iter().collect()
    };
    // Positions of different widths move what stands before and below them.
    let squeezed = |line: String| match line.find("  #") {
        Some(place) => {
            let (position, behind) = line[place + 2..].split_once(' ').unwrap();
            format!("{}  {position:>3} {behind}", line[..place].trim_end())
        }
        None => line,
    };
    out.lines().map(|line| squeezed(time(line))).collect::<Vec<_>>().join("\n") + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_a_pre_auth_can_be_read_from_the_hold_to_the_bank() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (pre_auth, withdrawal) = from_the_hold_to_the_bank(&app, &merchant).await;
    let binary = app.binary();
    let (code, printed) = binary.run(&["events", "show", "pre_auth", &pre_auth]).await.unwrap();
    assert_eq!(code, 0);
    let (story, state) = printed.split_once("\nState\n").unwrap();
    assert!(serde_json::from_str::<Value>(state).is_ok(), "{state}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/stories/pre_auth.txt");
    let story = normalised(story);
    if std::env::var_os("UPDATE_CATALOGUES").is_some() {
        std::fs::write(&path, &story).unwrap();
    }
    assert_eq!(story, std::fs::read_to_string(path).unwrap(), "\n{printed}");

    let told = binary.json(&["events", "show", "pre_auth", &pre_auth]).await.unwrap();
    assert_eq!(told["events"][0]["type"], "pre_auth.created");
    let trails = told["money"]["trails"].as_array().unwrap();
    let made_available: i64 =
        trails.iter().map(|trail| trail["shares"][0]["released"]["available"].as_i64().unwrap()).sum();
    let taken: i64 = trails
        .iter()
        .flat_map(|trail| trail["shares"][0]["flows"][0]["to"].as_array().unwrap())
        .map(|portion| portion["amount"].as_i64().unwrap())
        .sum();
    assert_eq!((made_available, taken), (9_870, 7_000), "10000 less 1 % and 0.3 %");

    let first = told["events"][1]["position"].as_u64().unwrap();
    let then = binary.json(&["events", "show", "pre_auth", &pre_auth, "--as-of", &first.to_string()]).await.unwrap();
    let kinds = |story: &Value| -> Vec<String> {
        story["story"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&then), ["pre_auth.created", "channel_call", "pre_auth.authorized"]);
    assert_eq!(then["money"], json!({"trails": [], "made_of": []}));

    let (_, printed) = binary.run(&["events", "show", "withdrawal", &withdrawal]).await.unwrap();
    for words in ["call send", "bank:sandbox", "What it was made of", "from settlement set_", "70.00 USD"] {
        assert!(printed.contains(words), "{words} in {printed}");
    }
    let settlement = trails[0]["shares"][0]["settlement_id"].as_str().unwrap();
    let (_, printed) = binary.run(&["events", "show", "settlement", settlement]).await.unwrap();
    for words in ["the whole batch", "merchant_account.settlement_released", "withdrawal.paid", "still available"] {
        assert!(printed.contains(words), "{words} in {printed}");
    }
    assert_eq!(binary.run(&["events", "show", "pre_auth", "pa_none"]).await.unwrap().0, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_joins_calls_webhooks_and_timers() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let auditor = app_auditor(&app).await;
    let paid = app.pay(&merchant, "tok_error_then_success", 10_000).await;
    let id = paid["id"].as_str().unwrap();
    let path = format!("/payments/{id}/events");
    let story = until("the webhook has been acted on", LIMIT, || async {
        app.ledger.calls.flush().await;
        let story = app.get_json(&path, &auditor).await;
        let acted = entries(&story, "webhook").first().is_some_and(|webhook| webhook["data"]["outcome"] == "acted");
        acted.then_some(story)
    })
    .await;
    let calls = entries(&story, "channel_call");
    let results: Vec<&str> = calls.iter().map(|call| call["data"]["result"].as_str().unwrap()).collect();
    assert_eq!((results[0], *results.last().unwrap()), ("server_error", "answered"));
    for call in &calls {
        assert_eq!((&call["about"], &call["actor"]), (&json!(id), &json!("channel:sandbox")));
        assert!(call["data"]["request_id"].as_str().unwrap().starts_with("sbq_") && call["data"]["attempt"].is_u64());
        assert!(call["data"]["latency_ms"].is_u64() && call["position"].is_null());
    }
    assert_eq!(calls[0]["data"]["idempotency_key"], format!("{id}:charge"));
    let times: Vec<&str> =
        story["data"].as_array().unwrap().iter().map(|entry| entry["recorded_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");

    let waiting = app.pay(&merchant, "tok_requires_action", 5_000).await;
    let timers = until("the saga waits for the customer", LIMIT, || async {
        let story = app.get_json(&format!("/payments/{}/events", waiting["id"].as_str()?), &merchant.secret).await;
        let timers: Vec<Value> = entries(&story, "timer").into_iter().cloned().collect();
        timers.iter().any(|timer| timer["data"]["state"] == "waiting").then_some(timers)
    })
    .await;
    assert_eq!((&timers[0]["actor"], &timers[0]["about"]), (&json!("saga:payment"), &waiting["id"]));

    let held = app.hold(&merchant, "tok_success", 3_000).await;
    let of_hold = format!("/pre-auths/{}/events", held["id"].as_str().unwrap());
    until("the pre-auth's webhook has come", LIMIT, || async {
        let story = app.get_json(&of_hold, &merchant.secret).await;
        (!entries(&story, "webhook").is_empty()).then_some(())
    })
    .await;
    let other = app.merchant().await;
    for path in [&path, &of_hold] {
        assert_eq!(app.get(path, &other.secret).await.status(), 404);
        assert_eq!(app.get(&format!("{path}?follow=perhaps"), &merchant.secret).await.status(), 400);
        assert_eq!(app.get(&format!("{path}?follow=true"), &merchant.secret).await.status(), 200);
    }
    let token = api::position::token(entries(&story, "event")[0]["position"].as_u64().unwrap());
    let then = app.get_json(&format!("{path}?as_of={token}"), &auditor).await;
    assert_eq!(then["data"].as_array().unwrap().len(), 1, "the payment was created and nothing had been called");
    app.stop().await;
}

/// What follows the money further shows a merchant neither our margin nor who of us did something.
#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_follows_its_money_without_our_business() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (pre_auth, _) = from_the_hold_to_the_bank(&app, &merchant).await;
    let story = app.get_json(&format!("/pre-auths/{pre_auth}/events?follow=true"), &merchant.secret).await;
    let types: Vec<&str> = entries(&story, "event").iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    for told in ["payment.captured", "settlement.released", "withdrawal.approved", "withdrawal.paid"] {
        assert!(types.contains(&told), "{told} in {types:?}");
    }
    let text = story.to_string();
    for ours in ["revenue:", "expense:", "recovery:", "\"markup", "pricing", "sealed", "fee_rate", "key:", "_by\""] {
        assert!(!text.contains(ours), "{ours} in {text}");
    }
    app.stop().await;
}
