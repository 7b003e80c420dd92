//! Statements over HTTP: what is read of them, what a run finds, and what is done about it.

mod assertions;
mod command_line;
mod differences;
mod resolving;
mod uploads;

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use test_support::wait;
use uuid::Uuid;

use crate::app::TestApp;

const LIMIT: Duration = Duration::from_secs(60);

/// Brings a file in under a key and waits for its run.
async fn bring_keyed(app: &TestApp, secret: &str, key: &str, terms: &str, file: impl Into<Vec<u8>>) -> Response {
    let request = app.request(Method::POST, &format!("/reconciliation/statements?{terms}"), secret);
    let request = request.header("Idempotency-Key", key).header("Prefer", "wait=30").body(file.into());
    request.send().await.unwrap()
}

/// The run over a statement that was brought in, completed.
async fn bring(app: &TestApp, secret: &str, terms: &str, file: impl Into<Vec<u8>>) -> Value {
    let answer = bring_keyed(app, secret, &Uuid::now_v7().to_string(), terms, file).await;
    let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(status, 202, "{body}");
    let run: Value = serde_json::from_str(&body).unwrap();
    completed(app, secret, run["id"].as_str().unwrap()).await
}

async fn completed(app: &TestApp, secret: &str, id: &str) -> Value {
    wait::until("the run is completed", LIMIT, || async {
        let run = app.get_json(&format!("/reconciliation/runs/{id}"), secret).await;
        (run["status"] == "completed").then_some(run)
    })
    .await
}

/// Every exception that the filter finds.
async fn exceptions(app: &TestApp, secret: &str, filter: &str) -> Vec<Value> {
    let list = app.fresh(&format!("/reconciliation/exceptions?limit=100&{filter}"), secret).await;
    list["data"].as_array().unwrap().clone()
}

/// `status code` of a refusal, or `status status-of-the-object`.
async fn told(answer: Response) -> String {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    format!("{status} {}", body.get("code").unwrap_or(&body["status"]).as_str().unwrap_or_default())
}

/// Minor units of USD as a statement writes them.
fn major(minor: i64) -> String {
    format!("{}{}.{:02}", if minor < 0 { "-" } else { "" }, minor.abs() / 100, minor.abs() % 100)
}

/// One line of a `csv` with `reference,kind,gross,fee,currency,date`.
fn line(reference: &str, kind: &str, gross: i64, fee: i64, at: &str) -> String {
    format!("{reference},{kind},{},{},USD,{at}\n", major(gross), major(fee))
}

const HEADINGS: &str = "reference,kind,gross,fee,currency,date\n";
