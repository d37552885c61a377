//! Who asks: what a repository's registry takes for proof, got again where it no longer does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use oci_client::RegistryOperation;
use oci_client::secrets::RegistryAuth;

use super::{Repository, is_refusal, refused};
use crate::image::ImageError;
use crate::image::retry::Exhausted;
use crate::image::session::{self, Access};
use crate::report::Reporter;

impl Repository {
    pub(super) async fn exchange(
        &self,
        former: &Access,
        auth: RegistryAuth,
        reporter: &dyn Reporter,
    ) -> Result<Access, ImageError> {
        let access = match self.token(&auth, reporter).await {
            // Some token services grant all that is asked for or nothing: then there is no mount. A wrong password, 401, is
            // sent no second time: some lock the account for that.
            Err(error) if self.source().is_some() && error.status().is_some_and(is_denial) => {
                self.refuses_mounts.store(true, Ordering::Relaxed);
                self.token(&auth, reporter).await?
            }
            outcome => outcome?,
        };
        Ok(Access {
            generation: former.generation + 1,
            renewals: former.renewals,
            ..access
        })
    }

    async fn token(&self, auth: &RegistryAuth, reporter: &dyn Reporter) -> Result<Access, ImageError> {
        let scopes = self.scopes();
        let action = "sign in to";
        let what = format!("{action} `{}`", self.place());
        let access = self.policy.run(&what, reporter, || {
            session::exchange(&self.http, self.registry.clone(), &scopes, auth.clone())
        });
        let access = access.await;
        access.map_err(|Exhausted { attempts, error }| refused((&self.target, self.operation), action, attempts, error))
    }

    /// Whether a refusal may mean that the password ended. ECR says so by 403, as it does where a right is missing: the
    /// first password gets the benefit of the doubt, a new one does not.
    pub(super) fn may_renew(&self, refused: &Access, status: Option<u16>) -> bool {
        let is_over = match status {
            Some(401) => true,
            Some(403) => refused.renewals == 0,
            _ => false,
        };
        is_over && self.target.renewal.is_some()
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
            *current = Arc::new(self.exchange(refused, refused.auth.clone(), reporter).await?);
        }
        Ok(())
    }

    /// A new password, unless another request got one meanwhile.
    pub(super) async fn renew(&self, refused: &Access, reporter: &dyn Reporter) -> Result<(), ImageError> {
        let Some(renewal) = &self.target.renewal else {
            return Ok(());
        };
        let mut current = self.access.write().await;
        if current.renewals != refused.renewals {
            return Ok(());
        }
        let place = self.place();
        reporter.note(&format!(
            "registry `{place}` refuses the credentials, which may have ended: new ones are asked for"
        ));
        let renewed = renewal.renew(refused.password().to_owned()).await;
        let renewed = renewed.map_err(|source| ImageError::Renewal { place, source })?;
        let auth = RegistryAuth::Basic(renewed.username, renewed.password);
        let access = self.exchange(&current, auth, reporter).await?;
        // One that is the same as before counts too: it is refused for another reason.
        *current = Arc::new(Access {
            renewals: current.renewals + 1,
            ..access
        });
        Ok(())
    }
}

fn is_denial(status: u16) -> bool {
    status != 401 && is_refusal(status)
}
