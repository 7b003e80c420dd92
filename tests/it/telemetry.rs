//! What leaves the process for those who watch it: one trace along everything that a request leads to, a catalogue
//! that names every metric, and logs without secrets.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapters::sandbox_provider::{self, SandboxConfig};
use api::telemetry::{self, CATALOGUE, Format, Kind, Settings, TelemetryError};
use commands::payment::{Customer, PaymentDetails};
use commands::trace;
use parking_lot::Mutex;
use test_support::otlp::{OtlpReceiver, Span};
use test_support::process::{Binary, free_port};
use test_support::test_database;
use test_support::wait::until;
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use super::webhooks::{Stage, news};

/// A caller's `traceparent`, sampled or not.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn settings(otlp_endpoint: Option<&str>, trace_sample_ratio: f64) -> Settings {
    let otlp_endpoint = otlp_endpoint.map(str::to_owned);
    Settings { format: Format::Json, filter: "info".to_owned(), otlp_endpoint, trace_sample_ratio }
}

fn request(traceparent: Option<&str>) -> tracing::Span {
    let span = tracing::info_span!(target: "api", "http.request");
    trace::set_parent(&span, traceparent);
    span
}

/// What the receiver got after `work` ran.
async fn received<F: Future<Output = ()>>(ratio: f64, work: F) -> Vec<Span> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let receiver = OtlpReceiver::start().await.unwrap();
    let (dispatch, traces) = telemetry::assemble(&settings(Some(&receiver.endpoint), ratio), std::io::sink).unwrap();
    work.with_subscriber(dispatch).await;
    tokio::task::spawn_blocking(move || traces.flush()).await.unwrap();
    receiver.spans()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_joins_a_request_with_everything_that_it_led_to() {
    let spans = received(1.0, async {
        let stage = Stage::new().await;
        let details = PaymentDetails { token: "tok_success".to_owned(), ..PaymentDetails::default() };
        let payment_id = stage.charged_with(details).instrument(request(Some(SAMPLED))).await;
        // The channel's own request, minutes later and in a trace of its own.
        stage.receive(news("evt_1", &[payment_id])).instrument(request(None)).await.unwrap();
        let events = stage.webhooks.payments.executor.store().read_all(0, 100).await.unwrap();
        let page = trace::spans_of(
            &events.iter().collect::<Vec<_>>(),
            |_| tracing::info_span!(target: "projections", "projection.event"),
        );
        assert_eq!(page.len(), events.iter().filter(|event| event.metadata.contains(TRACE_ID)).count());
    })
    .await;

    let expected = [
        ("the caller", "http.request"),
        ("http.request", "command.execute"),
        ("command.execute", "event_store.append"),
        ("http.request", "webhook.fact"),
        ("webhook.fact", "command.execute"),
        ("http.request", "projection.event"),
        ("webhook.fact", "projection.event"),
    ];
    let expected = expected.map(|(parent, child)| (parent.to_owned(), child.to_owned()));
    assert_eq!(edges(&spans), BTreeSet::from(expected), "{spans:#?}");
    let root = spans.iter().find(|span| span.name == "http.request").unwrap();
    assert_eq!(root.parent_span_id, "00f067aa0ba902b7");
}

