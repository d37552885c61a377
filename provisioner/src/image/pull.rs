//! What a repository gives: manifests, checked against their digest, and blobs as they come.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};
use reqwest::Response;

use super::answer::{self, RegistryError};
use super::content::{Chunks, Descriptor, Manifest};
use super::media::{LONGEST_MANIFEST, MANIFESTS};
use super::repository::{Repository, digest_of};
use super::session::Access;
use super::{ImageError, RetryPolicy};
use crate::report::Reporter;

impl Repository {
    /// The manifest that `name`, a tag or a digest, stands for.
    pub(super) async fn manifest(&self, name: &str, reporter: &dyn Reporter) -> Result<Manifest, ImageError> {
        let action = format!("read `{name}` from");
        let read = |access: Arc<Access>| async move { self.get(&access, name).await };
        self.attempt((self.policy(), reporter), &action, read).await
    }

    pub(super) async fn get(&self, access: &Access, name: &str) -> Result<Manifest, RegistryError> {
        let request = self.request(access, Method::GET, self.url(&format!("manifests/{name}"))?);
        let response = request.header(ACCEPT, MANIFESTS.join(", ")).send().await?;
        let response = answer::expect("GET", response, StatusCode::OK).await?;
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = media_type
            .and_then(|text| text.split(';').next())
            .unwrap_or_default()
            .trim()
            .to_owned();
        let told = digest_of(&response)?;
        let manifest = Manifest::new(&media_type, answer::limited(response, LONGEST_MANIFEST).await?);
        let wanted = name.parse().ok().or(told);
        if wanted.is_some_and(|wanted| wanted != *manifest.digest()) {
            let text = format!("it gives {} for `{name}`", manifest.digest());
            return Err(RegistryError::Protocol(text));
        }
        Ok(manifest)
    }

    /// The bytes of a blob, as they come: not checked yet. Whoever waits for the next ones has the policy's patience.
    pub(super) async fn blob(
        &self,
        blob: &Descriptor,
        (policy, reporter): (RetryPolicy, &dyn Reporter),
    ) -> Result<Chunks, ImageError> {
        let action = format!("read blob {} from", blob.digest);
        let response = self.attempt((policy, reporter), &action, |access| async move {
            self.get_blob(&access, blob).await
        });
        let chunks = response.await?.bytes_stream();
        let chunks = chunks.map_err(|error| io::Error::other(error.without_url()));
        Ok(patient(chunks.boxed(), policy.patience))
    }

    /// The bytes of a blob that is small enough to be read at once: not checked yet.
    pub(super) async fn small_blob(&self, blob: &Descriptor, reporter: &dyn Reporter) -> Result<Bytes, ImageError> {
        let action = format!("read blob {} from", blob.digest);
        let read = self.attempt((self.policy(), reporter), &action, |access| async move {
            let response = self.get_blob(&access, blob).await?;
            answer::limited(response, LONGEST_MANIFEST).await
        });
        read.await.map(Bytes::from)
    }

    async fn get_blob(&self, access: &Access, blob: &Descriptor) -> Result<Response, RegistryError> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.request(access, Method::GET, url).send().await?;
        answer::expect("GET", response, StatusCode::OK).await
    }
}

/// `chunks`, until one takes longer than `patience` to come. Time that nobody asks for one does not count.
fn patient(chunks: Chunks, patience: Duration) -> Chunks {
    let next = move |mut chunks: Chunks| async move {
        let chunk = match tokio::time::timeout(patience, chunks.next()).await {
            Ok(chunk) => chunk?,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("nothing came for {} s", patience.as_secs_f64()),
            )),
        };
        Some((chunk, chunks))
    };
    stream::unfold(chunks, next).boxed()
}
