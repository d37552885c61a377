//! Where an image goes: the registry to speak to, and the name it is known by afterwards.

use std::fmt;

use url::{Host, Url};

use super::{ImageError, Renewal};
use crate::loopback::is_loopback;

/// A repository of a registry and the credentials for it.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryTarget {
    /// `host[:port]` to push to.
    pub registry: String,
    /// Whether the registry speaks plain HTTP: accepted for loopback hosts only.
    pub plain_http: bool,
    /// User of the basic authentication, `AWS` for ECR.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The repository's path, e.g. `demo/web-app`.
    pub repository: String,
    /// What the printed reference starts with, e.g. `<account>.dkr.ecr.<region>.amazonaws.com/demo/web-app`.
    pub reference_base: String,
    /// Where new credentials come from when the registry no longer takes these; none: nowhere.
    pub renewal: Option<Renewal>,
    /// Another repository of the same registry that may have the same blobs: they are taken from there where the registry
    /// lets them.
    pub sibling: Option<String>,
}

impl fmt::Debug for RegistryTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryTarget")
            .field("registry", &self.registry)
            .field("plain_http", &self.plain_http)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("repository", &self.repository)
            .field("reference_base", &self.reference_base)
            .field("renewal", &self.renewal)
            .field("sibling", &self.sibling)
            .finish()
    }
}

impl RegistryTarget {
    /// The target behind ECR's `proxyEndpoint`; `repository_uri` is the repository's own, which references start with.
    ///
    /// # Errors
    /// [`ImageError::Endpoint`] unless `endpoint_url` is `https://HOST[:PORT]`, or `http://` on a loopback host
    /// (127.0.0.0/8, `::1`, `localhost`).
    pub fn from_endpoint(
        endpoint_url: &str,
        username: String,
        password: String,
        repository: &str,
        repository_uri: &str,
    ) -> Result<Self, ImageError> {
        let (registry, plain_http) = parse(endpoint_url)?;
        Ok(Self {
            registry,
            plain_http,
            username: Some(username),
            password: Some(password),
            repository: repository.to_owned(),
            reference_base: repository_uri.to_owned(),
            renewal: None,
            sibling: None,
        })
    }

    /// The same beside a repository that may have the same blobs.
    #[must_use]
    pub fn beside(mut self, sibling: String) -> Self {
        self.sibling = Some(sibling);
        self
    }

    /// The same with a source of new credentials.
    #[must_use]
    pub fn renewed_by(mut self, renewal: Renewal) -> Self {
        self.renewal = Some(renewal);
        self
    }

    /// Checks again what [`Self::from_endpoint`] does, for targets put together by hand.
    pub(super) fn check(&self) -> Result<(), ImageError> {
        let scheme = if self.plain_http { "http" } else { "https" };
        parse(&format!("{scheme}://{}", self.registry)).map(|_| ())
    }

    /// `registry/repository`, for messages.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

/// Host with port, and whether it speaks plain HTTP.
pub(super) fn parse(endpoint: &str) -> Result<(String, bool), ImageError> {
    let refuse = |reason: &str| ImageError::Endpoint {
        // Never echo a text that may hold a password.
        endpoint: endpoint.rsplit_once('@').map_or(endpoint, |(_, host)| host).to_owned(),
        reason: reason.to_owned(),
    };
    let url = Url::parse(endpoint).map_err(|_| refuse("it is not an URL"))?;
    let ("http" | "https", Some(host)) = (url.scheme(), url.host()) else {
        return Err(refuse("it must start with `https://`"));
    };
    if url.scheme() == "http" && !is_loopback(&host) {
        return Err(refuse("plain HTTP is accepted for loopback hosts only"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it must not hold credentials"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it must be a host and a port, without a path"));
    }
    let authority = endpoint.trim_end_matches('/');
    if authority.ends_with(':') {
        return Err(refuse("there is no port after its `:`"));
    }
    // The scheme's own port is left out by the URL, but a name without dots is a host to others only with its port.
    let own = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let is_short = matches!(&host, Host::Domain(name) if *name != "localhost" && !name.contains('.'));
    let registry = match url.port().or(own.filter(|_: &u16| is_short)) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    Ok((registry, url.scheme() == "http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str) -> Result<RegistryTarget, ImageError> {
        let secret = "hunter2".to_owned();
        RegistryTarget::from_endpoint(endpoint, "AWS".to_owned(), secret, "demo/web-app", "uri")
    }

    #[test]
    fn https_hosts_and_loopback_http_are_accepted() {
        let cases = [
            (
                "https://123.dkr.ecr.eu-west-1.amazonaws.com",
                ("123.dkr.ecr.eu-west-1.amazonaws.com", false),
            ),
            ("https://registry.example:5000/", ("registry.example:5000", false)),
            ("http://127.0.0.1:5000", ("127.0.0.1:5000", true)),
            ("http://127.9.9.9", ("127.9.9.9", true)),
            ("http://LOCALHOST:80", ("localhost", true)),
            ("https://registry.example:443", ("registry.example", false)),
            ("https://registry:443", ("registry:443", false)),
            ("https://registry", ("registry", false)),
            ("http://[::1]:5000", ("[::1]:5000", true)),
            ("https://127.0.0.1:5000", ("127.0.0.1:5000", false)),
        ];
        for (endpoint, (registry, plain_http)) in cases {
            let target = target(endpoint).expect(endpoint);
            assert_eq!((target.registry.as_str(), target.plain_http), (registry, plain_http));
        }
    }

    #[test]
    fn everything_else_is_refused_as_configuration() {
        for endpoint in [
            "http://registry.example",
            "http://10.0.0.1:5000",
            "http://localhost.example",
            "http://registry.localhost",
            "http://[::ffff:127.0.0.1]:5000",
            "http://128.0.0.1",
            "ftp://127.0.0.1",
            "127.0.0.1:5000",
            "localhost:5000",
            "https://user:hunter2@registry.example",
            "https://registry.example/path",
            "https://registry.example:",
            "",
        ] {
            let error = target(endpoint).expect_err(endpoint);
            assert!(error.is_configuration(), "{endpoint}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_target_made_by_hand_is_checked_too() {
        let mut target = target("https://registry.example").expect("valid");
        assert!(target.check().is_ok());
        target.plain_http = true;
        assert!(target.check().is_err());
    }

    #[test]
    fn debug_output_hides_the_password() {
        let text = format!("{:?}", target("https://registry.example"));
        assert!(text.contains("(hidden)") && !text.contains("hunter2"), "{text}");
    }
}
