//! Credentials of registries, as `docker login` keeps them: `auths`, `credHelpers` and `credsStore` of the
//! configuration in `DOCKER_CONFIG`, else `~/.docker`.

use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::error::Error;

/// How long a credential helper may take; some ask a person.
const HELPER: Duration = Duration::from_mins(1);
/// What Docker Hub is called in the configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// User and password for `host`; none where nobody signed in, which public and local registries accept.
///
/// # Errors
/// The configuration or a helper cannot be used: exit 2.
pub(super) async fn find(host: &str) -> Result<Option<(String, String)>, Error> {
    let server = match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    };
    if !configuration_exists() {
        return Ok(None);
    }
    let asked = server.to_owned();
    let helper = tokio::task::spawn_blocking(move || docker_credential::get_credential(&asked));
    let answer = tokio::time::timeout(HELPER, helper)
        .await
        .map_err(|_| {
            cannot(
                host,
                &format!("the credential helper gave none within {} s", HELPER.as_secs()),
            )
        })?
        .map_err(Error::failed)?;
    read(host, answer)
}

fn configuration_exists() -> bool {
    let folder = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let home = || Some(std::path::Path::new(&std::env::var_os("HOME")?).join(".docker"));
    folder
        .or_else(home)
        .is_some_and(|folder| folder.join("config.json").exists())
}

fn read(
    host: &str,
    answer: Result<DockerCredential, CredentialRetrievalError>,
) -> Result<Option<(String, String)>, Error> {
    match answer {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Some((user, password))),
        Ok(DockerCredential::IdentityToken(_)) => Err(cannot(host, "it is an identity token, not a password")
            .hint(format!("sign in with an access token: `docker login {host}`"))),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // The protocol of credential helpers knows no code for it, only this text on stdout.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.trim() == "credentials not found in native keychain" =>
        {
            Ok(None)
        }
        Err(error) => Err(cannot(host, error.to_string().trim()).hint(format!(
            "sign in again with `docker login {host}`, or mend `~/.docker/config.json`"
        ))),
    }
}

fn cannot(host: &str, why: &str) -> Error {
    Error::usage(format!("cannot read the credentials for registry `{host}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_signed_in_is_no_failure_and_what_cannot_be_used_is_usage() {
        let user = DockerCredential::UsernamePassword("me".into(), "secret".into());
        assert_eq!(read("h", Ok(user)).unwrap(), Some(("me".into(), "secret".into())));
        assert_eq!(
            read("h", Err(CredentialRetrievalError::NoCredentialConfigured)).unwrap(),
            None
        );
        let failed = |stdout: &str| {
            Err(CredentialRetrievalError::HelperFailure {
                helper: "docker-credential-x".into(),
                stdout: stdout.into(),
                stderr: String::new(),
            })
        };
        assert_eq!(
            read("h", failed("credentials not found in native keychain\n")).unwrap(),
            None
        );
        for answer in [failed("locked"), Ok(DockerCredential::IdentityToken("hunter2".into()))] {
            let error = read("h", answer).unwrap_err();
            assert_eq!(error.exit().code(), 2);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
