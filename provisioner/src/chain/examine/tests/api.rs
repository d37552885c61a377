//! The adapter, its certificate, the `APIService`, and what it answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::cluster::certificate::made_for_tests;

const BOOTSTRAP: &str = "provisioner bootstrap --cluster demo";
const FORCE: &str = "provisioner bootstrap --cluster demo --force-conflicts";

/// What the API server says of the API, and that it has no answers then.
fn unavailable(reason: &str, message: &str) -> Readings {
    broken(|r| {
        let available = condition("Available", "False", reason, message);
        of(&mut r.api_service)["status"]["conditions"] = json!([available]);
        let none = status(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        );
        r.metrics = Err(none.clone());
        r.values = Err(none);
    })
}

#[test]
fn an_adapter_that_does_not_run_is_told_before_the_api_that_it_serves() {
    let mut zero = unavailable(
        "MissingEndpoints",
        "endpoints for service/custom-metrics-apiserver in \"custom-metrics\" have no addresses with port name \"https\"",
    );
    of(&mut zero.adapter)["spec"]["replicas"] = 0.into();
    changed(of(&mut zero.adapter), "kubectl", &json!({"f:spec": {"f:replicas": {}}}));
    let found = first(
        &zero,
        Hop::Adapter,
        Code::ScaledToZero,
        "kubectl --namespace custom-metrics scale deployment/custom-metrics-apiserver --replicas=1",
    );
    let says = &found.first().expect("one").says;
    assert!(says.ends_with("is scaled to 0, changed by `kubectl`"), "{says}");
    assert_eq!(found.at(Hop::ApiService).expect("one").code, Code::NoEndpoints);
    assert_eq!(found.at(Hop::Values).expect("one").code, Code::ApiUnavailable);
    let forbidden = broken(|r| {
        let right = r.rights.iter_mut().find(|right| right.of == Part::Adapter);
        right.expect("one").allowed = Some(false);
    });
    first(&forbidden, Hop::Adapter, Code::Forbidden, BOOTSTRAP);
}

#[test]
fn a_certificate_is_looked_at_as_the_api_server_does() {
    let now = scene().now;
    let encoded = |text: &str| json!(STANDARD.encode(text));
    let serving = |certificate: Value| {
        broken(|r| {
            let secret = of(&mut r.serving.1);
            secret["data"]["tls.crt"] = certificate;
            changed(secret, "kubectl-patch", &json!({"f:data": {"f:tls.crt": {}}}));
        })
    };
    let years_ago = made_for_tests(now - jiff::SignedDuration::from_hours(24 * 400));
    let expired = serving(encoded(&years_ago.serving_certificate));
    let found = first(&expired, Hop::Certificate, Code::X509Expired, FORCE);
    assert!(
        found.first().expect("one").says.contains("changed by `kubectl-patch`"),
        "{found}"
    );
    let others = made_for_tests(now);
    first(
        &serving(encoded(&others.serving_certificate)),
        Hop::Certificate,
        Code::X509Untrusted,
        FORCE,
    );
    first(
        &serving(json!("bm9uZQ==")),
        Hop::Certificate,
        Code::X509Unreadable,
        FORCE,
    );
    let bundle = broken(|r| of(&mut r.api_service)["spec"]["caBundle"] = encoded(&others.ca_bundle));
    first(&bundle, Hop::Certificate, Code::X509Untrusted, BOOTSTRAP);
    let gone = broken(|r| r.serving.1 = Err(not_found()));
    first(&gone, Hop::Certificate, Code::NotFound, BOOTSTRAP);
    let theirs = broken(|r| {
        r.serving.0 = Authority::CertManager;
        of(&mut r.serving.1)["data"]["tls.crt"] = encoded(&years_ago.serving_certificate);
    });
    first(
        &theirs,
        Hop::Certificate,
        Code::X509Expired,
        "describe certificates.cert-manager.io",
    );
}

#[test]
fn a_certificate_that_should_have_been_renewed_works_and_is_told() {
    let now = scene().now;
    let old = made_for_tests(now - jiff::SignedDuration::from_hours(24 * 300));
    let due = broken(|r| {
        let text = |pem: &str| json!(STANDARD.encode(pem));
        of(&mut r.serving.1)["data"]["tls.crt"] = text(&old.serving_certificate);
        of(&mut r.api_service)["spec"]["caBundle"] = text(&old.ca_bundle);
    });
    let found = diagnosed(&due);
    let at = found.at(Hop::Certificate).expect("one");
    assert_eq!((at.state, at.code), (State::Pass, Code::Due), "{found}");
    assert_eq!(at.fixes, [BOOTSTRAP]);
    assert!(found.to_string().ends_with(&format!("due: {BOOTSTRAP}\n")), "{found}");
}

#[test]
fn secrets_that_one_may_not_read_are_unknown_and_the_api_server_tells_of_them() {
    let mut hidden = unavailable(
        "FailedDiscoveryCheck",
        "failing or missing response from https://10.96.7.1:443/apis/custom.metrics.k8s.io/v1beta1: Get \"https://10.96.7.1:443/apis/custom.metrics.k8s.io/v1beta1\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
    );
    hidden.serving.1 = Err(status(
        403,
        "Forbidden",
        "secrets \"cm-adapter-serving-certs\" is forbidden",
    ));
    let found = first(&hidden, Hop::ApiService, Code::X509Expired, FORCE);
    let at = found.at(Hop::Certificate).expect("one");
    assert_eq!((at.state, at.code), (State::Unknown, Code::NotAllowed));
}

