//! `status --watch` on a terminal and elsewhere, as people run it, against an API server in memory.

use serde_json::{Value, json};

use crate::run::{AS_BEFORE, Ended, Run, Started};
use crate::support::kubernetes::Kubernetes;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/web-app/deployments/web-app";

fn app() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-app", "namespace": "web-app"},
        "status": {"replicas": 1, "readyReplicas": 1}})
}

async fn with_an_app() -> Kubernetes {
    let kubernetes = Kubernetes::start().await;
    kubernetes.put(DEPLOYMENT, app());
    kubernetes
}

fn watch(kubeconfig: &str, flags: &str) -> Run {
    let run = Run::of(&format!("status --watch --kube-context test --name demo {flags}"));
    run.file(".kube/config", kubeconfig).env("TERM", "xterm-256color")
}

/// Runs it on a terminal until `end` has made it end.
async fn watched(run: Run, end: impl FnOnce(&mut Started) + Send + 'static) -> Ended {
    let ended = tokio::task::spawn_blocking(|| {
        let mut child = run.start();
        end(&mut child);
        child.end()
    });
    ended.await.unwrap()
}

/// The former screen is back, with cursor, echo and line by line, and nothing was drawn after that.
#[track_caller]
fn is_sane(stdout: &str) {
    let back = stdout.rfind("\u{1b}[?1049l").expect("the former screen comes back");
    assert!(
        stdout[back..].contains("\u{1b}[?25h") || stdout[..back].contains("\u{1b}[?25h"),
        "the cursor: {stdout:?}"
    );
    assert!(!stdout[back..].contains("\u{1b}[?1049h"), "{stdout:?}");
    assert!(stdout[back..].contains(AS_BEFORE), "{stdout:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_that_ends_the_view_is_a_good_end_and_gives_the_terminal_back() {
    let kubernetes = with_an_app().await;
    for key in ["q", "\u{3}", "\u{1b}"] {
        let run = watch(&kubernetes.kubeconfig(), "").on_a_terminal_that_is_looked_at();
        let ended = watched(run, move |child| child.answer("replicas", key)).await;
        assert_eq!(ended.code(), 0, "{key:?}: {}", ended.stdout());
        is_sane(&ended.stdout());
        assert!(!ended.stdout().contains("error:"), "{}", ended.stdout());
    }
    let changes = kubernetes.changes();
    let reviews = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews";
    assert!(changes.iter().all(|change| change == reviews), "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_gives_the_terminal_back_before_it_is_told() {
    let kubernetes = with_an_app().await;
    for (signal, code) in [("TERM", 143), ("INT", 0)] {
        let run = watch(&kubernetes.kubeconfig(), "").on_a_terminal_that_is_looked_at();
        let end = move |child: &mut Started| {
            child.look_for("replicas");
            child.signal_inside(signal);
        };
        let ended = watched(run, end).await;
        let stdout = ended.stdout();
        assert_eq!(ended.code(), code, "{signal}: {stdout}");
        is_sane(&stdout);
        if let Some(told) = stdout.find("error: terminated") {
            let back = stdout.find("\u{1b}[?1049l").unwrap();
            assert!(back < told, "what is told stays to be read: {stdout:?}");
        } else {
            assert_eq!(signal, "INT");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_no_longer_be_read_is_told_above_the_picture() {
    let kubernetes = with_an_app().await;
    let run = watch(&kubernetes.kubeconfig(), "").on_a_terminal();
    let child = tokio::task::spawn_blocking(|| {
        let mut child = run.start();
        child.look_for("replicas");
        child
    });
    let mut child = child.await.unwrap();
    kubernetes.remove(DEPLOYMENT);
    let ended = tokio::task::spawn_blocking(move || {
        // Only what differs is written, and `STALE` comes to stand where `BROKEN` was.
        child.answer("STAL", "q");
        child.end()
    });
    assert_eq!(ended.await.unwrap().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_ends_it_before_the_screen_is_taken() {
    let nobody = "{contexts: [{name: test, context: {cluster: c, user: u}}], users: [{name: u, user: {}}], \
                  clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";
    let run = watch(nobody, "--timeout 1s").on_a_terminal_that_is_looked_at();
    let ended = watched(run, |_| {}).await;
    let stdout = ended.stdout();
    assert_eq!(ended.code(), 1, "{stdout}");
    assert!(stdout.contains("error: cannot reach cluster"), "{stdout}");
    assert!(!stdout.contains("\u{1b}[?1049h"), "{stdout:?}");
    assert!(stdout.contains(AS_BEFORE), "{stdout:?}");
}

/// What is not a person at an able terminal gets lines.
#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_it_writes_lines() {
    let kubernetes = with_an_app().await;
    for (name, value, flags, expected) in [
        ("TERM", "dumb", "", " pods  1/1 "),
        ("CI", "true", "", " pods  1/1 "),
        ("NO_COLOR", "1", "--output json", "{\"schema\":1,\"elapsed_s\":"),
    ] {
        let run = watch(&kubernetes.kubeconfig(), flags).env(name, value).on_a_terminal();
        let end = move |child: &mut Started| {
            let seen = child.look_for(expected);
            assert!(!seen.contains('\u{1b}'), "{seen:?}");
            child.answer("\n", "\u{3}");
        };
        let ended = watched(run, end).await;
        assert_eq!(ended.code(), 130, "{name}={value}: {}", ended.stdout());
    }
}
