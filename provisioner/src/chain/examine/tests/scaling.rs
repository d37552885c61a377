//! HPA, scale, endpoints.

use super::*;

const BOOTSTRAP: &str = "provisioner bootstrap --cluster demo";
const FORCE: &str = "provisioner bootstrap --cluster demo --force-conflicts";

fn with_hpa(change: impl FnOnce(&mut Value)) -> Readings {
    broken(|r| change(&mut of(&mut r.hpas)["items"][0]))
}

#[test]
fn an_hpa_that_asks_for_the_wrong_thing_or_counts_others_is_told() {
    first(&broken(|r| r.hpas = list(&[])), Hop::Hpa, Code::NotFound, BOOTSTRAP);
    let message = "the HPA was unable to compute the replica count: unable to get metric requests: unable to fetch metrics from custom metrics API: the server could not find the metric requests for pods";
    let inactive = condition("ScalingActive", "False", "FailedGetPodsMetric", message);
    let wrong = with_hpa(|hpa| {
        hpa["spec"]["metrics"][0]["pods"]["metric"]["name"] = "requests".into();
        hpa["status"]["conditions"][1] = inactive.clone();
        changed(hpa, "kubectl-patch", &json!({"f:spec": {"f:metrics": {}}}));
    });
    let found = first(&wrong, Hop::Hpa, Code::WrongMetric, FORCE);
    let says = &found.first().expect("one").says;
    assert_eq!(
        says,
        "it asks for `requests`, not for `http_requests_per_second`, changed by `kubectl-patch`"
    );
    // Its controller has not looked at the change: what it says is of the metric before.
    let just = with_hpa(|hpa| hpa["spec"]["metrics"][0]["pods"]["metric"]["name"] = "requests".into());
    first(&just, Hop::Hpa, Code::WrongMetric, FORCE);
    let other = with_hpa(|hpa| hpa["spec"]["scaleTargetRef"]["name"] = "another".into());
    first(&other, Hop::Hpa, Code::WrongTarget, FORCE);
    let two = broken(|r| {
        let mut other = super::super::recorded::hpa();
        other["metadata"]["name"] = "mine".into();
        let first = of(&mut r.hpas)["items"][0].clone();
        r.hpas = list(&[first, other]);
    });
    first(&two, Hop::Hpa, Code::TwoAutoscalers, "delete hpa mine");
    let foreign = broken(|r| {
        let mut job = pod("load", "x");
        job["metadata"]["labels"]["app"] = "web-app".into();
        r.pods = list(&[pod("web-app", "a"), job]);
    });
    first(&foreign, Hop::Hpa, Code::ForeignPods, "label pod load-5f7d9c8b6-x app-");
}

#[test]
fn an_hpa_that_cannot_read_its_metric_says_why() {
    let inactive = |reason: &str, message: &str| condition("ScalingActive", "False", reason, message);
    let said = |reason: &str, message: &str| with_hpa(|hpa| hpa["status"]["conditions"][1] = inactive(reason, message));
    let missing = "unable to get metric http_requests_per_second: no metrics returned from custom metrics API";
    first(
        &said("FailedGetPodsMetric", missing),
        Hop::Hpa,
        Code::MetricUnread,
        "describe hpa web-app-hpa",
    );
    let forbidden = "pods.custom.metrics.k8s.io \"*\" is forbidden: User \"system:serviceaccount:kube-system:horizontal-pod-autoscaler\" cannot get resource";
    first(
        &said("FailedGetPodsMetric", forbidden),
        Hop::Hpa,
        Code::Forbidden,
        BOOTSTRAP,
    );
    let lacking = broken(|r| {
        let right = r.rights.iter_mut().find(|right| right.of == Part::Autoscaler);
        right.expect("one").allowed = Some(false);
    });
    assert!(diagnosed(&lacking).healthy, "a controller under another name reads it");
    first(
        &said(
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero",
        ),
        Hop::Hpa,
        Code::ScaledToZero,
        "scale deployment/web-app",
    );
    let new = with_hpa(|hpa| {
        hpa["status"] = json!({});
        hpa["metadata"]["creationTimestamp"] = "2026-11-27T09:59:50Z".into();
    });
    assert_eq!(diagnosed(&new).at(Hop::Hpa).expect("one").state, State::Unknown);
    let forgotten = with_hpa(|hpa| hpa["status"] = json!({}));
    first(&forgotten, Hop::Hpa, Code::NotLookedAt, "describe hpa");
}

#[test]
fn other_metrics_that_can_be_read_are_nobodys_fault() {
    let cpu = with_hpa(|hpa| {
        let resource = json!([{"type": "Resource", "resource": {"name": "cpu"}}]);
        hpa["spec"]["metrics"] = resource.clone();
        hpa["status"]["currentMetrics"] = resource;
    });
    assert!(diagnosed(&cpu).healthy, "{}", diagnosed(&cpu));
}

#[test]
fn the_maximum_is_a_fault_where_each_pod_has_too_much_to_do_and_else_good_to_know() {
    let at_maximum = |average: &str| {
        broken(|r| {
            let hpa = &mut of(&mut r.hpas)["items"][0];
            hpa["spec"]["maxReplicas"] = 1.into();
            hpa["status"]["conditions"][2] =
                condition("ScalingLimited", "True", "TooManyReplicas", "more than the maximum");
            hpa["status"]["currentMetrics"][0]["pods"]["current"]["averageValue"] = average.into();
        })
    };
    let found = first(
        &at_maximum("50"),
        Hop::Scale,
        Code::AtMaximum,
        "kubectl --namespace web-app patch hpa web-app-hpa --type merge --patch '{\"spec\":{\"maxReplicas\":5}}'",
    );
    assert!(
        found.first().expect("one").says.contains("5.0 times its target"),
        "{found}"
    );
    let full = diagnosed(&at_maximum("10400m"));
    assert!(full.healthy);
    assert_eq!(full.at(Hop::Scale).expect("one").code, Code::AtMaximum);
}

#[test]
fn pods_that_do_not_follow_are_told() {
    let unable = with_hpa(|hpa| {
        hpa["status"]["conditions"][0] = condition(
            "AbleToScale",
            "False",
            "FailedGetScale",
            "the HPA controller was unable to get the target's current scale",
        );
    });
    first(&unable, Hop::Scale, Code::ScaleFailed, "describe hpa");
    let wanting = |since: &str| {
        with_hpa(|hpa| {
            hpa["status"]["desiredReplicas"] = 5.into();
            hpa["status"]["lastScaleTime"] = since.into();
        })
    };
    assert!(
        diagnosed(&wanting("2026-11-27T09:59:50Z")).healthy,
        "they are on their way"
    );
    first(
        &wanting("2026-11-27T09:50:00Z"),
        Hop::Scale,
        Code::Behind,
        "get pods,events",
    );
}

#[test]
fn a_service_that_leads_nowhere_is_told() {
    first(
        &broken(|r| r.service = Err(not_found())),
        Hop::Endpoints,
        Code::NotFound,
        BOOTSTRAP,
    );
    let selector = broken(|r| {
        of(&mut r.service)["spec"]["selector"]["app"] = "other".into();
        r.slices = list(&[json!({"endpoints": null, "ports": null})]);
    });
    first(&selector, Hop::Endpoints, Code::LabelMismatch, FORCE);
    let port = broken(|r| {
        r.slices = list(&[json!({"endpoints": [{"conditions": {"ready": true}}], "ports": null})]);
    });
    first(&port, Hop::Endpoints, Code::PortName, FORCE);
}
