//! Spans sent to an OTLP receiver over HTTP, in batches and from a thread of their own: a receiver that is slow or
//! away costs spans, never requests.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::{Settings, TelemetryError};

/// Only our own spans are sent: a client's spans about sending spans would never end.
const TARGETS: [&str; 6] = ["adapters", "api", "commands", "payledger", "projections", "sagas"];
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// Where traces go, if anywhere. To be kept until the process ends: dropped, it sends what is left.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    pub(super) fn start(settings: &Settings) -> Result<Traces, TelemetryError> {
        let ratio = settings.trace_sample_ratio;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(TelemetryError::SampleRatio);
        }
        let Some(endpoint) = settings.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(Traces(None));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(SEND_TIMEOUT)
            .build()
            .map_err(|error| TelemetryError::Traces { endpoint: endpoint.to_owned(), reason: error.to_string() })?;
        let resource = Resource::builder()
            .with_service_name("payledger")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .build();
        Ok(Traces(Some(provider)))
    }

    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let provider = self.0.as_ref()?;
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("payledger"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(Targets::new().with_targets(TARGETS.map(|target| (target, LevelFilter::INFO)))))
    }

    /// Sends what has ended and was not sent yet. Waits for a few seconds at most.
    pub fn flush(&self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.force_flush()
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        self.flush();
    }
}
