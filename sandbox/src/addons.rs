//! What EKS brings inside the cluster: RBAC of the node programs and access policies, DNS, metrics-server.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::command::{run_with, without_proxy};
use crate::error::Error;
use crate::say;
use crate::state::{Dirs, KUBECTL_CACHE, write};

const MANIFEST: &str = include_str!("../kubernetes/addons.yaml");
/// Namespaces that belong to the cluster itself; a wipe keeps them.
const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// Cluster-scoped kinds that a stack may leave; a wipe removes those that carry no sandbox or bootstrap label.
const CLUSTER_KINDS: &str = "apiservices.apiregistration.k8s.io,clusterroles.rbac.authorization.k8s.io,\
    clusterrolebindings.rbac.authorization.k8s.io,customresourcedefinitions.apiextensions.k8s.io,\
    validatingwebhookconfigurations.admissionregistration.k8s.io,mutatingwebhookconfigurations.admissionregistration.k8s.io,\
    priorityclasses.scheduling.k8s.io,persistentvolumes,storageclasses.storage.k8s.io";
const OWN_LABEL: &str = "provisioner-sandbox";

/// Applies the add-ons and waits until the node is ready and DNS answers.
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    let file = dirs.at("addons.yaml");
    write(&file, MANIFEST, false)?;
    kubectl(
        dirs,
        &[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            &file.display().to_string(),
        ],
    )?;
    say::line("wait for the node and DNS ...");
    kubectl(dirs, &["wait", "--for=create", "node/sandbox", "--timeout=60s"])?;
    kubectl(
        dirs,
        &["wait", "--for=condition=Ready", "node/sandbox", "--timeout=90s"],
    )?;
    let rollout = [
        "rollout",
        "status",
        "deployment/coredns",
        "-n",
        "kube-system",
        "--timeout=90s",
    ];
    kubectl(dirs, &rollout)
        .map(drop)
        .map_err(|e| e.with_hint("`sandbox logs kubelet` shows what the node does"))
}

/// Runs kubectl as the administrator.
pub(crate) fn kubectl(dirs: &Dirs, args: &[&str]) -> Result<String, Error> {
    run_with(
        without_proxy(&mut Command::new(dirs.program("kubectl")))
            .arg("--kubeconfig")
            .arg(dirs.kubeconfig())
            .arg("--cache-dir")
            .arg(dirs.at(KUBECTL_CACHE))
            .args(args),
    )
}

/// Makes the real cluster as good as new: what a deleted EKS cluster would have taken with it.
pub(crate) fn wipe(dirs: &Dirs) -> Result<(), Error> {
    let selector =
        format!("!{OWN_LABEL},kubernetes.io/bootstrapping!=rbac-defaults,!kube-aggregator.kubernetes.io/automanaged");
    let doomed = kubectl(dirs, &["get", CLUSTER_KINDS, "--selector", &selector, "-o", "name"])?;
    let objects: Vec<&str> = doomed
        .lines()
        .filter(|o| !o.contains("/system:") && !o.contains("/system-") && !o.is_empty())
        .collect();
    delete(dirs, &objects)?;
    let roles = kubectl(
        dirs,
        &[
            "get",
            "roles,rolebindings",
            "-n",
            "kube-system",
            "--selector",
            &selector,
            "-o",
            "name",
        ],
    )?;
    let extra: Vec<&str> = roles.lines().filter(|o| !o.contains("/system:")).collect();
    if !extra.is_empty() {
        let mut args = vec!["delete", "-n", "kube-system", "--ignore-not-found", "--timeout=60s"];
        args.extend(extra);
        kubectl(dirs, &args)?;
    }
    let namespaces = kubectl(dirs, &["get", "namespaces", "-o", "name"])?;
    let foreign: Vec<&str> = namespaces
        .lines()
        .filter(|n| {
            n.split_once('/')
                .is_some_and(|(_, name)| !SYSTEM_NAMESPACES.contains(&name))
        })
        .collect();
    delete(dirs, &foreign)?;
    gone(dirs, &foreign)
}

fn delete(dirs: &Dirs, objects: &[&str]) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let mut args = vec!["delete", "--ignore-not-found", "--wait=false"];
    args.extend(objects);
    kubectl(dirs, &args).map(drop)
}

fn gone(dirs: &Dirs, namespaces: &[&str]) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let now = kubectl(dirs, &["get", "namespaces", "-o", "name"])?;
        let left: Vec<&str> = now.lines().filter(|n| namespaces.contains(n)).collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::failed(format!(
                "still terminating after 90 s: {}",
                left.join(", ")
            )));
        }
        sleep(Duration::from_millis(300));
    }
}

/// Whether the API server answers, for `status`.
pub(crate) fn node_state(dirs: &Dirs) -> String {
    let path = "{.status.conditions[?(@.type=='Ready')].status}";
    let query = format!("jsonpath={path}");
    match kubectl(dirs, &["get", "node", "sandbox", "-o", &query, "--request-timeout=5s"]) {
        Ok(text) if text == "True" => "ready".to_owned(),
        Ok(_) => "not ready".to_owned(),
        Err(_) => "unreachable".to_owned(),
    }
}
