//! Logs, traces and metrics of one process, started first and flushed last. Knows no route and no use case: spans and
//! measurements are made where things happen, through the facades of `tracing` and `metrics`.

mod logs;
mod metrics;
mod traces;

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

pub use logs::Format;
pub use metrics::{CATALOGUE, Kind, Metric, recorder};
pub use traces::Traces;

#[derive(Debug, Clone)]
pub struct Settings {
    pub format: Format,
    /// What is logged, such as `info` or `info,sagas=debug`. Above `debug`, other people's crates may log what they
    /// send and receive.
    pub filter: String,
    /// The base address of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`; without one nothing is traced.
    pub otlp_endpoint: Option<String>,
    /// The share of traces that begin here and are sent, 0 to 1. A caller's own decision, in its `traceparent`, goes
    /// before. [`TRACE_SAMPLE_RATIO`] unless load asks for less.
    pub trace_sample_ratio: f64,
}

/// Everything: right for development and for as long as nobody has measured that it is too much.
pub const TRACE_SAMPLE_RATIO: f64 = 1.0;

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("traces cannot be sent to {endpoint}: {reason}")]
    Traces { endpoint: String, reason: String },
    #[error("the share of traces must lie between 0 and 1")]
    SampleRatio,
    #[error("telemetry was started before in this process")]
    StartedBefore,
}

/// Starts both, once per process. Logs go to stderr, for results go to stdout. What is returned is to be dropped last.
pub fn start(settings: &Settings) -> Result<Traces, TelemetryError> {
    let (dispatch, traces) = assemble(settings, std::io::stderr)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::StartedBefore)?;
    recorder();
    Ok(traces)
}

/// The same logs and traces, for whoever does not want them for the whole process.
pub fn assemble<W>(settings: &Settings, writer: W) -> Result<(Dispatch, Traces), TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let traces = Traces::start(settings)?;
    let subscriber = tracing_subscriber::registry().with(traces.layer()).with(logs::layer(
        settings.format,
        &settings.filter,
        writer,
    )?);
    Ok((Dispatch::new(subscriber), traces))
}
