//! What a run finds, again and again, and what a later statement makes of it.

use adapters::statements::PostgresStatementBook;
use commands::ports::statements::RunOrder;
use commands::ports::{Role as KeyRole, StatementBook};
use domain::reconciliation::Rules;
use reqwest::Method;
use serde_json::{Value, json};

use super::{HEADINGS, bring, bring_keyed, completed, exceptions, line};
use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_compared_line_by_line() {
    let app = TestApp::start().await;
    let (merchant, finance) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    let paid = [
        app.pay(&merchant, "tok_success", 10_000).await,
        app.pay(&merchant, "tok_success", 2_000).await,
        app.pay(&merchant, "tok_success", 3_000).await,
    ];
    let (reference, at) = (
        |index: usize| paid[index]["channel_reference"].as_str().unwrap().to_owned(),
        |index: usize| paid[index]["updated_at"].as_str().unwrap().to_owned(),
    );
    let file = [
        HEADINGS.to_owned(),
        line(&reference(0), "charge", 10_000, 100, &at(0)),
        line(&reference(0), "charge", 10_000, 100, &at(0)),
        line(&reference(1), "charge", 1_900, 20, &at(1)),
        line("nobody-knows", "charge", 5_000, 50, &at(0)),
        "broken,charge,ten,0,USD,2026-11-18\n".to_owned(),
        line("the-last", "adjustment", -1, 0, &at(2)),
    ]
    .concat();
    let run = bring(&app, &finance, "format=csv&channel=sandbox", file.clone()).await;
    let statement = &run["statement"];
    assert_eq!((&statement["lines"], &statement["bad_lines"]), (&json!(5), &json!(1)));
    assert_eq!(statement["totals"], json!([{"currency": "USD", "gross": 26_899, "fee": 270, "net": 26_629}]));
    let result = &run["result"];
    assert_eq!((&result["matched_lines"], &result["matches"]), (&json!(1), &json!({"exact": 1})));
    let expected = json!({"amount": 1, "duplicate": 1, "missing_here": 2, "missing_there": 1});
    assert_eq!(result["exceptions"], expected, "{run}");
    let id = run["id"].as_str().unwrap();
    let bad = app.get_json(&format!("/reconciliation/runs/{id}/bad-lines"), &finance).await;
    assert_eq!(bad["data"], json!([{"line": 6, "reason": "an amount is not one of its currency"}]));

    let found = exceptions(&app, &finance, "kind=amount").await;
    assert_eq!((found.len(), &found[0]["amount"], &found[0]["severity"]), (1, &json!(-100), &json!("medium")));
    assert_eq!((&found[0]["there"]["lines"][0]["line"], &found[0]["ageing"]), (&json!(4), &json!("0-1")));
    assert_eq!(found[0]["here"]["operations"][0]["id"], paid[1]["id"]);
    let missing = exceptions(&app, &finance, "kind=missing_there&status=open&channel=sandbox").await;
    assert_eq!((missing.len(), &missing[0]["amount"]), (1, &json!(-2_970)));
    assert_eq!(
        (exceptions(&app, &finance, "severity=critical").await, exceptions(&app, &finance, "").await.len()),
        (vec![], 5)
    );

    // The same file under another key is the same statement, and a second run finds the same.
    let again = bring(&app, &finance, "format=csv&channel=sandbox", file).await;
    assert_eq!(again, run);
    let path = format!("/reconciliation/runs/{id}/again");
    let second: Value = app.post(&path, &finance, &json!({})).await.json().await.unwrap();
    let second = completed(&app, &finance, second["id"].as_str().unwrap()).await;
    assert_eq!((&second["number"], &second["result"]["cleared"]), (&json!(2), &json!(0)));
    assert_eq!(second["result"]["outcome_digest"], result["outcome_digest"]);
    assert_eq!(exceptions(&app, &finance, "status=open").await.len(), 5);
    assert_eq!(completed(&app, &finance, id).await, run, "the first run says what it said");

    // What is missing comes with the next statement, which cannot have what the first one has.
    let next = [
        HEADINGS.to_owned(),
        line(&reference(2), "charge", 3_000, 30, &at(2)),
        line(&reference(0), "charge", 10_000, 100, &at(2)),
    ];
    let next = bring(&app, &finance, "format=csv", next.concat()).await;
    let result = &next["result"];
    assert_eq!((&result["cleared"], &result["exceptions"]), (&json!(1), &json!({"duplicate": 1})), "{next}");
    let cleared = exceptions(&app, &finance, "status=cleared").await;
    assert_eq!((cleared.len(), &cleared[0]["id"]), (1, &missing[0]["id"]));
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_disputes_and_splits_are_known_by_their_references() {
    let app = TestApp::start().await;
    let (merchant, finance) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let refund = json!({"payment_id": paid["id"], "amount": 4_000});
    let refund: Value = app.post("/refunds", &merchant.secret, &refund).await.json().await.unwrap();
    let refund_id = refund["id"].as_str().unwrap();
    let lost = app.pay(&merchant, "tok_dispute_lost", 7_000).await;
    let dispute = test_support::wait::until("the dispute is lost", super::LIMIT, || async {
        let list = app.get_json("/disputes", &merchant.secret).await;
        list["data"].as_array()?.iter().find(|dispute| dispute["status"] == "lost").cloned()
    })
    .await;
    let trial = app.fresh("/ledger/trial-balance", &finance).await;
    let mut lines = trial["currencies"][0]["accounts"].as_array().unwrap().iter();
    let fee = lines.find(|line| line["account"] == "expense:dispute_fee:sandbox");
    let fee = super::major(fee.map_or(0, |line| line["balance"].as_i64().unwrap()));
    let of = |object: &Value, field: &str| object[field].as_str().unwrap().to_owned();
    let at = of(&lost, "updated_at");
    let file = [
        "reference,own_reference,kind,gross,fee,currency,date\n".to_owned(),
        // The charge in two parts, the refund by our own id, the dispute by ours too.
        format!("{},,charge,60.00,1.00,USD,{at}\n", of(&paid, "channel_reference")),
        format!("{},,charge,40.00,0.00,USD,{at}\n", of(&paid, "channel_reference")),
        format!(",{refund_id},refund,-40.00,0.00,USD,{at}\n"),
        format!("{},,charge,70.00,0.70,USD,{at}\n", of(&lost, "channel_reference")),
        format!(",{},dispute,-70.00,{fee},USD,{at}\n", of(&dispute, "id")),
    ];
    let run = bring(&app, &finance, "format=csv", file.concat()).await;
    let result = &run["result"];
    assert_eq!(result["exceptions"], json!({}), "{run}");
    assert_eq!(result["matches"], json!({"exact": 3, "one_to_many": 1}), "{run}");
    assert_eq!((&result["matched_lines"], &result["matched_operations"]), (&json!(5), &json!(4)));
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_node_died_is_made_by_the_job() {
    let app = TestApp::start().await;
    let (finance, operator) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Operator, None).await.1);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, format!("{HEADINGS}a,charge,1.00,0,USD,2026-11-18\n").as_bytes()).unwrap();
    let upload = commands::reconciliation::Upload {
        counterparty: "channel:sandbox".parse().unwrap(),
        format: commands::ports::StatementFormat::Csv(commands::ports::statements::ColumnMap::default()),
        digest: "ab".repeat(32),
        bytes: 1,
        rules: domain::reconciliation::Rules::default(),
        by: "ada".to_owned(),
    };
    // Lines and events are there, and nobody makes the run; the lines alone, without the event, are found again.
    let statement_id = upload.statement_id();
    let reconciliations = &app.ledger.reconciliations;
    for _ in 0..2 {
        let issued = payledger::operator::issued();
        reconciliations.import(issued, upload.clone(), file.path()).await.unwrap();
    }
    let run_id = domain::ReconciliationRunId::of(statement_id, 1).to_string();
    let run = app.get_json(&format!("/reconciliation/runs/{run_id}"), &finance).await;
    assert_eq!((&run["statement"]["lines"], &run["number"]), (&json!(1), &json!(1)));
    app.fresh("/reconciliation/exceptions", &finance).await;
    test_support::wait::until("the job is asked to run", super::LIMIT, || async {
        let asked = app.post("/jobs/finish_reconciliations/run", &operator, &json!({})).await;
        (asked.status() == 202).then_some(())
    })
    .await;
    let run = completed(&app, &finance, &run_id).await;
    assert_eq!(run["result"]["exceptions"], json!({"missing_here": 1}));

    // Two nodes that make the same run leave one.
    let (again, path) = (app.another_ledger().await, format!("/reconciliation/runs/{run_id}/again"));
    let answer = app.request(Method::POST, &path, &finance).header("Idempotency-Key", "again").json(&json!({}));
    let second: Value = answer.send().await.unwrap().json().await.unwrap();
    let (first, other) = tokio::join!(reconciliations.run(statement_id), again.reconciliations.run(statement_id));
    first.unwrap();
    other.unwrap();
    let second = completed(&app, &finance, second["id"].as_str().unwrap()).await;
    assert_eq!(second["result"]["outcome_digest"], run["result"]["outcome_digest"]);
    assert_eq!(exceptions(&app, &finance, "").await.len(), 1);
    let repeat = bring_keyed(&app, &finance, "again", "format=csv", "x").await;
    assert_eq!(super::told(repeat).await, "422 idempotency_key_reused");
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

