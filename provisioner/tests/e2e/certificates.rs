//! The certificate of the custom metrics API: renewed while the API goes on, and signed by cert-manager where it is there.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::controllers::Controller;
use crate::signer::{self, Signed};
use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const METRICS_API: &str = "apiservice/v1beta1.custom.metrics.k8s.io";
const HOME: &str = "custom-metrics";
const ISSUED: &str = "secret/cm-adapter-issued-certs";
const OWN: &str = "secret/cm-adapter-serving-certs";
const WEBHOOK: &str = "cert-manager-webhook";
const AUTHORITY: &str = "secret/provisioner-ca";

#[test]
fn certificates_are_renewed_while_the_metrics_api_goes_on() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    assert_eq!(served(&sandbox), certificate(&sandbox, OWN));
    assert_eq!(status(&sandbox)["certificate"]["is_due"], false);
    one_that_ends_is_warned_about_and_renewed(&sandbox);
    an_authority_that_ends_is_renewed_and_the_former_one_is_trusted_beside_it(&sandbox);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

fn one_that_ends_is_warned_about_and_renewed(sandbox: &Sandbox) {
    let ours = Signed {
        certificate: certificate(sandbox, AUTHORITY),
        key: secret(sandbox, AUTHORITY, "tls.key"),
    };
    let ending = signer::serving(&ours, (300, 60));
    put(sandbox, OWN, |secret| set_pair(secret, &ending));
    // No pod is restarted for it: a certificate that cert-manager renews is picked up in the same way.
    let pods = pods(sandbox);
    sandbox.until("the adapter reads its files again", || {
        served(sandbox) == ending.certificate
    });
    assert_eq!(self::pods(sandbox), pods);
    let output = sandbox.tool(&["status", "--cluster", "demo"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("run `provisioner bootstrap`, which renews it"), "{said}");
    let summary = answering(sandbox, || sandbox.json(&BOOTSTRAP));
    assert_eq!(summary["changes"]["created"], 0, "{summary}");
    assert_eq!(summary["changes"]["updated"], 2, "Secret and Deployment: {summary}");
    assert_eq!(status(sandbox)["certificate"]["is_due"], false);
    assert_ne!(certificate(sandbox, OWN), ending.certificate);
    assert_eq!(served(sandbox), certificate(sandbox, OWN));
    assert_eq!(certificate(sandbox, AUTHORITY), ours.certificate, "the authority stays");
    let again = sandbox.json(&BOOTSTRAP);
    assert_eq!(again["changes"]["updated"], 0, "{again}");
}

fn an_authority_that_ends_is_renewed_and_the_former_one_is_trusted_beside_it(sandbox: &Sandbox) {
    let former = signer::authority((8 * 365, 2 * 365));
    let served_by_it = signer::serving(&former, (10, 355));
    let bundle = |text: &str| json!(STANDARD.encode(text));
    let both = former.certificate.clone() + &certificate(sandbox, AUTHORITY);
    put(sandbox, METRICS_API, |service| {
        service["spec"]["caBundle"] = bundle(&both);
    });
    put(sandbox, OWN, |secret| set_pair(secret, &served_by_it));
    sandbox.until("it is served", || served(sandbox) == served_by_it.certificate);
    put(sandbox, AUTHORITY, |secret| set_pair(secret, &former));
    put(sandbox, METRICS_API, |service| {
        service["spec"]["caBundle"] = bundle(&former.certificate);
    });
    answering(sandbox, || sandbox.json(&BOOTSTRAP));
    let trusted = trusted(sandbox);
    assert_eq!(trusted.matches("BEGIN CERTIFICATE").count(), 2, "{trusted}");
    assert!(trusted.ends_with(&former.certificate) && !trusted.starts_with(&former.certificate));
    assert_eq!(served(sandbox), certificate(sandbox, OWN));
    assert_ne!(served(sandbox), served_by_it.certificate);
    let again = sandbox.json(&BOOTSTRAP);
    assert_eq!(again["changes"]["updated"], 0, "{again}");
}

/// Its own controllers: nobody is cut off while pods change over, and what it renews is served without a restart.
#[test]
#[ignore = "needs the controllers that `make cert-manager` builds"]
fn the_real_cert_manager_signs_and_renews() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    let ours = trusted(&sandbox);
    define_webhook(&sandbox);
    let kubeconfig = sandbox.kubeconfig().to_str().expect("UTF-8");
    let _running = Controller::start(&sandbox, "cert-manager", &[kubeconfig]);
    let summary = answering(&sandbox, || sandbox.json(&BOOTSTRAP));
    assert!(summary["chain"].is_object(), "{summary}");
    assert_eq!(status(&sandbox)["certificate"]["authority"], "cert-manager");
    assert_ne!(trusted(&sandbox), ours);
    let first = certificate(&sandbox, ISSUED);
    assert_eq!(served(&sandbox), first);
    let again = sandbox.json(&BOOTSTRAP);
    let changes = (&again["changes"]["created"], &again["changes"]["updated"]);
    assert_eq!(changes, (&json!(0), &json!(0)), "{again}");
    answering(&sandbox, || {
        let conditions = ["Ready", "Issuing"].map(|name| json!({"type": name, "status": "True"}));
        let patch = json!({"status": {"conditions": conditions}}).to_string();
        let renewed = [
            "patch",
            "-n",
            HOME,
            "certificate",
            "cm-adapter-serving-certs",
            "--subresource=status",
        ];
        sandbox.kubectl(&[&renewed[..], &["--type=merge", "-p", &patch]].concat());
        sandbox.until("it is renewed", || certificate(&sandbox, ISSUED) != first);
        let second = certificate(&sandbox, ISSUED);
        sandbox.until("the adapter reads its files again", || served(&sandbox) == second);
    });
    let own = [&BOOTSTRAP[..], &["--certificates", "own"]].concat();
    answering(&sandbox, || sandbox.json(&own));
    assert_eq!(served(&sandbox), certificate(&sandbox, OWN));
    sandbox.json(&BOOTSTRAP);
    sandbox.run(&["teardown", "--cluster", "demo", "--yes"]);
    assert_eq!(sandbox.labelled(), "", "what cert-manager made for the stack goes too");
    sandbox.kubectl(&["delete", "validatingwebhookconfiguration", WEBHOOK]);
    sandbox.reset();
}

