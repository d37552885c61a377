//! Where images go: ECR, or a registry that `--registry` names.
//!
//! Nodes pull with rights of their own: the user's credentials push, and are never copied into the cluster.

use super::credentials;
use crate::aws::{Aws, ecr};
use crate::error::Error;
use crate::image::{Credentials, ImageRef, RegistryPrefix, RegistryTarget, Renewal};
use crate::names::{APP, LOAD, StackName};
use crate::report::Reporter;

/// The registry of a stack's images.
#[derive(Debug, Clone)]
pub enum Registry {
    /// ECR of the account: repositories are ours to create and delete.
    Ecr(Box<Ecr>),
    /// Another registry: repositories are used, never created by name nor deleted.
    Other(RegistryPrefix),
}

/// ECR of an account and region.
#[derive(Debug, Clone)]
pub struct Ecr {
    /// The connection.
    pub aws: Aws,
    /// Repositories that were read before.
    known: Vec<ecr::Reading>,
}

impl Registry {
    /// ECR of this connection.
    pub fn ecr(aws: Aws) -> Self {
        let known = Vec::new();
        Self::Ecr(Box::new(Ecr { aws, known }))
    }

    /// That of an image, where it can be asked without AWS.
    pub fn of(image: &ImageRef) -> Option<Self> {
        let is_ecr = ecr::Host::of(image.host()).is_some();
        image.prefix().filter(|_| !is_ecr).map(Self::Other)
    }

    /// The same, knowing repositories that were read before: they are not looked up again.
    #[must_use]
    pub fn knowing(mut self, repositories: &[ecr::Reading]) -> Self {
        if let Self::Ecr(ecr) = &mut self {
            ecr.known = repositories.to_vec();
        }
        self
    }

    /// AWS, where the images are there.
    pub fn aws(&self) -> Option<&Aws> {
        match self {
            Self::Ecr(ecr) => Some(&ecr.aws),
            Self::Other(_) => None,
        }
    }

    /// Checks what can be checked before anything is built: the credentials of a registry that is not ECR can be read.
    ///
    /// # Errors
    /// They cannot: exit 2.
    pub async fn check(&self) -> Result<(), Error> {
        match self {
            Self::Ecr(_) => Ok(()),
            Self::Other(prefix) => credentials::find(prefix.host()).await.map(drop),
        }
    }

    /// Whether an image is in this registry already, in whatever repository of it.
    pub fn holds(&self, image: &ImageRef) -> bool {
        match self {
            Self::Ecr(own) => ecr::Host::of(image.host()).is_some_and(|host| own.aws.is_registry(&host)),
            Self::Other(prefix) => image.host() == prefix.host(),
        }
    }

    /// The repository that an image of any registry is in, with the credentials for it: those of `docker login`, and for
    /// every registry of ECR, that of another account or region too, a password of its region where there are none.
    ///
    /// # Errors
    /// The credentials cannot be read, or ECR gives none.
    pub async fn source(&self, image: &ImageRef) -> Result<RegistryTarget, Error> {
        let (Some(aws), Some(host)) = (self.aws(), ecr::Host::of(image.host())) else {
            return Ok(image.target(credentials::find(image.host()).await?));
        };
        let aws = aws.in_region(&host.region);
        if aws.is_registry(&host) {
            let auth = ecr::authorize(&aws).await?;
            let base = format!("{}/{}", image.host(), image.repository());
            let (username, password) = (auth.username, auth.password);
            let target = RegistryTarget::from_endpoint(&auth.endpoint, username, password, image.repository(), &base)?;
            return Ok(target.renewed_by(renewal(&aws)));
        }
        // Whoever signed in to another account's registry may have had other rights in mind than the profile's.
        let credentials = if let Some(found) = credentials::find(image.host()).await? {
            found
        } else {
            let auth = ecr::authorize(&aws).await?;
            (auth.username, auth.password)
        };
        Ok(image.target(Some(credentials)).renewed_by(renewal(&aws)))
    }

