//! What a teardown meets besides what bootstrap made: what the cluster left behind, and what others put in its way.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

#[test]
fn others_on_the_cluster_keep_it_until_they_are_deleted_by_name_or_by_flag() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    sandbox.kubectl(&["create", "namespace", "team"]);
    let image = "registry.k8s.io/pause:3.10";
    sandbox.kubectl(&["create", "service", "loadbalancer", "theirs", "-n", "team", "--tcp=80"]);
    sandbox.kubectl(&["create", "deployment", "foreign", "-n", "monitoring", "--image", image]);
    // Their load balancer would be orphaned: the cluster stays, the stack goes; the preview says so.
    let preview = foretold(&sandbox, &TEARDOWN);
    let receipt = sandbox.failed_json(&TEARDOWN);
    assert_eq!(names(&preview, &["deletes"]), names(&receipt, &["deleted"]));
    assert_eq!(names(&preview, &["keeps"]), names(&receipt, &["kept", "left"]));
    let left = entry(&receipt, "left", "cluster", "demo");
    assert!(text(left, "reason").contains("Service `team/theirs`"), "{receipt}");
    assert!(text(left, "reason").contains("--delete-foreign"), "{receipt}");
    entry(&receipt, "kept", "Service", "team/theirs");
    entry(&receipt, "kept", "foundation", "provisioner-demo");
    entry(&receipt, "left", "Namespace", "monitoring");
    let next = "provisioner teardown --cluster demo --region us-east-1 --delete-cluster";
    assert_eq!(text(&receipt, "next"), next);
    assert_eq!(sandbox.inventory()["eks"], json!(["demo"]));
    assert_eq!(sandbox.labelled(), "");
    let [given_away, kept] = [data_volume(&sandbox), data_volume(&sandbox)];
    persistent_volume(&sandbox, "given-away", "Delete", &given_away);
    persistent_volume(&sandbox, "kept", "Retain", &kept);
    // With the flag all of it goes but the data that is to be kept; the namespace that held something foreign went with the
    // cluster.
    let mut all = TEARDOWN.to_vec();
    all.push("--delete-foreign");
    let preview = foretold(&sandbox, &all);
    let receipt = sandbox.json(&all);
    // What a living cluster uses is no entry of the preview: it goes with the cluster.
    let (goes, gone) = (names(&preview, &["deletes"]), names(&receipt, &["deleted"]));
    assert!(goes.is_subset(&gone), "{preview} {receipt}");
    assert_eq!(names(&preview, &["keeps"]), names(&receipt, &["kept", "left"]));
    entry(&preview, "deletes", "Service", "team/theirs");
    entry(&receipt, "deleted", "Service", "team/theirs");
    let namespace = entry(&receipt, "deleted", "Namespace", "monitoring");
    assert_eq!(text(namespace, "proof"), "went_with_the_cluster", "{receipt}");
    assert_eq!(receipt["left"], json!([]));
    let named = format!("{kept} (of volume claim team/data)");
    assert!(
        text(entry(&receipt, "kept", "volume", &named), "reason").contains("`Retain`"),
        "{receipt}"
    );
    assert_eq!(sandbox.inventory(), json!({"volume": [kept]}));
    sandbox.reset();
}

