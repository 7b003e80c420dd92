//! The daily assertions: they hold of what the ledger did, and name what somebody changed.

use commands::jobs::{CheckDailyAssertions, Job};
use commands::ports::Role as KeyRole;
use domain::Timestamp;
use projections::daily_assertions::AssertionsOfBooks;
use serde_json::json;
use sqlx::Executor;

use super::bring;
use crate::app::TestApp;

const STATEMENT: &str = r#"<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="USD">AMOUNT</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>DAY</Dt></Dt></Bal></Stmt></BkToCstmrStmt></Document>"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_named() {
    let app = TestApp::start().await;
    let (merchant, finance) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let refund = json!({"payment_id": paid["id"], "amount": 500});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    let pay_out = format!("{}/payouts/run", app.sandbox.as_ref().unwrap().url());
    assert!(app.http.post(&pay_out).json(&json!({})).send().await.unwrap().status().is_success());
    app.ledger.channel_accounts.collect_payouts().await.unwrap();
    let day = app.ledger.payments.clock.now().to_datetime().format("%Y-%m-%d").to_string();
    let statement = |amount: &str| STATEMENT.replace("AMOUNT", amount).replace("DAY", &day);
    bring(&app, &finance, "format=camt053", statement("94.00")).await;

    let job =
        CheckDailyAssertions { assertions: std::sync::Arc::new(AssertionsOfBooks::new(app.ledger.reader.clone())) };
    let check = async |now: Timestamp| {
        app.fresh("/balances", &merchant.secret).await;
        app.fresh("/ledger/trial-balance", &finance).await;
        job.run(now).await.map_err(|failed| failed.0)
    };
    let now = app.ledger.payments.clock.now();
    // One currency, one closing balance, one merchant, and nothing kept for an object.
    assert_eq!(check(now).await, Ok(3));

    bring(&app, &finance, "format=camt053", statement("93.99")).await;
    assert_eq!(check(now).await, Err("cash_equals_statement: bank:sandbox says 9399 USD, 9400 is booked".to_owned()));
    app.ledger.pool.execute("UPDATE rm_books_1.balances SET pending = pending + 1").await.unwrap();
    let failed = check(now).await.unwrap_err();
    assert!(failed.contains("merchants_equal_statements"), "{failed}");
    app.ledger
        .pool
        .execute("UPDATE rm_books_1.accounts SET debits = debits + 1 WHERE account = 'revenue:processing'")
        .await
        .unwrap();
    let failed = check(now).await.unwrap_err();
    assert!(failed.contains("debits_equal_credits: "), "{failed}");
    let hold = format!("merchant:{}:refund_hold:re_0000000000000000000000000a", merchant.id);
    let left_over = format!(
        "INSERT INTO rm_books_1.journal_transactions VALUES (1000000, 'payment', 'pay_1', 'refund', now(), now());
         INSERT INTO rm_books_1.journal_lines (position, line, account_id, currency, amount)
         VALUES (1000000, 1, 4096000001, 'USD', 5), (1000000, 2, 4096000001, 'USD', -5);
         INSERT INTO rm_books_1.accounts (id, account, currency, type, family, debits, credits)
         VALUES (4096000001, '{hold}', 'USD', 'liability', 'merchant:*', 0, 5)"
    );
    app.ledger.pool.execute(left_over.as_str()).await.unwrap();
    assert!(!check(now).await.unwrap_err().contains("objects_are_cleared"), "its time is not over");
    let later = now.plus(std::time::Duration::from_secs(31 * 24 * 3600));
    let failed = check(later).await.unwrap_err();
    assert!(failed.contains("objects_are_cleared: ") && failed.contains(&hold), "{failed}");
    app.stop().await;
}