    /// The same after reading the repositories of `images`, unless they are known: [`Self::target`] then reads nothing.
    ///
    /// # Errors
    /// ECR refuses.
    pub async fn read(mut self, stack: &StackName, images: &[&str]) -> Result<Self, Error> {
        if let Self::Ecr(ecr) = &mut self {
            for image in images {
                let name = stack.repository(image);
                if ecr.known.iter().all(|reading| reading.name != name) {
                    ecr.known.push(ecr::read(&ecr.aws, stack, image).await?);
                }
            }
        }
        Ok(self)
    }

    /// The repository of `image` where it may hold images already; none in ECR where it was not there when it was read.
    /// Changes nothing.
    ///
    /// # Errors
    /// ECR gives no password, or the credentials cannot be read.
    pub async fn existing(&self, stack: &StackName, image: &str) -> Result<Option<RegistryTarget>, Error> {
        let Ecr { aws, known } = match self {
            Self::Ecr(ecr) => &**ecr,
            Self::Other(prefix) => {
                let credentials = credentials::find(prefix.host()).await?;
                return Ok(Some(prefix.target(image, credentials)));
            }
        };
        let name = stack.repository(image);
        let reading = known.iter().find(|reading| reading.name == name);
        match reading.and_then(ecr::Reading::repository) {
            Some(repository) => push_to(aws, repository).await.map(Some),
            None => Ok(None),
        }
    }

    /// What references to `image` start with, also where its repository is still to be made. Asks nobody.
    pub fn reference_base(&self, stack: &StackName, image: &str) -> String {
        let Ecr { aws, known } = match self {
            Self::Ecr(ecr) => &**ecr,
            Self::Other(prefix) => return prefix.repository(image),
        };
        let name = stack.repository(image);
        let reading = known.iter().find(|reading| reading.name == name);
        match reading.and_then(ecr::Reading::repository) {
            Some(repository) => repository.uri.clone(),
            None => format!("{}/{name}", aws.registry_host()),
        }
    }

    /// The repository of `image`, that of app or loader beside the other one, with the credentials for it; in ECR it is
    /// created where it is missing.
    ///
    /// # Errors
    /// ECR refuses, or the credentials cannot be read.
    pub async fn target(&self, stack: &StackName, image: &str, report: &dyn Reporter) -> Result<RegistryTarget, Error> {
        let Ecr { aws, known } = match self {
            Self::Ecr(ecr) => &**ecr,
            Self::Other(prefix) => {
                let target = prefix.target(image, credentials::find(prefix.host()).await?);
                return Ok(beside(target, image, |other| prefix.target(other, None).repository));
            }
        };
        let name = stack.repository(image);
        let (repository, _) = match known.iter().find(|reading| reading.name == name) {
            Some(reading) => ecr::ensure_from(aws, stack, (image, reading.clone()), report).await?,
            None => ecr::ensure_repository(aws, stack, image, report).await?,
        };
        let target = push_to(aws, &repository).await?;
        Ok(beside(target, image, |other| stack.repository(other)))
    }
}

/// The target beside the repository that has the same layers, if there is one: app and load generator are one binary.
fn beside(target: RegistryTarget, image: &str, repository: impl Fn(&str) -> String) -> RegistryTarget {
    match image {
        APP => target.beside(repository(LOAD)),
        LOAD => target.beside(repository(APP)),
        _ => target,
    }
}

/// A repository of ECR with a password for it.
async fn push_to(aws: &Aws, repository: &ecr::Repository) -> Result<RegistryTarget, Error> {
    let auth = ecr::authorize(aws).await?;
    let target = RegistryTarget::from_endpoint(
        &auth.endpoint,
        auth.username,
        auth.password,
        &repository.name,
        &repository.uri,
    )?;
    Ok(target.renewed_by(renewal(aws)))
}

