//! The network policies let the stack's own flows through and nothing else. Judged as the API defines policies: a pod
//! that none selects is open, what one of them allows is allowed, and both ends have to agree.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::Value;

use super::object::ObjectRef;
use super::stack_tests::{load_job, objects, values};

/// One end of a connection: a pod, or an address outside of all pods (the API server, a node, the internet).
struct End {
    name: String,
    /// Namespace and labels of a pod.
    pod: Option<(String, BTreeMap<String, String>)>,
}

fn outside(name: &str) -> End {
    let name = name.to_owned();
    End { name, pod: None }
}

fn foreign(name: &str, namespace: &str, label: (&str, &str)) -> End {
    let labels = BTreeMap::from([(label.0.to_owned(), label.1.to_owned())]);
    End {
        name: name.to_owned(),
        pod: Some((namespace.to_owned(), labels)),
    }
}

/// The pods of the stack, with the labels that their templates give them.
fn pods() -> Vec<End> {
    let mut all = objects(&values());
    all.push(load_job());
    let made = all.iter().filter_map(|maker| {
        let labels = maker.data.pointer("/spec/template/metadata/labels")?;
        let labels = serde_json::from_value(labels.clone()).expect("texts");
        Some(End {
            name: ObjectRef::of(maker).name,
            pod: Some((maker.metadata.namespace.clone()?, labels)),
        })
    });
    made.collect()
}

/// A pod of the stack.
fn ours(name: &str, namespace: &str) -> End {
    let found = pods().into_iter().find(|end| end.name == name);
    let found = found.unwrap_or_else(|| panic!("nothing makes pods of {name}"));
    assert_eq!(found.pod.as_ref().map(|pod| pod.0.as_str()), Some(namespace));
    found
}

/// The stack's ends by short names.
fn end(name: &str) -> End {
    match name {
        "app" => ours("web-app", "web-app"),
        "load" => ours("web-app-load", "web-app"),
        "prometheus" => ours("prometheus", "monitoring"),
        "kube-state-metrics" => ours("kube-state-metrics", "monitoring"),
        "grafana" => ours("grafana", "monitoring"),
        "adapter" => ours("custom-metrics-apiserver", "custom-metrics"),
        "dns" => foreign("dns", "kube-system", ("k8s-app", "kube-dns")),
        "neighbour" => foreign("neighbour", "monitoring", ("app", "neighbour")),
        "stranger" => foreign("stranger", "shop", ("app", "shop")),
        "impostor" => foreign("impostor", "shop", ("app", "prometheus")),
        "operator's prometheus" => foreign(
            "operator's prometheus",
            "observability",
            ("app.kubernetes.io/name", "prometheus"),
        ),
        address => outside(address),
    }
}

/// Whether the policies let a connection to a port through. Pure.
fn allowed(policies: &[DynamicObject], from: &End, to: &End, port: (&str, u16)) -> bool {
    side(policies, ("Egress", "egress", "to"), from, to, port)
        && side(policies, ("Ingress", "ingress", "from"), to, from, port)
}

fn side(
    policies: &[DynamicObject],
    (kind, rules, peers): (&str, &str, &str),
    subject: &End,
    peer: &End,
    port: (&str, u16),
) -> bool {
    let Some((namespace, labels)) = &subject.pod else {
        return true;
    };
    let selecting: Vec<&DynamicObject> = policies
        .iter()
        .filter(|p| p.metadata.namespace.as_ref() == Some(namespace))
        .filter(|p| matches(&p.data["spec"]["podSelector"], labels))
        .filter(|p| {
            p.data["spec"]["policyTypes"]
                .as_array()
                .expect("said")
                .contains(&kind.into())
        })
        .collect();
    let lets = |policy: &&DynamicObject| {
        let rules = policy.data["spec"][rules].as_array().cloned().unwrap_or_default();
        rules.iter().any(|rule| {
            let home = policy.metadata.namespace.as_deref().unwrap_or_default();
            any_or_absent(&rule[peers], |one| is_peer(one, home, peer))
                && any_or_absent(&rule["ports"], |one| is_port(one, port))
        })
    };
    selecting.is_empty() || selecting.iter().any(lets)
}

/// A rule without peers, or without ports, means all of them.
fn any_or_absent(list: &Value, one: impl Fn(&Value) -> bool) -> bool {
    list.as_array().is_none_or(|all| all.iter().any(one))
}

fn is_port(rule: &Value, (protocol, port): (&str, u16)) -> bool {
    let same = rule["protocol"].as_str().unwrap_or("TCP") == protocol;
    assert!(rule["endPort"].is_null(), "the judge knows no ranges");
    same && (rule["port"].is_null() || rule["port"].as_u64() == Some(u64::from(port)))
}

fn is_peer(rule: &Value, home: &str, peer: &End) -> bool {
    assert!(rule["ipBlock"].is_null(), "the judge knows no ranges of addresses");
    let Some((namespace, labels)) = &peer.pod else {
        return false;
    };
    let names = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), namespace.clone())]);
    let at_home = match rule.get("namespaceSelector") {
        Some(selector) => matches(selector, &names),
        None => home == namespace,
    };
    at_home && rule.get("podSelector").is_none_or(|selector| matches(selector, labels))
}

fn matches(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    assert!(selector["matchExpressions"].is_null(), "the judge knows no expressions");
    let wanted = selector["matchLabels"].as_object();
    let is = |(key, value): (&String, &Value)| labels.get(key).map(String::as_str) == value.as_str();
    wanted.is_none_or(|all| all.iter().all(is))
}

