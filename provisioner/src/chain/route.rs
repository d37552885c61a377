//! How the parts of the chain are reached from here: everything through the API server, so that nothing needs a route to the pods.

use crate::cluster::monitoring::address::PrometheusUrl;
use crate::cluster::values::Namespaces;

/// Where the chain is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where the parts live.
    pub namespaces: Namespaces,
    /// The Prometheus of others that is used; none for the stack's own.
    pub prometheus: Option<PrometheusUrl>,
}

impl Route {
    /// The path of the API server at which Prometheus answers; none where it cannot be reached that way.
    pub(crate) fn prometheus_proxy(&self) -> Option<String> {
        match &self.prometheus {
            Some(url) => url.service_proxy(),
            None => Some(format!(
                "/api/v1/namespaces/{}/services/http:prometheus:9090/proxy",
                self.namespaces.monitoring
            )),
        }
    }
}
