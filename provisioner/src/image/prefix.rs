//! `--registry HOST/PREFIX`: where images go that are not in ECR.

use std::fmt;
use std::str::FromStr;

use super::target::{RegistryTarget, parse};

/// Registries where the first part of the path says whose the images are.
const SHARED: [&str; 6] = [
    "docker.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "public.ecr.aws",
    "registry.gitlab.com",
];

/// A host and the path that repositories start with, e.g. `ghcr.io/team`, or a registry of one's own without a path;
/// plain HTTP on loopback hosts only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPrefix {
    host: String,
    plain_http: bool,
    path: String,
}

/// Why a text is no [`RegistryPrefix`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPrefix(String);

impl FromStr for RegistryPrefix {
    type Err = InvalidPrefix;

    /// `[SCHEME://]HOST[:PORT][/PREFIX]`; without a scheme, loopback hosts speak HTTP and all others HTTPS.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) => (host, Some(path)),
            None => (rest, None),
        };
        if path.is_none() && SHARED.contains(&host) {
            return Err(InvalidPrefix(format!(
                "`{host}` is shared by many: write whose images these are, like `{host}/team`"
            )));
        }
        if path.is_some_and(|path| !path.split('/').all(is_path_part) || path.len() > 200) {
            return Err(InvalidPrefix(
                "the path is lower-case letters and digits, divided by `/`, `-`, `.` or `_`, like `team/apps`"
                    .to_owned(),
            ));
        }
        // A first part without dot and port is no host but a user of Docker Hub, whose host must be said.
        if host != "localhost" && !host.contains(['.', ':']) {
            return Err(InvalidPrefix(format!("`{host}` is no host, like `docker.io/{host}`")));
        }
        let parsed = match scheme {
            Some(scheme) => parse(&format!("{scheme}://{host}")),
            None => parse(&format!("http://{host}")).or_else(|_| parse(&format!("https://{host}"))),
        };
        let (host, plain_http) = parsed.map_err(|error| InvalidPrefix(error.to_string()))?;
        Ok(Self {
            host,
            plain_http,
            path: path.unwrap_or_default().to_owned(),
        })
    }
}

impl fmt::Display for RegistryPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if self.path.is_empty() {
            return Ok(());
        }
        write!(f, "/{}", self.path)
    }
}

impl RegistryPrefix {
    /// `host[:port]`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The prefix with its scheme where that is not the host's usual one: as a command line takes it.
    pub fn argument(&self) -> String {
        let usual = self.to_string().parse::<Self>().is_ok_and(|usual| usual == *self);
        match (usual, self.plain_http) {
            (true, _) => self.to_string(),
            (false, true) => format!("http://{self}"),
            (false, false) => format!("https://{self}"),
        }
    }

    /// What references to `image` start with: `HOST/PREFIX/IMAGE`.
    pub fn repository(&self, image: &str) -> String {
        format!("{self}/{image}")
    }

    /// The repository of `image`, with the credentials for it.
    pub fn target(&self, image: &str, credentials: Option<(String, String)>) -> RegistryTarget {
        let (username, password) = credentials.unzip();
        RegistryTarget {
            registry: self.host.clone(),
            plain_http: self.plain_http,
            username,
            password,
            repository: match self.path.as_str() {
                "" => image.to_owned(),
                path => format!("{path}/{image}"),
            },
            reference_base: self.repository(image),
            renewal: None,
            sibling: None,
        }
    }
}

/// Grammar of a repository name's parts in the OCI distribution specification.
pub(super) fn is_path_part(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(plain).filter(|between| !between.is_empty());
    part.starts_with(plain)
        && part.ends_with(plain)
        && separators
            .into_iter()
            .all(|between| matches!(between, "." | "_" | "__") || between.chars().all(|c| c == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_paths_are_read_with_the_scheme_that_is_usual() {
        for (text, shown, plain_http) in [
            ("ghcr.io/team", "ghcr.io/team", false),
            ("docker.io/team", "docker.io/team", false),
            (
                "registry.example:5000/a/b-c.d_e",
                "registry.example:5000/a/b-c.d_e",
                false,
            ),
            ("127.0.0.1:5000/team", "127.0.0.1:5000/team", true),
            ("localhost/team", "localhost/team", true),
            ("registry:443/team", "registry:443/team", false),
            ("localhost:5001", "localhost:5001", true),
            ("registry.example", "registry.example", false),
            ("https://localhost:5000/team", "localhost:5000/team", false),
        ] {
            let prefix: RegistryPrefix = text.parse().expect(text);
            assert_eq!((prefix.to_string().as_str(), prefix.plain_http), (shown, plain_http));
            assert_eq!(prefix.argument().parse(), Ok(prefix), "{text}");
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused_and_passwords_are_not_shown() {
        for text in [
            "",
            "ghcr.io",
            "docker.io",
            "team",
            "team/apps",
            "ghcr.io/",
            "ghcr.io/Team",
            "ghcr.io/a//b",
            "ghcr.io/-a",
            "https:/team",
            "registry:/team",
            "ghcr.io/a..b",
            "http://ghcr.io/team",
            "ftp://127.0.0.1/team",
            "user:hunter2@ghcr.io/team",
        ] {
            let error = text.parse::<RegistryPrefix>().expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn references_name_host_prefix_and_image() {
        let prefix: RegistryPrefix = "127.0.0.1:5000/team".parse().expect("valid");
        let target = prefix.target("web-app", Some(("me".to_owned(), "secret".to_owned())));
        assert_eq!(target.repository, "team/web-app");
        assert_eq!(target.reference_base, "127.0.0.1:5000/team/web-app");
        assert!(target.check().is_ok());
        let prefix: RegistryPrefix = "localhost:5001".parse().expect("valid");
        let target = prefix.target("web-app", None);
        assert_eq!(target.repository, "web-app");
        assert_eq!(target.reference_base, "localhost:5001/web-app");
        assert!(target.check().is_ok());
    }
}
