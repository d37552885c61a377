//! Server spans: one for each request that counts, where traces are sent.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::header::{HOST, USER_AGENT};
use axum::http::uri::Authority;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

use crate::semconv::{ERROR_TYPE, Labels, METHOD, OTHER_METHOD, PROTOCOL_VERSION, ROUTE, SCHEME, STATUS};

/// Longest text of a client that is kept: a batch of spans waits in memory.
const LONGEST: usize = 512;

/// Parameters whose values give access: those that the conventions have left out, and more that are common. In any case of
/// letters.
const SECRET_PARAMETERS: [&str; 13] = [
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
    "X-Goog-Credential",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Credential",
    "access_token",
    "token",
    "api_key",
    "apikey",
    "password",
];

/// Extension of requests: who sent them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Makes spans, or none where no traces are sent.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    tracer: Option<SdkTracer>,
    propagator: Option<TraceContextPropagator>,
}

/// The span of a request in progress.
#[derive(Debug)]
pub(crate) struct Span(Context);

impl Spans {
    /// With `trace_context`, a request that names its caller's span becomes part of that trace.
    pub(crate) fn new(tracer: SdkTracer, trace_context: bool) -> Self {
        Self {
            tracer: Some(tracer),
            propagator: trace_context.then(TraceContextPropagator::new),
        }
    }

    pub(crate) fn wanted(&self) -> bool {
        self.tracer.is_some()
    }

    /// What samplers may want to know is there from the start.
    pub(crate) fn begin(&self, request: &Request, labels: &Labels) -> Option<Span> {
        let tracer = self.tracer.as_ref()?;
        let name = labels.route.map_or_else(
            || span_method(labels).to_owned(),
            |route| format!("{} {route}", span_method(labels)),
        );
        let parent = match &self.propagator {
            Some(propagator) => propagator.extract_with_context(&Context::new(), &HeaderExtractor(request.headers())),
            None => Context::new(),
        };
        let span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes(request, labels));
        let span = tracer.build_with_context(span, &parent);
        Some(Span(parent.with_span(span)))
    }
}

impl Span {
    /// What is logged meanwhile belongs to the span.
    pub(crate) fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.with_context(self.0.clone())
    }

    /// Statuses 4xx are the client's affair and leave the span's status unset.
    pub(crate) fn end(&self, status: Option<u16>, error: Option<&'static str>) {
        let span = self.0.span();
        if let Some(status) = status {
            span.set_attribute(KeyValue::new(STATUS, i64::from(status)));
        }
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(ERROR_TYPE, error));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// The name of a span has no `_OTHER`.
fn span_method(labels: &Labels) -> &'static str {
    if labels.method == OTHER_METHOD {
        "HTTP"
    } else {
        labels.method
    }
}

fn attributes(request: &Request, labels: &Labels) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(METHOD, labels.method),
        KeyValue::new(SCHEME, "http"),
        KeyValue::new("url.path", shortened(request.uri().path())),
        KeyValue::new(PROTOCOL_VERSION, labels.version),
    ];
    let mut add = |key: &'static str, value: Option<opentelemetry::Value>| {
        attributes.extend(value.map(|value| KeyValue::new(key, value)));
    };
    add(ROUTE, labels.route.map(Into::into));
    if labels.method == OTHER_METHOD {
        add(
            "http.request.method_original",
            Some(shortened(request.method().as_str()).into()),
        );
    }
    add(
        "url.query",
        request.uri().query().map(|query| redacted(&shortened(query)).into()),
    );
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(host) = header(HOST).and_then(|host| host.parse::<Authority>().ok()) {
        add("server.address", Some(shortened(host.host()).into()));
        add("server.port", host.port_u16().map(|port| i64::from(port).into()));
    }
    if let Some(agent) = header(USER_AGENT) {
        add("user_agent.original", Some(shortened(agent).into()));
        add("user_agent.synthetic.type", synthetic_type(agent).map(Into::into));
    }
    if let Some(Peer(peer)) = request.extensions().get() {
        let address = peer.ip().to_canonical().to_string();
        add("client.address", Some(address.clone().into()));
        add("network.peer.address", Some(address.into()));
        add("network.peer.port", Some(i64::from(peer.port()).into()));
    }
    attributes
}

/// `test` where the client says that it generates load, for `user_agent.synthetic.type`.
fn synthetic_type(user_agent: &str) -> Option<&'static str> {
    const GENERATORS: [&str; 6] = ["app-load/", "k6/", "Grafana k6/", "oha/", "hey/", "vegeta"];
    let generated = GENERATORS.iter().any(|name| user_agent.starts_with(name));
    generated.then_some("test")
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// A query without the values of [`SECRET_PARAMETERS`].
fn redacted(query: &str) -> String {
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if SECRET_PARAMETERS.iter().any(|secret| secret.eq_ignore_ascii_case(name)) => {
            format!("{name}=REDACTED")
        }
        _ => parameter.to_owned(),
    });
    parameters.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_access_is_left_out_of_queries() {
        for (query, expected) in [
            ("page=2&sort=name", "page=2&sort=name"),
            (
                "a=1&sig=secret&Signature=s%3D=x&signature",
                "a=1&sig=REDACTED&Signature=REDACTED&signature",
            ),
            (
                "x-amz-signature=1&X-Amz-Security-Token=2&X-Amz-Credential=3&ACCESS_TOKEN=4&token=5&api_key=6&tokens=7",
                "x-amz-signature=REDACTED&X-Amz-Security-Token=REDACTED&X-Amz-Credential=REDACTED&ACCESS_TOKEN=REDACTED\
                 &token=REDACTED&api_key=REDACTED&tokens=7",
            ),
            ("sig", "sig"),
        ] {
            assert_eq!(redacted(query), expected);
        }
    }

    #[test]
    fn texts_of_clients_are_bounded() {
        assert_eq!(shortened(&"ä".repeat(2000)).chars().count(), LONGEST);
    }

    #[test]
    fn nothing_is_made_where_no_traces_are_sent() {
        let request = Request::new(axum::body::Body::empty());
        let labels = Labels::of(&request, &crate::semconv::Methods::default(), &[]);
        assert!(Spans::default().begin(&request, &labels).is_none());
    }

    #[test]
    fn load_generators_are_told_by_their_name() {
        assert_eq!(synthetic_type("app-load/0.1.0"), Some("test"));
        assert_eq!(synthetic_type("Mozilla/5.0 (app-load/0.1.0)"), None);
    }
}
