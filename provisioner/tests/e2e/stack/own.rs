//! Manifests and settings of the tests' own.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::story::BOOTSTRAP;
use crate::support::Sandbox;

/// What pods of these tests need to pass Pod Security `restricted`.
const SECURITY: &str = "{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}";
const CONTAINER_SECURITY: &str = "{allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}";

/// A folder with one component of the tests' own, and settings beside it.
pub(super) struct Own {
    folder: tempfile::TempDir,
    settings: tempfile::NamedTempFile,
}

impl Own {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("60-mine")).expect("made");
        let own = Self {
            folder,
            settings: tempfile::Builder::new().suffix(".toml").tempfile().expect("a file"),
        };
        own.settings("color = \"red\"");
        own
    }

    pub(super) fn path(&self) -> &str {
        text(self.folder.path())
    }

    pub(super) fn settings(&self, values: &str) {
        fs::write(self.settings.path(), format!("[values]\n{values}\n")).expect("written");
    }

    pub(super) fn write(&self, file: &str, manifest: &str) {
        fs::write(self.folder.path().join("60-mine").join(file), manifest).expect("written");
    }

    pub(super) fn remove(&self, file: &str) {
        fs::remove_file(self.folder.path().join("60-mine").join(file)).expect("removed");
    }

    pub(super) fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = ["--manifests", self.path(), "--config", text(self.settings.path())];
        [&BOOTSTRAP[..], &own, more].concat()
    }

    #[track_caller]
    pub(super) fn bootstrap(&self, sandbox: &Sandbox, more: &[&str]) -> Value {
        sandbox.json(&self.args(more))
    }

    #[track_caller]
    pub(super) fn refused(&self, sandbox: &Sandbox, more: &[&str], says: &str) -> String {
        sandbox.refused(&self.args(more), 2, says)
    }
}

pub(super) fn config(name: &str, value: &str, annotation: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: web-app, annotations: {{{annotation}}}}}\n\
         data: {{key: {value}}}\n"
    )
}

/// The app's image once more, under labels that no selector of the app matches.
pub(super) fn deployment(name: &str, replicas: &str, label: &str) -> String {
    let probe = "{httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}";
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: web-app, annotations: {{}}}}\nspec:\n  \
         {replicas}\n  selector: {{matchLabels: {{app: {label}}}}}\n  template:\n    metadata: {{labels: {{app: {label}}}}}\n    \
         spec:\n      securityContext: {SECURITY}\n      containers:\n      - name: app\n        image: build://web-app\n        \
         args: [serve]\n        readinessProbe: {probe}\n        resources: {{requests: {{cpu: 10m, memory: 16Mi}}}}\n        \
         securityContext: {CONTAINER_SECURITY}\n"
    )
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
