//! Every metric that this program measures, in one place, and the recorder that `/metrics` shows. Labels are few and
//! bounded: never an id, a merchant or anything a caller makes up.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub kind: Kind,
    pub name: &'static str,
    pub labels: &'static [&'static str],
    pub about: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Metric {
    Metric { kind: Kind::Counter, name, labels, about }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Metric {
    Metric { kind: Kind::Gauge, name, labels, about }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Metric {
    Metric { kind: Kind::Histogram, name, labels, about }
}

pub const CATALOGUE: &[Metric] = &[
    counter("payment_total", &["status", "channel", "currency"], "Payments by their first outcome."),
    counter("payment_amount", &["channel", "currency"], "Captured money in minor units of the currency."),
    histogram("payment_duration_seconds", &["status", "channel"], "From the creation of a payment to its outcome."),
    counter("refund_total", &["status", "channel", "currency"], "Refunds by outcome; a reversal counts again."),
    counter(
        "refund_of_unwanted_payment_failed_total",
        &[],
        "Refunds of late successes that the channel refused; each is asked for again.",
    ),
    counter("http_requests_total", &["method", "route", "status"], "Requests answered."),
    histogram("http_request_duration_seconds", &["method", "route"], "From a request's head to its answer's."),
    counter(
        "api_calls_over_limit_total",
        &[],
        "Calls of merchants beyond those that their tiers allow in a minute, refused or not.",
    ),
    counter("command_total", &["category", "outcome"], "Commands by the kind of their stream and what came of them."),
    histogram("command_duration_seconds", &["category"], "From the executor to the durable receipt, retries included."),
    histogram("append_batch_size", &[], "Commands that one transaction of the event store took."),
    histogram("append_duration_seconds", &["path"], "One transaction of the event store."),
    counter("append_commands_total", &["outcome"], "Commands by what the event store did with them."),
    counter("append_answers_lost_total", &[], "Commits whose answer was lost and had to be found out."),
    gauge("projection_lag_events", &["projection"], "Events that a projection has not seen yet."),
    gauge(
        "projection_parked_streams",
        &["projection"],
        "Streams whose events wait in a projection: somebody must look.",
    ),
    histogram("projection_batch_duration_seconds", &["projection"], "One transaction of a projection."),
    counter("saga_step_total", &["saga", "step", "outcome"], "Steps of sagas."),
    histogram("saga_step_duration_seconds", &["saga", "step"], "One step of a saga, calls to channels included."),
    gauge("saga_agenda_rows", &["state"], "Sagas on the agenda."),
    gauge("saga_stuck", &[], "Sagas that are parked or overdue: somebody must look."),
    gauge("saga_follower_lag_events", &[], "Events that the sagas have not seen yet."),
    counter("dispute_total", &["status", "channel", "currency"], "Disputes by what was told of them."),
    counter(
        "payment_over_returned_total",
        &["channel"],
        "Channels that took back more than was captured: somebody must look.",
    ),
    counter("payout_refused_total", &["channel"], "Payouts of channels that could not be booked: somebody must look."),
    counter("bank_news_doubtful_total", &[], "News of the bank that contradicts the ledger: somebody must look."),
    counter("reconciliation_run_total", &[], "Statements compared with what is booked."),
    counter("reconciliation_exception_total", &[], "Differences that such comparisons found."),
    gauge(
        "daily_assertion_failures",
        &["assertion"],
        "Differences of the last daily check of the books: somebody must look.",
    ),
    counter("job_run_total", &["job", "outcome"], "Runs of jobs by how they ended, those that were skipped included."),
    histogram("job_run_duration_seconds", &["job"], "One run of a job."),
    gauge("job_failures", &["job"], "Runs of a job that failed since the last one that did not."),
    counter("channel_call_total", &["channel", "operation", "outcome"], "Calls to channels."),
    counter("channel_call_lines_dropped_total", &[], "Calls to channels that could not be noted in their log."),
    histogram("channel_call_duration_seconds", &["channel", "operation"], "One call to a channel."),
    counter("webhook_total", &["channel", "result"], "Webhooks that came in, those with a bad signature included."),
    counter("webhook_parked_total", &["channel"], "Webhooks given up: somebody must look."),
];

const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// A commit takes a tenth of a millisecond on a quiet disk.
const APPEND_SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Up to the expiry of a payment and the daily question about an unknown outcome.
const PAYMENT_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 21_600.0,
    86_400.0,
];
const BATCH_SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0];

/// Histograms keep every value until they are drained, whether anybody asks for `/metrics` or not.
const DRAIN_EVERY: Duration = Duration::from_secs(5);

/// The process's recorder, installed when it is first asked for.
pub fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(install).clone()
}

fn install() -> PrometheusHandle {
    let builder = builder().expect("the buckets above are not empty");
    let handle = builder.install_recorder().expect("nothing else in this program installs a recorder");
    for metric in CATALOGUE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.about),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.about),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.about),
        }
    }
    let drained = handle.clone();
    let drain = move || loop {
        std::thread::sleep(DRAIN_EVERY);
        drained.run_upkeep();
    };
    // Without the thread `/metrics` drains whenever it is asked.
    if let Err(error) = std::thread::Builder::new().name("metrics".to_owned()).spawn(drain) {
        tracing::warn!(%error, "histograms are only drained by /metrics");
    }
    handle
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full("append_duration_seconds".to_owned()), APPEND_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("payment_duration_seconds".to_owned()), PAYMENT_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("append_batch_size".to_owned()), BATCH_SIZES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_histogram_has_buckets_of_its_own() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            for metric in CATALOGUE.iter().filter(|metric| metric.kind == Kind::Histogram) {
                metrics::histogram!(metric.name).record(0.3);
            }
        });
        let shown = handle.render();
        for (name, bucket) in [
            ("http_request_duration_seconds", "0.5"),
            ("append_duration_seconds", "0.00025"),
            ("payment_duration_seconds", "86400"),
            ("append_batch_size", "2000"),
        ] {
            assert!(shown.contains(&format!("{name}_bucket{{le=\"{bucket}\"}}")), "{name}: {shown}");
        }
        assert!(!shown.contains("quantile"), "a histogram without buckets is shown as a summary: {shown}");
    }
}
