//! Traces and logs on their way to a collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Uri;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::otel::{Otel, Sending};
use crate::spans::Spans;

/// For what is still to be sent when the service ends: within a pod's grace period, after the drain.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Most bytes of a collector's answer that are read; it has an error text at most.
const ANSWER_BYTES: usize = 64 * 1024;

/// The senders. Each collects its batches on a thread of its own.
#[derive(Debug, Default)]
pub(crate) struct Export {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
    trace_context: bool,
}

impl Export {
    /// Starts what the variables ask for, which the exporters read on their own, too: endpoints, headers, sampler, batches.
    pub(crate) fn start(otel: &Otel, resource: &Resource) -> Result<Self, ExporterBuildError> {
        let mut export = Self {
            trace_context: otel.trace_context,
            ..Self::default()
        };
        if let Some(sending) = otel.traces {
            let exporter = SpanExporter::builder().with_http();
            let exporter = exporter.with_http_client(Client::new(sending, "traces"));
            let provider = SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_batch_exporter(exporter.with_timeout(sending.timeout).build()?);
            export.traces = Some(provider.build());
        }
        if let Some(sending) = otel.logs {
            let exporter = LogExporter::builder().with_http();
            let exporter = exporter.with_http_client(Client::new(sending, "logs"));
            let provider = SdkLoggerProvider::builder()
                .with_resource(resource.clone())
                .with_batch_exporter(exporter.with_timeout(sending.timeout).build()?);
            export.logs = Some(provider.build());
        }
        Ok(export)
    }

    pub(crate) fn spans(&self) -> Spans {
        let tracer = self.traces.as_ref().map(|traces| traces.tracer(env!("CARGO_PKG_NAME")));
        tracer.map_or_else(Spans::default, |tracer| Spans::new(tracer, self.trace_context))
    }

    /// Takes events of the log, in the trace during which they were logged.
    pub(crate) fn log_layer(&self) -> Option<OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>> {
        self.logs.as_ref().map(OpenTelemetryTracingBridge::new)
    }

    /// Sends what waits, for [`LAST_WORDS`] at most. The senders wait for the runtime, so it must not wait for them.
    pub(crate) async fn finish(self) {
        let Self { traces, logs, .. } = self;
        // Both at once: a collector that hangs must not take the time of one from the other. What could not be sent has been
        // logged.
        let traces = tokio::task::spawn_blocking(move || traces.map(|traces| traces.shutdown_with_timeout(LAST_WORDS)));
        let logs = tokio::task::spawn_blocking(move || logs.map(|logs| logs.shutdown_with_timeout(LAST_WORDS)));
        let done = async { tokio::join!(traces, logs) };
        tokio::time::timeout(LAST_WORDS, done).await.ok();
    }
}

/// The exporters' HTTP client, on the service's own event loop: a batch every few seconds, each on a connection of its own.
#[derive(Debug)]
struct Client {
    runtime: Handle,
    timeout: Duration,
    signal: &'static str,
    failing: Arc<AtomicBool>,
}

impl Client {
    fn new(sending: Sending, signal: &'static str) -> Self {
        Self {
            runtime: Handle::current(),
            timeout: sending.timeout,
            signal,
            failing: Arc::default(),
        }
    }

    /// A collector that is away is told once, and once that it is back.
    fn tell(&self, endpoint: &str, sent: &Result<Response<Bytes>, HttpError>) {
        let trouble = match sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let before = self.failing.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(error) if !before => tracing::warn!(signal = self.signal, endpoint, error, "cannot send telemetry"),
            None if before => tracing::info!(signal = self.signal, endpoint, "telemetry is sent again"),
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let endpoint = shown(request.uri());
        let timeout = self.timeout;
        // The caller's thread has no event loop.
        let sent = self.runtime.spawn(async move {
            tokio::time::timeout(timeout, exchange(request))
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} s", timeout.as_secs_f64()).into()))
        });
        let sent = sent.await.unwrap_or_else(|error| Err(error.into()));
        self.tell(&endpoint, &sent);
        sent
    }
}

/// Where something is sent, without a query, which may be a credential; one with a user is refused at the start.
fn shown(uri: &Uri) -> String {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("http://{host}{}", uri.path())
}

async fn exchange(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri();
    let authority = uri.authority().ok_or("endpoint without a host")?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(authority.as_str())?);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .parse()?;
    *request.uri_mut() = path;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_no_credentials_of_an_endpoint() {
        let uri = "http://me:secret@collector:4318/v1/logs?token=secret".parse().unwrap();
        assert_eq!(shown(&uri), "http://collector:4318/v1/logs");
    }
}
