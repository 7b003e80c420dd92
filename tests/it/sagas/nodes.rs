//! Several nodes over one agenda, on Postgres: they share the work, take each other over, and harm nobody.

use std::sync::Arc;
use std::time::Duration;

use adapters::agenda::{MemoryAgenda, PostgresAgenda};
use domain::payment::PaymentStatus;
use test_support::postgres::{TestDatabase, volatile_test_database};
use test_support::wait::until;

use super::stage::{Stage, config};

async fn postgres_stage() -> (TestDatabase, Stage) {
    let database = volatile_test_database().await;
    let stage = Stage::with(Arc::new(PostgresAgenda::new(database.pool.clone()))).await;
    (database, stage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_the_work_and_charge_once() {
    let (_database, stage) = postgres_stage().await;
    let _nodes = [stage.node(), stage.node()];
    let mut payments = vec![];
    for number in 0..60 {
        let tokens = ["tok_success", "tok_async", "tok_requires_action", "tok_declined"];
        payments.push(stage.create(tokens[number % tokens.len()]).await);
    }
    stage.until_quiet().await;
    for payment_id in &payments {
        stage.channel.complete_charge(*payment_id);
    }
    // One minute is less than the patience with customers: two nudges at once, from both nodes.
    for payment_id in payments.iter().map(ToString::to_string) {
        let (one, other) = tokio::join!(_nodes[0].runner.nudge(&payment_id), _nodes[1].runner.nudge(&payment_id));
        one.unwrap();
        other.unwrap();
    }
    stage.until_quiet().await;
    for (number, payment_id) in payments.iter().enumerate() {
        let expected = if number % 4 == 3 { PaymentStatus::Failed } else { PaymentStatus::Succeeded };
        assert_eq!(stage.record(*payment_id).await.status(), expected);
    }
    assert_eq!(stage.channel.effects().len(), 45);
    assert_eq!(stage.agenda.list(None, 10).await.unwrap(), []);
    stage.assert_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_node_follows_when_the_first_dies() {
    let (_database, stage) = postgres_stage().await;
    let first = stage.node();
    stage.create("tok_success").await;
    stage.until_quiet().await;
    drop(first);
    let second = stage.node();
    let payment_id = stage.create("tok_success").await;
    stage.clock.advance(config().lead_for);
    stage.until_quiet().await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
    second.stop().await;

    // Who stops in order is not waited for: no time passes here.
    let _third = stage.node();
    let payment_id = stage.create("tok_success").await;
    stage.until_quiet().await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
}

#[tokio::test]
async fn an_agenda_that_is_built_anew_repeats_no_effect() {
    let stage = Stage::new().await;
    let node = stage.node();
    for token in ["tok_success", "tok_declined", "tok_success"] {
        stage.create(token).await;
    }
    let cancelled = stage.create("tok_requires_action").await;
    stage.until_quiet().await;
    stage.cancel(cancelled).await;
    let refunded = stage.create("tok_success").await;
    stage.until_quiet().await;
    stage.refund(refunded, 5_000).await;
    stage.until_quiet().await;
    node.stop().await;

    let (calls, head) = (stage.channel.calls(), stage.store.head().await.unwrap());
    // Pages of one event: each payment is entered as due before its end is seen.
    for page in [1, 1_000] {
        let anew = Stage { agenda: Arc::new(MemoryAgenda::default()), ..stage.clone() };
        let small = sagas::SagaConfig { page, ..config() };
        let node = super::stage::Node::start(sagas::SagaRunner::new(&anew.use_cases(), anew.agenda.clone(), small));
        let followed = || async { anew.is_quiet().await.then_some(()) };
        until("the log was followed again", Duration::from_secs(20), followed).await;
        node.stop().await;
        assert_eq!(anew.agenda.list(None, 10).await.unwrap(), []);
        assert_eq!(stage.channel.calls(), calls, "in pages of {page}");
        assert_eq!(stage.store.head().await.unwrap(), head, "in pages of {page}");
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_followed_for_a_while_is_followed_on() {
    let (database, stage) = postgres_stage().await;
    let _node = stage.node();
    stage.create("tok_success").await;
    stage.until_quiet().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
               AND pid <> pg_backend_pid()";
    sqlx::query(cut).execute(&database.pool).await.unwrap();
    let payment_id = stage.create("tok_success").await;
    stage.until_quiet().await;
    assert_eq!(stage.record(payment_id).await.status(), PaymentStatus::Succeeded);
}
