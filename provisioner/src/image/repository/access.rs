//! Who asks: what a repository's registry takes for proof, got again where it no longer does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use oci_client::RegistryOperation;
use oci_client::secrets::RegistryAuth;

use super::{Repository, is_refusal};
use crate::image::ImageError;
use crate::image::session::{self, Access};
use crate::report::Reporter;

impl Repository {
    pub(super) async fn exchange(
        &self,
        former: &Access,
        auth: RegistryAuth,
        reporter: &dyn Reporter,
    ) -> Result<Arc<Access>, ImageError> {
        let generation = former.generation + 1;
        match self.token(&auth, generation, reporter).await {
            // Some token services grant all that is asked for or nothing: then there is no mount.
            Err(error) if self.source().is_some() && error.status().is_some_and(is_refusal) => {
                self.refuses_mounts.store(true, Ordering::Relaxed);
                self.token(&auth, generation, reporter).await
            }
            outcome => outcome,
        }
    }

    async fn token(
        &self,
        auth: &RegistryAuth,
        generation: u64,
        reporter: &dyn Reporter,
    ) -> Result<Arc<Access>, ImageError> {
        let scopes = self.scopes();
        let access = self.tried((self.policy, reporter), "sign in to", || {
            session::exchange(&self.http, self.registry.clone(), &scopes, (auth.clone(), generation))
        });
        access.await.map(Arc::new)
    }

    /// The repository that blobs are taken from, while the registry lets them.
    pub(super) fn source(&self) -> Option<&str> {
        let source = self.target.sibling.as_deref();
        source.filter(|from| {
            self.operation == RegistryOperation::Push
                && *from != self.target.repository
                && !self.refuses_mounts.load(Ordering::Relaxed)
        })
    }

    /// What a token is asked for: to push, and to pull from where blobs are mounted.
    fn scopes(&self) -> Vec<String> {
        let rights = match self.operation {
            RegistryOperation::Pull => "pull",
            RegistryOperation::Push => "pull,push",
        };
        let own = (self.target.repository.as_str(), rights);
        let source = self.source().map(|from| (from, "pull"));
        let all = std::iter::once(own).chain(source);
        all.map(|(name, rights)| format!("repository:{name}:{rights}"))
            .collect()
    }

    /// A new token for the same password, unless another request got one meanwhile.
    pub(super) async fn refresh(&self, refused: &Access, reporter: &dyn Reporter) -> Result<(), ImageError> {
        let mut current = self.access.write().await;
        if current.generation == refused.generation {
            *current = self.exchange(refused, refused.auth.clone(), reporter).await?;
        }
        Ok(())
    }

    /// A new password, unless another request got one meanwhile.
    pub(super) async fn renew(&self, refused: &Access, reporter: &dyn Reporter) -> Result<(), ImageError> {
        let Some(renewal) = &self.target.renewal else {
            return Ok(());
        };
        let mut current = self.access.write().await;
        if current.auth != refused.auth {
            return Ok(());
        }
        let place = self.place();
        reporter.note(&format!(
            "registry `{place}` no longer takes the password: a new one is asked for"
        ));
        let renewed = renewal.renew(refused.password().to_owned()).await;
        let renewed = renewed.map_err(|source| ImageError::Renewal { place, source })?;
        let auth = RegistryAuth::Basic(renewed.username, renewed.password);
        *current = self.exchange(&current, auth, reporter).await?;
        Ok(())
    }
}
