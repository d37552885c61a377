//! The URL under load, taken apart once.

use std::str::FromStr;

use hyper::Uri;
use hyper::header::HeaderValue;

/// An `http://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name or address, IPv6 without brackets: what a resolver takes.
    pub(super) host: String,
    pub(super) port: u16,
    /// Value of the `host` header.
    pub(super) authority: HeaderValue,
    /// Path and query.
    pub(super) path: Uri,
}

/// Why a URL is not a target.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("https is not supported, the load is sent inside the cluster over http://")]
    Https,
    #[error("not an http:// URL, write it like `http://web-app-service:8080/`")]
    Syntax,
    #[error("credentials in the URL are not supported")]
    Credentials,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let uri: Uri = text.parse().map_err(|_| TargetError::Syntax)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(TargetError::Https),
            _ => return Err(TargetError::Syntax),
        }
        let authority = uri.authority().ok_or(TargetError::Syntax)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::Credentials);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        // Not `authority.port()`: it takes a number that is no port for none given.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => 80,
            Some(port) => port.trim_start_matches(':').parse().map_err(|_| TargetError::Syntax)?,
            None => return Err(TargetError::Syntax),
        };
        if host.is_empty() || port == 0 {
            return Err(TargetError::Syntax);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            authority: authority.as_str().parse().map_err(|_| TargetError::Syntax)?,
            path: uri
                .path_and_query()
                .map_or_else(Uri::default, |path| path.clone().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        for (url, host, port, authority, path) in [
            ("http://web:8080/api/data?x=1", "web", 8080, "web:8080", "/api/data?x=1"),
            ("http://web", "web", 80, "web", "/"),
            ("HTTP://web/", "web", 80, "web", "/"),
            ("http://[::1]:9/a", "::1", 9, "[::1]:9", "/a"),
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{url}");
            assert_eq!(
                (target.authority.as_bytes(), target.path.to_string()),
                (authority.as_bytes(), path.into())
            );
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_url() {
        assert_eq!("https://web/".parse::<Target>(), Err(TargetError::Https));
        assert_eq!("http://me:secret@web/".parse::<Target>(), Err(TargetError::Credentials));
        for url in [
            "",
            "web",
            "web:8080",
            "/path",
            "ftp://web/",
            "http://",
            "http://:80/",
            "http://web:0/",
            "http://web:99999/",
            "http://a b/",
        ] {
            assert_eq!(url.parse::<Target>(), Err(TargetError::Syntax), "{url}");
        }
    }
}