/// Of what one pass leaves over, a little is kept in memory and much is read again: nobody can tell which it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_over_comes_to_the_same_in_memory_and_out_of_it() {
    let app = TestApp::start().await;
    let (merchant, finance) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    let mut paid = vec![];
    for amount in [1_000, 2_000, 3_000, 4_000, 5_000, 6_000] {
        paid.push(app.pay(&merchant, "tok_success", amount).await);
    }
    let of = |index: usize, field: &str| paid[index][field].as_str().unwrap().to_owned();
    let headings = "reference,own_reference,kind,gross,fee,currency,date\n";
    let charge = |reference: &str, own: &str, amount: i64, index: usize| {
        let (gross, fee) = (super::major(amount), super::major(amount / 100));
        format!("{reference},{own},charge,{gross},{fee},USD,{}\n", of(index, "updated_at"))
    };
    // Another statement has the fourth; of the others, one is found by its reference, one by our id, one by amount and day,
    // one is missing here, one there, and two lines tell what another one told.
    let other = [headings.to_owned(), charge(&of(3, "channel_reference"), "", 4_000, 3)];
    bring(&app, &finance, "format=csv", other.concat()).await;
    let file = [
        headings.to_owned(),
        charge(&of(0, "channel_reference"), "", 1_000, 0),
        charge("", &of(1, "id"), 2_000, 1),
        charge("", &of(1, "id"), 2_000, 1),
        charge("", "", 3_000, 2),
        charge("", &of(3, "id"), 4_000, 3),
        charge("nobody-knows", "", 700, 4),
        charge(&of(5, "channel_reference"), "", 6_000, 5),
    ];
    let run = bring(&app, &finance, "format=csv", file.concat()).await;
    let result = &run["result"];
    assert_eq!(result["matches"], json!({"amount_and_day": 1, "exact": 3}), "{run}");
    assert_eq!(result["exceptions"], json!({"duplicate": 2, "missing_here": 1, "missing_there": 1}), "{run}");

    let statement_id = run["statement"]["id"].as_str().unwrap().parse().unwrap();
    for (number, left_max) in [(2, 0), (3, 3), (4, 100)] {
        let book = PostgresStatementBook::new(app.ledger.pool.clone(), app.ledger.reader.clone());
        let order = RunOrder {
            run_id: domain::ReconciliationRunId::of(statement_id, number),
            statement_id,
            rules: Rules::default(),
            at_least: 0,
            now: app.ledger.payments.clock.now(),
        };
        let outcome = book.keeping_at_most(left_max).reconcile(&order).await.unwrap();
        assert_eq!(json!(outcome.digest), result["outcome_digest"], "{left_max}");
    }
    app.stop().await;
}
