//! Logs, traces and metrics of this process, from the flags.

use api::telemetry::{Format, Settings, TelemetryError, Traces};

use crate::cli::{LogFormat, Telemetry};

pub use api::telemetry::recorder as metrics;

pub fn start(flags: &Telemetry) -> Result<Traces, TelemetryError> {
    api::telemetry::start(&Settings {
        format: match flags.log_format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        },
        filter: flags.log.clone(),
        otlp_endpoint: flags.otlp_endpoint.clone(),
        trace_sample_ratio: flags.trace_sample_ratio,
    })
}
