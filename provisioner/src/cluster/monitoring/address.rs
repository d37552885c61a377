//! The URL of a Prometheus that others run, and the way to it through the API server.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::cluster::forward::ServicePort;

/// Where a Prometheus answers, as pods see it: `http` or `https`, a host that is not the pod itself, maybe a port and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusUrl(Url);

/// Why a text is no such URL. The text itself may hold a password and is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL at all, or one without a host.
    #[error("it has to be like `http://prometheus.monitoring.svc:9090`")]
    Form,
    /// Another scheme.
    #[error("it has to begin with `http://` or `https://`")]
    Scheme,
    /// A user or password.
    #[error("it must not hold a user or password: everybody who may read the adapter's Deployment would read them")]
    Credentials,
    /// `?` or `#`.
    #[error("it must not have a query or a fragment: the programs that use it add their own")]
    Query,
    /// A pod asks itself there.
    #[error("it is for pods, and for a pod that host is the pod itself: name the Service or the machine")]
    Loopback,
    /// Characters that manifests or Grafana would take for their own.
    #[error("its path may hold letters, digits and `-._~/`")]
    Path,
}

impl PrometheusUrl {
    /// The path through the API server to the Service that the host names (`NAME.NAMESPACE.svc...`); none where the host is no
    /// Service, so that it can be asked from inside of the cluster only, or not at all.
    pub fn service_proxy(&self) -> Option<String> {
        let ServicePort { namespace, name, port } = self.service()?;
        let service = format!("{}:{name}:{port}", self.0.scheme());
        let path = self.0.path().trim_end_matches('/');
        Some(format!("/api/v1/namespaces/{namespace}/services/{service}/proxy{path}"))
    }

    /// The Service that the host names; none where it is none.
    pub(crate) fn service(&self) -> Option<ServicePort> {
        let Some(Host::Domain(host)) = self.0.host() else {
            return None;
        };
        let mut labels = host.split('.');
        let (name, namespace, kind) = (labels.next()?, labels.next()?, labels.next()?);
        let port = self.0.port_or_known_default()?;
        (kind == "svc").then(|| ServicePort {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port,
        })
    }
}

impl fmt::Display for PrometheusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for PrometheusUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::Form)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Query);
        }
        let is_itself = match url.host().ok_or(AddressError::Form)? {
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
            Host::Ipv6(address) => address.is_loopback() || address.is_unspecified(),
        };
        if is_itself {
            return Err(AddressError::Loopback);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if !url.path().chars().all(plain) {
            return Err(AddressError::Path);
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_pods_can_use_are_taken_and_written_without_a_last_slash() {
        for (text, written) in [
            (
                "http://prometheus.monitoring.svc:9090",
                "http://prometheus.monitoring.svc:9090",
            ),
            ("https://Prom.Example/api/prom/", "https://prom.example/api/prom"),
            ("http://10.0.0.7:9090/", "http://10.0.0.7:9090"),
            ("http://[fd00::1]:9090", "http://[fd00::1]:9090"),
            ("https://prom.example:443", "https://prom.example"),
        ] {
            let url: Result<PrometheusUrl, _> = text.parse();
            assert_eq!(url.map(|url| url.to_string()).as_deref(), Ok(written), "{text}");
        }
    }

    #[test]
    fn all_else_says_why_not() {
        for (text, why) in [
            ("", AddressError::Form),
            ("prometheus:9090", AddressError::Scheme),
            ("prometheus.monitoring.svc", AddressError::Form),
            ("http://", AddressError::Form),
            ("ftp://prom.example", AddressError::Scheme),
            ("http://me:secret@prom.example", AddressError::Credentials),
            ("http://me@prom.example", AddressError::Credentials),
            ("http://prom.example/?a=b", AddressError::Query),
            ("http://prom.example/#a", AddressError::Query),
            ("http://localhost:9090", AddressError::Loopback),
            ("http://a.localhost.", AddressError::Loopback),
            ("http://127.1:9090", AddressError::Loopback),
            ("http://[::1]", AddressError::Loopback),
            ("http://0.0.0.0", AddressError::Loopback),
            ("http://prom.example/$HOME", AddressError::Path),
            ("http://prom.example/$(A)", AddressError::Path),
            ("http://prom.example/a b", AddressError::Path),
        ] {
            assert_eq!(text.parse::<PrometheusUrl>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_service_is_asked_through_the_api_server_and_nothing_else_is() {
        for (text, path) in [
            (
                "http://prom.mon.svc:9090",
                Some("/api/v1/namespaces/mon/services/http:prom:9090/proxy"),
            ),
            (
                "https://prom.mon.svc.cluster.local/x/",
                Some("/api/v1/namespaces/mon/services/https:prom:443/proxy/x"),
            ),
            (
                "http://prom.mon.svc.",
                Some("/api/v1/namespaces/mon/services/http:prom:80/proxy"),
            ),
            ("http://prom.mon", None),
            ("http://prom.example.org:9090", None),
            ("http://10.0.0.7:9090", None),
        ] {
            let url: PrometheusUrl = text.parse().expect("valid");
            assert_eq!(url.service_proxy().as_deref(), path, "{text}");
        }
    }
}
