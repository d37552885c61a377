//! Logs and metrics of the process: the only file that knows the exporter.

use std::io::IsTerminal;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use prometheus::{Registry, TextEncoder};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Identity, LogFormat};
use crate::otlp::Export;

/// Media type of [`Telemetry::exposition`].
pub(crate) const EXPOSITION_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The meter provider and the registry it is read through. Instruments stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Telemetry {
    /// Series carry the labels given to the instrument and nothing else, no `otel_scope_*`: whatever reads
    /// `http_requests_total` may rely on its exact label set. What is known of the service stands in `target_info`.
    pub(crate) fn new(resource: Resource) -> Result<Self, OTelSdkError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()?;
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(exporter)
            .build();
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

/// What is known of the service, from the least to the most particular: what it knows of itself, `OTEL_RESOURCE_ATTRIBUTES`,
/// `OTEL_SERVICE_NAME`.
pub(crate) fn resource(identity: &Identity, service_name: Option<&str>) -> Resource {
    let known = Resource::builder_empty()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.namespace", identity.namespace.clone()),
            KeyValue::new("service.instance.id", identity.pod.clone()),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match service_name {
        Some(name) => known.with_service_name(name.to_owned()).build(),
        None => known.build(),
    }
}

/// Starts the log on stderr, and on `export` where logs are sent. A second call has no effect.
pub(crate) fn start_log(format: LogFormat, level: LevelFilter, export: &Export) {
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let text = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Text => true,
    };
    let log = if text {
        log.compact().boxed()
    } else {
        log.json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    };
    tracing_subscriber::registry()
        .with(log)
        .with(export.log_layer())
        .with(level)
        .try_init()
        .ok();
}
