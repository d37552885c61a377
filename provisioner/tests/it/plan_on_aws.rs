//! `plan` on EKS: what is to be made, and how what there is differs.

use serde_json::json;
use tokio::runtime::Runtime;

use crate::fake_aws::FakeAws;
use crate::run::Run;
use crate::support::kubernetes::Kubernetes;
use crate::support::registry::{Auth, Registry};

#[test]
fn a_cluster_that_is_still_to_be_made_is_planned_with_all_that_goes_with_it_and_nothing_is_asked() {
    let aws = FakeAws::start();
    let flags = "--cluster demo --region eu-west-1 --create-cluster --compute nodegroup --admin-arn arn:aws:iam::123456789012:user/a";
    let ended = Run::in_workspace(&format!("plan {flags}")).aws(&aws.url).end();
    assert_eq!(ended.code(), 3, "{}", ended.stderr());
    let head = ended.stdout().split("+ create    Namespace").next().unwrap().to_owned();
    insta::assert_snapshot!(head, @r"
    account   123456789012 as arn:aws:iam::123456789012:user/tester
    region    eu-west-1
    stack     demo on cluster demo
    cost      about $0.28 an hour, $6.63 a day (estimate, us-east-1 list prices of 2026-08-01; those of eu-west-1 differ)
              1 x EKS control plane    $0.1000/h
              2 x t3.large             $0.1664/h
              2 x public IPv4 address  $0.0100/h
              0.05 GB in ECR           below $0.0001/h

    + create    foundation `provisioner-demo` (network in a and b, roles)
    + create    cluster `demo` (Kubernetes 1.35, the default; one node group)
    + create    node group `provisioner` (2 x t3.large)
    + create    access entry `arn:aws:iam::123456789012:user/a`
    + create    add-on `metrics-server`
    + create    repository `demo/web-app`
    + build     image `123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/web-app@(known after build)` for linux/amd64
    ");
    assert!(
        ended
            .stdout()
            .contains("+ create    Deployment `web-app/web-app` (not asked of the server)\n")
    );
    only_reads(&aws);
    let stderr = Run::in_workspace("plan --cluster demo --region eu-west-1")
        .aws(&aws.url)
        .end()
        .refused(2);
    assert!(stderr.contains("--create-cluster"), "{stderr}");
    only_reads(&aws);
}

/// An active cluster of the stack, on a network and roles that were brought along.
pub(crate) fn cluster(kubernetes: &Kubernetes) -> String {
    json!({"cluster": {
        "name": "demo", "arn": "arn:aws:eks:eu-west-1:123456789012:cluster/demo", "status": "ACTIVE", "version": "1.35",
        "endpoint": kubernetes.url(), "certificateAuthority": {"data": ""}, "roleArn": "arn:aws:iam::123456789012:role/c",
        "resourcesVpcConfig": {"subnetIds": ["subnet-a", "subnet-b"], "vpcId": "vpc-1"},
        "computeConfig": {"enabled": true, "nodeRoleArn": "arn:aws:iam::123456789012:role/n"},
        "tags": {"provisioner:stack": "demo", "provisioner:created": "true"},
    }})
    .to_string()
}

/// Its repository, whose settings somebody changed.
fn repositories() -> String {
    json!({"repositories": [{
        "repositoryName": "demo/web-app", "repositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/demo/web-app",
        "repositoryUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/web-app", "imageTagMutability": "MUTABLE",
    }]})
    .to_string()
}

#[test]
fn what_differs_on_aws_is_told_beside_what_is_used() {
    let runtime = Runtime::new().unwrap();
    let kubernetes = runtime.block_on(Kubernetes::start());
    let registry = runtime.block_on(Registry::start(Auth::Anonymous));
    let tags = json!({"tags": [{"Key": "provisioner:stack", "Value": "demo"}, {"Key": "provisioner:created", "Value": "true"}]});
    let addon = json!({"addon": {"addonName": "metrics-server", "status": "CREATE_FAILED"}});
    let endpoint = format!("http://{}", registry.address());
    let password =
        json!({"authorizationData": [{"authorizationToken": "QVdTOnNlY3JldA==", "proxyEndpoint": endpoint}]});
    let aws = FakeAws::with(vec![
        ("GET /clusters/demo", 200, cluster(&kubernetes)),
        ("GET /clusters/demo/addons/metrics-server", 200, addon.to_string()),
        ("DescribeRepositories", 200, repositories()),
        ("ListTagsForResource", 200, tags.to_string()),
        (
            "GetLifecyclePolicy",
            400,
            r#"{"__type": "LifecyclePolicyNotFoundException"}"#.to_owned(),
        ),
        ("GetAuthorizationToken", 200, password.to_string()),
    ]);
    let flags =
        "--cluster demo --region eu-west-1 --control-plane-logs audit --admin-arn arn:aws:iam::123456789012:user/a";
    let ended = Run::in_workspace(&format!("plan {flags}")).aws(&aws.url).end();
    assert_eq!(ended.code(), 3, "{}", ended.stderr());
    let text = ended.stdout();
    let (head, objects) = text.split_once("+ create    Namespace").unwrap();
    let told = head.split_once("\n\n").unwrap().1;
    insta::assert_snapshot!(told, @r"
      use       cluster `demo` (Kubernetes 1.35; made by this stack)
    + create    access entry `arn:aws:iam::123456789012:user/a`
    ~ repair    add-on `metrics-server`
      use       repository `demo/web-app`
    ~ set right cluster `demo`: control plane logs are none, not audit
    ~ set right repository `demo/web-app`: tag rules are MUTABLE, not IMMUTABLE_WITH_EXCLUSION (latest*, sha256-*)
    ~ set right repository `demo/web-app`: lifecycle policy is none or another one, not that of provisioner
    + build     image `123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/web-app@(known after build)` for linux/amd64
      skipped   Namespace `web-app` (existed before; used as it is)
    ");
    assert!(
        objects.contains("+ create    Deployment `web-app/web-app`\n"),
        "{objects}"
    );
    only_reads(&aws);
    assert_eq!(kubernetes.changes(), [""; 0]);
}

#[test]
fn a_repository_that_a_newer_version_made_is_refused_before_anything_changes() {
    let tag = |key, value| json!({"Key": key, "Value": value});
    let tags = [
        tag("provisioner:stack", "demo"),
        tag("provisioner:created", "true"),
        tag("provisioner:version", "99.0.0"),
    ];
    let aws = FakeAws::with(vec![
        ("DescribeRepositories", 200, repositories()),
        ("ListTagsForResource", 200, json!({"tags": tags}).to_string()),
    ]);
    for command in ["plan", "bootstrap --yes"] {
        let line = format!("{command} --cluster demo --region eu-west-1 --create-cluster");
        let stderr = Run::in_workspace(&line).aws(&aws.url).end().refused(2);
        assert!(stderr.contains("version of provisioner is 99.0.0"), "{stderr}");
    }
    only_reads(&aws);
}

fn only_reads(aws: &FakeAws) {
    let reads = ["Get", "Describe", "List", "GET "];
    for operation in aws.asked() {
        assert!(reads.iter().any(|read| operation.starts_with(read)), "{operation}");
    }
}