/// The test plays the controllers of cert-manager, behind kinds of the same names; and nobody at first.
#[test]
fn cert_manager_signs_where_its_kinds_are_and_is_left_again() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    let named = [&BOOTSTRAP[..], &["--certificates", "cert-manager"]].concat();
    let before = sandbox.resource_versions();
    sandbox.refused(&named, 2, "the cluster does not know its kinds");
    assert_eq!(sandbox.resource_versions(), before);
    define_kinds(&sandbox);
    // Kinds alone are what an installation that was removed leaves.
    let summary = sandbox.json(&BOOTSTRAP);
    assert_eq!(summary["changes"]["updated"], 0, "{summary}");
    assert_eq!(status(&sandbox)["certificate"]["authority"], "own");
    define_webhook(&sandbox);
    // Nobody looks at what is made: the run says so, and the next one goes on.
    sandbox.refused(&BOOTSTRAP, 1, "are the pods of cert-manager running?");
    let theirs = signer::authority((1, 3650));
    let summary = beside(|| play_cert_manager(&sandbox, &theirs), || sandbox.json(&BOOTSTRAP));
    assert!(summary["chain"].is_object(), "{summary}");
    assert_eq!(trusted(&sandbox), theirs.certificate);
    assert_eq!(status(&sandbox)["certificate"]["authority"], "cert-manager");
    let again = sandbox.json(&named);
    let changes = (&again["changes"]["created"], &again["changes"]["updated"]);
    assert_eq!(changes, (&json!(0), &json!(0)), "{again}");
    let own = [&BOOTSTRAP[..], &["--certificates", "own"]].concat();
    answering(&sandbox, || sandbox.json(&own));
    assert_eq!(served(&sandbox), certificate(&sandbox, OWN));
    assert_eq!(status(&sandbox)["certificate"]["authority"], "own");
    let again = sandbox.json(&own);
    assert_eq!(again["changes"]["updated"], 0, "{again}");
    sandbox.run(&["teardown", "--cluster", "demo", "--yes"]);
    assert_eq!(sandbox.labelled(), "", "what cert-manager made for the stack goes too");
    sandbox.kubectl(&["delete", "validatingwebhookconfiguration", WEBHOOK]);
    sandbox.reset();
}

/// The mark of an installation: nothing answers for it, and nothing is sent to it.
fn define_webhook(sandbox: &Sandbox) {
    let rule = json!({"apiGroups": ["cert-manager.io"], "apiVersions": ["v1"], "operations": ["CREATE"],
        "resources": ["nothing"]});
    let webhook = json!({"name": "webhook.cert-manager.io", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "failurePolicy": "Ignore", "timeoutSeconds": 1, "clientConfig": {"url": "https://127.0.0.1:9/"},
        "rules": [rule]});
    let all = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": WEBHOOK}, "webhooks": [webhook]});
    apply(sandbox, &all, "tests");
}

fn define_kinds(sandbox: &Sandbox) {
    for (kind, plural) in [("Certificate", "certificates"), ("Issuer", "issuers")] {
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let version = json!({"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": anything}});
        let name = format!("{plural}.cert-manager.io");
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": name}, "spec": {"group": "cert-manager.io", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()}, "versions": [version]}});
        apply(sandbox, &definition, "tests");
        let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd"];
        sandbox.kubectl(&[&established[..], &[&name]].concat());
    }
}

