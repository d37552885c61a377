//! The user's kubeconfig: entries of ours are added and removed, everything else stays as it is.
//!
//! An entry of ours holds no secret: its user is an exec plugin that runs this program's `token`. By that and by the end
//! of its name ours are told from others', whatever the program's file is called. Files are edited as values, so that
//! fields which nobody here knows survive.

mod error;
mod file;
mod program;

use serde_json::{Value, json};

pub use error::KubeconfigError;
pub use file::{Locations, edit, read};
pub use program::program;

use crate::names::KUBECONFIG_MARK;

/// What a kubeconfig says about one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Name of context, cluster and user.
    pub name: String,
    /// URL of the API server.
    pub server: String,
    /// Its certificate authority, PEM.
    pub ca_pem: Vec<u8>,
    /// This program.
    pub program: String,
    /// What it is called with: `token` and the flags that name the cluster.
    pub arguments: Vec<String>,
}

/// Lists of a kubeconfig and the key of their items' content.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("contexts", "context"), ("users", "user")];
const CURRENT: &str = "current-context";

impl Access {
    /// A kubeconfig with this cluster alone.
    pub fn alone(&self) -> Value {
        let mut file = empty();
        for ((list, key), content) in LISTS.iter().zip(self.contents()) {
            file[*list] = json!([{"name": self.name, *key: content}]);
        }
        file[CURRENT] = self.name.clone().into();
        file
    }

    /// In the order of [`LISTS`].
    fn contents(&self) -> [Value; 3] {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca_pem);
        [
            json!({"server": self.server, "certificate-authority-data": ca}),
            json!({"cluster": self.name, "user": self.name}),
            json!({"exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": self.program,
                "args": self.arguments,
                "interactiveMode": "Never",
                "provideClusterInfo": false,
            }}),
        ]
    }

    /// Adds the cluster, or brings an entry of ours up to date; true where that changed the file.
    ///
    /// # Errors
    /// The name is taken by an entry that is not ours.
    pub fn merge(&self, file: &mut Value) -> Result<bool, KubeconfigError> {
        let taken = LISTS.iter().any(|(list, _)| position(file, list, &self.name).is_some());
        let user = position(file, "users", &self.name).map(|at| &file["users"][at]);
        if taken && !user.is_some_and(is_ours) {
            return Err(KubeconfigError::Taken(self.name.clone()));
        }
        let before = file.clone();
        for ((list, key), content) in LISTS.iter().zip(self.contents()) {
            match position(file, list, &self.name) {
                Some(at) => update(&mut file[*list][at][*key], content),
                None => match file[*list].as_array_mut() {
                    Some(items) => items.push(json!({"name": self.name, *key: content})),
                    None => file[*list] = json!([{"name": self.name, *key: content}]),
                },
            }
        }
        Ok(*file != before)
    }
}

/// Sets the fields of `content`; others that the user added (a namespace, extensions) stay.
fn update(into: &mut Value, content: Value) {
    match (into.as_object_mut(), content) {
        (Some(into), Value::Object(fields)) => into.extend(fields),
        (_, content) => *into = content,
    }
}

/// A kubeconfig without entries.
pub fn empty() -> Value {
    json!({"apiVersion": "v1", "kind": "Config"})
}

/// The context that is used where none is named.
pub fn current(file: &Value) -> Option<&str> {
    file[CURRENT].as_str().filter(|name| !name.is_empty())
}

/// Makes a context the one that is used; true where that changed the file.
pub fn make_current(file: &mut Value, name: &str) -> bool {
    if current(file) == Some(name) {
        return false;
    }
    file[CURRENT] = name.into();
    true
}

/// Whether the file has an entry of that name in any list.
pub fn mentions(file: &Value, name: &str) -> bool {
    LISTS.iter().any(|(list, _)| position(file, list, name).is_some())
}

/// Removes the entry that this program wrote under a name, with the contexts that use it; their names. A cluster entry
/// that other contexts use stays.
pub fn remove(file: &mut Value, entry: &str) -> Vec<String> {
    let user = position(file, "users", entry).map(|at| &file["users"][at]);
    if !user.is_some_and(is_ours) {
        return Vec::new();
    }
    let contexts: Vec<String> = items(file, "contexts")
        .filter(|item| item["context"]["user"].as_str() == Some(entry))
        .filter_map(name)
        .collect();
    let only = [entry.to_owned()];
    drop_named(file, "contexts", &contexts);
    drop_named(file, "users", &only);
    if !items(file, "contexts").any(|item| item["context"]["cluster"].as_str() == Some(entry)) {
        drop_named(file, "clusters", &only);
    }
    if current(file).is_some_and(|current| contexts.iter().any(|name| name == current)) {
        file[CURRENT] = "".into();
    }
    contexts
}

fn items<'a>(file: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    file[list].as_array().into_iter().flatten()
}

fn name(item: &Value) -> Option<String> {
    item["name"].as_str().map(ToOwned::to_owned)
}

fn position(file: &Value, list: &str, name: &str) -> Option<usize> {
    items(file, list).position(|item| item["name"].as_str() == Some(name))
}

fn drop_named(file: &mut Value, list: &str, names: &[String]) {
    if let Some(items) = file[list].as_array_mut() {
        items.retain(|item| {
            !item["name"]
                .as_str()
                .is_some_and(|name| names.iter().any(|n| n == name))
        });
    }
}

/// Whether this program wrote a user, as far as its name and what it runs tell.
fn is_ours(user: &Value) -> bool {
    let args = &user["user"]["exec"]["args"];
    let names_cluster = args
        .as_array()
        .is_some_and(|args| args.iter().any(|arg| arg == "--cluster"));
    let marked = user["name"]
        .as_str()
        .is_some_and(|name| name.ends_with(KUBECONFIG_MARK));
    marked && args[0] == "token" && names_cluster
}

#[cfg(test)]
pub(crate) mod tests;
