//! Logs and metrics of this process, from the flags.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::cli::{LogFormat, Telemetry};

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// The recorder of this process, installed when it is first asked for.
pub fn metrics() -> PrometheusHandle {
    METRICS.get_or_init(|| PrometheusBuilder::new().install_recorder().expect("one recorder is installed")).clone()
}

/// Logs go to stderr from here on.
pub fn start(flags: &Telemetry) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&flags.log)?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match flags.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
