//! `--image REF`: an image in a registry.

use std::fmt;
use std::str::FromStr;

use oci_client::Reference;

use crate::image::digest::Digest;
use crate::image::prefix::is_path_part;
use crate::image::push::is_tag;
use crate::image::target::parse;
use crate::image::{RegistryPrefix, RegistryTarget};

/// What the tags of copies start with.
const MIRROR_TAG: &str = "mirror-";
/// Longer than any host, name, tag and digest may be together.
const LONGEST: usize = 1000;

/// `[HOST[:PORT]/]NAME[:TAG][@DIGEST]` as Docker reads it: without a host it is on Docker Hub, without tag and digest it
/// is `latest`. Loopback hosts speak plain HTTP, all others HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    host: String,
    plain_http: bool,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no [`ImageRef`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRef(String);

impl FromStr for ImageRef {
    type Err = InvalidRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            return Err(InvalidRef(
                "leave the scheme out, like `ghcr.io/team/app:1.2`".to_owned(),
            ));
        }
        if text.len() > LONGEST {
            return Err(InvalidRef(format!("it is longer than {LONGEST} characters")));
        }
        let reference: Reference = text
            .parse()
            .map_err(|error: oci_client::ParseError| InvalidRef(error.to_string()))?;
        let host = reference.registry();
        let parsed = parse(&format!("http://{host}")).or_else(|_| parse(&format!("https://{host}")));
        let (host, plain_http) = parsed.map_err(|error| InvalidRef(error.to_string()))?;
        // The parser's own letters and digits are those of all scripts.
        if !reference.repository().split('/').all(is_path_part) || !reference.tag().is_none_or(is_tag) {
            return Err(InvalidRef(
                "names and tags are letters and digits, divided by `-`, `.` or `_`".to_owned(),
            ));
        }
        let digest = reference.digest().map(str::parse).transpose();
        Ok(Self {
            host,
            plain_http,
            repository: reference.repository().to_owned(),
            tag: reference.tag().map(str::to_owned),
            digest: digest.map_err(|error: crate::image::InvalidDigest| InvalidRef(error.to_string()))?,
        })
    }
}

