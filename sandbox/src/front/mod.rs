//! The front: every call of the tool, to AWS, Kubernetes and the registry, goes through this one program.
//!
//! A listener per service ([`serve`]) -> [`call`]: counted and perhaps held ([`hold`]), written down ([`journal`]), hit
//! by a fault or not ([`fault`]), passed on byte for byte over kept connections. [`control`] is `/_sandbox/*`. AWS calls
//! are written down and hit by faults in the AWS endpoint, which knows their operations. What the sandbox's own programs
//! ask each other (containerd, the authenticator, the administrator's kubectl) does not come here.

mod body;
mod call;
mod control;
mod fault;
mod hold;
mod journal;
mod line;
mod serve;
#[cfg(test)]
mod tests;

use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::{Deserialize, Serialize};

use body::Body;
pub(crate) use serve::run;

/// What is behind a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    /// The AWS endpoint. Its faults are its own.
    #[serde(skip_deserializing)]
    Aws,
    /// The API server.
    #[default]
    Kubernetes,
    /// The image registry.
    Registry,
}

impl Service {
    /// As the journal and faults name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Kubernetes => "kubernetes",
            Self::Registry => "registry",
        }
    }
}

/// What all listeners share.
pub(crate) struct Front {
    /// Base URLs, in the order of [`Service`].
    upstreams: [Uri; 3],
    client: Client<HttpsConnector<HttpConnector>, Body>,
    hold: hold::Hold,
    journal: journal::Journal,
    faults: fault::Faults,
}
