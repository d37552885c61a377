//! A cluster with a node group on private subnets, made again where EKS does not serve the first zones; the stack is
//! left out, since it is the same.

use serde_json::json;

use crate::story::{BARE, TEARDOWN};
use crate::support::Sandbox;

#[test]
fn a_node_group_on_private_subnets_lives_from_nothing_to_nothing() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.configure(&json!({"eks_unsupported_zones": ["us-east-1a"]}));
    bootstrap_makes_nodes_in_zones_that_eks_serves(&sandbox);
    what_is_not_asked_for_again_stays(&sandbox);
    what_cannot_be_changed_is_refused(&sandbox);
    what_can_be_changed_is_set_right(&sandbox);
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    BARE.iter().chain(more).copied().collect()
}

fn bootstrap_makes_nodes_in_zones_that_eks_serves(sandbox: &Sandbox) {
    let flags = ["--compute", "nodegroup", "--private-nodes", "--hpa-sync-period", "10s"];
    sandbox.json(&with(&flags));
    let inventory = sandbox.inventory();
    assert_eq!(inventory["subnet"].as_array().map(Vec::len), Some(4), "{inventory}");
    assert_eq!(
        inventory["nat_gateway"].as_array().map(Vec::len),
        Some(1),
        "{inventory}"
    );
    let call = "describe_nodegroup(clusterName='demo', nodegroupName='provisioner')['nodegroup']";
    let group = sandbox.aws("eks", call);
    assert_eq!(group["status"], "ACTIVE", "{group}");
    let subnets = sandbox.aws(
        "ec2",
        &format!("describe_subnets(SubnetIds={})['Subnets']", group["subnets"]),
    );
    let subnets = subnets.as_array().expect("subnets");
    let zones: Vec<_> = subnets.iter().map(|s| s["AvailabilityZone"].as_str()).collect();
    assert!(zones.len() == 2 && !zones.contains(&Some("us-east-1a")), "{zones:?}");
    assert!(subnets.iter().all(|s| s["MapPublicIpOnLaunch"] == false), "private");
    let cluster = sandbox.aws("eks", "describe_cluster(name='demo')['cluster']");
    assert_ne!(cluster["computeConfig"]["enabled"], true, "no Auto Mode beside it");
    let hpa = &cluster["kubeControllerManagerConfig"]["horizontalPodAutoscalerControllerConfig"];
    assert_eq!(hpa["horizontalPodAutoscalerSyncPeriod"], "10s");
}

fn what_is_not_asked_for_again_stays(sandbox: &Sandbox) {
    sandbox.forget_requests();
    sandbox.json(&BARE);
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
}

fn what_cannot_be_changed_is_refused(sandbox: &Sandbox) {
    sandbox.forget_requests();
    sandbox.refused(&with(&["--compute", "auto"]), 2, "compute is nodegroup, not auto");
    sandbox.refused(
        &with(&["--k8s-version", "1.34"]),
        2,
        "Kubernetes version is 1.35, not 1.34",
    );
    let subnets = ["--subnet-ids", "subnet-01234567,subnet-89abcdef"];
    sandbox.refused(&with(&subnets), 2, "subnets are ");
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
}

fn what_can_be_changed_is_set_right(sandbox: &Sandbox) {
    let flags = [
        "--public-access-cidr",
        "203.0.113.0/24",
        "--control-plane-logs",
        "audit",
    ];
    sandbox.json(&with(&flags));
    let updates = ["UpdateClusterConfig", "UpdateClusterConfig"];
    assert_eq!(
        sandbox.mutating_requests(),
        updates,
        "EKS takes one kind of change at a time"
    );
    let vpc = sandbox.aws("eks", "describe_cluster(name='demo')['cluster']['resourcesVpcConfig']");
    assert_eq!(vpc["publicAccessCidrs"], json!(["203.0.113.0/24"]));
}
