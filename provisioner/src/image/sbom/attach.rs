//! Bills of material on their way into a repository: each refers to the manifest of its platform.

use serde::{Deserialize, Serialize};

use oci_client::RegistryOperation;

use super::Sbom;
use crate::image::content::{Blob, Descriptor, Image};
use crate::image::referrers::Referrer;
use crate::image::repository::Repository;
use crate::image::{ImageError, RegistryTarget, RetryPolicy, media};
use crate::report::{Outcome, Reporter};

/// A bill that the registry has now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attached {
    /// What it is the bill of, e.g. `linux/amd64`.
    pub platform: String,
    /// How it is written: `cyclonedx` or `spdx`.
    pub format: &'static str,
    /// The digest of the manifest that holds it.
    pub digest: String,
    /// Where it is: `reference_base@sha256:...`.
    pub reference: String,
}

/// Makes sure that the repository of `image`, which is published, has `sboms`, and that each is found by the manifest of
/// its platform; with the bytes that were sent for that.
///
/// # Errors
/// The registry does not answer or refuses, or keeps something else where it lists what refers to a manifest.
pub async fn attach(
    image: &Image,
    target: &RegistryTarget,
    sboms: &[Sbom],
    reporter: &dyn Reporter,
) -> Result<(Vec<Attached>, u64), ImageError> {
    let policy = RetryPolicy::default();
    let repository = Repository::sign_in(target, RegistryOperation::Push, policy, reporter).await?;
    let (mut attached, mut bytes) = (Vec::new(), 0);
    for sbom in sboms {
        let platform = sbom.platform.name();
        let subject = subject(image, platform).ok_or_else(|| ImageError::NoSubject {
            platform: sbom.platform,
            digest: image.digest().clone(),
        })?;
        let referrer = Referrer::new(subject, Blob::new(sbom.format.media_type(), sbom.document.clone()));
        let sent = referrer.ensure(&repository, reporter).await?;
        let digest = referrer.digest();
        let reference = format!("{}@{digest}", target.reference_base);
        let outcome = if sent > 0 { Outcome::Pushed } else { Outcome::Unchanged };
        let detail = format!("{} of {platform}, {} crates", sbom.format.name(), sbom.crates);
        reporter.done("bill of materials", &reference, outcome, &detail);
        attached.push(Attached {
            platform: platform.to_owned(),
            format: sbom.format.name(),
            digest: digest.to_string(),
            reference,
        });
        bytes += sent;
    }
    Ok((attached, bytes))
}

/// The manifest of one platform.
fn subject(image: &Image, platform: &str) -> Option<Descriptor> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        media_type: String,
        digest: String,
        size: u64,
        platform: Option<Platform>,
    }
    #[derive(Deserialize)]
    struct Platform {
        os: String,
        architecture: String,
    }
    let root = &image.root;
    if !media::is_index(&root.descriptor.media_type) {
        return image
            .platforms
            .iter()
            .any(|of| of == platform)
            .then(|| root.descriptor.clone());
    }
    let index: Index = serde_json::from_slice(&root.bytes).ok()?;
    let is_for = |of: &Platform| format!("{}/{}", of.os, of.architecture) == platform;
    let entry = index
        .manifests
        .into_iter()
        .find(|entry| entry.platform.as_ref().is_some_and(is_for))?;
    Some(Descriptor {
        media_type: entry.media_type,
        digest: entry.digest.parse().ok()?,
        size: entry.size,
    })
}
