//! `kubeconfig`: access for other tools, without a secret in it: tokens come from this program.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::Context;
use crate::aws::Aws;
use crate::cli;
use crate::config::Config;
use crate::error::Error;
use crate::report::{Answer, Outcome};
use crate::target;

/// The kubeconfig of the cluster, on stdout or in a file that only its owner reads.
pub(super) async fn run(flags: &cli::Kubeconfig, context: &Context) -> Result<Option<Answer>, Error> {
    let (cluster, stack) = context.target()?;
    let aws = context.connect_aws().await?;
    let found = target::existing(&aws, cluster, stack).await?;
    let endpoint = target::endpoint(&found)?;
    let program = std::env::current_exe().map_err(Error::failed)?;
    let access = Access {
        name: cluster,
        server: &endpoint.server,
        ca_pem: &endpoint.ca_pem,
        program: &program.display().to_string(),
        arguments: token_arguments(&context.config, &aws),
    };
    let text = serde_saphyr::to_string(&access.kubeconfig()).map_err(Error::failed)?;
    match &flags.file {
        None => Ok(Some(Answer::verbatim(text))),
        Some(path) => {
            let outcome = write_private(path, &text)?;
            context
                .report
                .done("kubeconfig", &path.display().to_string(), outcome, "");
            Ok(None)
        }
    }
}

/// What a kubeconfig says about one cluster.
struct Access<'a> {
    name: &'a str,
    server: &'a str,
    ca_pem: &'a [u8],
    program: &'a str,
    arguments: Vec<String>,
}

impl Access<'_> {
    fn kubeconfig(&self) -> Value {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(self.ca_pem);
        let name = self.name;
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": self.server, "certificate-authority-data": ca,
            }}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "users": [{"name": name, "user": {"exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": self.program,
                "args": self.arguments,
                "interactiveMode": "Never",
                "provideClusterInfo": false,
            }}}],
        })
    }
}

fn token_arguments(config: &Config, aws: &Aws) -> Vec<String> {
    let target = &config.target;
    let name = target.stack.as_ref().map(ToString::to_string);
    let name = name.filter(|name| Some(name) != target.cluster.as_ref());
    let region = Some(aws.region().to_owned());
    let flags = [
        ("--cluster", &target.cluster),
        ("--name", &name),
        ("--region", &region),
        ("--profile", &target.profile),
    ];
    let given = flags
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value.clone()?)));
    let pairs = given.flat_map(|(flag, value)| [flag.to_owned(), value]);
    std::iter::once("token".to_owned()).chain(pairs).collect()
}

/// Writes a new file with mode 0600; a file that says something else is never overwritten.
fn write_private(path: &Path, text: &str) -> Result<Outcome, Error> {
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .map_err(|error| cannot_write(path, &error))?;
            Ok(Outcome::Created)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match std::fs::read_to_string(path) {
            Ok(there) if there == text => Ok(Outcome::Unchanged),
            _ => Err(
                Error::usage(format!("`{}` exists and is left as it is", path.display()))
                    .hint("name another file, or remove this one first"),
            ),
        },
        Err(error) => Err(cannot_write(path, &error)),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_kubeconfig_gets_its_tokens_from_this_program() {
        let access = Access {
            name: "demo",
            server: "https://demo.example",
            ca_pem: b"PEM",
            program: "/opt/provisioner",
            arguments: ["token", "--cluster", "demo"].map(str::to_owned).into(),
        };
        insta::assert_snapshot!(serde_saphyr::to_string(&access.kubeconfig()).unwrap(), @r#"
        apiVersion: v1
        kind: Config
        current-context: demo
        clusters:
        - name: demo
          cluster:
            server: https://demo.example
            certificate-authority-data: UEVN
        contexts:
        - name: demo
          context:
            cluster: demo
            user: demo
        users:
        - name: demo
          user:
            exec:
              apiVersion: client.authentication.k8s.io/v1
              command: /opt/provisioner
              args:
              - token
              - --cluster
              - demo
              interactiveMode: Never
              provideClusterInfo: false
        "#);
    }

    #[test]
    fn the_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        assert_eq!(write_private(&path, "a").unwrap(), Outcome::Created);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_private(&path, "a").unwrap(), Outcome::Unchanged);
        assert_eq!(write_private(&path, "b").unwrap_err().exit().code(), 2);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a");
    }
}
