//! The in-memory API server of the unit tests, on the loopback interface: for the program as a whole.

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
        let router = Router::new().fallback(answer).with_state(wire.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { wire, url }
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

    /// How many requests came since the last question; those for the known kinds do not count.
    pub(crate) fn take_count(&self) -> usize {
        std::mem::take(&mut self.wire.state().log).len()
    }

    /// Requests that changed something, without their query.
    pub(crate) fn changes(&self) -> Vec<String> {
        let changes = self.wire.changes();
        let lines = changes.iter().filter_map(|line| line.split('?').next());
        lines.map(str::to_owned).collect()
    }
}

async fn answer(State(wire): State<Wire>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let (mut parts, body) = wire.answer(request).await.into_parts();
    parts.headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    let body = body.collect_bytes().await.unwrap();
    Response::from_parts(parts, Body::from(body))
}
