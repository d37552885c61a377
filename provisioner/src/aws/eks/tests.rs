mod delete;
mod nodegroup;
mod options;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::aws::fake::{Record, Wire, demo, error};
use crate::report::{Event, Ledger, Silent};

const DESCRIBE: &str = "GET /clusters/demo";
const CREATE: &str = "POST /clusters";
const ENTRY: &str = "arn:aws:iam::123456789012:role/ci";

fn cluster(status: &str, ours: bool) -> Value {
    let tags = if ours { json!(demo().aws_tags()) } else { json!({}) };
    json!({"cluster": {
        "name": "demo", "arn": "arn:aws:eks:eu-central-1:123456789012:cluster/demo", "status": status,
        "version": "1.34", "createdAt": 1_800_000_000, "tags": tags,
        "endpoint": "https://127.0.0.1:6443", "certificateAuthority": {"data": STANDARD.encode("PEM")},
        "resourcesVpcConfig": {"vpcId": "vpc-1", "subnetIds": ["subnet-a", "subnet-b"]},
        "computeConfig": {"enabled": true, "nodeRoleArn": "arn:n"}, "roleArn": "arn:c",
    }})
}

fn absent() -> String {
    error("ResourceNotFoundException", "No cluster found for name: demo.")
}

fn foundation() -> Foundation {
    Foundation {
        vpc_id: Some("vpc-1".to_owned()),
        subnet_ids: vec!["subnet-a".to_owned(), "subnet-b".to_owned()],
        cluster_role_arn: "arn:c".to_owned(),
        node_role_arn: "arn:n".to_owned(),
        compute: Compute::Auto,
    }
}

async fn run(wire: &Wire, spec: ClusterSpec) -> Result<(EksCluster, Outcome), AwsError> {
    run_on(&wire.aws(), &foundation(), &spec, &Silent).await
}

async fn run_on(
    aws: &Aws,
    foundation: &Foundation,
    spec: &ClusterSpec,
    report: &dyn Reporter,
) -> Result<(EksCluster, Outcome), AwsError> {
    let order = Order {
        cluster: "demo",
        stack: &demo(),
        foundation,
        spec,
        known: Known::default(),
    };
    ensure(aws, order, report).await
}

fn spec(version: Option<&str>, admins: &[&str]) -> ClusterSpec {
    ClusterSpec {
        kubernetes_version: version.map(str::to_owned),
        admin_arns: admins.iter().map(|a| (*a).to_owned()).collect(),
        ..ClusterSpec::default()
    }
}

fn appears() -> Wire {
    Wire::default()
        .on(VERSIONS, 200, versions())
        .on(DESCRIBE, 404, absent())
        .on(DESCRIBE, 200, cluster("CREATING", true))
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
}

const VERSIONS: &str = "GET /cluster-versions";

fn versions() -> Value {
    json!({"clusterVersions": [
        {"clusterVersion": "1.36", "defaultVersion": false, "versionStatus": "STANDARD_SUPPORT"},
        {"clusterVersion": "1.35", "defaultVersion": true, "versionStatus": "STANDARD_SUPPORT"},
        {"clusterVersion": "1.34", "defaultVersion": false, "versionStatus": "STANDARD_SUPPORT"},
        {"clusterVersion": "1.33", "defaultVersion": false, "versionStatus": "EXTENDED_SUPPORT"},
    ]})
}

