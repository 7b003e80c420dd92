//! The books on a real Postgres: what is posted, what it adds up to, and what the database refuses.

use std::sync::Arc;

use commands::ports::{EventStore, MerchantFunds};
use domain::invariants;
use domain::payment::{self, Payment};
use domain::{Account, Currency, Decider, DomainEvent, RefundId};
use projections::books::{
    AccountFilter, Books, BooksFunds, MerchantBalance, accounts, balances, entries, transaction, trial_balance,
};
use projections::verify::verify;
use projections::{Cursor, ReadError};
use test_support::histories::{
    Story, capture, create, merchant_id, payment_id, refund, refund_succeeded, refunded, terms,
};
use test_support::read_models::ReadModels;
use uuid::Uuid;

fn refund_id(n: u128) -> RefundId {
    RefundId::from_uuid(Uuid::from_u128(n))
}

fn usd() -> MerchantBalance {
    MerchantBalance::zero(Currency::USD)
}

/// 10000 USD over the sandbox channel for a Starter: created at position 1, captured at 2, 4000 asked back at 3.
async fn example(models: &ReadModels) {
    let store = models.store.as_ref();
    create(store, terms(1)).await;
    capture(store, payment_id(1), 10_000, Some(100)).await;
    refund(store, payment_id(1), refund_id(1), Some(4_000)).await;
}

#[tokio::test]
async fn a_capture_is_booked_as_the_accounting_says() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Books)]);
    example(&models).await;
    let mut view = models.view(&[&Books]).await;

    let trial = trial_balance(&mut view, Some(2)).await.unwrap();
    let lines: Vec<(&str, &str, i128)> = trial[0]
        .accounts
        .iter()
        .map(|line| (line.account.as_str(), line.account_type.as_str(), line.balance))
        .collect();
    let pending = format!("merchant:{}:pending", merchant_id(1));
    let expected = [
        ("channel:sandbox:receivable", "asset", 9_900),
        ("expense:channel_fee:sandbox", "expense", 100),
        (pending.as_str(), "liability", 9_820),
        ("recovery:channel_fee", "contra_expense", 100),
        ("revenue:processing", "revenue", 80),
    ];
    assert_eq!(lines, expected);
    assert_eq!((trial.len(), trial[0].debits, trial[0].credits), (1, 10_280, 10_280));
}

#[tokio::test]
async fn balances_are_told_now_and_as_of_any_position() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let _running = models.start(vec![Arc::new(Books)]);
    example(&models).await;
    refunded(store, payment_id(1), refund_id(1), refund_succeeded(0)).await;
    let mut view = models.view(&[&Books]).await;
    let table = [
        (Some(0), vec![]),
        (Some(1), vec![]),
        (Some(2), vec![MerchantBalance { pending: 9_820, ..usd() }]),
        (Some(3), vec![MerchantBalance { pending: 5_820, on_hold: 4_000, ..usd() }]),
        (Some(4), vec![MerchantBalance { pending: 5_820, ..usd() }]),
        (None, vec![MerchantBalance { pending: 5_820, ..usd() }]),
    ];
    for (as_of, expected) in table {
        assert_eq!(balances(&mut view, merchant_id(1), as_of).await.unwrap(), expected, "{as_of:?}");
    }
    assert_eq!(balances(&mut view, merchant_id(2), None).await.unwrap(), []);
    let beyond = balances(&mut view, merchant_id(1), Some(5)).await;
    assert_eq!(beyond, Err(ReadError::Behind { position: 4 }));

    let funds = BooksFunds::new(models.reader.clone());
    assert_eq!(funds.net_balance(merchant_id(1), Currency::USD, 4).await, Ok(5_820));
    assert_eq!(funds.net_balance(merchant_id(1), Currency::JPY, 4).await, Ok(0));
}

