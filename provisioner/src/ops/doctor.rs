//! `doctor`: why the app does not scale. Looks at every hop of the metric chain and names the first that is broken.

use super::resume::{kubectl, target_command};
use super::{ANSWER, Context};
use crate::chain::{self, Commands, Scene};
use crate::cluster::values::Namespaces;
use crate::error::{Error, Exit};
use crate::report::Answer;

/// Asks everything, changes nothing. The exit code says whether a hop is broken, or those that decide could not be looked at.
pub(super) async fn run(context: &Context) -> Result<(Answer, Exit), Error> {
    let (_, stack) = context.target()?;
    let place = context.place().await?;
    let patience = ANSWER.min(context.config.output.timeout);
    let session = place.session(stack, patience, &*context.report).await?;
    let scene = Scene {
        namespaces: Namespaces::default(),
        commands: commands(context),
        now: jiff::Timestamp::now(),
    };
    let diagnosis = chain::diagnose(&session.cluster, &scene).await;
    let exit = if diagnosis.healthy { Exit::Done } else { Exit::Failed };
    Ok((Answer::of(&diagnosis).map_err(Error::failed)?, exit))
}

/// How this stack is named in the commands that are told.
fn commands(context: &Context) -> Commands {
    let mut config = context.config.clone();
    if let (None, Some(region)) = (&config.target.region, context.region.get()) {
        config.target.region = Some(region.clone());
    }
    Commands {
        kubectl: kubectl(&config),
        bootstrap: target_command(&config, "bootstrap"),
        load: target_command(&config, "load"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::given;
    use super::*;

    #[test]
    fn commands_name_the_cluster_or_the_context_in_use() {
        let (_, context) = given(&["provisioner", "doctor", "--cluster", "demo"]);
        context.region.set("eu-west-1".into()).unwrap();
        let told = commands(&context);
        assert_eq!(told.kubectl, "kubectl");
        assert_eq!(
            told.bootstrap,
            "provisioner bootstrap --cluster demo --region eu-west-1"
        );
        let line = ["provisioner", "doctor", "--kube-context", "my kind", "--name", "demo"];
        let (_, context) = given(&line);
        let told = commands(&context);
        assert_eq!(told.kubectl, "kubectl --context 'my kind'");
        assert_eq!(told.load, "provisioner load --kube-context 'my kind' --name demo");
    }
}