#[tokio::test]
async fn a_missing_cluster_is_created_in_auto_mode_with_the_default_version() {
    let wire = appears().on(CREATE, 200, cluster("CREATING", true));
    let (made, outcome) = run(&wire, ClusterSpec::default()).await.expect("created");
    assert_eq!(outcome, Outcome::Created);
    assert_eq!(made.ca_pem.as_deref(), Some(b"PEM".as_slice()));
    assert_eq!(made.vpc_id.as_deref(), Some("vpc-1"));
    let sent: Value = serde_json::from_str(&wire.body(CREATE)).expect("JSON");
    assert_eq!(sent["version"], "1.35");
    assert_eq!(sent["computeConfig"]["enabled"], true);
    assert_eq!(sent["computeConfig"]["nodePools"], json!(["general-purpose"]));
    assert_eq!(sent["kubernetesNetworkConfig"]["elasticLoadBalancing"]["enabled"], true);
    assert_eq!(sent["storageConfig"]["blockStorage"]["enabled"], true);
    assert_eq!(sent["accessConfig"]["authenticationMode"], "API");
    assert_eq!(sent["upgradePolicy"]["supportType"], "STANDARD");
    assert_eq!(sent["tags"]["provisioner:created"], "true");
}

#[tokio::test]
async fn what_is_known_is_not_asked_for_again() {
    let wire = Wire::default().on(DESCRIBE, 200, cluster("ACTIVE", true));
    let aws = wire.aws();
    let found = find(&aws, "demo", &demo()).await.expect("read").expect("there");
    let order = Order {
        cluster: "demo",
        stack: &demo(),
        foundation: &foundation(),
        spec: &ClusterSpec::default(),
        known: Known {
            found: Some(&found),
            ..Known::default()
        },
    };
    let (_, outcome) = ensure(&aws, order, &Silent).await.expect("there");
    assert_eq!(outcome, Outcome::Unchanged);
    assert_eq!(wire.calls(), [DESCRIBE], "by this test alone");
}

#[tokio::test]
async fn second_run_changes_nothing() {
    let wire = Wire::default().on(DESCRIBE, 200, cluster("ACTIVE", true));
    let (_, outcome) = run(&wire, ClusterSpec::default()).await.expect("there");
    assert_eq!(outcome, Outcome::Unchanged);
    assert_eq!(wire.calls(), [DESCRIBE]);
}

#[tokio::test]
async fn a_creation_under_way_is_joined_and_a_deletion_waited_out() {
    let wire = Wire::default()
        .on(DESCRIBE, 200, cluster("DELETING", true))
        .on(DESCRIBE, 404, absent())
        .on(DESCRIBE, 200, cluster("CREATING", true))
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
        .on(VERSIONS, 200, versions())
        .on(CREATE, 409, error("ResourceInUseException", "exists"));
    let (_, outcome) = run(&wire, spec(Some("1.34"), &[])).await.expect("joined");
    assert_eq!(outcome, Outcome::Created);
    assert_eq!(wire.calls(), [DESCRIBE, DESCRIBE, VERSIONS, CREATE, DESCRIBE, DESCRIBE]);
}

#[tokio::test]
async fn roles_that_are_not_seen_yet_are_waited_for() {
    let message =
        "Role with arn: arn:c, could not be assumed because it does not exist or the trusted entity is not correct";
    let wire = appears()
        .on(CREATE, 400, error("InvalidParameterException", message))
        .on(CREATE, 400, error("InvalidParameterException", message))
        .on(CREATE, 200, cluster("CREATING", true));
    run(&wire, spec(Some("1.34"), &[])).await.expect("created");
    assert_eq!(wire.calls().iter().filter(|c| *c == CREATE).count(), 3);
}

#[tokio::test]
async fn roles_that_are_never_seen_end_with_the_words_of_eks() {
    let refusal = error("InvalidParameterException", "Error in role params");
    let wire = Wire::default()
        .on(DESCRIBE, 404, absent())
        .on(VERSIONS, 200, versions())
        .on(CREATE, 400, refusal);
    let aws = Aws {
        timeout: std::time::Duration::from_millis(20),
        ..wire.aws()
    };
    let done = run_on(&aws, &foundation(), &spec(Some("1.34"), &[]), &Silent).await;
    insta::assert_snapshot!(done.expect_err("never"), @"cannot create cluster `demo`: InvalidParameterException: Error in role params (request id req-1)");
}

