//! App, Prometheus, HPA, scale, endpoints.

use super::*;

const BOOTSTRAP: &str = "provisioner bootstrap --cluster demo";
const FORCE: &str = "provisioner bootstrap --cluster demo --force-conflicts";

#[test]
fn pods_that_do_not_run_are_told_with_what_they_say() {
    first(
        &broken(|r| r.deployment = Err(not_found())),
        Hop::Pods,
        Code::NotFound,
        BOOTSTRAP,
    );
    let zero = broken(|r| of(&mut r.deployment)["spec"]["replicas"] = 0.into());
    first(
        &zero,
        Hop::Pods,
        Code::ScaledToZero,
        "kubectl --namespace web-app scale deployment/web-app --replicas=1",
    );
    let none_ready = |r: &mut Readings| {
        of(&mut r.deployment)["status"]["readyReplicas"] = 0.into();
        r.pods = list(&[unready("web-app", "a")]);
    };
    let found = first(
        &broken(none_ready),
        Hop::Pods,
        Code::NotReady,
        "describe pod web-app-5f7d9c8b6-a",
    );
    let says = &found.first().expect("one").says;
    assert!(says.contains("containers with unready status: [app]"), "{says}");
    for (waiting, code, fix) in [
        (
            "CrashLoopBackOff",
            Code::CrashLoop,
            "logs web-app-5f7d9c8b6-a --previous",
        ),
        ("ImagePullBackOff", Code::ImagePull, BOOTSTRAP),
        ("CreateContainerConfigError", Code::Configuration, BOOTSTRAP),
    ] {
        let readings = broken(|r| {
            none_ready(r);
            let state = json!({"waiting": {"reason": waiting, "message": "back-off"}});
            of(&mut r.pods)["items"][0]["status"]["containerStatuses"][0]["state"] = state;
        });
        first(&readings, Hop::Pods, code, fix);
    }
    let unplaced = broken(|r| {
        none_ready(r);
        let message = "0/1 nodes are available: 1 Insufficient cpu.";
        let conditions = json!([condition("PodScheduled", "False", "Unschedulable", message)]);
        of(&mut r.pods)["items"][0]["status"] = json!({"phase": "Pending", "conditions": conditions});
    });
    first(&unplaced, Hop::Pods, Code::Unschedulable, "describe pod");
    let refused = broken(|r| {
        let message = "pods \"web-app-1\" is forbidden: exceeded quota: small";
        let conditions = json!([condition("ReplicaFailure", "True", "FailedCreate", message)]);
        of(&mut r.deployment)["status"] = json!({"replicas": 0, "conditions": conditions});
    });
    first(&refused, Hop::Pods, Code::Refused, "get events");
}

#[test]
fn a_new_pod_beside_ready_ones_is_given_its_time_and_one_that_stays_unready_is_told() {
    let beside = |created: &str| {
        broken(|r| {
            let mut new = unready("web-app", "b");
            new["metadata"]["creationTimestamp"] = created.into();
            r.pods = list(&[pod("web-app", "a"), new]);
        })
    };
    assert!(diagnosed(&beside("2026-11-27T09:59:50Z")).healthy);
    first(
        &beside("2026-11-27T09:59:00Z"),
        Hop::Pods,
        Code::NotReady,
        "describe pod web-app-5f7d9c8b6-b",
    );
}

#[test]
fn labels_and_port_names_that_nobody_looks_for_are_told() {
    let other = broken(|r| {
        of(&mut r.deployment)["spec"]["template"]["metadata"]["labels"]["app"] = "other".into();
    });
    first(&other, Hop::Pods, Code::LabelMismatch, "--recreate");
    let port = broken(|r| {
        of(&mut r.pods)["items"][0]["spec"]["containers"][0]["ports"][0]["name"] = "web".into();
        r.expositions.clear();
    });
    first(&port, Hop::Exposition, Code::PortName, FORCE);
}

#[test]
fn an_app_that_does_not_answer_a_scrape_is_told_unless_prometheus_says_that_it_does() {
    let without = broken(|r| r.expositions[0].1 = Ok("up 1\n".to_owned()));
    first(
        &without,
        Hop::Exposition,
        Code::NoMetric,
        "kubectl get --raw /api/v1/namespaces/web-app/pods/",
    );
    let refused = "error trying to reach service: dial tcp 10.244.0.9:8080: connect: connection refused";
    let refused = broken(|r| r.expositions[0].1 = Err(status(503, "ServiceUnavailable", refused)));
    let found = diagnosed(&refused);
    assert!(found.healthy, "{found}");
    assert_eq!(found.at(Hop::Exposition).expect("it is there").state, State::Unknown);
    let both = broken(|r| {
        r.expositions.clone_from(&refused.expositions);
        let down = "Get \"http://10.244.0.9:8080/metrics\": dial tcp 10.244.0.9:8080: connect: connection refused";
        series(r).targets = targets(&[target("down", down)], 0);
        series(r).up = vector(&["0"]);
    });
    first(
        &both,
        Hop::Exposition,
        Code::ConnectionRefused,
        "logs web-app-5f7d9c8b6-a",
    );
}