#[tokio::test]
async fn a_hold_stands_in_the_trial_balance_until_it_is_cleared() {
    let models = ReadModels::new().await;
    let store = models.store.as_ref();
    let _running = models.start(vec![Arc::new(Books)]);
    example(&models).await;
    refund(store, payment_id(1), refund_id(2), Some(1_000)).await;
    refunded(store, payment_id(1), refund_id(1), refund_succeeded(0)).await;
    let mut view = models.view(&[&Books]).await;
    for as_of in [None, Some(view.position)] {
        let trial = trial_balance(&mut view, as_of).await.unwrap();
        let holds: Vec<(String, i128, i128)> = trial[0]
            .accounts
            .iter()
            .filter(|line| line.account.contains(":refund_hold:"))
            .map(|line| (line.account.clone(), line.debits, line.credits))
            .collect();
        let family = format!("merchant:{}:refund_hold:*", merchant_id(1));
        let open = Account::MerchantRefundHold(merchant_id(1), refund_id(2)).to_string();
        assert_eq!(holds, [(family, 4_000, 4_000), (open, 0, 1_000)], "{as_of:?}");
        let sums = trial[0].accounts.iter().map(|line| line.debits).sum::<i128>();
        assert_eq!((sums, trial[0].credits), (trial[0].debits, trial[0].debits));
    }
}