#[tokio::test]
async fn a_session_that_ends_while_waiting_is_told_as_such() {
    let over = error(
        "ExpiredTokenException",
        "The security token included in the request is expired",
    );
    let wire = Wire::default()
        .on(DESCRIBE, 200, cluster("CREATING", true))
        .on(DESCRIBE, 403, over);
    let ended = run(&wire, ClusterSpec::default()).await.expect_err("over");
    assert!(matches!(ended, AwsError::SessionOver(_)), "{ended:?}");
    assert!(!ended.is_configuration(), "the cluster is being created");
    insta::assert_snapshot!(ended, @"the AWS session ended on the way: cannot look up cluster `demo`: ExpiredTokenException: The security token included in the request is expired (request id req-1)");
    assert!(ended.hint().is_some_and(|hint| hint.contains("resume")));
}

#[tokio::test]
async fn other_refusals_are_not_repeated() {
    let refusals = [
        (
            "InvalidParameterException",
            400,
            "The subnet ID 'subnet-a' does not exist",
        ),
        (
            "ResourceLimitExceededException",
            400,
            "You've reached your quota of clusters",
        ),
        (
            "AccessDeniedException",
            403,
            "User: u is not authorized to perform: iam:PassRole on resource: arn:c",
        ),
    ];
    let mut hints = Vec::new();
    for (code, status, message) in refusals {
        let wire = Wire::default()
            .on(DESCRIBE, 404, absent())
            .on(VERSIONS, 200, versions())
            .on(CREATE, status, error(code, message));
        let refused = run(&wire, spec(Some("1.34"), &[])).await.expect_err(code);
        assert_eq!(wire.calls(), [DESCRIBE, VERSIONS, CREATE], "{code}");
        hints.push(refused.hint().unwrap_or_default());
    }
    insta::assert_snapshot!(hints.join("\n"), @r#"

    the quota `Clusters` of Amazon EKS is used up: delete something, or raise it in Service Quotas; trying again does not help
    the credentials need `iam:PassRole`; docs/iam/bootstrap.json has the whole policy
    "#);
}

#[tokio::test]
async fn a_failed_cluster_tells_why() {
    let mut failed = cluster("FAILED", true);
    failed["cluster"]["health"] = json!({"issues": [
        {"code": "ClusterUnreachable", "message": "no route", "resourceIds": ["subnet-a"]},
    ]});
    let wire = Wire::default().on(DESCRIBE, 200, failed);
    let error = run(&wire, ClusterSpec::default()).await.expect_err("failed");
    insta::assert_snapshot!(error, @"cluster `demo` is FAILED: ClusterUnreachable: no route (subnet-a)");
    assert!(error.hint().is_some_and(|h| h.contains("teardown --delete-cluster")));
}

#[tokio::test]
async fn administrators_get_access_once() {
    let list = format!(
        "GET /clusters/demo/access-entries/{}/access-policies",
        ENTRY.replace(':', "%3A").replace('/', "%2F")
    );
    let policies = json!({"associatedAccessPolicies": [{
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        "accessScope": {"type": "cluster", "namespaces": []},
    }]});
    let associate = list.replace("GET", "POST");
    let wire = Wire::default()
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
        .on(&list, 404, absent())
        .on(&list, 200, policies)
        .on("POST /clusters/demo/access-entries", 200, "{}")
        .on(&associate, 200, "{}");
    let admin = spec(None, &["arn:aws:sts::123456789012:assumed-role/ci/run"]);
    assert_eq!(run(&wire, admin.clone()).await.expect("changed").1, Outcome::Updated);
    let before = wire.calls().len();
    assert_eq!(run(&wire, admin).await.expect("same").1, Outcome::Unchanged);
    assert_eq!(wire.calls()[before..], [DESCRIBE.to_owned(), list]);
}

#[tokio::test]
async fn a_foreign_cluster_is_used_without_marks() {
    let wire = Wire::default().on(DESCRIBE, 200, cluster("ACTIVE", false));
    let record = Record::default();
    let wanted = spec(Some("1.99"), &[ENTRY]);
    let aws = wire.aws();
    let done = run_on(&aws, &foundation(), &wanted, &record).await;
    let (found, outcome) = done.expect("used");
    assert_eq!((found.created_by_us, outcome), (false, Outcome::Unchanged));
    let addon = ensure_addon(&aws, &found, &demo(), "metrics-server", &record).await;
    assert_eq!(addon.expect("skipped"), Outcome::Skipped);
    assert_eq!(wire.calls(), [DESCRIBE]);
    let events = record.0.lock().expect("lock");
    assert!(events.iter().all(|e| matches!(e, Event::Warning { .. })) && events.len() == 2);
}

#[tokio::test]
async fn an_addon_is_created_in_its_default_version_and_then_left() {
    const ADDON: &str = "GET /clusters/demo/addons/metrics-server";
    let versions = json!({"addons": [{"addonName": "metrics-server", "addonVersions": [
        {"addonVersion": "v0.9", "compatibilities": [{"defaultVersion": false}]},
        {"addonVersion": "v0.8", "compatibilities": [{"defaultVersion": true}]},
    ]}]});
    let wire = Wire::default()
        .on(ADDON, 404, absent())
        .on(
            ADDON,
            200,
            json!({"addon": {"addonName": "metrics-server", "status": "DEGRADED"}}),
        )
        .on("GET /addons/supported-versions", 200, versions)
        .on("POST /clusters/demo/addons", 200, "{}");
    let aws = wire.aws();
    let Value::Object(found) = cluster("ACTIVE", true) else {
        panic!("an object")
    };
    let wire_cluster = Wire::default().on(DESCRIBE, 200, Value::Object(found));
    let found = find(&wire_cluster.aws(), "demo", &demo())
        .await
        .expect("found")
        .expect("there");
    let first = ensure_addon(&aws, &found, &demo(), "metrics-server", &Silent).await;
    assert_eq!(first.expect("created"), Outcome::Created);
    let sent: Value = serde_json::from_str(&wire.body("POST /clusters/demo/addons")).expect("JSON");
    assert_eq!(sent["addonVersion"], "v0.8");
    assert_eq!(sent["resolveConflicts"], "OVERWRITE");
    let second = ensure_addon(&aws, &found, &demo(), "metrics-server", &Silent).await;
    assert_eq!(second.expect("left"), Outcome::Unchanged);
}

#[tokio::test]
async fn a_cluster_that_is_waited_for_ends_the_wait_when_it_goes() {
    let report = Record::default();
    let going = Wire::default()
        .on(DESCRIBE, 200, cluster("ACTIVE", true).to_string())
        .on(DESCRIBE, 500, error("ServerException", "later"))
        .on(DESCRIBE, 200, cluster("DELETING", true).to_string());
    deleted(&going.aws(), "demo", &report).await;
    let gone = Wire::default().on(DESCRIBE, 404, absent());
    deleted(&gone.aws(), "demo", &report).await;
    let events = report.0.lock().expect("lock");
    assert!(matches!(&events[0], Event::Note { .. }), "it is no creation under way");
}

#[tokio::test]
async fn a_cluster_whose_creation_is_cut_off_counts_among_what_may_exist() {
    let wire = appears().never(CREATE);
    let ledger = Ledger::new(Arc::new(Silent));
    let asked = async {
        while !wire.calls().iter().any(|call| call == CREATE) {
            tokio::task::yield_now().await;
        }
    };
    let (aws, foundation, spec) = (wire.aws(), foundation(), spec(None, &[]));
    // As a signal does it: the work is dropped.
    tokio::select! {
        _ = run_on(&aws, &foundation, &spec, &ledger) => panic!("ended"),
        () = asked => {}
    }
    assert_eq!(Vec::from_iter(ledger.entries().pending), ["cluster `demo`"]);
}