#[test]
fn leftovers_go_and_others_in_the_network_block_by_name() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    sandbox.configure(&json!({
        "eks_leak_security_group": true, "eks_leak_network_interfaces": true, "eks_delete_s": 4
    }));
    let vpc = leave_things_behind(&sandbox);
    sandbox.aws("logs", "create_log_group(logGroupName='/aws/eks/demo/cluster')");
    let theirs = their_load_balancer(&sandbox, &vpc);
    let data = data_volume(&sandbox);
    // Interrupted while EKS deletes the cluster: the next run joins that.
    let said = sandbox.interrupted(&TEARDOWN, || status(&sandbox) == "DELETING");
    assert!(
        said.contains("to resume:  provisioner teardown --cluster demo"),
        "{said}"
    );
    let receipt = sandbox.failed_json(&TEARDOWN);
    let kept = entry(&receipt, "kept", "load balancer", "theirs");
    assert!(text(kept, "reason").contains("Owner=alice"), "{receipt}");
    let left = entry(&receipt, "left", "foundation", "provisioner-demo");
    assert!(text(left, "reason").contains("load balancer `theirs`"), "{receipt}");
    let kept = entry(
        &receipt,
        "kept",
        "volume",
        &format!("{data} (of volume claim team/data)"),
    );
    assert!(text(kept, "reason").contains("data of a volume claim"), "{receipt}");
    entry(&receipt, "deleted", "log group", "/aws/eks/demo/cluster");
    for (kind, count) in [
        ("load balancer", 1),
        ("target group", 1),
        ("network interface", 2),
        ("security group", 2),
        ("volume", 1),
    ] {
        assert_eq!(deleted(&receipt, kind), count, "{kind}: {receipt}");
    }
    let inventory = sandbox.inventory();
    assert_eq!(inventory["load_balancer"], json!([theirs]));
    assert_eq!(inventory["cloudformation"], json!(["provisioner-demo"]));
    assert_eq!(inventory["volume"], json!([data]));
    // What is left of network interfaces is that of their load balancer.
    for gone in ["eks", "security_group", "log_group"] {
        assert_eq!(inventory[gone], Value::Null, "{gone}");
    }
    // Once theirs is gone, the same command ends it. No cluster can tell any more what of the data is to be kept.
    sandbox.aws("elbv2", &format!("delete_load_balancer(LoadBalancerArn='{theirs}')"));
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({"volume": [data]}));
    sandbox.aws("ec2", &format!("delete_volume(VolumeId='{data}')"));
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

/// What controllers and EKS would have made: a load balancer with its target group, a security group that names the
/// cluster's and is named by it, a volume. Answers the id of the VPC.
pub(crate) fn leave_things_behind(sandbox: &Sandbox) -> String {
    let found = sandbox.aws("eks", "describe_cluster(name='demo')");
    let network = &found["cluster"]["resourcesVpcConfig"];
    let (vpc, cluster_group) = (text(network, "vpcId"), text(network, "clusterSecurityGroupId"));
    let tags = "[{'Key': 'kubernetes.io/cluster/demo', 'Value': 'owned'}]";
    let group = sandbox.aws(
        "ec2",
        &format!(
            "create_security_group(GroupName='k8s-traffic', Description='x', VpcId='{vpc}', \
             TagSpecifications=[{{'ResourceType': 'security-group', 'Tags': {tags}}}])"
        ),
    );
    let group = text(&group, "GroupId");
    for (of, named) in [(&group, &cluster_group), (&cluster_group, &group)] {
        let rule = format!("[{{'IpProtocol': '-1', 'UserIdGroupPairs': [{{'GroupId': '{named}'}}]}}]");
        for direction in ["ingress", "egress"] {
            let call = format!("authorize_security_group_{direction}(GroupId='{of}', IpPermissions={rule})");
            sandbox.aws("ec2", &call);
        }
    }
    sandbox.aws(
        "ec2",
        &format!(
            "create_volume(AvailabilityZone='us-east-1a', Size=1, \
             TagSpecifications=[{{'ResourceType': 'volume', 'Tags': {tags}}}])"
        ),
    );
    let balancer_tags = "[{'Key': 'eks:eks-cluster-name', 'Value': 'demo'}]";
    let subnets = subnets(sandbox, &vpc);
    sandbox.aws(
        "elbv2",
        &format!("create_load_balancer(Name='k8s-web', Subnets={subnets}, Type='network', Tags={balancer_tags})"),
    );
    sandbox.aws(
        "elbv2",
        &format!("create_target_group(Name='k8s-web', Protocol='TCP', Port=80, VpcId='{vpc}', Tags={balancer_tags})"),
    );
    vpc
}