/// As it is named, with its host.
impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl ImageRef {
    /// Its registry with the path that it is in; none where many share a registry and the path is missing.
    pub fn prefix(&self) -> Option<RegistryPrefix> {
        let scheme = if self.plain_http { "http" } else { "https" };
        let path = self.repository.rsplit_once('/');
        let path = path.map_or_else(String::new, |(path, _)| format!("/{path}"));
        format!("{scheme}://{}{path}", self.host).parse().ok()
    }

    /// `host[:port]`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository within its registry, e.g. `team/app`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag that it names, if it does.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The last part of its repository.
    pub fn last_part(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The tag of its copy for these platforms: another one for each image, tag, digest and set of platforms, so that it
    /// never has to move. People read what it is a copy of.
    pub fn mirror_tag(&self, platforms: &[&str]) -> String {
        let mut platforms = platforms.to_vec();
        platforms.sort_unstable();
        let whole = Digest::of(format!("{self} {}", platforms.join(" ")).as_bytes());
        let told = self.tag.as_deref().unwrap_or("digest");
        format!("{MIRROR_TAG}{told:.80}-{}", whole.short())
    }

    /// What it is looked up by: the digest, else the tag.
    pub(super) fn name(&self) -> &str {
        let digest = self.digest.as_ref().map(Digest::as_str);
        digest.or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// Its repository, with the credentials for it.
    pub fn target(&self, credentials: Option<(String, String)>) -> RegistryTarget {
        let (username, password) = credentials.unzip();
        RegistryTarget {
            registry: self.host.clone(),
            plain_http: self.plain_http,
            username,
            password,
            repository: self.repository.clone(),
            reference_base: format!("{}/{}", self.host, self.repository),
            renewal: None,
            sibling: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn an_image_is_in_a_path_of_its_registry() {
        for (image, prefix) in [
            ("ghcr.io/team/app:1", Some("ghcr.io/team")),
            ("localhost:5001/app", Some("localhost:5001")),
            ("nginx", Some("docker.io/library")),
            ("ghcr.io/app", None),
        ] {
            let found = image.parse::<ImageRef>().expect("an image").prefix();
            assert_eq!(found.map(|found| found.argument()).as_deref(), prefix, "{image}");
        }
    }

    #[test]
    fn references_are_read_as_docker_reads_them() {
        let with_digest = format!("ghcr.io/team/app:1.2@{DIGEST}");
        for (text, shown, plain_http) in [
            ("nginx", "docker.io/library/nginx:latest", false),
            ("team/app:1.2", "docker.io/team/app:1.2", false),
            ("ghcr.io/team/app:1.2", "ghcr.io/team/app:1.2", false),
            (&with_digest, &with_digest, false),
            ("127.0.0.1:5000/app:1", "127.0.0.1:5000/app:1", true),
            // Without its port it would be a user of Docker Hub.
            ("registry:443/app:1", "registry:443/app:1", false),
            ("localhost:5000/a/b/c:1", "localhost:5000/a/b/c:1", true),
        ] {
            let reference: ImageRef = text.parse().expect(text);
            assert_eq!(
                (reference.to_string().as_str(), reference.plain_http),
                (shown, plain_http)
            );
            assert!(reference.target(None).check().is_ok(), "{text}");
        }
        let reference: ImageRef = with_digest.parse().expect("valid");
        assert_eq!((reference.name(), reference.tag()), (DIGEST, Some("1.2")));
    }

    #[test]
    fn a_copy_has_a_tag_of_its_own_for_each_source_and_set_of_platforms() {
        let tag = |text: &str, platforms: &[&str]| text.parse::<ImageRef>().expect(text).mirror_tag(platforms);
        let (one, both) = (["linux/amd64"], ["linux/amd64", "linux/arm64"]);
        let long = format!("ghcr.io/team/app:{}", "v".repeat(128));
        let with_digest = format!("ghcr.io/team/app@{DIGEST}");
        let tags = [
            tag("ghcr.io/team/app:1.2", &one),
            tag("ghcr.io/team/app:1.2", &both),
            tag("ghcr.io/fork/app:1.2", &one),
            tag("quay.io/team/app:1.2", &one),
            tag("ghcr.io/team/app:latest", &one),
            tag(&with_digest, &one),
            tag(&long, &one),
        ];
        let mut all = tags.to_vec();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), tags.len(), "{tags:?}");
        assert!(
            tags.iter().all(|tag| is_tag(tag) && !tag.starts_with("latest")),
            "{tags:?}"
        );
        assert!(
            tags[0].starts_with("mirror-1.2-") && tags[5].starts_with("mirror-digest-"),
            "{tags:?}"
        );
        assert_eq!(tag("ghcr.io/team/app:1.2", &["linux/arm64", "linux/amd64"]), tags[1]);
        assert_eq!(tag("nginx", &one), tag("docker.io/library/nginx:latest", &one));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = format!("ghcr.io/{}", "a".repeat(300));
        for text in [
            "",
            ":",
            "Ghcr.io/Team/App",
            "ghcr.io/team/app:-1",
            "ghcr.io/team/app@sha256:123",
            "https://ghcr.io/team/app",
            "ghcr.io/../../etc/passwd",
            "ghcr.io/team/app:1.2 ; rm",
            "ghcr.io/team/app:1.2\u{1d6db}",
            "ghcr.io/te\u{e4}m/app:1.2",
            "ghcr.io/team/app:\u{661}",
            "user:hunter2@ghcr.io/team/app",
            &long,
        ] {
            let error = text.parse::<ImageRef>().map(|found| found.to_string()).expect_err(text);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
