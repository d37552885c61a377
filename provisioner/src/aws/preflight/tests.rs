use serde_json::{Value, json};

use super::*;
use crate::aws::fake::{Wire, demo, error, query_error};

const CLUSTER: &str = "GET /clusters/demo";
const ADDON: &str = "GET /clusters/demo/addons/metrics-server";
const VERSIONS: &str = "GET /cluster-versions";
const CATALOGUE: &str = "GET /addons/supported-versions";
const IMAGES: [&str; 2] = ["web-app", "load"];

async fn look(wire: &Wire, create: bool) -> Result<Readings, PreflightError> {
    let (stack, spec) = (demo(), ClusterSpec::default());
    let cluster = WantedCluster {
        name: "demo",
        create,
        spec: &spec,
        addon: "metrics-server",
        network: true,
    };
    let wanted = Wanted {
        stack: &stack,
        cluster: Some(cluster),
        images: &IMAGES,
    };
    read(&wire.aws(), &wanted).await
}

fn password() -> Value {
    json!({"authorizationData": [{"authorizationToken": "QVdTOnNlY3JldA==", "proxyEndpoint": "https://registry"}]})
}

fn zone(name: &str, id: &str, state: &str, kind: &str) -> Zone {
    Zone {
        name: name.to_owned(),
        id: id.to_owned(),
        state: state.to_owned(),
        kind: kind.to_owned(),
    }
}

fn zones() -> String {
    let item = |name: &str, kind: &str| {
        format!(
            "<item><zoneName>{name}</zoneName><zoneId>id</zoneId><zoneState>available</zoneState>\
             <zoneType>{kind}</zoneType><messageSet/></item>"
        )
    };
    format!(
        "<DescribeAvailabilityZonesResponse><requestId>r</requestId><availabilityZoneInfo>{}{}{}\
         </availabilityZoneInfo></DescribeAvailabilityZonesResponse>",
        item("eu-central-1-ham-1a", "local-zone"),
        item("eu-central-1a", "availability-zone"),
        item("eu-central-1b", "availability-zone"),
    )
}

fn no_stack() -> String {
    query_error("ValidationError", "Stack with id provisioner-demo does not exist")
}

/// Nothing exists, everything may be read.
fn empty() -> Wire {
    let absent = error("ResourceNotFoundException", "No cluster found for name: demo.");
    let versions = json!({"clusterVersions": [{"clusterVersion": "1.35", "defaultVersion": true}]});
    let catalogue = json!({"addons": [{"addonVersions": [{"addonVersion": "v1"}]}]});
    Wire::default()
        .on(CLUSTER, 404, absent.clone())
        .on(ADDON, 404, absent)
        .on("DescribeStacks", 400, no_stack())
        .on("DescribeRepositories", 400, error("RepositoryNotFoundException", "no"))
        .on("GetAuthorizationToken", 200, password())
        .on(VERSIONS, 200, versions)
        .on(CATALOGUE, 200, catalogue)
        .on("DescribeAvailabilityZones", 200, zones())
}

fn sorted(mut calls: Vec<String>) -> Vec<String> {
    calls.sort();
    calls
}

#[tokio::test]
async fn everything_that_a_creation_needs_is_read_once() {
    let wire = empty();
    let readings = look(&wire, true).await.expect("read");
    assert_eq!(readings.repositories.len(), 2);
    assert!(readings.repositories.iter().all(|r| r.repository().is_none()));
    let cluster = readings.cluster.expect("asked for");
    assert!(cluster.found.is_none() && cluster.foundation.status().is_none());
    let two = two_zones(&cluster.zones.expect("zones"), "eu-central-1").expect("two");
    assert_eq!(two, ["eu-central-1a", "eu-central-1b"]);
    let version = cluster.versions.expect("versions").choose(&ClusterSpec::default());
    assert_eq!(version.expect("default").name, "1.35");
    let expected = [
        "DescribeAvailabilityZones",
        "DescribeRepositories",
        "DescribeRepositories",
        "DescribeStacks",
        CATALOGUE,
        VERSIONS,
        CLUSTER,
        ADDON,
        "GetAuthorizationToken",
    ];
    assert_eq!(sorted(wire.calls()), expected);
}

#[tokio::test]
async fn a_cluster_that_exists_needs_no_offers() {
    let cluster = json!({"cluster": {
        "name": "demo", "arn": "arn:c", "status": "ACTIVE", "tags": demo().aws_tags(),
        "computeConfig": {"enabled": true},
    }});
    let wire = Wire::default()
        .on(CLUSTER, 200, cluster)
        .on(ADDON, 404, error("ResourceNotFoundException", "no"))
        .on("DescribeStacks", 400, no_stack())
        .on("DescribeRepositories", 400, error("RepositoryNotFoundException", "no"))
        .on("GetAuthorizationToken", 200, password());
    let readings = look(&wire, true).await.expect("read").cluster.expect("asked for");
    assert!(readings.addon.is_some() && readings.versions.is_none() && readings.zones.is_none());
    assert_eq!(wire.calls().len(), 6, "{:?}", wire.calls());
}

