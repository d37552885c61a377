//! The target `--kube-context`: a cluster that exists, as the kubeconfig describes it.

use std::time::Duration;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use url::Host;

use super::Session;
use crate::cluster::{Cluster, ClusterError};
use crate::error::Error;
use crate::loopback::is_loopback;
use crate::spelling::nearest;

/// How long a cluster that exists may take to answer: long enough for one that is being restarted.
const ANSWER: Duration = Duration::from_secs(15);
/// How long an exec plugin may take; some ask a person.
const PLUGIN: Duration = Duration::from_mins(1);

/// A context that exists, with all that it takes to connect.
#[derive(Debug, Clone)]
pub struct Known {
    name: String,
    config: Config,
}

impl Known {
    /// Reads the kubeconfig (`KUBECONFIG`, else `~/.kube/config`) and picks the context.
    ///
    /// # Errors
    /// An unreadable kubeconfig, an unknown context, or one whose TLS is switched off: exit 2.
    pub(super) async fn read(name: &str) -> Result<Self, Error> {
        Self::of(Kubeconfig::read().map_err(unusable)?, name).await
    }

    async fn of(kubeconfig: Kubeconfig, name: &str) -> Result<Self, Error> {
        let known: Vec<&str> = kubeconfig
            .contexts
            .iter()
            .map(|context| context.name.as_str())
            .collect();
        if !known.contains(&name) {
            return Err(unknown(name, &known));
        }
        let options = KubeConfigOptions {
            context: Some(name.to_owned()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(unusable)?;
        check_tls(name, &config)?;
        Ok(Self {
            name: name.to_owned(),
            config,
        })
    }

    /// The context's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its cluster answers.
    pub fn server(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// Connects; credentials are refreshed as the kubeconfig says.
    pub(super) async fn connect(&self, timeout: Duration) -> Result<Session, Error> {
        let (config, plugin) = (self.config.clone(), PLUGIN.min(timeout));
        let cluster = Cluster::from_config(config, plugin, ANSWER.min(timeout)).await?;
        Ok(Session::lasting(cluster))
    }
}

fn unusable(error: KubeconfigError) -> Error {
    // What a parser says shows lines and values, and a token may be among them: the place has to do.
    if let KubeconfigError::Parse(error) = &error {
        let place = error.location().map_or_else(String::new, |at| {
            format!(", line {}, column {}", at.line(), at.column())
        });
        return Error::usage(format!(
            "cannot use the kubeconfig: it cannot be read as YAML of one{place}"
        ))
        .hint("set `KUBECONFIG` to a file that `kubectl config view` reads");
    }
    ClusterError::Kubeconfig(Box::new(error)).into()
}

fn unknown(name: &str, known: &[&str]) -> Error {
    let error = Error::usage(format!("there is no context `{name}` in the kubeconfig"));
    match (nearest(name, known.iter().copied()), known) {
        (_, []) => error.hint("it names no context at all: set `KUBECONFIG` to the file that does"),
        (Some(near), _) => error.hint(format!("did you mean `{near}`? contexts: `{}`", known.join("`, `"))),
        (None, _) => error.hint(format!("contexts: `{}`", known.join("`, `"))),
    }
}

/// TLS is verified everywhere but on loopback.
fn check_tls(name: &str, config: &Config) -> Result<(), Error> {
    let host = config.cluster_url.host().unwrap_or_default();
    if Host::parse(host).is_ok_and(|host| is_loopback(&host)) {
        return Ok(());
    }
    let refuse = |why: &str| Error::usage(format!("cannot use context `{name}`: {why}"));
    if config.cluster_url.scheme_str() != Some("https") {
        return Err(refuse("plain HTTP is accepted for loopback hosts only"));
    }
    if config.accept_invalid_certs {
        return Err(refuse("it skips the verification of the server's certificate").hint(
            "give the context the cluster's `certificate-authority-data` instead of `insecure-skip-tls-verify`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(cluster: &str, name: &str) -> Result<Known, Error> {
        let text = format!(
            "{{apiVersion: v1, kind: Config, clusters: [{{name: c, cluster: {{{cluster}}}}}], users: [{{name: u, user: {{token: t}}}}],
             contexts: [{{name: kind-dev, context: {{cluster: c, user: u}}}}, {{name: other, context: {{cluster: c, user: u}}}}]}}"
        );
        Known::of(Kubeconfig::from_yaml(&text).unwrap(), name).await
    }

    #[tokio::test]
    async fn an_unknown_context_is_a_usage_error_that_lists_the_known_ones() {
        let error = read("server: 'https://a.example'", "kind-deb").await.unwrap_err();
        assert_eq!(error.exit().code(), 2);
        insta::assert_snapshot!(error, @"
        error: there is no context `kind-deb` in the kubeconfig

        hint: did you mean `kind-dev`? contexts: `kind-dev`, `other`
        ");
    }

    /// The plugin goes on until the test lets it end: nothing that waits for it would give this error.
    #[tokio::test]
    async fn a_plugin_that_does_not_end_is_waited_for_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let end = folder.path().join("end");
        let script = r#"for i in $(seq 100); do [ -e "$0" ] && exit 1; sleep 0.1; done; exit 1"#;
        let kubeconfig = serde_json::json!({
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"exec": {
                "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script, end],
                "interactiveMode": "Never",
            }}}],
            "contexts": [{"name": "kind-dev", "context": {"cluster": "c", "user": "u"}}],
        });
        let kubeconfig = Kubeconfig::from_yaml(&kubeconfig.to_string()).unwrap();
        let known = Known::of(kubeconfig, "kind-dev").await.unwrap();
        let error = known.connect(Duration::from_millis(10)).await.unwrap_err();
        std::fs::write(end, "").unwrap();
        assert!(error.to_string().contains("exec plugin"), "{error}");
        assert_eq!(error.exit().code(), 2);
    }

    #[tokio::test]
    async fn tls_is_verified_everywhere_but_on_loopback() {
        for (cluster, accepted) in [
            ("server: 'https://a.example'", true),
            ("server: 'http://a.example'", false),
            ("server: 'https://a.example', insecure-skip-tls-verify: true", false),
            ("server: 'https://127.0.0.1:6443', insecure-skip-tls-verify: true", true),
            ("server: 'http://localhost:8001'", true),
            ("server: 'http://[::1]:8001'", true),
        ] {
            let read = read(cluster, "other").await;
            assert_eq!(read.is_ok(), accepted, "{cluster}");
            if let Err(error) = read {
                assert_eq!(error.exit().code(), 2);
            }
        }
    }

    #[test]
    fn a_kubeconfig_that_is_broken_shows_no_token() {
        for text in [
            "users:\n- name: me\n  user: {token: hunter2}\ncontexts: [",
            "users:\n- name: me\n  user: {token: [hunter2]}\n",
            "users:\n- name: me\n  user: hunter2\n",
        ] {
            let error = unusable(Kubeconfig::from_yaml(text).expect_err("broken"));
            let said = error.to_string();
            assert!(said.contains("line ") && !said.contains("hunter2"), "{said}");
            assert_eq!(error.exit(), crate::error::Exit::Usage);
        }
    }
}
