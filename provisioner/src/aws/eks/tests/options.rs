use super::*;
use crate::aws::drift::Aspect;
use crate::aws::eks::{Choice, Versions, drift, drift_of_ground};
use std::time::Duration;

const UPDATE: &str = "POST /clusters/demo/update-config";
const UPDATED: &str = "GET /clusters/demo/updates/u-1";

async fn described(body: Value) -> EksCluster {
    let wire = Wire::default().on(DESCRIBE, 200, body);
    let found = find(&wire.aws(), "demo", &demo()).await.expect("found");
    found.expect("there")
}

fn all() -> ClusterSpec {
    ClusterSpec {
        kubernetes_version: Some("1.35".to_owned()),
        public_access_cidrs: vec!["203.0.113.0/24".to_owned()],
        logs: vec!["audit".to_owned()],
        hpa_sync_period: Some(Duration::from_secs(10)),
        ..ClusterSpec::default()
    }
}

fn with_sync_period(min: &str) -> Value {
    let mut versions = versions();
    versions["clusterVersions"][1]["controlPlaneComponentConfig"] = json!({"kubeControllerManagerConfig":
        {"horizontalPodAutoscalerControllerConfig": {"horizontalPodAutoscalerSyncPeriod":
            {"defaultValue": "15s", "constraints": {"min": min, "max": "1m"}}}}});
    versions
}

#[tokio::test]
async fn everything_that_is_asked_for_is_in_the_request() {
    let wire = Wire::default()
        .on(DESCRIBE, 404, absent())
        .on(DESCRIBE, 200, cluster("CREATING", true))
        .on(VERSIONS, 200, with_sync_period("5s"))
        .on(CREATE, 200, cluster("CREATING", true));
    let foundation = Foundation {
        compute: Compute::NodeGroup,
        ..foundation()
    };
    let aws = Aws {
        timeout: Duration::from_millis(20),
        ..wire.aws()
    };
    assert!(
        run_on(&aws, &foundation, &all(), &Silent).await.is_err(),
        "never active"
    );
    let sent: Value = serde_json::from_str(&wire.body(CREATE)).expect("JSON");
    let vpc = &sent["resourcesVpcConfig"];
    assert_eq!(vpc["publicAccessCidrs"], json!(["203.0.113.0/24"]));
    assert_eq!(vpc["endpointPrivateAccess"], true);
    assert_eq!(vpc["subnetIds"], json!(["subnet-a", "subnet-b"]));
    let logs = &sent["logging"]["clusterLogging"];
    assert_eq!(logs[0], json!({"types": ["audit"], "enabled": true}));
    assert_eq!(logs[1]["types"].as_array().map(Vec::len), Some(4));
    let hpa = &sent["kubeControllerManagerConfig"]["horizontalPodAutoscalerControllerConfig"];
    assert_eq!(hpa["horizontalPodAutoscalerSyncPeriod"], "10s");
    assert_eq!(sent["bootstrapSelfManagedAddons"], true);
    assert_eq!(sent["computeConfig"], Value::Null, "no Auto Mode beside a node group");
}

#[tokio::test]
async fn a_version_that_is_not_offered_is_refused_with_those_that_are() {
    for (wanted, note) in [
        ("1.20", ""),
        ("1.33", " but in extended support, at six times the price"),
    ] {
        let wire = Wire::default().on(VERSIONS, 200, versions());
        let offered = Versions::read(&wire.aws()).await.expect("read");
        let refused = offered.choose(&spec(Some(wanted), &[])).expect_err(wanted);
        assert!(refused.is_configuration());
        assert_eq!(
            refused.to_string(),
            format!(
                "EKS does not offer Kubernetes {wanted} in eu-central-1{note}: valid are 1.34, 1.35 (the default), 1.36"
            )
        );
    }
}

#[tokio::test]
async fn a_sync_period_is_refused_where_eks_does_not_offer_it() {
    let period = Duration::from_secs(3);
    let check = async |answer: Value| {
        let wire = Wire::default().on(VERSIONS, 200, answer);
        let offered = Versions::read(&wire.aws()).await.expect("read");
        offered.check_sync_period("1.35", period)
    };
    let refused = check(versions()).await.expect_err("not offered");
    assert!(refused.is_configuration());
    insta::assert_snapshot!(refused, @"EKS does not offer an HPA sync period on Kubernetes 1.35: EKS sets it itself, 15 s where nothing else is known");
    let refused = check(with_sync_period("5s")).await.expect_err("too short");
    insta::assert_snapshot!(refused, @"EKS does not offer an HPA sync period on Kubernetes 1.35: 3s is not within 5s to 60s");
    check(with_sync_period("1s")).await.expect("offered");
    let mut tiers = versions();
    let config = with_sync_period("1s")["clusterVersions"][1]["controlPlaneComponentConfig"].clone();
    tiers["clusterVersions"][1]["controlPlaneScalingTiers"] =
        json!([{"tierName": "tier-xl", "controlPlaneComponentConfigOverrides": config}]);
    let refused = check(tiers).await.expect_err("another tier");
    assert!(
        refused.to_string().ends_with("only in the provisioned tiers tier-xl"),
        "{refused}"
    );
}

