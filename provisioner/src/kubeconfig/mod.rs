//! The user's kubeconfig: entries of ours are added and removed, everything else stays as it is.
//!
//! An entry of ours holds no secret: its user is an exec plugin that runs this program's `token`. That is also how ours
//! are told from others'. Files are edited as values, so that fields which nobody here knows survive.

mod error;
mod file;

use serde_json::{Value, json};

pub use error::KubeconfigError;
pub use file::{Locations, edit, read};

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
        let user = position(file, "users", &self.name).map(|at| &file["users"][at]["user"]);
        if taken && !user.is_some_and(is_plugin) {
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

/// Removes the contexts that this program wrote for an EKS cluster; their names. A cluster entry that other contexts
/// use stays.
pub fn remove(file: &mut Value, cluster: &str, region: &str) -> Vec<String> {
    let users: Vec<String> = items(file, "users")
        .filter(|item| is_plugin(&item["user"]) && is_for(&item["user"], cluster, region))
        .filter_map(name)
        .collect();
    let ours = |item: &&Value| {
        item["context"]["user"]
            .as_str()
            .is_some_and(|user| users.iter().any(|u| u == user))
    };
    let contexts: Vec<String> = items(file, "contexts").filter(ours).filter_map(name).collect();
    drop_named(file, "contexts", &contexts);
    drop_named(file, "users", &users);
    let used: Vec<String> = items(file, "contexts")
        .filter_map(|item| item["context"]["cluster"].as_str().map(ToOwned::to_owned))
        .collect();
    let unused: Vec<String> = users.into_iter().filter(|user| !used.contains(user)).collect();
    drop_named(file, "clusters", &unused);
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

/// Whether a user is this program's exec plugin, wherever the program lies.
fn is_plugin(user: &Value) -> bool {
    let command = user["exec"]["command"].as_str().unwrap_or_default();
    command.rsplit('/').next() == Some("provisioner") && user["exec"]["args"][0].as_str() == Some("token")
}

fn is_for(user: &Value, cluster: &str, region: &str) -> bool {
    let args: Vec<&str> = user["exec"]["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let given = |flag: &str, value: &str| args.windows(2).any(|pair| pair == [flag, value]);
    given("--cluster", cluster) && given("--region", region)
}

#[cfg(test)]
mod tests;
