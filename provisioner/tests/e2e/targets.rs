//! Clusters and registries outside AWS, and what two runs or two owners must not do to each other.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::Sandbox;

const REGISTRY: &str = "127.0.0.1:5000/team";
/// What the sandbox's registry wants.
pub(crate) const CREDENTIALS: &str = "AWS:sandbox-registry";
/// What names AWS in the environment of the flows.
const AWS: [&str; 4] = [
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
];
const METRICS_API: &str = "apiservices/v1beta1.custom.metrics.k8s.io";

/// A person with a kubeconfig, and a registry that they are signed in to.
pub(crate) struct Outside<'a> {
    sandbox: &'a Sandbox,
    docker: tempfile::TempDir,
    /// Whether the environment names AWS all the same: a stray call then reaches the endpoint, which keeps a journal.
    names_aws: bool,
}

impl<'a> Outside<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox) -> Self {
        let docker = tempfile::tempdir().expect("a folder");
        let auth = STANDARD.encode(CREDENTIALS);
        let config = serde_json::json!({"auths": {"127.0.0.1:5000": {"auth": auth}}});
        fs::write(docker.path().join("config.json"), config.to_string()).expect("written");
        Self {
            sandbox,
            docker,
            names_aws: false,
        }
    }

    /// The same person where the environment has endpoint, keys and region of AWS.
    fn beside_aws(sandbox: &'a Sandbox) -> Self {
        Self {
            names_aws: true,
            ..Self::new(sandbox)
        }
    }

    /// Where the sign-in to the registry is kept.
    pub(crate) fn docker_config(&self) -> &Path {
        self.docker.path()
    }

    fn with<T>(&self, run: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let (docker, kubeconfig) = (text(self.docker.path()), text(self.sandbox.kubeconfig()));
        let mut env = vec![("DOCKER_CONFIG", docker.as_str()), ("KUBECONFIG", kubeconfig.as_str())];
        if !self.names_aws {
            env.extend(AWS.map(|name| (name, "")));
        }
        run(&env)
    }

    #[track_caller]
    pub(crate) fn json(&self, verb: &str, more: &[&str]) -> Value {
        self.with(|env| self.sandbox.json_with(&arguments(verb, more), env))
    }

    #[track_caller]
    fn refused(&self, verb: &str, more: &[&str], code: i32, says: &str) {
        self.with(|env| self.sandbox.refused_with(&arguments(verb, more), env, code, says));
    }
}

fn arguments<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![
        verb,
        "--kube-context",
        "sandbox",
        "--registry",
        REGISTRY,
        "--name",
        "demo",
        "--yes",
    ];
    if verb == "bootstrap" {
        all.extend(["--without", "grafana"]);
    }
    all.extend(more);
    all
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn a_stack_outside_aws_needs_a_kubeconfig_and_a_registry_alone() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.forget_requests();
    let outside = Outside::beside_aws(&sandbox);
    two_bootstraps_at_once_make_one_stack(&outside);
    let before = sandbox.resource_versions();
    let summary = outside.json("bootstrap", &[]);
    assert_eq!(summary["changes"]["created"], 0, "{summary}");
    assert_eq!(summary["changes"]["updated"], 0, "{summary}");
    assert!(
        summary["image"]
            .as_str()
            .is_some_and(|image| image.starts_with(&format!("{REGISTRY}/web-app@sha256:")))
    );
    assert_eq!(sandbox.resource_versions(), before);
    let report = outside.json("load", &["--rate", "20", "--duration", "5s"]);
    assert_eq!(report["failed"], 0, "{report}");
    outside.json("status", &[]);
    an_older_binary_changes_nothing(&outside);
    lost_labels_are_given_back_where_asked(&outside);
    outside.json("teardown", &[]);
    assert_eq!(sandbox.labelled(), "");
    assert_eq!(
        sandbox.kubectl(&[
            "get",
            "leases",
            "-A",
            "-l",
            "app.kubernetes.io/part-of=demo",
            "-o",
            "name"
        ]),
        ""
    );
    assert_eq!(sandbox.requests(), serde_json::json!([]), "AWS was not asked");
    let nothing = outside.json("teardown", &[]);
    assert_eq!(nothing["found"], serde_json::json!([]), "{nothing}");
    sandbox.reset();
}