/// New passwords from ECR.
fn renewal(aws: &Aws) -> Renewal {
    let aws = aws.clone();
    Renewal::new(move |refused| {
        let aws = aws.clone();
        Box::pin(async move {
            let auth = ecr::reauthorize(&aws, &refused).await?;
            Ok(Credentials {
                username: auth.username,
                password: auth.password,
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::*;
    use crate::aws::fake::Wire;

    const OWN: &str = "123456789012";
    const OTHER: &str = "210987654321";

    /// Where the image is looked for, and which region was asked for the password.
    async fn source(account: &str, place: &str) -> (RegistryTarget, String) {
        let token = base64::engine::general_purpose::STANDARD.encode("AWS:secret");
        let endpoint = format!("https://{OWN}.dkr.ecr.REGION.amazonaws.com");
        let answer = json!({ "authorizationData": [{ "authorizationToken": token, "proxyEndpoint": endpoint }] });
        let wire = Wire::default().on("GetAuthorizationToken", 200, answer);
        let image = format!("{account}.dkr{place}/team/app:1").parse().expect("a reference");
        let target = Registry::ecr(wire.aws()).source(&image).await.expect("a password");
        assert_eq!(wire.calls(), ["GetAuthorizationToken"]);
        let headers = wire.headers("GetAuthorizationToken");
        let scope = headers["authorization"].split('/').nth(2).expect("a region").to_owned();
        assert!(headers["host"].contains(&scope), "{headers:?}");
        (target, scope)
    }

    #[tokio::test]
    async fn every_registry_of_ecr_gets_a_password_of_its_own_region() {
        for (account, place, registry, region) in [
            // The answer's own address where it is the account's, as everywhere else.
            (OWN, ".ecr.eu-central-1.amazonaws.com", None, "eu-central-1"),
            (OWN, ".ecr.us-west-2.amazonaws.com", None, "us-west-2"),
            (OTHER, ".ecr.eu-central-1.amazonaws.com", Some(OTHER), "eu-central-1"),
            (OTHER, ".ecr.us-west-2.amazonaws.com", Some(OTHER), "us-west-2"),
            (OTHER, "-ecr.us-west-2.on.aws", Some(OTHER), "us-west-2"),
            (OWN, ".ecr-fips.us-west-2.amazonaws.com", Some(OWN), "us-west-2"),
        ] {
            let (target, asked) = source(account, place).await;
            let host = format!("{account}.dkr{place}");
            let wanted = registry.map_or(format!("{OWN}.dkr.ecr.region.amazonaws.com"), |_| host.clone());
            assert_eq!((target.registry, asked.as_str()), (wanted, region), "{host}");
            assert_eq!(target.reference_base, format!("{host}/team/app"));
            assert_eq!(target.password.as_deref(), Some("secret"), "{host}");
            assert!(target.renewal.is_some(), "{host}");
        }
    }

    #[test]
    fn an_image_is_there_where_its_host_is_the_registrys() {
        let own = Registry::ecr(Wire::default().aws());
        let other = Registry::Other("ghcr.io/team".parse().expect("valid"));
        for (image, in_own, in_other) in [
            (
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com/others/app:1",
                true,
                false,
            ),
            ("123456789012.dkr.ecr.us-west-2.amazonaws.com/demo/app:1", false, false),
            (
                "210987654321.dkr.ecr.eu-central-1.amazonaws.com/demo/app:1",
                false,
                false,
            ),
            ("ghcr.io/others/app:1", false, true),
            ("nginx", false, false),
        ] {
            let reference = image.parse().expect("a reference");
            assert_eq!(
                (own.holds(&reference), other.holds(&reference)),
                (in_own, in_other),
                "{image}"
            );
        }
    }

    #[tokio::test]
    async fn no_other_registry_gets_one() {
        let wire = Wire::default();
        for host in [
            "ghcr.io",
            "public.ecr.aws",
            "210987654321.dkr.ecr.us-west-2.amazonaws.com.evil.example",
        ] {
            let image = format!("{host}/team/app:1").parse().expect("a reference");
            let target = Registry::ecr(wire.aws()).source(&image).await.expect("no password");
            assert_eq!((target.password, target.renewal), (None, None), "{host}");
        }
        assert!(wire.calls().is_empty());
    }
}
