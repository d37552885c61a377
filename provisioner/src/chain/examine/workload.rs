//! A Deployment and its pods: the app, Prometheus, the adapter.

use serde_json::Value;

use super::super::Hop;
use super::super::code::Code;
use super::super::finding::Finding;
use super::super::pods;
use super::super::readings::Answer;
use super::Exam;
use crate::cluster::ready::condition;

/// A Deployment by its place, with the pods that it made.
pub(super) struct Workload<'a> {
    pub(super) hop: Hop,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) deployment: &'a Answer,
    pub(super) pods: &'a Answer,
}

impl Exam<'_> {
    /// What keeps a workload from its work, or a finding that says how many pods do it.
    pub(super) fn workload(&self, workload: &Workload<'_>) -> Finding {
        let Workload {
            hop, name, namespace, ..
        } = *workload;
        let deployment = match workload.deployment {
            Ok(deployment) => deployment,
            Err(failure) if failure.code == Some(404) => {
                let says = format!("there is no Deployment `{namespace}/{name}`");
                return Finding::fail(hop, Code::NotFound, says).fix(self.bootstrap(""));
            }
            Err(failure) => return Self::unasked(hop, failure),
        };
        if deployment["spec"]["replicas"] == 0 {
            let changed = pods::changed_by(deployment, &["spec", "replicas"]);
            let says = format!("Deployment `{namespace}/{name}` is scaled to 0{}", super::by(changed));
            let scale = format!("scale deployment/{name} --replicas=1");
            return Finding::fail(hop, Code::ScaledToZero, says).fix(self.scene.commands.kubectl_in(namespace, &scale));
        }
        let made: Vec<&Value> = pods::items(workload.pods)
            .iter()
            .filter(|pod| pods::is_of(pod, name) && !pods::is_going(pod))
            .collect();
        let wanted = deployment["status"]["replicas"].as_u64().unwrap_or(0);
        let ready = deployment["status"]["readyReplicas"].as_u64().unwrap_or(0);
        if let Some(refused) = refused(deployment) {
            return Finding::fail(hop, Code::Refused, refused).fix(
                self.scene
                    .commands
                    .kubectl_in(namespace, "get events --field-selector reason=FailedCreate"),
            );
        }
        if let Some((code, says)) = pods::trouble(&made, ready > 0, self.scene.now) {
            return self.not_ready(workload, (code, says), &made);
        }
        if ready == 0 {
            let says = format!("no pod of Deployment `{namespace}/{name}` is ready");
            return self.not_ready(workload, (Code::NotReady, says), &made);
        }
        let youngest = made.iter().filter_map(|pod| {
            let ready = condition(&pod["status"], "Ready").filter(|ready| ready["status"] == "True")?;
            pods::since(ready, self.scene.now)
        });
        let ready_count = usize::try_from(ready).unwrap_or_default();
        Finding::pass(hop, format!("{ready} of {} ready", wanted.max(ready)))
            .count(ready_count, "pods")
            .age(youngest.reduce(f64::min))
    }

    fn not_ready(&self, workload: &Workload<'_>, (code, says): (Code, String), made: &[&Value]) -> Finding {
        let Workload {
            hop, name, namespace, ..
        } = *workload;
        let kubectl = |words: &str| self.scene.commands.kubectl_in(namespace, words);
        let pod = made.iter().find(|pod| !pods::is_ready(pod)).map(|pod| pods::name(pod));
        let pod = pod.unwrap_or("POD");
        let finding = Finding::fail(hop, code, says);
        match code {
            Code::CrashLoop => finding.fix(kubectl(&format!("logs {pod} --previous"))),
            Code::ImagePull | Code::Configuration => finding
                .fix(self.bootstrap(""))
                .fix(kubectl(&format!("describe pod {pod}"))),
            Code::Unschedulable => finding
                .fix(kubectl(&format!("describe pod {pod}")))
                .fix(self.scene.commands.kubectl("get nodes")),
            _ => finding
                .fix(kubectl(&format!("describe pod {pod}")))
                .fix(kubectl(&format!("rollout undo deployment/{name}"))),
        }
    }
}

/// Why the API server does not take pods of a Deployment.
fn refused(deployment: &Value) -> Option<String> {
    let failure = condition(&deployment["status"], "ReplicaFailure").filter(|c| c["status"] == "True")?;
    Some(failure["message"].as_str().unwrap_or("its pods are refused").to_owned())
}
