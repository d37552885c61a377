//! Logs and metrics of the process: the only file that knows the exporter.

use std::io::IsTerminal;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use tracing::level_filters::LevelFilter;

use crate::config::LogFormat;

/// Media type of [`Telemetry::exposition`].
pub(crate) const EXPOSITION_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The meter provider and the registry it is read through. Instruments stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Telemetry {
    /// Series carry the labels given to the instrument and nothing else: no `otel_scope_*`, no `target_info`. Whatever
    /// reads `http_requests_total` may rely on its exact label set.
    pub(crate) fn new() -> Result<Self, OTelSdkError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        Ok(Self { provider, registry })
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter(env!("CARGO_PKG_NAME"))
    }

    /// All series in the Prometheus text format. Costs microseconds per series: keep it off the request path.
    pub(crate) fn exposition(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Starts the log on stderr. A second call has no effect.
pub(crate) fn start_log(format: LogFormat, level: LevelFilter) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false);
    let text = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Text => true,
    };
    if text {
        log.compact().try_init().ok();
    } else {
        log.json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
            .ok();
    }
}
