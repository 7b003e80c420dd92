//! What operators see: each outcome counted once, and an alert for what does not move.

use std::time::Duration;

use commands::ports::{ChannelAnswer, VaultError};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use test_support::scripted_channel::Loss;
use test_support::wait::until;

use super::stage::{AMOUNT, Stage, config, issued};

const LIMIT: Duration = Duration::from_secs(20);

/// Catches the metrics of everything on this thread.
fn recorder() -> (PrometheusHandle, impl Drop) {
    let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
    (recorder.handle(), metrics::set_default_local_recorder(recorder))
}

async fn until_shown(metrics: &PrometheusHandle, line: &str) {
    until(line, LIMIT, || async { metrics.render().lines().any(|shown| shown == line).then_some(()) }).await;
}

#[tokio::test]
async fn each_outcome_is_counted_once_whoever_tells_it() {
    let (metrics, _guard) = recorder();
    let stage = Stage::new().await;
    let _node = stage.node();
    let payment_id = stage.create("tok_success").await;
    stage.create("tok_declined").await;
    stage.until_quiet().await;
    let told = ChannelAnswer::Captured { channel_reference: "ch".to_owned(), amount: AMOUNT, fee: Some(100) };
    stage.payments.record_charge(issued("webhook"), payment_id, told).await.unwrap();
    stage.refund(payment_id, AMOUNT / 2).await;
    stage.until_quiet().await;
    let shown = metrics.render();
    for line in [
        r#"payment_total{status="succeeded",channel="scripted",currency="USD"} 1"#,
        r#"payment_total{status="failed",channel="scripted",currency="USD"} 1"#,
        r#"payment_amount{channel="scripted",currency="USD"} 10000"#,
        r#"refund_total{status="succeeded",channel="scripted",currency="USD"} 1"#,
        r#"payment_duration_seconds_count{status="succeeded",channel="scripted"} 1"#,
        r#"saga_step_total{saga="payment",step="charge",outcome="captured"} 1"#,
        r#"saga_step_total{saga="refund",step="refund",outcome="succeeded"} 1"#,
    ] {
        assert!(shown.lines().any(|found| found == line), "{line} is not in\n{shown}");
    }
}

#[tokio::test]
async fn an_unwanted_payment_that_cannot_be_refunded_alerts() {
    let (metrics, _guard) = recorder();
    let stage = Stage::new().await;
    let _node = stage.node();
    stage.channel.lose_answers(Some(Loss::AfterEffect));
    let payment_id = stage.create("tok_refund_fails").await;
    stage.until_quiet().await;
    stage.cancel(payment_id).await;
    stage.channel.lose_answers(None);
    stage.until_quiet().await;
    let history = stage.history(payment_id).await;
    assert_eq!(history[history.len() - 2..], ["refund_failed", "refund_requested"]);
    until_shown(&metrics, "refund_of_unwanted_payment_failed_total 1").await;
    stage.assert_books().await;
}

#[tokio::test]
async fn what_is_stuck_or_stays_due_alerts() {
    let (metrics, _guard) = recorder();
    let stage = Stage::new().await;
    let watching = sagas::SagaConfig { watch_every: Duration::from_millis(5), ..config() };
    stage.create("tok_captures_too_much").await;
    let runner = sagas::SagaRunner::new(&stage.use_cases(), stage.agenda.clone(), watching.clone());
    let node = super::stage::Node::start(runner);
    until_shown(&metrics, "saga_stuck 1").await;
    until_shown(&metrics, r#"saga_agenda_rows{state="stuck"} 1"#).await;
    node.stop().await;

    let closed = stage.with_vault(Err(VaultError::Unavailable("closed".to_owned())));
    stage.create("tok_success").await;
    let runner = sagas::SagaRunner::new(&closed.use_cases(), stage.agenda.clone(), watching.clone());
    let node = super::stage::Node::start(runner);
    until_shown(&metrics, r#"saga_step_total{saga="payment",step="charge",outcome="unavailable"} 1"#).await;
    until_shown(&metrics, "saga_stuck 1").await;
    stage.clock.advance(watching.overdue_after + Duration::from_secs(1));
    until_shown(&metrics, "saga_stuck 2").await;
    node.stop().await;

    // Once the vault is back, nobody needs to do anything.
    let _node = stage.node();
    stage.until_quiet().await;
    assert_eq!(stage.channel.effects().len(), 2);
}