/// Somebody else's load balancer in our VPC; answers its ARN.
fn their_load_balancer(sandbox: &Sandbox, vpc: &str) -> String {
    let subnets = subnets(sandbox, vpc);
    let made = sandbox.aws(
        "elbv2",
        &format!(
            "create_load_balancer(Name='theirs', Subnets={subnets}, Type='network', Tags=[{{'Key': 'Owner', 'Value': 'alice'}}])"
        ),
    );
    text(&made["LoadBalancers"][0], "LoadBalancerArn")
}

/// A volume as a driver makes it for a volume claim; answers its id.
fn data_volume(sandbox: &Sandbox) -> String {
    let tag = |key: &str, value: &str| format!("{{'Key': '{key}', 'Value': '{value}'}}");
    let tags = [
        tag("kubernetes.io/cluster/demo", "owned"),
        tag("kubernetes.io/created-for/pvc/namespace", "team"),
        tag("kubernetes.io/created-for/pvc/name", "data"),
    ];
    let tags = tags.join(", ");
    let made = sandbox.aws(
        "ec2",
        &format!(
            "create_volume(AvailabilityZone='us-east-1a', Size=1, \
             TagSpecifications=[{{'ResourceType': 'volume', 'Tags': [{tags}]}}])"
        ),
    );
    text(&made, "VolumeId")
}

/// A volume in the cluster's books, with what is to become of it.
fn persistent_volume(sandbox: &Sandbox, name: &str, policy: &str, id: &str) {
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "none",
            "persistentVolumeReclaimPolicy": policy, "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": id},
        },
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("volume.json");
    std::fs::write(&file, volume.to_string()).expect("written");
    sandbox.kubectl(&["create", "-f", file.to_str().expect("a path in UTF-8")]);
}

/// The ids of the VPC's subnets, as Python writes a list.
fn subnets(sandbox: &Sandbox, vpc: &str) -> String {
    let filter = format!("describe_subnets(Filters=[{{'Name': 'vpc-id', 'Values': ['{vpc}']}}])");
    let found = sandbox.aws("ec2", &filter);
    let all = found["Subnets"].as_array().expect("subnets");
    let ids: Vec<String> = all.iter().map(|subnet| text(subnet, "SubnetId")).collect();
    format!("{ids:?}")
}

fn status(sandbox: &Sandbox) -> String {
    let found = sandbox.aws("eks", "list_clusters()");
    if found["clusters"] == json!([]) {
        return "gone".to_owned();
    }
    text(
        &sandbox.aws("eks", "describe_cluster(name='demo')")["cluster"],
        "status",
    )
}

/// What a teardown says that it would do.
fn foretold(sandbox: &Sandbox, args: &[&str]) -> Value {
    let args = [args, &["--dry-run", "--output", "json"]].concat();
    let ended = sandbox.tool(&args, &[]);
    assert_eq!(
        ended.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    serde_json::from_slice(&ended.stdout).expect("JSON")
}

/// Kind and name of all entries of some lists.
fn names(of: &Value, lists: &[&str]) -> BTreeSet<String> {
    let entries = lists.iter().flat_map(|list| of[*list].as_array().expect("a list"));
    entries
        .map(|one| format!("{} {}", text(one, "kind"), text(one, "name")))
        .collect()
}

/// The entry of a list of the receipt.
#[track_caller]
fn entry<'a>(receipt: &'a Value, list: &str, kind: &str, name: &str) -> &'a Value {
    let all = receipt[list].as_array().expect("a list");
    let found = all.iter().find(|one| one["kind"] == kind && one["name"] == name);
    found.unwrap_or_else(|| panic!("{kind} `{name}` is not in `{list}`: {receipt}"))
}

fn deleted(receipt: &Value, kind: &str) -> usize {
    let all = receipt["deleted"].as_array().expect("a list");
    all.iter().filter(|one| one["kind"] == kind).count()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
