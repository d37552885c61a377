//! Contexts of the kubeconfig instead of EKS clusters.

use clap::CommandFactory as _;
use provisioner::cli::Cli;

use crate::run::Run;

const KUBECONFIG: &str = "{contexts: [{name: kind-dev, context: {cluster: c, user: u}}], users: [{name: u, user: {}}],
  clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";

#[test]
fn an_unknown_context_is_refused_with_the_known_ones_and_without_aws() {
    // The others work on no cluster, or on EKS alone.
    let others = ["push", "token", "init", "config", "completions", "man"];
    let commands = Cli::command();
    let commands = commands.get_subcommands().map(clap::Command::get_name);
    for command in commands.filter(|name| !others.contains(name)) {
        let run = Run::in_workspace(&format!("{command} --kube-context kind --registry ghcr.io/team"));
        let stderr = run.file(".kube/config", KUBECONFIG).end().refused(2);
        assert!(stderr.contains("there is no context `kind`"), "{command}: {stderr}");
        assert!(stderr.contains("contexts: `kind-dev`"), "{command}: {stderr}");
    }
}

#[test]
fn where_images_go_is_said_to_whoever_did_not_think_of_aws() {
    let run = Run::in_workspace("plan --kube-context kind-dev").file(".kube/config", KUBECONFIG);
    let stderr = run.end().refused(2);
    assert!(
        stderr.contains("unless `--registry HOST/PREFIX` names another"),
        "{stderr}"
    );
}

#[test]
fn a_cluster_that_does_not_answer_is_a_failure_that_names_it() {
    let run = Run::of("status --kube-context kind-dev --timeout 1s").file(".kube/config", KUBECONFIG);
    let stderr = run.end().refused(1);
    assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
}

#[test]
fn a_context_is_in_the_kubeconfig_already_and_becomes_current_where_asked() {
    let run = Run::of("kubeconfig --kube-context kind-dev --current").file(".kube/config", KUBECONFIG);
    let ended = run.end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    assert!(
        ended.stdout().starts_with("context   kind-dev, current\n"),
        "{}",
        ended.stdout()
    );
    let run = Run::of("kubeconfig --kube-context kind-dev --stdout").file(".kube/config", KUBECONFIG);
    assert!(run.end().refused(2).contains("already"));
}

#[test]
fn tokens_are_for_eks_clusters() {
    let stderr = Run::of("token --kube-context kind-dev").end().refused(2);
    assert!(stderr.contains("EKS"), "{stderr}");
}
