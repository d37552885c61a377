//! `plan`: what a bootstrap would do, told without doing any of it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::run::{Ended, Run};
use crate::support::image::executable;
use crate::support::kubernetes::Kubernetes;
use crate::support::registry::{Auth, Registry};

const APP: &str = "/apis/apps/v1/namespaces/web-app/deployments/web-app";
const HPA: &str = "/apis/autoscaling/v2/namespaces/web-app/horizontalpodautoscalers/web-app-hpa";
const PASSWORD: &str = "/api/v1/namespaces/monitoring/secrets/grafana-admin";

/// A cluster, a registry, and the sources of an app.
pub(crate) struct World {
    pub(crate) kubernetes: Kubernetes,
    registry: Registry,
    workspace: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let world = Self {
            kubernetes: Kubernetes::start().await,
            registry: Registry::start(Auth::Anonymous).await,
            workspace: tempfile::tempdir().unwrap(),
        };
        world.write("Cargo.toml", b"[workspace]\n");
        world.write("Cargo.lock", b"[[package]]\nname = 'app'\nversion = '1.2.3'\n");
        world.write("app/Cargo.toml", b"[package]\n");
        world.write("app/src/main.rs", b"fn main() {}\n");
        world.write("program", &executable(b"one"));
        world
    }

    /// The same after a bootstrap: nothing gets ready here, so that it ends once all is applied.
    pub(crate) async fn bootstrapped() -> Self {
        let world = Self::new().await;
        let ended = world.run("bootstrap --timeout 1s").await;
        assert!(ended.refused(1).contains("not ready"), "{}", ended.stderr());
        assert!(world.built());
        world.kubernetes.take_log();
        world.registry.take_requests();
        world
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.workspace.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Whether cargo was asked to build since the last question.
    fn built(&self) -> bool {
        std::fs::remove_file(self.workspace.path().join("called")).is_ok()
    }

    /// Runs `command` for this world.
    pub(crate) async fn run(&self, command: &str) -> Ended {
        let run = Run::in_workspace(&format!(
            "{command} --kube-context test --name demo --registry {}/team",
            self.registry.address(),
        ));
        let workspace = self.workspace.path().to_str().unwrap();
        let run = run.env("PROVISIONER_WORKSPACE", workspace);
        let run = run.file(".kube/config", &self.kubernetes.kubeconfig());
        tokio::task::spawn_blocking(|| run.end()).await.unwrap()
    }

    /// Runs a plan to this exit code, and makes sure that it did nothing; its result.
    async fn plan(&self, flags: &str, code: i32) -> String {
        let ended = self.run(&format!("plan {flags}")).await;
        assert_eq!(ended.code(), code, "{}{}", ended.stdout(), ended.stderr());
        assert_eq!(self.kubernetes.changes(), [""; 0]);
        assert!(!self.built());
        let sent = self.registry.take_requests().into_iter().map(|request| request.line);
        let sent: Vec<String> = sent
            .filter(|line| !line.starts_with("GET") && !line.starts_with("HEAD"))
            .collect();
        assert_eq!(sent, [""; 0]);
        ended.stdout()
    }

    async fn json(&self, flags: &str, code: i32) -> Value {
        let value: Value = serde_json::from_str(&self.plan(&format!("--output json {flags}"), code).await).unwrap();
        assert_eq!((&value["schema"], &value["changes"]), (&1.into(), &(code == 3).into()));
        value
    }
}

/// The object of a plan.
fn object<'a>(plan: &'a Value, kind: &str, name: &str) -> &'a Value {
    let mut objects = plan["objects"].as_array().unwrap().iter();
    let is_it = |object: &&Value| object["kind"] == kind && object["name"] == name;
    objects
        .find(is_it)
        .unwrap_or_else(|| panic!("no {kind} {name}: {plan}"))
}

