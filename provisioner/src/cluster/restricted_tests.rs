//! Every pod of the stack keeps Pod Security `restricted`, and what the design asks for beyond it.
//!
//! The rules are those of <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.

use serde_json::{Value, json};

use super::object::ObjectRef;
use super::pod_tests::pods;
use super::stack_tests::{objects, values};

/// Kinds of volumes that `restricted` knows.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// Pods that speak to the API server.
const WITH_TOKEN: [&str; 3] = ["custom-metrics-apiserver", "kube-state-metrics", "prometheus"];

/// What a pod's spec breaks of `restricted`. Pure.
fn violations(spec: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut forbid = |is_broken: bool, rule: String| {
        if is_broken {
            broken.push(rule);
        }
    };
    let pod = &spec["securityContext"];
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        forbid(spec[field] == true, format!("pod: {field}"));
    }
    forbid(!pod["sysctls"].is_null(), "pod: sysctls".to_owned());
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().into_iter().flat_map(|v| v.keys());
        for kind in kinds.filter(|k| *k != "name" && !VOLUMES.contains(&k.as_str())) {
            forbid(true, format!("pod: volume {kind}"));
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default();
            for rule in of_container(container, pod) {
                forbid(true, format!("{name}: {rule}"));
            }
        }
    }
    broken
}

fn of_container(container: &Value, pod: &Value) -> Vec<&'static str> {
    let own = &container["securityContext"];
    // A container's own word counts, else the pod's.
    let said = |field: &str| if own[field].is_null() { &pod[field] } else { &own[field] };
    let capabilities = |field: &str| own["capabilities"][field].as_array().cloned().unwrap_or_default();
    let seccomp = said("seccompProfile")["type"].as_str();
    let ports = container["ports"].as_array().cloned().unwrap_or_default();
    let selinux = &said("seLinuxOptions");
    let profile = said("appArmorProfile")["type"].as_str();
    let rules = [
        (own["privileged"] == true, "privileged"),
        (own["allowPrivilegeEscalation"] != false, "allowPrivilegeEscalation"),
        (!capabilities("drop").contains(&json!("ALL")), "capabilities.drop"),
        (
            capabilities("add").iter().any(|c| c != "NET_BIND_SERVICE"),
            "capabilities.add",
        ),
        (said("runAsNonRoot") != true, "runAsNonRoot"),
        (said("runAsUser") == 0, "runAsUser"),
        (
            !matches!(seccomp, Some("RuntimeDefault" | "Localhost")),
            "seccompProfile",
        ),
        (profile == Some("Unconfined"), "appArmorProfile"),
        (
            !selinux["user"].is_null() || !selinux["role"].is_null(),
            "seLinuxOptions",
        ),
        (
            !matches!(own["procMount"].as_str(), None | Some("Default")),
            "procMount",
        ),
        (
            ports.iter().any(|p| p["hostPort"].as_u64().unwrap_or(0) != 0),
            "hostPort",
        ),
    ];
    rules
        .iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, rule)| *rule)
        .collect()
}

/// What the design asks for beyond `restricted`. Pure.
fn beyond(name: &str, spec: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    if spec["automountServiceAccountToken"] != WITH_TOKEN.contains(&name) {
        broken.push("automountServiceAccountToken".to_owned());
    }
    if spec["securityContext"]["runAsUser"]
        .as_u64()
        .is_none_or(|user| user == 0)
    {
        broken.push("runAsUser is not a number above 0".to_owned());
    }
    if spec["securityContext"]["seccompProfile"]["type"] != "RuntimeDefault" {
        broken.push("seccompProfile".to_owned());
    }
    for container in spec["containers"].as_array().into_iter().flatten() {
        if container["securityContext"]["readOnlyRootFilesystem"] != true {
            broken.push("readOnlyRootFilesystem".to_owned());
        }
        if container["securityContext"]["capabilities"] != json!({"drop": ["ALL"]}) {
            broken.push("capabilities".to_owned());
        }
        let limits = &container["resources"]["limits"];
        if limits["cpu"].is_null() || limits["memory"].is_null() {
            broken.push("limits".to_owned());
        }
    }
    broken
}