/// The real binary, stopped as soon as the payment has its outcome: what was not sent yet is sent then.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_pipeline_is_one_trace_and_measured() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let database = test_database().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let sandbox = sandbox_provider::start(SandboxConfig {
        bind: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.path().join("sandbox"),
        webhook_secret: "whsec_of_the_trace".to_owned(),
        ..SandboxConfig::default()
    });
    let sandbox = sandbox.await.unwrap();
    let settings = [
        ("PAYLEDGER_DATABASE_URL", database.url.clone()),
        ("PAYLEDGER_MASTER_KEY", "2a".repeat(32)),
        ("PAYLEDGER_SANDBOX_URL", sandbox.url()),
        ("PAYLEDGER_SANDBOX_WEBHOOK_SECRET", "whsec_of_the_trace".to_owned()),
        ("PAYLEDGER_LOG", "error".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.clone()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let binary = Binary { path: env!("CARGO_BIN_EXE_payledger").to_owned(), settings };
    let merchant = binary.json(&["merchants", "create", "--name", "Traced", "--tier", "premium"]).await.unwrap();
    let merchant_id = merchant["merchant_id"].as_str().unwrap();
    let key = binary.json(&["keys", "create", "--role", "merchant", "--merchant", merchant_id]).await.unwrap();
    let bind = format!("127.0.0.1:{port}");
    let server = binary.serve(&["serve", "--bind", &bind], &format!("http://{bind}/health/live")).await.unwrap();

    let (http, secret) = (reqwest::Client::new(), key["secret"].as_str().unwrap());
    let body = serde_json::json!({"order_no": "A-1", "amount": 10_000, "currency": "USD",
        "payment_method": {"type": "card", "token": "tok_success"}});
    let answer = http
        .post(format!("http://{bind}/api/v1/payments"))
        .bearer_auth(secret)
        .header("Idempotency-Key", "A-1")
        .header("Prefer", "wait=20")
        .header("traceparent", SAMPLED)
        .json(&body)
        .send()
        .await
        .unwrap();
    let position = answer.headers()["Ledger-Position"].clone();
    let payment: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(payment["status"], "succeeded", "{payment}");
    let list = http.get(format!("http://{bind}/api/v1/payments")).bearer_auth(secret);
    let list = list.header("Ledger-Min-Position", position).send().await.unwrap();
    assert_eq!(list.status(), 200, "the projections have not seen it");
    // Some are counted a moment after everybody may know.
    for line in [
        r#"payment_total{status="succeeded",channel="sandbox",currency="USD"} 1"#,
        r#"payment_amount{channel="sandbox",currency="USD"} 10000"#,
        "# HELP payment_total ",
        "payment_duration_seconds_bucket",
        "http_request_duration_seconds_bucket",
        "command_total",
        "append_batch_size_bucket",
        "append_duration_seconds_bucket",
        r#"projection_lag_events{projection="books"}"#,
        r#"projection_parked_streams{projection="books"} 0"#,
        "saga_step_total",
        "channel_call_duration_seconds_bucket",
    ] {
        until(line, Duration::from_secs(20), || async {
            let metrics = http.get(format!("http://{bind}/metrics")).send().await.ok()?.text().await.ok()?;
            metrics.lines().any(|shown| shown.starts_with(line)).then_some(())
        })
        .await;
    }
    server.terminate().await.unwrap();

    let expected = [
        ("the caller", "POST /api/v1/payments"),
        ("POST /api/v1/payments", "command.execute"),
        ("command.execute", "event_store.append"),
        ("POST /api/v1/payments", "saga.step"),
        ("saga.step", "channel.call"),
        ("saga.step", "command.execute"),
        ("POST /api/v1/payments", "projection.event"),
        ("saga.step", "projection.event"),
    ];
    let edges = edges(&receiver.spans());
    for (parent, child) in expected {
        assert!(edges.contains(&(parent.to_owned(), child.to_owned())), "{parent} > {child} is not in {edges:#?}");
    }
    sandbox.shutdown().await;
}

/// Parent and child, by name, in the caller's trace.
fn edges(spans: &[Span]) -> BTreeSet<(String, String)> {
    let spans: Vec<&Span> = spans.iter().filter(|span| span.trace_id == TRACE_ID).collect();
    let names: BTreeMap<&str, &str> = spans.iter().map(|span| (span.span_id.as_str(), span.name.as_str())).collect();
    let parent = |span: &Span| *names.get(span.parent_span_id.as_str()).unwrap_or(&"the caller");
    spans.iter().map(|span| (parent(span).to_owned(), span.name.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_decision_to_be_traced_goes_before_our_own() {
    for (ratio, traceparent, sent) in
        [(0.0, None, 0), (0.0, Some(SAMPLED), 1), (1.0, Some(NOT_SAMPLED), 0), (1.0, None, 1)]
    {
        let spans = received(ratio, async { drop(request(traceparent)) }).await;
        assert_eq!(spans.len(), sent, "ratio {ratio}, {traceparent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_costs_spans_and_nothing_else() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let away = settings(Some("http://127.0.0.1:1"), 1.0);
    let (dispatch, traces) = telemetry::assemble(&away, std::io::sink).unwrap();
    let carried = async { async { trace::current_traceparent() }.instrument(request(None)).await };
    assert!(carried.with_subscriber(dispatch).await.is_some());
    tokio::task::spawn_blocking(move || traces.flush()).await.unwrap();
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |settings: &Settings| telemetry::assemble(settings, std::io::sink).map(drop).unwrap_err();
    for ratio in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(refused(&settings(None, ratio)), TelemetryError::SampleRatio));
    }
    assert!(matches!(refused(&settings(Some("http://no host"), 1.0)), TelemetryError::Traces { .. }));
    let filter = Settings { filter: "info,sagas=loud".to_owned(), ..settings(None, 1.0) };
    assert!(matches!(refused(&filter), TelemetryError::Filter(_)));
    assert!(telemetry::assemble(&settings(None, 1.0), std::io::sink).is_ok());
}

#[tokio::test]
async fn without_a_receiver_no_trace_context_is_made_up() {
    let (dispatch, _traces) = telemetry::assemble(&settings(None, 1.0), std::io::sink).unwrap();
    let carried = async { async { trace::current_traceparent() }.instrument(request(Some(SAMPLED))).await };
    assert_eq!(carried.with_subscriber(dispatch).await, None);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_most_talkative_log_of_our_own_tells_no_secret() {
    let log = Log::default();
    let talkative = Settings { filter: "trace".to_owned(), ..settings(None, 1.0) };
    let writer = log.clone();
    let (dispatch, _traces) = telemetry::assemble(&talkative, move || writer.clone()).unwrap();
    let details = PaymentDetails {
        token: "tok_requires_action".to_owned(),
        customer: Some(Customer {
            email: Some("ada@example.com".to_owned()),
            name: Some("Ada Lovelace".to_owned()),
            country: None,
        }),
        description: Some("a private description".to_owned()),
        return_url: Some("https://shop.example/return?secret".to_owned()),
        metadata: Some(BTreeMap::from([("private-name".to_owned(), "private-value".to_owned())])),
    };
    async {
        let stage = Stage::new().await;
        let payment_id = stage.charged_with(details).instrument(request(None)).await;
        stage.receive(news("evt_1", &[payment_id])).instrument(request(None)).await.unwrap();
        stage.receive(news("evt_2", &[domain::PaymentId::from_uuid(uuid::Uuid::nil())])).await.unwrap();
    }
    .with_subscriber(dispatch)
    .await;
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(log.contains("webhook kept"), "nothing was logged: {log}");
    let secrets = [
        "tok_requires_action",
        "ada@",
        "Lovelace",
        "private",
        "shop.example",
        "pay.example",
        "signed at",
        "evt_2\",\"charges",
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} stands in the log:\n{log}");
    }
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The names that are measured by `macro_name!("...")` in `text`.
fn measured<'t>(text: &'t str, macro_name: &str) -> impl Iterator<Item = &'t str> {
    let calls = text.split(&format!("{macro_name}!(")).skip(1).collect::<Vec<_>>();
    calls.into_iter().filter_map(|behind| behind.trim_start().strip_prefix('"')?.split('"').next())
}

#[test]
fn the_catalogue_names_every_metric_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut found = BTreeSet::new();
    for folder in ["adapters", "api", "commands", "projections", "sagas"] {
        for path in sources(&root.join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (kind, macro_name) in [("counter", "counter"), ("gauge", "gauge"), ("histogram", "histogram")] {
                found.extend(measured(&text, macro_name).map(|name| (kind, name.to_owned())));
            }
        }
    }
    let kind = |kind: Kind| match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let named: BTreeSet<_> = CATALOGUE.iter().map(|metric| (kind(metric.kind), metric.name.to_owned())).collect();
    assert_eq!(found, named);
    assert_eq!(named.len(), CATALOGUE.len(), "one is named twice");
}
