//! What refers to a manifest: kept in its repository, and found by its digest.
//!
//! A registry either lists by itself what names a manifest as its subject, or leaves that to the clients, which keep the
//! list as an index under a tag that is made of the digest:
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, "Pushing Manifests with Subject" and
//! "Unavailable Referrers API".

mod api;

use serde_json::{Value, json};

use super::ImageError;
use super::content::{Blob, Descriptor, Manifest};
use super::digest::Digest;
use super::media::{EMPTY, INDEX, MANIFEST};
use super::repository::Repository;
use super::upload::{self, Came};
use crate::report::Reporter;

/// How often a list is written again that another client overwrote meanwhile.
const ATTEMPTS: usize = 3;

/// One document that refers to a manifest.
#[derive(Debug, Clone)]
pub(super) struct Referrer {
    subject: Descriptor,
    artifact_type: String,
    manifest: Manifest,
    /// The configuration, which is empty, and the document.
    blobs: [Blob; 2],
}

impl Referrer {
    /// `document`, whose media type says what it is, as something that refers to `subject`.
    pub(super) fn new(subject: Descriptor, document: Blob) -> Self {
        let config = Blob::new(EMPTY, "{}");
        let artifact_type = document.descriptor.media_type.clone();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact_type,
            "config": config.descriptor.to_json(),
            "layers": [document.descriptor.to_json()],
            "subject": subject.to_json(),
        });
        Self {
            manifest: Manifest::new(MANIFEST, manifest.to_string()),
            subject,
            artifact_type,
            blobs: [config, document],
        }
    }

    /// The digest of its manifest.
    pub(super) fn digest(&self) -> &Digest {
        self.manifest.digest()
    }

    /// Makes sure that it is in `repository` and listed there; the bytes that were sent for that.
    ///
    /// # Errors
    /// The registry does not answer or refuses; [`ImageError::NotListed`] where the list cannot be kept.
    pub(super) async fn ensure(&self, repository: &Repository, reporter: &dyn Reporter) -> Result<u64, ImageError> {
        let listed = self.listed(repository, reporter).await?;
        if listed == Some(true) {
            return Ok(0);
        }
        let mut sent = 0;
        if repository.find(self.digest().as_str(), reporter).await?.is_none() {
            for blob in &self.blobs {
                if upload::ensure(blob, repository, reporter).await? == Came::Sent {
                    sent += blob.size();
                }
            }
            let name = self.digest().as_str();
            let subject = repository.put_manifest(name, &self.manifest, reporter).await?;
            sent += self.manifest.bytes.len() as u64;
            if subject.as_ref() == Some(&self.subject.digest) {
                return Ok(sent);
            }
            // A registry that does not say so may list it all the same.
            if listed.is_some() && self.listed(repository, reporter).await? == Some(true) {
                return Ok(sent);
            }
        }
        Ok(sent + self.keep_list(repository, reporter).await?)
    }

    /// Makes sure that the list under the tag has it: read, completed, written, and read again, since another client may
    /// have done the same at the same time.
    async fn keep_list(&self, repository: &Repository, reporter: &dyn Reporter) -> Result<u64, ImageError> {
        let tag = list_tag(&self.subject.digest);
        let not_listed = |reason: String| ImageError::NotListed {
            digest: self.digest().clone(),
            tag: tag.clone(),
            place: repository.place(),
            reason,
        };
        let mut sent = 0;
        for _ in 0..=ATTEMPTS {
            let known = tagged(repository, &tag, reporter).await?;
            // GitLab reads the tag as the digest that it is made of.
            if known
                .as_ref()
                .is_some_and(|known| *known.digest() == self.subject.digest)
            {
                let (digest, place) = (self.digest().clone(), repository.place());
                return Err(ImageError::NoLists { digest, tag, place });
            }
            let Some(list) = self.completed(known.as_ref()).map_err(not_listed)? else {
                return Ok(sent);
            };
            repository.put_manifest(&tag, &list, reporter).await?;
            sent += list.bytes.len() as u64;
        }
        Err(not_listed("others overwrite it".to_owned()))
    }

    /// The list with this one in it; none where it is in it already.
    fn completed(&self, list: Option<&Manifest>) -> Result<Option<Manifest>, String> {
        let mut index = match list {
            None => json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }),
            Some(list) if list.descriptor.media_type == INDEX => {
                serde_json::from_slice(&list.bytes).map_err(|error| error.to_string())?
            }
            Some(list) => return Err(format!("it is a `{}`, not a list", list.descriptor.media_type)),
        };
        if names(&index, self.digest()) {
            return Ok(None);
        }
        let mut entry = self.manifest.descriptor.to_json();
        entry["artifactType"] = json!(self.artifact_type);
        match index.get_mut("manifests").and_then(Value::as_array_mut) {
            Some(manifests) => manifests.push(entry),
            None => return Err("it has no manifests".to_owned()),
        }
        Ok(Some(Manifest::new(INDEX, index.to_string())))
    }
}

/// Whether `index` has the manifest with this digest.
fn names(index: &Value, digest: &Digest) -> bool {
    let manifests = index["manifests"].as_array().into_iter().flatten();
    manifests.into_iter().any(|entry| entry["digest"] == digest.as_str())
}

/// The tag of the list of what refers to a manifest, where clients keep it.
fn list_tag(subject: &Digest) -> String {
    subject.as_str().replace(':', "-")
}

/// What `tag` stands for, if it is there.
async fn tagged(repository: &Repository, tag: &str, reporter: &dyn Reporter) -> Result<Option<Manifest>, ImageError> {
    match repository.manifest(tag, reporter).await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(ImageError::Registry { source, .. }) if source.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "referrers_tests.rs"]
mod tests;