#[test]
fn every_pod_is_restricted_and_has_a_token_only_where_it_needs_one() {
    let pods = pods();
    assert!(pods.len() >= 6, "{}", pods.len());
    for (name, template) in pods {
        let own = name.trim_end_matches('`').rsplit('/').next().unwrap_or_default();
        let mut broken = violations(&template["spec"]);
        broken.extend(beyond(own, &template["spec"]));
        assert_eq!(broken, [""; 0], "{name}");
    }
}

#[test]
fn the_judge_knows_every_rule() {
    let good = json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "a", "emptyDir": {}}],
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]}}}],
    });
    assert_eq!(violations(&good), [""; 0]);
    let cases = [
        ("/hostNetwork", json!(true), "pod: hostNetwork"),
        ("/hostPID", json!(true), "pod: hostPID"),
        ("/hostIPC", json!(true), "pod: hostIPC"),
        ("/volumes/0/hostPath", json!({"path": "/"}), "pod: volume hostPath"),
        ("/securityContext/sysctls", json!([{"name": "a"}]), "pod: sysctls"),
        ("/securityContext/runAsNonRoot", json!(false), "c: runAsNonRoot"),
        ("/securityContext/runAsUser", json!(0), "c: runAsUser"),
        (
            "/securityContext/seccompProfile",
            json!({"type": "Unconfined"}),
            "c: seccompProfile",
        ),
        (
            "/securityContext/appArmorProfile",
            json!({"type": "Unconfined"}),
            "c: appArmorProfile",
        ),
        (
            "/securityContext/seLinuxOptions",
            json!({"user": "u"}),
            "c: seLinuxOptions",
        ),
        ("/containers/0/ports", json!([{"hostPort": 80}]), "c: hostPort"),
        ("/containers/0/securityContext/privileged", json!(true), "c: privileged"),
        (
            "/containers/0/securityContext/procMount",
            json!("Unmasked"),
            "c: procMount",
        ),
        ("/containers/0/securityContext/runAsUser", json!(0), "c: runAsUser"),
        (
            "/containers/0/securityContext/allowPrivilegeEscalation",
            json!(null),
            "c: allowPrivilegeEscalation",
        ),
        (
            "/containers/0/securityContext/capabilities/drop",
            json!([]),
            "c: capabilities.drop",
        ),
        (
            "/containers/0/securityContext/capabilities/add",
            json!(["SYS_ADMIN"]),
            "c: capabilities.add",
        ),
    ];
    for (path, value, rule) in cases {
        let mut bad = good.clone();
        let (parent, field) = path.rsplit_once('/').expect("a path");
        bad.pointer_mut(parent).expect("there")[field] = value;
        assert_eq!(violations(&bad), [rule], "{path}");
    }
    let mut bad = good;
    bad["initContainers"] = json!([{"name": "i"}]);
    let of_init = violations(&bad).iter().filter(|rule| rule.starts_with("i: ")).count();
    assert_eq!(of_init, 2);
}

#[test]
fn our_namespaces_let_only_restricted_pods_in_and_warn_of_others() {
    let all = objects(&values());
    let namespaces: Vec<_> = all.iter().filter(|o| ObjectRef::of(o).kind == "Namespace").collect();
    assert_eq!(namespaces.len(), 3);
    for namespace in namespaces {
        let labels = namespace.metadata.labels.clone().unwrap_or_default();
        for mode in ["enforce", "audit", "warn"] {
            let label = format!("pod-security.kubernetes.io/{mode}");
            assert_eq!(labels.get(&label).map(String::as_str), Some("restricted"), "{label}");
        }
    }
}
