//! What the semantic conventions call the parts of a request, for metrics and spans alike.
//!
//! <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>,
//! <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode, Version};

pub(crate) const METHOD: &str = "http.request.method";
pub(crate) const ROUTE: &str = "http.route";
pub(crate) const STATUS: &str = "http.response.status_code";
pub(crate) const SCHEME: &str = "url.scheme";
pub(crate) const PROTOCOL_VERSION: &str = "network.protocol.version";
pub(crate) const ERROR_TYPE: &str = "error.type";

/// Methods that are a label of their own where `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` does not say otherwise: those of RFC 9110, PATCH
/// (RFC 5789) and QUERY. The most frequent first, since they are searched in this order.
const KNOWN_METHODS: [&str; 10] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY",
];

/// Of every other method: clients may send any word, which must not become a label.
pub(crate) const OTHER_METHOD: &str = "_OTHER";

/// The methods that labels name.
#[derive(Debug, Clone)]
pub(crate) struct Methods(Vec<&'static str>);

impl Default for Methods {
    fn default() -> Self {
        Self(KNOWN_METHODS.to_vec())
    }
}

impl Methods {
    /// A list as `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` has it: separated by commas, in place of the default. Names stay in memory for good,
    /// so read it once.
    pub(crate) fn listed(list: &str) -> Self {
        let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
        let mut known: Vec<&'static str> = Vec::new();
        for word in words {
            if !known.contains(&word) {
                known.push(word.to_owned().leak());
            }
        }
        if known.is_empty() { Self::default() } else { Self(known) }
    }

    /// Every label that a method can get, each once.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &'static str> {
        let known = self.0.iter().copied().filter(|method| *method != OTHER_METHOD);
        known.chain([OTHER_METHOD])
    }

    fn label(&self, method: &Method) -> &'static str {
        let known = self.0.iter().find(|known| **known == method.as_str());
        known.copied().unwrap_or(OTHER_METHOD)
    }
}

/// Where a request goes, in words of which there is a bounded number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels {
    pub(crate) method: &'static str,
    /// The route's template. None where no route takes the request: the raw path has no bound, so it is no label.
    pub(crate) route: Option<&'static str>,
    pub(crate) version: &'static str,
}

impl Labels {
    /// `routes` are the templates that may be a label.
    pub(crate) fn of(request: &Request, methods: &Methods, routes: &[&'static str]) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.and_then(|path| routes.iter().find(|route| **route == path.as_str()));
        Self {
            method: methods.label(request.method()),
            route: route.copied(),
            version: version(request.version()),
        }
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// Why a request has failed by the server's fault, where the status alone does not say it; an extension of the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault(pub(crate) &'static str);

/// The client went away before it was answered.
pub(crate) const CANCELLED: &str = "cancelled";

/// `error.type` of an answer: for a server, only what it did wrong itself is an error.
pub(crate) fn error_type(status: StatusCode, fault: Option<&Fault>) -> Option<&'static str> {
    if !status.is_server_error() {
        return None;
    }
    Some(match (fault, status.as_u16()) {
        (Some(Fault(fault)), _) => fault,
        (None, 500) => "500",
        (None, 502) => "502",
        (None, 503) => "503",
        (None, 504) => "504",
        (None, _) => "_OTHER",
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn methods_are_case_sensitive_and_bounded() {
        let methods = Methods::default();
        for (method, label) in [
            ("GET", "GET"),
            ("QUERY", "QUERY"),
            ("get", "_OTHER"),
            ("BREW", "_OTHER"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(methods.label(&method), label);
        }
    }

    #[test]
    fn a_list_of_methods_replaces_the_default() {
        let methods = Methods::listed("BREW, GET,BREW");
        let label = |method: &str| methods.label(&Method::from_bytes(method.as_bytes()).unwrap());
        assert_eq!((label("BREW"), label("GET"), label("POST")), ("BREW", "GET", "_OTHER"));
        assert_eq!(methods.labels().collect::<Vec<_>>(), ["BREW", "GET", "_OTHER"]);
        assert_eq!(Methods::listed(" ,").label(&Method::POST), "POST");
    }

    #[test]
    fn a_request_without_a_route_has_no_route_label() {
        let request = Request::builder()
            .version(Version::HTTP_10)
            .body(Body::empty())
            .unwrap();
        let labels = Labels::of(&request, &Methods::default(), &["/"]);
        assert_eq!((labels.route, labels.version), (None, "1.0"));
    }

    #[test]
    fn only_the_servers_own_errors_are_errors() {
        for (status, fault, expected) in [
            (200, None, None),
            (404, None, None),
            (413, Some(Fault("timeout")), None),
            (500, None, Some("500")),
            (503, None, Some("503")),
            (503, Some(Fault("timeout")), Some("timeout")),
            (599, None, Some("_OTHER")),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(error_type(status, fault.as_ref()), expected, "{status}");
        }
    }
}