#[test]
fn an_api_that_does_not_answer_is_told_by_its_class() {
    let get = "failing or missing response from https://10.0.1.9:6443/apis/custom.metrics.k8s.io/v1beta1: Get \"https://10.0.1.9:6443/apis/custom.metrics.k8s.io/v1beta1\": ";
    for (reason, message, code, fix) in [
        (
            "ServiceNotFound",
            "service/custom-metrics-apiserver in \"custom-metrics\" is not present",
            Code::NotFound,
            BOOTSTRAP,
        ),
        (
            "MissingEndpoints",
            "endpoints have no addresses",
            Code::NoEndpoints,
            "get pods,endpointslices",
        ),
        (
            "FailedDiscoveryCheck",
            &format!("{get}dial tcp 10.0.1.9:6443: i/o timeout"),
            Code::Timeout,
            "describe networkpolicies",
        ),
        (
            "FailedDiscoveryCheck",
            &format!("{get}dial tcp 10.0.1.9:6443: connect: connection refused"),
            Code::ConnectionRefused,
            "logs deployment/custom-metrics-apiserver",
        ),
        (
            "FailedDiscoveryCheck",
            "failing or missing response from https://10.0.1.9:6443/apis: bad status from https://10.0.1.9:6443/apis: 403",
            Code::Forbidden,
            BOOTSTRAP,
        ),
    ] {
        first(&unavailable(reason, message), Hop::ApiService, code, fix);
    }
    first(
        &broken(|r| r.api_service = Err(not_found())),
        Hop::ApiService,
        Code::NotFound,
        BOOTSTRAP,
    );
}

#[test]
fn an_api_of_another_product_is_taken_back_in_the_way_that_fits() {
    let taken = |labels: Value| {
        broken(|r| {
            let api = of(&mut r.api_service);
            api["spec"]["service"] = json!({"name": "datadog", "namespace": "dd", "port": 443});
            api["metadata"]["labels"] = labels;
        })
    };
    let edited = taken(json!({"app.kubernetes.io/managed-by": "provisioner"}));
    let found = first(&edited, Hop::ApiService, Code::TakenOver, FORCE);
    assert!(
        found.first().expect("one").says.contains("Service `dd/datadog`"),
        "{found}"
    );
    first(
        &taken(json!({})),
        Hop::ApiService,
        Code::TakenOver,
        "provisioner bootstrap --cluster demo --take-over",
    );
}

#[test]
fn a_metric_that_is_not_listed_says_what_the_adapter_said() {
    let none = json!({"kind": "APIResourceList", "resources": []});
    let unlisted = broken(|r| {
        r.metrics = Ok(none.clone());
        r.adapter_log = Ok("I1127 09:59:58.1 1 serving.go:1] up\nE1127 09:59:59.1 1 provider.go:227] unable to update list of all metrics: unable to fetch metrics for query: dial tcp: lookup prometheus.monitoring.svc: no such host\n".to_owned());
    });
    let found = first(
        &unlisted,
        Hop::Metric,
        Code::NotListed,
        "logs deployment/custom-metrics-apiserver",
    );
    let says = &found.first().expect("one").says;
    assert!(
        says.contains("it said last: unable to update list of all metrics"),
        "{says}"
    );
    let no_rule = broken(|r| {
        r.metrics = Ok(none);
        r.adapter_rules = Ok(json!({"data": {"config.yaml": "rules: []"}}));
    });
    first(
        &no_rule,
        Hop::Metric,
        Code::NoRule,
        "delete deployment/custom-metrics-apiserver",
    );
}

#[test]
fn values_that_are_missing_are_no_zero_and_zero_is_a_value() {
    let missing = broken(|r| {
        r.values = Err(status(
            404,
            "NotFound",
            "the server could not find the metric http_requests_per_second for pods",
        ));
    });
    first(
        &missing,
        Hop::Values,
        Code::NoValue,
        "logs deployment/custom-metrics-apiserver",
    );
    first(&broken(|r| r.values = list(&[])), Hop::Values, Code::NoValue, "logs");
    let value =
        |value: &str| json!({"describedObject": {"kind": "Pod", "name": "web-app-5f7d9c8b6-a"}, "value": value});
    let idle = diagnosed(&broken(|r| r.values = list(&[value("0")])));
    let at = idle.at(Hop::Values).expect("one");
    assert!(idle.healthy);
    assert_eq!((at.code, at.figure.expect("one").value), (Code::NoTraffic, 0.0));
    assert_eq!(at.fixes, ["provisioner load --cluster demo"]);
    let partly = diagnosed(&broken(|r| r.pods = list(&[pod("web-app", "a"), pod("web-app", "b")])));
    let at = partly.at(Hop::Values).expect("one");
    assert_eq!((at.state, at.code), (State::Pass, Code::MissingPods), "{partly}");
    assert!(at.says.contains("none of `web-app-5f7d9c8b6-b`"), "{partly}");
}