#[tokio::test]
async fn drift_names_every_difference_and_what_is_set_right() {
    let mut body = cluster("ACTIVE", true);
    body["cluster"]["resourcesVpcConfig"]["publicAccessCidrs"] = json!(["0.0.0.0/0"]);
    body["cluster"]["tags"]["provisioner:version"] = json!("99.0.0");
    let found = described(body).await;
    let wanted = ClusterSpec {
        compute: Some(Compute::NodeGroup),
        ..all()
    };
    let drifts = drift(&found, &wanted);
    let told: Vec<String> = drifts.iter().map(|d| format!("{d}, {}", d.repaired)).collect();
    let own = env!("CARGO_PKG_VERSION");
    insta::assert_snapshot!(told.join("\n").replace(own, "OWN"), @r#"
    cluster `demo`: version of provisioner is 99.0.0, not OWN or older, false
    cluster `demo`: Kubernetes version is 1.34, not 1.35, false
    cluster `demo`: compute is auto, not nodegroup, false
    cluster `demo`: public access is 0.0.0.0/0, not 203.0.113.0/24, true
    cluster `demo`: control plane logs are none, not audit, true
    cluster `demo`: HPA sync period is the default of EKS, not 10s, true
    "#);
    assert_eq!(
        drift(&found, &ClusterSpec::default()).len(),
        1,
        "only the newer version"
    );
    let ground = drift_of_ground(
        &found,
        &["subnet-b".to_owned(), "subnet-c".to_owned()],
        Some("arn:other"),
    );
    let aspects: Vec<_> = ground.iter().map(|d| d.aspect).collect();
    assert_eq!(aspects, [Aspect::Subnets, Aspect::ClusterRole]);
    let same = ["subnet-b".to_owned(), "subnet-a".to_owned()];
    assert_eq!(drift_of_ground(&found, &same, Some("arn:c")), []);
    let foreign = described(cluster("ACTIVE", false)).await;
    assert_eq!(drift(&foreign, &wanted), []);
}

#[tokio::test]
async fn refused_drift_changes_nothing() {
    let wire = Wire::default().on(DESCRIBE, 200, cluster("ACTIVE", true));
    let refused = run(&wire, all()).await.expect_err("another version");
    assert!(matches!(refused, AwsError::Drift(_)) && refused.is_configuration());
    assert!(refused.hint().is_some_and(|hint| hint.contains("--k8s-version")));
    assert_eq!(wire.calls(), [DESCRIBE]);
}

#[tokio::test]
async fn settings_that_differ_are_set_right_one_at_a_time() {
    let wire = Wire::default()
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
        .on(UPDATE, 200, json!({"update": {"id": "u-1", "status": "InProgress"}}))
        .on(UPDATED, 200, json!({"update": {"id": "u-1", "status": "InProgress"}}))
        .on(UPDATED, 200, json!({"update": {"id": "u-1", "status": "Successful"}}));
    let wanted = ClusterSpec {
        kubernetes_version: None,
        hpa_sync_period: None,
        ..all()
    };
    assert_eq!(run(&wire, wanted).await.expect("updated").1, Outcome::Updated);
    assert_eq!(wire.calls(), [DESCRIBE, UPDATE, UPDATED, UPDATED, UPDATE, UPDATED]);
    let first: Value = serde_json::from_str(&wire.body(UPDATE)).expect("JSON");
    let cidrs = &first["resourcesVpcConfig"]["publicAccessCidrs"];
    assert_eq!(*cidrs, json!(["203.0.113.0/24"]));
    assert_eq!(first["logging"], Value::Null, "EKS takes one kind of change");
}

#[tokio::test]
async fn an_update_that_fails_tells_why() {
    let errors = json!([{"errorCode": "Unknown", "errorMessage": "range is not allowed"}]);
    let wire = Wire::default()
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
        .on(UPDATE, 200, json!({"update": {"id": "u-1", "status": "InProgress"}}))
        .on(
            UPDATED,
            200,
            json!({"update": {"id": "u-1", "status": "Failed", "errors": errors}}),
        );
    let wanted = ClusterSpec {
        logs: vec!["api".to_owned()],
        ..ClusterSpec::default()
    };
    let failed = run(&wire, wanted).await.expect_err("failed");
    insta::assert_snapshot!(failed, @"update of cluster `demo` is Failed: range is not allowed");
}

#[tokio::test]
async fn zones_that_eks_does_not_serve_are_told_with_those_that_it_does() {
    let refusal = json!({"__type": "UnsupportedAvailabilityZoneException", "message": "not in eu-central-1c",
        "validZones": ["eu-central-1a", "eu-central-1b"]});
    let wire = appears_never().on(CREATE, 400, refusal);
    let refused = run(&wire, spec(Some("1.34"), &[])).await.expect_err("refused");
    insta::assert_snapshot!(refused, @"cannot create cluster `demo`: not in eu-central-1c");
    insta::assert_snapshot!(refused.hint().unwrap_or_default(), @"give `--subnet-ids` of two of these zones: eu-central-1a, eu-central-1b");
    assert_eq!(wire.calls(), [DESCRIBE, VERSIONS, CREATE]);
}

fn appears_never() -> Wire {
    Wire::default()
        .on(DESCRIBE, 404, absent())
        .on(VERSIONS, 200, versions())
}

#[test]
fn a_version_that_leaves_standard_support_within_60_days_is_warned_about() {
    let choice = Choice {
        name: "1.34".to_owned(),
        is_default: false,
        standard_until: "2026-12-02T00:00:00Z".parse().ok(),
    };
    let warning = |day: &str| choice.warning(format!("{day}T00:00:00Z").parse().expect("a day"));
    assert_eq!(warning("2026-10-03"), None, "60 days");
    insta::assert_snapshot!(warning("2026-10-04").unwrap_or_default(), @"Kubernetes 1.34 leaves standard support in 59 days, on 2026-12-02: EKS upgrades the cluster by itself then");
    insta::assert_snapshot!(warning("2026-12-01").unwrap_or_default(), @"Kubernetes 1.34 leaves standard support in 1 day, on 2026-12-02: EKS upgrades the cluster by itself then");
    insta::assert_snapshot!(warning("2026-12-03").unwrap_or_default(), @"Kubernetes 1.34 leaves standard support now, on 2026-12-02: EKS upgrades the cluster by itself then");
}