fn two_bootstraps_at_once_make_one_stack(outside: &Outside<'_>) {
    let ends = outside.with(|env| {
        let args = arguments("bootstrap", &["--output", "json"]);
        outside.sandbox.twice_at_once(&args, env)
    });
    let created: Vec<u64> = ends
        .iter()
        .map(|end| {
            let errors = String::from_utf8_lossy(&end.stderr);
            assert!(end.status.success(), "{errors}");
            let summary: Value = serde_json::from_slice(&end.stdout).expect("JSON");
            summary["changes"]["created"].as_u64().expect("a count")
        })
        .collect();
    // One made everything, the other waited for it and found nothing to do; the lease's namespace both may have made.
    assert!(
        created.iter().any(|count| *count <= 1) && created.iter().any(|count| *count > 30),
        "{created:?}"
    );
}

fn an_older_binary_changes_nothing(outside: &Outside<'_>) {
    let sandbox = outside.sandbox;
    let tooling = |version: &str| {
        let annotation = format!("applyset.kubernetes.io/tooling=provisioner/v{version}");
        sandbox.kubectl(&[
            "annotate",
            "--overwrite",
            "secret",
            "provisioner-demo",
            "-n",
            "web-app",
            &annotation,
        ]);
    };
    tooling("99.0.0");
    let before = sandbox.resource_versions();
    outside.refused("bootstrap", &["--reaction", "seed"], 2, "provisioner 99.0.0 applied it");
    outside.refused("teardown", &[], 2, "provisioner 99.0.0 applied it");
    assert_eq!(sandbox.resource_versions(), before);
    tooling(env!("CARGO_PKG_VERSION"));
}

fn lost_labels_are_given_back_where_asked(outside: &Outside<'_>) {
    let sandbox = outside.sandbox;
    let label = "app.kubernetes.io/part-of-";
    sandbox.kubectl(&["label", "service", "web-app-service", "-n", "web-app", label]);
    outside.refused(
        "bootstrap",
        &[],
        2,
        "Service `web-app/web-app-service` was applied by provisioner",
    );
    let summary = outside.json("bootstrap", &["--adopt"]);
    assert_eq!(summary["changes"]["updated"], 1, "{summary}");
}

/// A custom metrics API of others: an answering backend on the host, a Service and an `APIService`.
struct Others(Child);

