//! How one object is named, in requests and to people.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DynamicObject, GroupVersionKind, TypeMeta};
use kube::discovery::ApiResource;

/// Kind, namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ObjectRef {
    /// Group and version, e.g. `apps/v1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub kind: String,
    /// None for objects of the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// The identity that an object states.
    pub fn of(object: &DynamicObject) -> Self {
        let types = object.types.clone().unwrap_or_default();
        Self {
            api_version: types.api_version,
            kind: types.kind,
            namespace: object.metadata.namespace.clone(),
            name: object.metadata.name.clone().unwrap_or_default(),
        }
    }

    /// The identity of a listed object, whose items do not state their kind.
    pub(super) fn listed(resource: &ApiResource, metadata: &ObjectMeta) -> Self {
        Self {
            api_version: resource.api_version.clone(),
            kind: resource.kind.clone(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    /// `namespace/name`, or the name alone for objects of the whole cluster.
    pub fn path(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.rsplit_once('/').map_or("", |(g, _)| g)
    }

    pub(super) fn is_namespace(&self) -> bool {
        self.kind == "Namespace" && self.group().is_empty()
    }

    /// An object of which nothing but this is said.
    pub(super) fn bare(&self) -> DynamicObject {
        DynamicObject {
            types: Some(TypeMeta {
                api_version: self.api_version.clone(),
                kind: self.kind.clone(),
            }),
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: self.namespace.clone(),
                ..ObjectMeta::default()
            },
            data: serde_json::json!({}),
        }
    }

    /// The same object whatever version it is asked for in.
    pub(super) fn unversioned(&self) -> Self {
        let api_version = match self.group() {
            "" => String::new(),
            group => format!("{group}/"),
        };
        Self {
            api_version,
            ..self.clone()
        }
    }

    /// Kind and group as an `ApplySet` records them: `Deployment.apps`, `Secret`.
    pub(super) fn group_kind(&self) -> String {
        match self.group() {
            "" => self.kind.clone(),
            group => format!("{}.{group}", self.kind),
        }
    }

    pub(super) fn gvk(&self) -> GroupVersionKind {
        let version = self.api_version.rsplit('/').next().unwrap_or_default();
        GroupVersionKind::gvk(self.group(), version, &self.kind)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_the_same_in_every_version_of_its_group() {
        let object = |api_version: &str| ObjectRef {
            api_version: api_version.to_owned(),
            kind: "Scaler".to_owned(),
            namespace: None,
            name: "x".to_owned(),
        };
        assert_eq!(object("a.b/v1").unversioned(), object("a.b/v2").unversioned());
        assert_ne!(object("a.b/v1").unversioned(), object("v1").unversioned());
        for (api_version, want) in [("a.b/v1", "Scaler.a.b"), ("v1", "Scaler")] {
            assert_eq!(object(api_version).group_kind(), want);
            assert_eq!(object(api_version).unversioned().group_kind(), want);
        }
    }
}