fn policies(of: &[DynamicObject]) -> Vec<DynamicObject> {
    let is_policy = |o: &&DynamicObject| ObjectRef::of(o).kind == "NetworkPolicy";
    of.iter().filter(is_policy).cloned().collect()
}

/// `from`, `to`, port; UDP where it ends in `u`.
type Flow = (&'static str, &'static str, &'static str);

#[track_caller]
fn judge(policies: &[DynamicObject], flows: &[Flow], wanted: bool) {
    for (from, to, port) in flows {
        let protocol = if port.ends_with('u') { "UDP" } else { "TCP" };
        let number = port.trim_end_matches('u').parse().expect("a port");
        let (from, to) = (end(from), end(to));
        let found = allowed(policies, &from, &to, (protocol, number));
        assert_eq!(found, wanted, "{} -> {} {port}", from.name, to.name);
    }
}

#[test]
fn the_flows_of_the_stack_are_let_through() {
    let flows = [
        ("load", "app", "8080"),
        ("load", "dns", "53u"),
        ("load", "internet", "443"),
        ("load", "stranger", "3000"),
        ("stranger", "app", "8080"),
        ("internet", "app", "8080"),
        ("node", "app", "8080"),
        ("app", "dns", "53u"),
        ("app", "dns", "53"),
        ("prometheus", "app", "8080"),
        ("prometheus", "kube-state-metrics", "8080"),
        ("prometheus", "API server", "443"),
        ("prometheus", "API server", "6443"),
        ("prometheus", "dns", "53u"),
        ("API server", "prometheus", "9090"),
        ("operator's prometheus", "kube-state-metrics", "8080"),
        ("operator's prometheus", "app", "8080"),
        ("kube-state-metrics", "API server", "443"),
        ("kube-state-metrics", "API server", "8443"),
        ("adapter", "API server", "16443"),
        ("API server", "adapter", "6443"),
        ("adapter", "prometheus", "9090"),
        ("adapter", "API server", "443"),
        ("adapter", "dns", "53u"),
        ("grafana", "prometheus", "9090"),
        ("grafana", "dns", "53"),
        ("API server", "grafana", "3000"),
    ];
    judge(&policies(&objects(&values())), &flows, true);
}

#[test]
fn what_is_no_flow_of_the_stack_is_stopped() {
    let flows = [
        ("app", "internet", "443"),
        ("app", "internet", "80"),
        ("app", "API server", "443"),
        ("app", "prometheus", "9090"),
        ("app", "grafana", "3000"),
        ("app", "adapter", "6443"),
        ("app", "stranger", "8080"),
        ("stranger", "app", "9090"),
        ("internet", "app", "22"),
        ("stranger", "load", "8080"),
        ("app", "load", "8080"),
        ("load", "prometheus", "8080"),
        ("prometheus", "internet", "80"),
        ("prometheus", "grafana", "3000"),
        ("prometheus", "stranger", "8080"),
        ("prometheus", "neighbour", "8080"),
        ("prometheus", "app", "9090"),
        ("stranger", "prometheus", "8080"),
        ("stranger", "kube-state-metrics", "8080"),
        ("impostor", "kube-state-metrics", "8080"),
        ("neighbour", "kube-state-metrics", "8080"),
        ("prometheus", "kube-state-metrics", "8081"),
        ("grafana", "kube-state-metrics", "8080"),
        ("kube-state-metrics", "internet", "80"),
        ("kube-state-metrics", "prometheus", "9090"),
        ("adapter", "internet", "80"),
        ("adapter", "impostor", "9090"),
        ("adapter", "neighbour", "9090"),
        ("adapter", "app", "8080"),
        ("API server", "adapter", "443"),
        ("grafana", "internet", "443"),
        ("grafana", "app", "8080"),
        ("grafana", "API server", "443"),
        ("stranger", "grafana", "9090"),
    ];
    judge(&policies(&objects(&values())), &flows, false);
}

#[test]
fn a_prometheus_that_exists_elsewhere_can_be_asked_by_adapter_and_grafana_alone() {
    let mut elsewhere = values();
    elsewhere.prometheus_url = Some("http://prom.example:80".parse().expect("a URL"));
    let policies = policies(&objects(&elsewhere));
    let flows = [
        ("adapter", "operator's prometheus", "9090"),
        ("adapter", "internet", "80"),
        ("grafana", "operator's prometheus", "9090"),
    ];
    judge(&policies, &flows, true);
    judge(&policies, &[("app", "operator's prometheus", "9090")], false);
    judge(&policies, &[("adapter", "internet", "123u")], false);
}

#[test]
fn every_pod_of_the_stack_has_a_policy_for_both_directions_and_no_others_have() {
    let all = objects(&values());
    let policies = policies(&all);
    let pods = pods();
    assert!(pods.len() >= 6, "{}", pods.len());
    for subject in pods {
        let name = &subject.name;
        assert!(!allowed(&policies, &end("internet"), &subject, ("UDP", 9)), "{name}");
        let leaves = allowed(&policies, &subject, &end("internet"), ("UDP", 9));
        assert_eq!(leaves, name == "web-app-load", "{name}");
    }
    let free = end("neighbour");
    assert!(allowed(&policies, &free, &end("internet"), ("UDP", 9)));
    assert!(allowed(&policies, &end("internet"), &free, ("UDP", 9)));
}
