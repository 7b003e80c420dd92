//! Connections that break around a COMMIT: nothing is lost, nothing is doubled, and whoever waits gets the true answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use adapters::event_store::PostgresOptions;
use commands::ports::{EventStore, Expected, Receipt, Request};
use test_support::postgres::test_database;
use test_support::postgres_proxy::PostgresProxy;

use super::fixture::{audit, check_recorded, claim, insist, release, turns};
use super::postgres::store;

const CUTS_MIN: usize = 60;

fn impatient() -> PostgresOptions {
    PostgresOptions { attempt_within: Duration::from_millis(300), ..PostgresOptions::default() }
}

/// Six streams' worth of commands: several events on an own and on a shared stream, and refusals that are recorded.
fn command(writer: usize, number: usize) -> (Request, usize) {
    let name = format!("{writer}-{number}");
    if number % 5 == 4 {
        return (claim(&name, "held", 2), 0);
    }
    let (own, shared) = (format!("own {writer}"), format!("shared {}", number % 3));
    let version = u64::try_from((number - number / 5) * 4).unwrap();
    (turns(&name, &[(&own, Expected::Exactly(version)), (&shared, Expected::Any)], 2), 8)
}

/// Every third commit of one store is cut, in turn before, while and after the server does it, or by silence. A second
/// store, whose connection holds, appends to the same streams.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_that_are_cut_off_are_neither_lost_nor_doubled() {
    let database = test_database().await;
    let proxy = PostgresProxy::start(&database.pool.connect_options()).await.unwrap();
    let pool = proxy.pool();
    let (cut, whole) = (store(&pool, impatient()), store(&database.pool, impatient()));
    whole.execute(claim("holder", "held", 1)).await.unwrap();
    proxy.cut_every(3);
    let enough = Arc::new(AtomicBool::new(false));
    let writer = |writer: usize| {
        let (store, enough) = if writer < 12 { (cut.clone(), enough.clone()) } else { (whole.clone(), enough.clone()) };
        tokio::spawn(async move {
            let mut receipts = vec![];
            while !enough.load(Ordering::SeqCst) {
                let (request, events) = command(writer, receipts.len());
                let (answer, refused) = insist(&store, &request).await;
                let receipt = answer.unwrap_or_else(|error| panic!("{}: {error}", request.object));
                assert!(refused > 0 || !receipt.replayed, "nobody has asked for {} before", request.object);
                assert_eq!(receipt.rejection.is_some(), events == 0);
                receipts.push((receipt, events));
            }
            receipts
        })
    };
    let writers: Vec<_> = (0..14).map(writer).collect();
    test_support::wait::until("enough commits are cut", Duration::from_secs(120), || async {
        (proxy.cuts() >= CUTS_MIN).then_some(())
    })
    .await;
    enough.store(true, Ordering::SeqCst);
    let mut receipts: Vec<(Receipt, usize)> = vec![];
    for writer in writers {
        receipts.extend(writer.await.unwrap());
    }
    proxy.cut_every(0);
    let audit = audit(&whole).await;
    for (receipt, events) in &receipts {
        check_recorded(&whole, &audit, receipt, *events).await;
    }
    let appended: usize = receipts.iter().map(|(_, events)| events).sum();
    assert_eq!(audit.events, u64::try_from(appended).unwrap() + 1, "nothing is in the log that was not asked for");
    assert!(receipts.len() > CUTS_MIN, "the writers got on");
}

/// Each moment in turn, alone, on the fast path: the first and only caller is told the truth, not "seen before".
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_and_told() {
    let database = test_database().await;
    let proxy = PostgresProxy::start(&database.pool.connect_options()).await.unwrap();
    let pool = proxy.pool();
    let store: Arc<dyn EventStore> = store(&pool, impatient());
    store.execute(claim("warm", "a", 0)).await.unwrap();
    store.execute(release("cool", "a", 0)).await.unwrap();
    let mut answers = HashMap::new();
    // Two commits for each command, of which the first is cut: the one on the fast path.
    for number in 1..=8_u64 {
        proxy.cut_every(1);
        let request =
            if number % 2 == 1 { claim(&number.to_string(), "a", 9) } else { release(&number.to_string(), "a", 9) };
        let cuts = proxy.cuts();
        let execute = store.execute(request);
        let uncut = async {
            test_support::wait::until("the commit is cut", Duration::from_secs(10), || async {
                (proxy.cuts() > cuts).then_some(())
            })
            .await;
            proxy.cut_every(0);
        };
        let (receipt, ()) = tokio::join!(execute, uncut);
        let receipt = receipt.unwrap();
        assert!(!receipt.replayed, "{number}");
        assert_eq!((receipt.version, receipt.position), (number + 2, number + 2));
        answers.insert(receipt.command_id, receipt);
    }
    let audit = audit(&store).await;
    assert_eq!(audit.events, 10);
    for receipt in answers.values() {
        check_recorded(&store, &audit, receipt, 1).await;
    }
}