/// Once: what is asked for is signed, said to be ready, and trusted where the annotation says so.
fn play_cert_manager(sandbox: &Sandbox, authority: &Signed) {
    let kinds = "certificates.cert-manager.io,issuers.cert-manager.io";
    let found = sandbox.kubectl(&["get", kinds, "-n", HOME, "-o", "json"]);
    let found: Value = serde_json::from_str(&found).expect("JSON");
    for object in found["items"].as_array().expect("a list") {
        if object["status"].is_object() {
            continue;
        }
        let spec = &object["spec"];
        if spec["isCA"] != true && spec["secretName"].is_string() {
            let signed = signer::serving(authority, (1, 364));
            let metadata = json!({"name": spec["secretName"], "namespace": HOME,
                "labels": spec["secretTemplate"]["labels"]});
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": metadata});
            set_pair(&mut secret, &signed);
            apply(sandbox, &secret, "cert-manager");
        }
        let name = object["metadata"]["name"].as_str().expect("a name");
        let kind = object["kind"].as_str().expect("a kind").to_lowercase();
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}).to_string();
        let patch = [
            "patch",
            "-n",
            HOME,
            &kind,
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &ready,
        ];
        sandbox.kubectl(&patch);
    }
    let service: Value = serde_json::from_str(&sandbox.kubectl(&["get", METRICS_API, "-o", "json"])).expect("JSON");
    let injected = service["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].is_string();
    let bundle = json!(STANDARD.encode(&authority.certificate));
    if injected && service["spec"]["caBundle"] != bundle {
        let patch = json!({"spec": {"caBundle": bundle}}).to_string();
        let injector = "--field-manager=cert-manager-cainjector";
        sandbox.kubectl(&["patch", METRICS_API, injector, "--type=merge", "-p", &patch]);
    }
}

/// Does `work` while `other` is done again and again.
fn beside<T>(other: impl Fn() + Send + Sync, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                other();
                thread::sleep(Duration::from_millis(200));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    })
}

/// Does `work`, and asserts that the metrics API was available all the while.
#[track_caller]
fn answering<T>(sandbox: &Sandbox, work: impl FnOnce() -> T) -> T {
    let seen = std::sync::Mutex::new(BTreeSet::new());
    let available = "jsonpath={.status.conditions[?(@.type==\"Available\")]['status','reason']}";
    let look = || {
        let state = sandbox.kubectl(&["get", METRICS_API, "-o", available]);
        seen.lock().expect("not poisoned").insert(state);
    };
    let result = beside(look, work);
    let seen = seen.into_inner().expect("not poisoned");
    assert!(seen.iter().all(|state| state.starts_with("True")), "{seen:?}");
    result
}

fn status(sandbox: &Sandbox) -> Value {
    sandbox.json(&["status", "--cluster", "demo"])
}

fn pods(sandbox: &Sandbox) -> String {
    sandbox.kubectl(&["get", "pods", "-n", HOME, "-o", "jsonpath={.items[*].metadata.uid}"])
}

/// The certificate that the adapter's newest pod serves, PEM.
fn served(sandbox: &Sandbox) -> String {
    let newest = ["get", "pods", "-n", HOME, "--sort-by=.metadata.creationTimestamp", "-o"];
    let addresses = sandbox.kubectl(&[&newest[..], &["jsonpath={.items[*].status.podIP}"]].concat());
    let address = addresses.split(' ').next_back().unwrap_or_default();
    let program = format!("import ssl; print(ssl.get_server_certificate(('{address}', 6443)), end='')");
    sandbox.python(&program)
}

/// Whom the API server trusts for the metrics API, PEM.
fn trusted(sandbox: &Sandbox) -> String {
    decoded(&sandbox.kubectl(&["get", METRICS_API, "-o", "jsonpath={.spec.caBundle}"]))
}

/// The first certificate of a Secret, PEM.
fn certificate(sandbox: &Sandbox, name: &str) -> String {
    let all = secret(sandbox, name, "tls.crt");
    let first = all.split_inclusive("-----END CERTIFICATE-----\n").next();
    first.unwrap_or_default().to_owned()
}

fn secret(sandbox: &Sandbox, name: &str, key: &str) -> String {
    let path = format!("jsonpath={{.data['{}']}}", key.replace('.', "\\."));
    decoded(&sandbox.kubectl(&["get", "-n", HOME, name, "-o", &path]))
}

fn decoded(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("PEM")
}

fn set_pair(secret: &mut Value, pair: &Signed) {
    secret["data"] = json!({"tls.crt": STANDARD.encode(&pair.certificate), "tls.key": STANDARD.encode(&pair.key)});
}

/// Changes an object in the tool's own name, as a run of it long ago would have left it.
fn put(sandbox: &Sandbox, name: &str, change: impl FnOnce(&mut Value)) {
    let live = sandbox.kubectl(&["get", "-n", HOME, name, "-o", "json"]);
    let live: Value = serde_json::from_str(&live).expect("JSON");
    let mut wanted = live.clone();
    wanted.as_object_mut().expect("an object").remove("status");
    let mut metadata = json!({});
    for field in ["name", "namespace", "labels", "annotations"] {
        if !live["metadata"][field].is_null() {
            metadata[field] = live["metadata"][field].clone();
        }
    }
    wanted["metadata"] = metadata;
    change(&mut wanted);
    apply(sandbox, &wanted, "provisioner");
}

fn apply(sandbox: &Sandbox, object: &Value, manager: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), object.to_string()).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let manager = format!("--field-manager={manager}");
    sandbox.kubectl(&["apply", "--server-side", "--force-conflicts", &manager, "-f", path]);
}
