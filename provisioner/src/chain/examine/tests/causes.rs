//! App and Prometheus.

use super::*;

const BOOTSTRAP: &str = "provisioner bootstrap --cluster demo";
/// What makes Prometheus read its configuration anew, before the bootstrap that waits for that.
const ANEW: &str = "--namespace monitoring delete deployment/prometheus";
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
            ANEW
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
    let new = broken(|r| {
        series(r).targets = targets(&[target("unknown", "")], 0);
        series(r).up = vector(&[]);
    });
    let at = diagnosed(&new);
    let at = at.at(Hop::Target).expect("one");
    assert_eq!(
        (at.state, at.code),
        (State::Unknown, Code::NotLookedAt),
        "it has just begun"
    );
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
    let found = first(&slow, Hop::Series, Code::SlowScrape, ANEW);
    let says = &found.first().expect("one").says;
    assert!(says.contains("every 60 s") && says.contains("the last 3.0 s"), "{says}");
}
