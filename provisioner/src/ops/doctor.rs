//! `doctor`: why the app does not scale. Looks at every hop of the metric chain and names the first that is broken.

use super::resume::{kubectl, target_command};
use super::{ANSWER, Context};
use crate::chain::{self, ChainError, Commands, Diagnosis, Scene};
use crate::cluster::Cluster;
use crate::cluster::values::Namespaces;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::report::Answer;

/// Asks everything, changes nothing. The exit code says whether a hop is broken, or those that decide could not be looked at.
pub(super) async fn run(context: &Context) -> Result<(Answer, Exit), Error> {
    let (_, stack) = context.target()?;
    let place = context.place().await?;
    let patience = ANSWER.min(context.config.output.timeout);
    let session = place.session(stack, patience, &*context.report).await?;
    let diagnosis = chain::diagnose(&session.cluster, &scene(context)).await;
    let exit = if diagnosis.healthy { Exit::Done } else { Exit::Failed };
    Ok((Answer::of(&diagnosis).map_err(Error::failed)?, exit))
}

/// A chain that a bootstrap waited for in vain, with the hop that explains it: what is waited for may only follow from it.
pub(super) async fn explained(config: &Config, cluster: &Cluster, error: ChainError) -> Error {
    let diagnosis = chain::diagnose(cluster, &scene_of(config)).await;
    let hint = format!("{}{}", cause(&diagnosis), error.hint());
    Error::failed(error).hint(hint)
}

/// The first broken hop, as the beginning of a hint; nothing where none is.
fn cause(diagnosis: &Diagnosis) -> String {
    let first = diagnosis.first();
    first.map_or_else(String::new, |first| {
        format!("{} ({}): {}\n", first.hop, first.code, first.says.replace('\n', " "))
    })
}

/// Here and now, with the stack as its commands name it, in the region that AWS was connected to.
pub(super) fn scene(context: &Context) -> Scene {
    let mut config = context.config.clone();
    if let (None, Some(region)) = (&config.target.region, context.region.get()) {
        config.target.region = Some(region.clone());
    }
    scene_of(&config)
}

fn scene_of(config: &Config) -> Scene {
    Scene {
        namespaces: Namespaces::default(),
        app: config.app.clone(),
        commands: Commands {
            kubectl: kubectl(config),
            bootstrap: target_command(config, "bootstrap"),
            load: target_command(config, "load"),
        },
        now: jiff::Timestamp::now(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::given;
    use super::*;

    #[test]
    fn commands_name_the_cluster_or_the_context_in_use() {
        let line = ["provisioner", "doctor", "--cluster", "demo", "--region", "eu-west-1"];
        let (_, context) = given(&line);
        let told = scene_of(&context.config).commands;
        assert_eq!(told.kubectl, "kubectl");
        assert_eq!(
            told.bootstrap,
            "provisioner bootstrap --cluster demo --region eu-west-1"
        );
        let line = ["provisioner", "doctor", "--kube-context", "my kind", "--name", "demo"];
        let (_, context) = given(&line);
        let told = scene_of(&context.config).commands;
        assert_eq!(told.kubectl, "kubectl --context 'my kind'");
        assert_eq!(told.load, "provisioner load --kube-context 'my kind' --name demo");
    }

    /// Everything is missing there: the pods are the first of it.
    #[tokio::test]
    async fn a_bootstrap_that_waits_in_vain_tells_which_hop_explains_it() {
        let (_, context) = given(&["provisioner", "bootstrap", "--cluster", "demo"]);
        let nothing = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            let missing =
                r#"{"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no"}"#;
            let answer = http::Response::builder().status(404);
            answer.body(kube::client::Body::from(missing.as_bytes().to_vec()))
        });
        let cluster = Cluster::from_client(kube::Client::new(nothing, "default"));
        let error = ChainError {
            hop: chain::Hop::Hpa,
            message: "it has read no value".to_owned(),
            after: std::time::Duration::from_mins(1),
            prometheus: None,
            counter: chain::COUNTER.to_owned(),
        };
        let told = explained(&context.config, &cluster, error).await;
        assert_eq!(told.exit(), Exit::Failed);
        insta::assert_snapshot!(told, @r"
        error: cannot verify the metric chain, after 60 s the HPA is broken: it has read no value

        hint: app pods (not_found): there is no Deployment `web-app/web-app`
        look at the conditions with `kubectl describe hpa`; the controller looks every 15 s; `provisioner doctor` looks at every hop
        ");
    }
}