#[test]
fn a_prometheus_that_is_not_there_or_does_not_answer_is_told_before_what_it_would_know() {
    let zero = broken(|r| {
        of(&mut r.prometheus)["spec"]["replicas"] = 0.into();
        let none = "no endpoints available for service \"http:prometheus:9090\"";
        series(r).answers = Err(status(503, "ServiceUnavailable", none));
    });
    let found = first(
        &zero,
        Hop::Prometheus,
        Code::ScaledToZero,
        "kubectl --namespace monitoring scale deployment/prometheus --replicas=1",
    );
    for hop in [Hop::Target, Hop::Series] {
        let at = found.at(hop).expect("it is there");
        assert_eq!((at.state, at.code), (State::Unknown, Code::NotAsked));
    }
    first(
        &broken(|r| r.prometheus = Err(not_found())),
        Hop::Prometheus,
        Code::NotFound,
        BOOTSTRAP,
    );
    let hangs = broken(|r| series(r).answers = Err(silence()));
    first(&hangs, Hop::Prometheus, Code::Timeout, BOOTSTRAP);
}

#[test]
fn a_prometheus_of_others_is_unknown_where_it_cannot_be_asked() {
    let outside = broken(|r| {
        r.foreign = Some("https://prom.example.org".parse().expect("a URL"));
        r.prometheus = Err(not_found());
        r.series = None;
    });
    let found = diagnosed(&outside);
    assert!(found.healthy && found.unknown == 3, "{found}");
    let credentials = broken(|r| {
        r.foreign = Some("http://prom.obs.svc:9090".parse().expect("a URL"));
        series(r).answers = Err(status(401, "Unauthorized", "no"));
    });
    let found = diagnosed(&credentials);
    let at = found.at(Hop::Prometheus).expect("it is there");
    assert_eq!((at.state, at.code), (State::Unknown, Code::NotAllowed), "{found}");
    let gone = broken(|r| {
        r.foreign = Some("http://prom.obs.svc:9090".parse().expect("a URL"));
        series(r).answers = Err(status(404, "NotFound", "services \"prom\" not found"));
    });
    first(&gone, Hop::Prometheus, Code::NotFound, "kubectl get services");
    let no_job = broken(|r| {
        r.foreign = Some("http://prom.obs.svc:9090".parse().expect("a URL"));
        series(r).targets = targets(&[], 0);
        series(r).up = vector(&[]);
    });
    first(
        &no_job,
        Hop::Target,
        Code::NoTarget,
        "--prometheus-url http://prom.obs.svc:9090",
    );
}

#[test]
fn a_target_that_is_down_says_why_and_one_that_is_missing_too() {
    for (error, code) in [
        (
            "Get \"http://10.244.0.9:8080/metrics\": context deadline exceeded",
            Code::Timeout,
        ),
        ("server returned HTTP status 404 Not Found", Code::HttpError),
        (
            "dial tcp 10.244.0.9:9999: connect: connection refused",
            Code::ConnectionRefused,
        ),
        ("invalid metric type \"x\"", Code::TargetDown),
    ] {
        let down = broken(|r| {
            series(r).targets = targets(&[target("down", error)], 0);
            series(r).up = vector(&["0"]);
        });
        let fix = if code == Code::Timeout {
            "describe networkpolicies"
        } else {
            FORCE
        };
        let found = first(&down, Hop::Target, code, fix);
        assert!(found.first().expect("one").says.contains(error), "{found}");
    }
    let dropped = broken(|r| {
        series(r).targets = targets(&[], 2);
        series(r).up = vector(&[]);
    });
    first(&dropped, Hop::Target, Code::PortName, FORCE);
    let none = broken(|r| {
        series(r).targets = targets(&[], 0);
        series(r).up = vector(&[]);
    });
    first(&none, Hop::Target, Code::NoTarget, FORCE);
    // It goes on with the pods that it knew until its watch ends.
    let forbidden = broken(|r| r.rights[0].allowed = Some(false));
    let found = first(&forbidden, Hop::Target, Code::Forbidden, BOOTSTRAP);
    let says = &found.first().expect("one").says;
    assert_eq!(
        says,
        "service account `monitoring/prometheus` may not list pods in web-app"
    );
    assert!(
        diagnosed(&broken(|r| r.rights[0].allowed = None)).healthy,
        "what cannot be asked is no fault"
    );
}

#[test]
fn samples_that_are_missing_old_or_too_far_apart_are_told_with_their_age() {
    let none = broken(|r| {
        series(r).ages = vector(&[]);
        series(r).last = vector(&[]);
    });
    first(&none, Hop::Series, Code::NoSeries, "api/v1/targets");
    let ended = broken(|r| {
        series(r).ages = vector(&[]);
        series(r).last = vector(&["130.2"]);
    });
    let found = first(&ended, Hop::Series, Code::Stale, "kubectl get --raw");
    assert_eq!(found.first().expect("one").age_s, Some(130.2));
    first(
        &broken(|r| series(r).ages = vector(&["41"])),
        Hop::Series,
        Code::Stale,
        "kubectl get --raw",
    );
    let slow = broken(|r| {
        let mut every_minute = target("up", "");
        every_minute["scrapeInterval"] = "1m".into();
        series(r).targets = targets(&[every_minute], 0);
        series(r).ages = vector(&["31"]);
    });
    let found = first(&slow, Hop::Series, Code::SlowScrape, FORCE);
    let says = &found.first().expect("one").says;
    assert!(says.contains("every 60 s") && says.contains("the last 3.0 s"), "{says}");
}

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
