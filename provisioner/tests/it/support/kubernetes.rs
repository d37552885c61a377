//! The in-memory API server of the unit tests, on the loopback interface: for the program as a whole.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use provisioner::cluster::Cluster;
use serde_json::{Value, json};

#[expect(dead_code, reason = "the unit tests use the rest of it")]
#[path = "../../../src/cluster/wire.rs"]
mod wire;

use wire::Wire;

/// The server; it lives as long as the test's runtime.
pub(crate) struct Kubernetes {
    wire: Wire,
    url: String,
    watches: Watches,
}

/// How many watches were asked for and how many answered, by path.
type Watches = Arc<Mutex<BTreeMap<String, (usize, usize)>>>;

/// How long a program may take to notice something.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let (caller, what) = (std::panic::Location::caller(), what.to_owned());
    async move {
        let so = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let so = tokio::time::timeout(PATIENCE, so).await;
        assert!(so.is_ok(), "{caller}: {what} did not come about");
    }
}

impl Kubernetes {
    /// Starts on a free port; it holds the app's namespace and that which is always there.
    pub(crate) async fn start() -> Self {
        let wire = Wire::default();
        for name in ["default", "web-app"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            wire.put(&format!("/api/v1/namespaces/{name}"), namespace);
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let watches = Watches::default();
        let router = Router::new()
            .fallback(answer)
            .with_state((wire.clone(), Arc::clone(&watches)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { wire, url, watches }
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig whose context `test` is this server.
    pub(crate) fn kubeconfig(&self) -> String {
        format!(
            "{{contexts: [{{name: test, context: {{cluster: c, user: u}}}}], users: [{{name: u, user: {{}}}}], \
             clusters: [{{name: c, cluster: {{server: '{}'}}}}]}}",
            self.url
        )
    }

    /// Puts an object there as somebody else would.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.wire.put(path, object);
    }

    /// Puts a pod's log there, at the path of the pod and `/log`.
    pub(crate) fn put_log(&self, path: &str, log: &str) {
        self.wire.state().logs.insert(path.to_owned(), log.to_owned());
    }

    /// What is at a path; null where nothing is.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.wire.state().objects.get(path).cloned().unwrap_or_default()
    }

    /// Changes what is at a path.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        change(self.wire.state().objects.get_mut(path).expect("it is there"));
    }

    /// Removes what is at a path.
    pub(crate) fn remove(&self, path: &str) {
        self.wire.state().objects.remove(path);
    }

    /// Answers every apply of what is at a path with this status, unless it is forced.
    pub(crate) fn refuse(&self, path: &str, status: Value) {
        self.wire.state().refusals.insert(path.to_owned(), status);
    }

    /// The requests that came since the last question; those for the known kinds do not count.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.wire.state().log)
    }

    /// From now on whatever is applied is ready at once.
    pub(crate) fn makes_ready(&self) {
        self.wire.state().react = Some(|object| match object["kind"].as_str() {
            Some("Deployment") => {
                object["status"] =
                    json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
            }
            Some("APIService") => {
                object["status"] = json!({"conditions": [{"type": "Available", "status": "True"}]});
            }
            Some("Namespace") => object["status"] = json!({"phase": "Active"}),
            _ => {}
        });
        let home = "/api/v1/namespaces/web-app";
        self.change(home, |home| home["status"] = json!({"phase": "Active"}));
    }

    /// How many requests came whose path has this part.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.wire.state().log.iter().filter(|line| line.contains(part)).count()
    }

    /// How many watches of a path were answered, where the client waits for the next answer: it has taken in the last one.
    fn taken_in(&self, path: &str) -> Option<usize> {
        let (asked, answered) = self.watches.lock().unwrap().get(path).copied()?;
        (asked > answered).then_some(answered)
    }

    /// Whether a client watches a path and has taken in all that was told of it.
    pub(crate) fn watches(&self, path: &str) -> bool {
        self.taken_in(path).is_some()
    }

    /// Waits until a path is watched, makes a change below it, and waits until the watch has taken that in.
    pub(crate) async fn noticed(&self, path: &str, change: impl FnOnce()) {
        until(&format!("a watch of {path}"), || self.watches(path)).await;
        let before = self.taken_in(path);
        change();
        until(&format!("an answer about {path}"), || self.taken_in(path) > before).await;
    }

    /// Makes a change and waits until what is asked for again and again was answered with it: one request may have been under
    /// way, the next one reads it, and the one after that comes when the answer was taken in.
    pub(crate) async fn polled(&self, part: &str, change: impl FnOnce()) {
        change();
        let before = self.asked(part);
        until(&format!("requests for {part}"), || self.asked(part) >= before + 2).await;
    }

    /// Requests that changed something, without their query.
    pub(crate) fn changes(&self) -> Vec<String> {
        let changes = self.wire.changes();
        let lines = changes.iter().filter_map(|line| line.split('?').next());
        lines.map(str::to_owned).collect()
    }
}

async fn answer(State((wire, watches)): State<(Wire, Watches)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let is_watch = parts.uri.query().is_some_and(|query| query.contains("watch=true"));
    if is_watch {
        watches.lock().unwrap().entry(path.clone()).or_default().0 += 1;
    }
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let (mut parts, body) = wire.answer(request).await.into_parts();
    if is_watch {
        watches.lock().unwrap().entry(path).or_default().1 += 1;
    }
    parts.headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    let body = body.collect_bytes().await.unwrap();
    Response::from_parts(parts, Body::from(body))
}