#[tokio::test]
async fn accounts_and_entries_come_in_pages() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Books)]);
    example(&models).await;
    let mut view = models.view(&[&Books]).await;

    let lines = transaction(&mut view, 3).await.unwrap();
    let (pending, hold) =
        (Account::MerchantPending(merchant_id(1)), Account::MerchantRefundHold(merchant_id(1), refund_id(1)));
    let sides: Vec<_> = lines.iter().map(|line| (line.account.clone(), line.debit, line.credit)).collect();
    assert_eq!(sides, [(pending.clone(), 4_000, 0), (hold, 0, 4_000)]);
    assert_eq!(transaction(&mut view, 1).await.unwrap(), []);

    let (mut amounts, mut cursor): (Vec<(u64, i64)>, Option<Cursor>) = (vec![], None);
    loop {
        let page = entries(&mut view, &pending, None, 2, cursor.as_ref()).await.unwrap();
        amounts.extend(page.rows.iter().map(|line| (line.position, line.credit - line.debit)));
        match page.next {
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(amounts, [(3, -4_000), (2, -100), (2, -80), (2, 10_000)]);
    assert_eq!(entries(&mut view, &pending, Some(2), 9, None).await.unwrap().rows.len(), 3);

    let filter = |prefix: &str| AccountFilter { prefix: Some(prefix.to_owned()), ..AccountFilter::default() };
    let first = accounts(&mut view, &AccountFilter::default(), None, 4, None).await.unwrap();
    let rest = accounts(&mut view, &AccountFilter::default(), None, 4, first.next.as_ref()).await.unwrap();
    assert_eq!((first.rows.len(), rest.rows.len(), rest.next), (4, 2, None));
    let merchants = accounts(&mut view, &filter("merchant:"), Some(2), 9, None).await.unwrap();
    assert_eq!(merchants.rows.len(), 1, "the hold came later");
    let of_merchant = AccountFilter { merchant_id: Some(merchant_id(1)), ..AccountFilter::default() };
    assert_eq!(accounts(&mut view, &of_merchant, None, 9, None).await.unwrap().rows.len(), 2);
    assert_eq!(accounts(&mut view, &filter("merchant:%"), None, 9, None).await.unwrap().rows.len(), 0);
}

#[tokio::test]
async fn the_database_refuses_what_does_not_balance_and_any_edit() {
    let models = ReadModels::new().await;
    let _running = models.start(vec![Arc::new(Books)]);
    example(&models).await;
    models.view(&[&Books]).await;
    let insert = |values: &str| {
        format!(
            "WITH lines (position, line, account_id, currency, amount) AS (VALUES {values}),
                  transactions AS (
                 INSERT INTO rm_books_1.journal_transactions
                 SELECT DISTINCT position, 'payment', 'pay_1', 'payment.captured', now(), now() FROM lines
                  WHERE position > 8)
             INSERT INTO rm_books_1.journal_lines (position, line, account_id, currency, amount)
             SELECT position, line, account_id, currency, amount FROM lines"
        )
    };
    let refused = [
        (insert("(9, 1, 1, 'USD', 5)"), "does not balance"),
        (insert("(9, 1, 1, 'USD', 5), (9, 2, 2, 'USD', -6)"), "does not balance"),
        (insert("(9, 1, 1, 'USD', 5), (9, 2, 2, 'JPY', -5)"), "does not balance"),
        (insert("(8, 1, 1, 'USD', 5), (9, 1, 2, 'USD', -5)"), "does not balance"),
        (insert("(2, 90, 1, 'USD', 5), (2, 91, 2, 'USD', -5)"), "only grows at its end"),
        (insert("(1, 1, 1, 'USD', 5), (1, 2, 2, 'USD', -5)"), "only grows at its end"),
        (insert("(9, 2, 1, 'USD', 5), (9, 3, 2, 'USD', -5)"), "do not match"),
        (insert("(9, 1, 1, 'USD', 0), (9, 2, 2, 'USD', 0)"), "an_amount"),
        ("UPDATE rm_books_1.journal_lines SET account_id = 2".to_owned(), "append-only"),
        ("UPDATE rm_books_1.journal_lines SET account_id = 2 WHERE false".to_owned(), "append-only"),
        ("DELETE FROM rm_books_1.journal_lines".to_owned(), "append-only"),
        ("TRUNCATE rm_books_1.journal_lines".to_owned(), "append-only"),
        ("UPDATE rm_books_1.journal_transactions SET recorded_at = now()".to_owned(), "append-only"),
        ("DELETE FROM rm_books_1.journal_transactions".to_owned(), "append-only"),
        ("TRUNCATE rm_books_1.journal_transactions".to_owned(), "append-only"),
    ];
    let pool = &models.database.pool;
    for (statement, reason) in &refused {
        let error = sqlx::query(statement).execute(pool).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    }
    let replica = format!("SET session_replication_role = replica; {}", refused[8].0);
    let mut connection = pool.acquire().await.unwrap().detach();
    assert!(sqlx::raw_sql(&replica).execute(&mut connection).await.unwrap_err().to_string().contains("append-only"));

    let balanced = insert("(9, 1, 1, 'USD', 5), (9, 2, 2, 'USD', -5), (10, 1, 1, 'USD', 5), (10, 2, 2, 'USD', -5)");
    assert_eq!(sqlx::query(&balanced).execute(pool).await.unwrap().rows_affected(), 4);
}

/// Invariants 1, 4, 5 and 7 over a whole random story, and each account of one object at zero in the end.
#[tokio::test]
async fn the_books_balance_over_any_history() {
    for seed in 0..6 {
        let models = ReadModels::new().await;
        let store = models.store.as_ref();
        let running = models.start(vec![Arc::new(Books)]);
        let mut story = Story::new(seed);
        story.go_on(store, 300).await;
        story.finish(store).await;
        let mut view = models.view(&[&Books]).await;
        running.stop().await;

        let expected = replayed(store).await;
        for currency in trial_balance(&mut view, None).await.unwrap() {
            assert_eq!(currency.debits, currency.credits, "seed {seed}, {}", currency.currency);
            assert_eq!(currency.debits, expected.totals()[&currency.currency].debits, "seed {seed}");
        }
        let page = accounts(&mut view, &AccountFilter::default(), None, 100_000, None).await.unwrap();
        assert_eq!(page.rows.len(), expected.accounts.len());
        let mut of_objects = 0;
        for line in page.rows {
            let account: Account = line.account.parse().unwrap();
            assert_eq!(line.balance, expected.balance(&account, line.currency), "seed {seed}, {account}");
            if account.is_per_object() {
                of_objects += 1;
                assert_eq!(line.balance, 0, "seed {seed}, {account}");
            }
        }
        assert!(of_objects > 10, "the story of seed {seed} is too plain");
        let verification = verify(&models.reader, store, "books").await.unwrap().unwrap();
        assert!(verification.is_clean(), "seed {seed}: {verification:?}");
    }
}

/// The books as the domain alone makes them of the log.
async fn replayed(store: &dyn EventStore) -> invariants::Books {
    let mut books = invariants::Books::default();
    for event in store.read_all(0, usize::MAX).await.unwrap() {
        if event.stream.category == Payment::CATEGORY {
            let entry = event.decode::<payment::Event>().unwrap().postings();
            books.post(entry.as_ref().map_or(&[], |entry| entry.legs())).unwrap();
        }
    }
    books
}