impl Others {
    fn install(sandbox: &Sandbox) -> Self {
        let folder = sandbox.kubeconfig().parent().expect("a folder").to_owned();
        let certificate = |end: &str| text(&folder.join(format!("pki/apiserver.{end}")));
        let program = format!(
            r#"
import http.server, json, ssl
LIST = {{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "custom.metrics.k8s.io/v1beta1", "resources": []}}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path.split("?")[0] == "/apis/custom.metrics.k8s.io/v1beta1"
        body = json.dumps(LIST if found else {{}}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 18443), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain({:?}, {:?})
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#,
            certificate("crt"),
            certificate("key")
        );
        let backend = Command::new("python3")
            .args(["-c", &program])
            .spawn()
            .expect("python starts");
        let address = sandbox.kubectl(&[
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}",
        ]);
        let manifests = tempfile::tempdir().expect("a folder");
        let file = manifests.path().join("others.yaml");
        fs::write(&file, OTHERS.replace("ADDRESS", &address)).expect("written");
        let others = Self(backend);
        sandbox.kubectl(&["apply", "-f", &text(&file)]);
        sandbox.kubectl(&["wait", "--for=condition=Available", "--timeout=60s", METRICS_API]);
        others
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        // It ends with the test in any case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const OTHERS: &str = r"
{apiVersion: v1, kind: Namespace, metadata: {name: others}}
---
apiVersion: v1
kind: Service
metadata: {name: metrics, namespace: others}
spec: {ports: [{name: https, port: 443, targetPort: 18443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-1, namespace: others, labels: {kubernetes.io/service-name: metrics}}
addressType: IPv4
ports: [{name: https, port: 18443, protocol: TCP}]
endpoints: [{addresses: [ADDRESS], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.custom.metrics.k8s.io, labels: {app.kubernetes.io/managed-by: Helm}}
spec:
  group: custom.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 10
  versionPriority: 10
  insecureSkipTLSVerify: true
  service: {name: metrics, namespace: others}
";

#[test]
fn a_metrics_api_of_others_is_replaced_where_asked_and_given_back() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let outside = Outside::new(&sandbox);
    let others = Others::install(&sandbox);
    let spec = || sandbox.kubectl(&["get", METRICS_API, "-o", "jsonpath={.spec} {.metadata.labels}"]);
    let before = spec();
    outside.refused(
        "bootstrap",
        &[],
        2,
        "APIService `v1beta1.custom.metrics.k8s.io` is managed by `Helm`",
    );
    assert_eq!(spec(), before);
    outside.json("bootstrap", &["--take-over"]);
    assert!(spec().contains("custom-metrics-apiserver"), "{}", spec());
    let again = outside.json("bootstrap", &[]);
    assert_eq!(again["changes"]["updated"], 0, "{again}");
    outside.json("teardown", &[]);
    assert_eq!(spec(), before);
    assert_eq!(sandbox.labelled(), "");
    sandbox.kubectl(&["delete", METRICS_API]);
    sandbox.kubectl(&["delete", "namespace", "others"]);
    drop(others);
    sandbox.reset();
}

#[test]
fn an_eks_cluster_takes_images_of_another_registry_and_has_a_context_while_it_lives() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let outside = Outside::new(&sandbox);
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = folder.path().join("config");
    let own = "apiVersion: v1\nkind: Config\ncurrent-context: mine\ncontexts:\n- name: mine\n  context:\n    cluster: mine\n    user: mine\n";
    fs::write(&kubeconfig, own).expect("written");
    let (docker, file) = (text(outside.docker.path()), text(&kubeconfig));
    let env = [("DOCKER_CONFIG", docker.as_str()), ("KUBECONFIG", file.as_str())];
    let target = ["--cluster", "demo", "--registry", REGISTRY, "--yes"];
    let with = |verb: &'static str, more: &[&'static str]| [&[verb], &target[..], more].concat();
    let made = sandbox.json_with(&with("bootstrap", &["--create-cluster", "--without", "grafana"]), &env);
    assert!(
        made["image"].as_str().is_some_and(|image| image.starts_with(REGISTRY)),
        "{made}"
    );
    assert_eq!(sandbox.inventory()["ecr"], Value::Null, "no repository was made");

    let entry = sandbox.json_with(&["kubeconfig", "--cluster", "demo"], &env);
    let context = entry["context"].as_str().expect("a name");
    let account = made["account"].as_str().expect("an account");
    let expected = format!("demo.us-east-1.{account}.provisioner");
    assert_eq!((context, &entry["current"]), (expected.as_str(), &Value::Bool(false)));
    let nodes = nodes_of(&sandbox, &kubeconfig, context);
    assert!(nodes.starts_with("node/"), "{nodes}");
    let text_of = fs::read_to_string(&kubeconfig).expect("read");
    assert!(!text_of.contains("k8s-aws-v1"), "no token stands in it");
    let again = sandbox.json_with(&["kubeconfig", "--cluster", "demo"], &env);
    assert_eq!(again["outcome"], "unchanged");
    sandbox.json_with(&["kubeconfig", "--cluster", "demo", "--current"], &env);

    sandbox.json_with(&with("teardown", &["--delete-cluster"]), &env);
    let left = fs::read_to_string(&kubeconfig).expect("read");
    assert!(left.contains("name: mine") && !left.contains("demo"), "{left}");
    assert_eq!(sandbox.inventory(), serde_json::json!({}));
    sandbox.reset();
}

/// What kubectl sees with a kubeconfig and a context of it.
fn nodes_of(sandbox: &Sandbox, kubeconfig: &Path, context: &str) -> String {
    let state = sandbox.kubeconfig().parent().expect("a folder");
    let output = Command::new(state.join("bin/kubectl"))
        .args(["--context", context, "get", "nodes", "-o", "name"])
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("kubectl starts");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
