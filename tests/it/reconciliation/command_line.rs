//! `payledger reconcile` on the database of a server that runs, and on one that nobody serves.

use commands::ports::Role as KeyRole;
use payledger::cli::Role;
use serde_json::{Value, json};

use super::{HEADINGS, exceptions, line};
use crate::app::TestApp;

/// The exit code, and what was printed.
async fn run(app: &TestApp, arguments: &[&str]) -> (i32, Value) {
    let (code, text) = app.binary().run(&[&["reconcile"], arguments, &["--json"]].concat()).await.unwrap();
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_brought_in_compared_and_compared_again() {
    let app = TestApp::start().await;
    let (merchant, finance) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    let paid = [app.pay(&merchant, "tok_success", 10_000).await, app.pay(&merchant, "tok_success", 2_000).await];
    let of = |index: usize, field: &str| paid[index][field].as_str().unwrap().to_owned();
    let charge = |index: usize, gross, fee| {
        line(&of(index, "channel_reference"), "charge", gross, fee, &of(index, "updated_at"))
    };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("good.csv", format!("{HEADINGS}{}{}", charge(0, 10_000, 100), charge(1, 2_000, 20)));
    let import = |file: &str| {
        let file = file.to_owned();
        let app = &app;
        async move { run(app, &["import", &file, "--format", "csv", "--channel", "sandbox"]).await }
    };
    let (code, clean) = import(&good).await;
    assert_eq!((code, &clean["ok"], &clean["status"]), (0, &json!(true), &json!("completed")), "{clean}");
    assert_eq!((&clean["result"]["counts"]["matched_lines"], &clean["differences"]), (&json!(2), &json!([])));

    let bad = format!("{HEADINGS}{}{}x,charge,ten,0,USD,2026-11-18\n", charge(0, 10_000, 100), charge(1, 1_900, 20));
    let bad = write("bad.csv", bad);
    let (code, found) = import(&bad).await;
    assert_eq!((code, &found["ok"], &found["statement"]["lines"]), (3, &json!(false), &json!(2)), "{found}");
    assert_eq!(found["bad_lines"], json!([{"line": 4, "reason": "an amount is not one of its currency"}]));
    let kinds: Vec<_> = found["differences"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds.len(), 2, "{found}");
    assert_eq!(import(&bad).await, (3, found.clone()), "the same file is the same statement");
    let listed = exceptions(&app, &finance, "status=open").await;
    assert_eq!(listed.len(), 2);
    let (code, differences) = run(&app, &["differences", "--status", "open"]).await;
    let ids = |all: &Value| all.as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!((code, ids(&differences)), (3, ids(&Value::Array(listed))));
    assert_eq!(differences[0]["ageing"], "0-1");
    assert_eq!(run(&app, &["differences", "--severity", "critical"]).await, (0, json!([])));

    let statement = found["statement"]["statement_id"].as_str().unwrap();
    let (code, shown) = run(&app, &["show", found["run_id"].as_str().unwrap()]).await;
    assert_eq!((code, &shown), (3, &found));
    let (code, again) = run(&app, &["again", statement, "--tolerance", "200"]).await;
    assert_eq!((code, &again["number"], &again["status"]), (3, &json!(2), &json!("completed")), "{again}");

    let (code, text) = app.binary().run(&["reconcile", "show", statement]).await.unwrap();
    assert!(code == 3 && text.contains("line 4 cannot be read") && text.contains("run 2"), "{text}");
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_statement_is_refused() {
    let app = TestApp::with_roles(&[Role::Api]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.csv");
    let file = path.to_str().unwrap();
    std::fs::write(&path, format!("{HEADINGS}{}", line("a", "charge", 100, 0, "2026-11-18"))).unwrap();
    for (arguments, code) in [
        (vec!["import", file, "--format", "csv"], 2),
        (vec!["import", file, "--format", "xls", "--channel", "sandbox"], 2),
        (vec!["import", file, "--format", "csv", "--channel", "a", "--bank", "b"], 2),
        (vec!["import", file, "--format", "csv", "--channel", "a", "--columns", "colour=red"], 2),
        (vec!["import", file, "--format", "csv", "--channel", "a", "--lag-days-max", "99"], 2),
        (vec!["import", "/nowhere", "--format", "csv", "--channel", "a"], 1),
        (vec!["import", file, "--format", "paypal_stl"], 1),
        (vec!["show", "stm_0000000000000000000000000a"], 1),
        (vec!["again", "none"], 1),
        (vec!["differences", "--status", "lost"], 2),
        (vec!["differences"], 0),
        // Nobody serves the read models here: the command does for as long as it needs them.
        (vec!["import", file, "--format", "csv", "--channel", "a"], 3),
    ] {
        assert_eq!(run(&app, &arguments).await.0, code, "{arguments:?}");
    }
    app.stop().await;
}