/// Objects that would become others.
fn changed(plan: &Value) -> Vec<String> {
    let objects = plan["objects"].as_array().unwrap().iter();
    let changed =
        objects.filter(|object| !["unchanged", "skipped", "kept"].contains(&object["outcome"].as_str().unwrap()));
    changed
        .map(|object| format!("{} {}", object["kind"], object["name"]).replace('"', ""))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_fresh_cluster_everything_is_to_be_made_and_what_cannot_be_asked_is_marked() {
    let world = World::new().await;
    let text = world.plan("", 3).await;
    for line in [
        "context   `test` at http://127.0.0.1:",
        "stack     demo on cluster test",
        "  use       repository `",
        "+ build     image `",
        "/team/web-app@(known after build)` for linux/amd64",
        "+ create    Namespace `monitoring`\n",
        "+ create    Deployment `web-app/web-app`\n",
        "+ create    Deployment `monitoring/prometheus` (not asked of the server)\n",
        "  skipped   Namespace `web-app` (existed before; used as it is)\n",
    ] {
        assert!(text.contains(line), "no `{line}` in: {text}");
    }
    assert!(
        text.trim_end().ends_with(" skipped") && text.contains(" to create, 1 to push, "),
        "{text}"
    );
    let plan = world.json("", 3).await;
    assert_eq!(object(&plan, "Deployment", "web-app")["asked"], true);
    assert_eq!(object(&plan, "Deployment", "prometheus")["asked"], false);
    assert_eq!(plan["image"]["action"], "build");
    assert_eq!(plan["conflicts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_bootstrap_nothing_is_to_be_done_and_it_takes_few_requests() {
    let world = World::bootstrapped().await;
    let applied = world.kubernetes.changes().len();
    assert_eq!(applied, 0, "the log starts anew");
    let plan = world.json("", 0).await;
    assert_eq!(changed(&plan), [""; 0]);
    assert_eq!(plan["image"]["action"], "reuse");
    // One list for each kind, and what is kept on the cluster.
    let kinds: BTreeSet<&str> = plan["objects"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|object| object["kind"].as_str())
        .collect();
    let asked = world.kubernetes.take_log();
    assert!(asked.len() <= kinds.len() + 15, "{asked:#?}");
    let text = world.plan("", 0).await;
    assert!(text.contains("\nno changes: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_dry_run_was_made_of_counts_as_asked() {
    let world = World::bootstrapped().await;
    world
        .kubernetes
        .change(HPA, |hpa| hpa["spec"]["maxReplicas"] = 3.into());
    let kept = "/api/v1/namespaces/monitoring/services/grafana";
    world.kubernetes.change(kept, |service| {
        service["metadata"]["annotations"] = json!({"provisioner/keep": "true"});
    });
    world.kubernetes.take_log();
    let plan = world.json("--without grafana", 3).await;
    let tried = world.kubernetes.take_log();
    let tried = tried.iter().filter(|line| line.contains("dryRun=All"));
    let tried: BTreeSet<&str> = tried.filter_map(|line| line.split(['?', '/']).rev().nth(1)).collect();
    for object in plan["objects"].as_array().unwrap() {
        let name = object["name"].as_str().unwrap();
        assert_eq!(object["asked"] == true, tried.contains(name), "{tried:?}: {object}");
    }
    // Told from the server's record of what was applied, and from what is there.
    for (kind, name) in [
        ("Deployment", "web-app"),
        ("Deployment", "grafana"),
        ("Service", "grafana"),
    ] {
        assert_eq!(object(&plan, kind, name)["asked"], false);
    }
    assert_eq!(object(&plan, "HorizontalPodAutoscaler", "web-app-hpa")["asked"], true);
    let text = world.plan("--without grafana", 3).await;
    assert!(!text.contains("not asked of the server"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_source_is_told_where_its_image_runs() {
    let world = World::bootstrapped().await;
    let before = world.kubernetes.get(APP)["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    world.write("app/src/main.rs", b"fn main() { loop {} }\n");
    let plan = world.json("", 3).await;
    assert_eq!(changed(&plan), ["Deployment web-app"]);
    let fields = object(&plan, "Deployment", "web-app")["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 1, "{fields:?}");
    assert_eq!(
        (&fields[0]["old"], &fields[0]["new"]),
        (&before, &"(known after build)".into())
    );
    // An executable tells its digest without a build.
    let binary = world.workspace.path().join("program");
    let plan = world.json(&format!("--binary {}", binary.display()), 3).await;
    assert_eq!(plan["image"]["action"], "push");
    let image = object(&plan, "Deployment", "web-app")["fields"][0]["new"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(image.contains("/team/web-app@sha256:") && image != before, "{image}");
    assert_eq!(plan["image"]["reference"], image);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tag_of_the_same_image_is_to_be_pushed_and_one_that_is_taken_is_refused() {
    let world = World::bootstrapped().await;
    let plan = world.json("--tag v2", 3).await;
    assert_eq!(
        (&plan["image"]["action"], &plan["image"]["tag"]),
        (&"tag".into(), &"v2".into())
    );
    assert_eq!(changed(&plan), [""; 0]);
    let place = world.registry.repository("team/web-app");
    let other = crate::support::image::image("two").await;
    crate::registry::push_to(&place, &other, Some("v3")).await.unwrap();
    let stderr = world.run("plan --tag v3").await.refused(2);
    assert!(stderr.contains("tag `v3` already points to"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_on_the_cluster_is_told_field_by_field() {
    let world = World::bootstrapped().await;
    world
        .kubernetes
        .change(HPA, |hpa| hpa["spec"]["maxReplicas"] = 3.into());
    world
        .kubernetes
        .remove("/api/v1/namespaces/web-app/services/web-app-service");
    let text = world.plan("", 3).await;
    let expected = "~ update    HorizontalPodAutoscaler `web-app/web-app-hpa`\n    spec.maxReplicas: 3 -> 10\n";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("+ create    Service `web-app/web-app-service`\n"),
        "{text}"
    );
    assert!(text.contains("\n1 to create, 1 to update, "), "{text}");
    // A bootstrap does just that.
    world.run("bootstrap --timeout 1s").await.refused(1);
    let mut sent = world.kubernetes.changes();
    sent.retain(|line| line.starts_with("PATCH") && !line.contains("/leases/"));
    assert_eq!(sent.len(), 2, "{sent:?}");
    world.kubernetes.take_log();
    world.plan("", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manifests_no_longer_have_is_told_with_what_of_it_stays() {
    let world = World::bootstrapped().await;
    let kept = "/api/v1/namespaces/monitoring/services/grafana";
    world.kubernetes.change(kept, |service| {
        service["metadata"]["annotations"] = json!({"provisioner/keep": "true"});
    });
    let text = world.plan("--without grafana", 3).await;
    assert!(text.contains("- delete    Deployment `monitoring/grafana`\n"), "{text}");
    assert!(text.contains("  kept      Service `monitoring/grafana` ("), "{text}");
    let plan = world.json("--without grafana", 3).await;
    assert_eq!(object(&plan, "Deployment", "grafana")["outcome"], "deleted");
    assert_eq!(plan["counts"]["kept"], 1);
    // An annotation of others is no difference.
    world.plan("", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_others_changed_is_told_with_who_did() {
    let world = World::bootstrapped().await;
    world
        .kubernetes
        .change(HPA, |hpa| hpa["spec"]["maxReplicas"] = 3.into());
    let conflict = json!({"code": 409, "reason": "Conflict", "details": {"causes": [{"reason": "FieldManagerConflict",
        "field": ".spec.maxReplicas", "message": "conflict with \"kubectl-edit\""}]}});
    world.kubernetes.refuse(HPA, conflict);
    let text = world.plan("", 3).await;
    assert!(text.contains("spec.maxReplicas: 3 -> 10\n"), "{text}");
    assert!(
        text.contains("field `.spec.maxReplicas`: conflict with \"kubectl-edit\"\n"),
        "{text}"
    );
    let ended = world.run("bootstrap").await;
    assert!(
        ended.code() != 0 && ended.stderr().contains("kubectl-edit"),
        "{}",
        ended.stderr()
    );
    assert_eq!(world.kubernetes.changes(), [""; 0]);
    let plan = world.json("--force-conflicts", 3).await;
    assert_eq!(plan["conflicts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_secrets_are_never_shown() {
    let world = World::bootstrapped().await;
    // What cannot be read as a password is replaced by a new one.
    world
        .kubernetes
        .change(PASSWORD, |secret| secret["data"]["password"] = "!hunter2!".into());
    let ended = world.run("plan -v").await;
    assert_eq!(ended.code(), 3, "{}", ended.stderr());
    assert!(
        ended.stdout().contains("    data.password: changed (not shown)\n"),
        "{}",
        ended.stdout()
    );
    let json = world.plan("--output json", 3).await;
    for text in [ended.stdout(), ended.stderr(), json] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_keeps_from_dry_runs_is_compared_here_and_marked() {
    let world = World::bootstrapped().await;
    let message = "admission webhook \"a.example\" does not support dry run";
    for path in [HPA, APP] {
        world
            .kubernetes
            .refuse(path, json!({"code": 400, "reason": "BadRequest", "message": message}));
    }
    world
        .kubernetes
        .change(HPA, |hpa| hpa["spec"]["maxReplicas"] = 3.into());
    // Without the record of who applied what, only a dry run could tell that it is as wanted.
    world
        .kubernetes
        .change(APP, |app| app["metadata"]["managedFields"] = json!([]));
    let text = world.plan("", 3).await;
    let expected = "`web-app/web-app-hpa` (not asked of the server)\n    spec.maxReplicas: 3 -> 10\n";
    assert!(text.contains(expected), "{text}");
    let plan = world.json("", 3).await;
    assert_eq!(changed(&plan), ["HorizontalPodAutoscaler web-app-hpa"]);
    assert_eq!(object(&plan, "Deployment", "web-app")["asked"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bootstrap_refuses_a_plan_refuses_too() {
    let world = World::new().await;
    let foreign = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-app-service"}});
    world
        .kubernetes
        .put("/api/v1/namespaces/web-app/services/web-app-service", foreign);
    for (flags, says) in [
        ("", "Service `web-app/web-app-service`"),
        ("--without nothing", "cannot leave out component `nothing`"),
        ("--manifests /nowhere", "/nowhere"),
    ] {
        for command in ["plan", "bootstrap --dry-run", "bootstrap"] {
            let stderr = world.run(&format!("{command} {flags}")).await.refused(2);
            assert!(stderr.contains(says), "{command} {flags}: {stderr}");
        }
    }
    assert_eq!(world.kubernetes.changes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_bootstrap_is_a_plan() {
    let world = World::new().await;
    let plan = world.plan("--without grafana", 3).await;
    let ended = world.run("bootstrap --dry-run --without grafana").await;
    assert_eq!((ended.code(), ended.stdout()), (3, plan), "{}", ended.stderr());
    assert!(!ended.stdout().contains("grafana"));
    assert_eq!(world.kubernetes.changes(), [""; 0]);
}