#[tokio::test]
async fn parts_of_a_cluster_that_is_going_away_say_nothing_about_the_next() {
    let going = json!({"cluster": {"name": "demo", "arn": "arn:c", "status": "DELETING", "tags": demo().aws_tags()}});
    let wire = empty();
    let addon = json!({"addon": {"addonName": "metrics-server", "status": "ACTIVE"}});
    let wire = Wire::default()
        .on(CLUSTER, 200, going)
        .on(ADDON, 200, addon)
        .otherwise(&wire);
    let readings = look(&wire, true).await.expect("read").cluster.expect("asked for");
    assert!(readings.addon.is_none(), "it is looked up again on the new cluster");
    assert!(readings.versions.is_some());
}

#[tokio::test]
async fn all_refusals_are_told_together_with_action_resource_account_and_policy() {
    let denied = error("AccessDeniedException", "User: x is not authorized");
    let unauthorized =
        "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>";
    let wire = Wire::default()
        .on(CLUSTER, 403, denied.clone())
        .on(ADDON, 403, denied.clone())
        .on("DescribeStacks", 403, query_error("AccessDenied", "no"))
        .on("DescribeRepositories", 400, denied.clone())
        .on("GetAuthorizationToken", 400, denied.clone())
        .on(VERSIONS, 403, denied)
        .on(CATALOGUE, 500, error("ServerException", "later"))
        .on("DescribeAvailabilityZones", 403, unauthorized);
    let refused = look(&wire, true).await.expect_err("refused");
    assert!(refused.is_configuration(), "nothing was changed");
    insta::assert_snapshot!(refused, @r"
    cannot begin: account 123456789012 refuses to `arn:aws:iam::123456789012:user/test`
      cloudformation:DescribeStacks on arn:aws:cloudformation:eu-central-1:123456789012:stack/provisioner-demo/*
      ec2:DescribeAvailabilityZones on *
      ecr:DescribeRepositories on arn:aws:ecr:eu-central-1:123456789012:repository/demo/load
      ecr:DescribeRepositories on arn:aws:ecr:eu-central-1:123456789012:repository/demo/web-app
      ecr:GetAuthorizationToken on *
      eks:DescribeAddon on arn:aws:eks:eu-central-1:123456789012:addon/*/metrics-server/*
      eks:DescribeCluster on arn:aws:eks:eu-central-1:123456789012:cluster/demo
      eks:DescribeClusterVersions on *
      besides, cannot look up the versions of add-on `metrics-server`: ServerException: later (request id req-1)
    ");
    insta::assert_snapshot!(refused.hint().unwrap_or_default(), @"attach the policy in docs/iam/bootstrap.json to `arn:aws:iam::123456789012:user/test`: it has all of them");
}

#[tokio::test]
async fn a_failure_that_is_no_refusal_stays_one() {
    let wire = Wire::default().on(CLUSTER, 500, error("ServerException", "later"));
    let failed = look(&wire, false).await.expect_err("failed");
    assert!(!failed.is_configuration(), "trying again may help: {failed}");
}

#[tokio::test]
async fn credentials_that_ran_out_before_anything_changed_are_a_matter_of_configuration() {
    let over = error(
        "ExpiredTokenException",
        "The security token included in the request is expired",
    );
    let wire = Wire::default().on(CLUSTER, 403, over).otherwise(&empty());
    let failed = look(&wire, false).await.expect_err("failed");
    assert!(failed.is_configuration(), "{failed}");
}

#[test]
fn two_zones_that_eks_serves_are_needed() {
    let served = zone("us-east-1a", "use1-az1", "available", "availability-zone");
    let refused = [
        zone("us-east-1e", "use1-az3", "available", "availability-zone"),
        zone("us-east-1b", "use1-az2", "impaired", "availability-zone"),
        zone("us-east-1-bos-1a", "use1-bos1-az1", "available", "local-zone"),
    ];
    let none = two_zones(&refused, "us-east-1").expect_err("none");
    insta::assert_snapshot!(none, @"cannot create a network in region `us-east-1`: EKS needs 2 zones, usable: none");
    let [first, ..] = refused;
    let one = two_zones(&[first, served], "us-east-1").expect_err("one");
    insta::assert_snapshot!(one, @"cannot create a network in region `us-east-1`: EKS needs 2 zones, usable: us-east-1a");
    assert!(one.is_configuration() && one.hint().is_some());
}

#[test]
fn an_image_for_arm64_alone_is_refused_where_nodes_are_amd64() {
    assert!(check_platform(&["linux/arm64", "linux/amd64"]).is_ok());
    let refused = check_platform(&["linux/arm64"]).expect_err("no node");
    assert!(refused.is_configuration());
    insta::assert_snapshot!(refused, @"cannot run an image for linux/arm64 on nodes that are linux/amd64");
}
