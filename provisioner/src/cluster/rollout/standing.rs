//! Before a rollout changes anything: what of the app is ours, which container runs it, and with which image.

use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use serde_json::{Value, json};

use super::super::changes::Options;
use super::super::connect::Cluster;
use super::super::error::ClusterError;
use super::super::manifest::Component;
use super::super::object::ObjectRef;
use super::super::{applied, ownership, parent};
use super::Images;
use crate::names::{ANNOTATION_LOAD_IMAGE, APP, StackName};

/// The app's container, where its pods have more than one.
const CONTAINER: &str = "app";
const CONTAINERS: &str = "/spec/template/spec/containers";

/// The stack as it is: what is ours of its app and of its record.
pub(super) struct Standing {
    pub(super) deployment: ObjectRef,
    /// Which container runs the app.
    container: String,
    app: DynamicObject,
    record: DynamicObject,
    pub(super) images: Images,
}

impl Standing {
    pub(super) async fn read(
        cluster: &Cluster,
        stack: &StackName,
        namespace: &str,
        options: Options,
    ) -> Result<Self, ClusterError> {
        let deployment = super::deployment_of(namespace);
        let record = parent::reference(stack, namespace);
        let component = Component {
            name: APP.to_owned(),
            objects: vec![bare(&deployment), bare(&record)],
        };
        let components = std::slice::from_ref(&component);
        let found = ownership::check(cluster, stack, components, Options::default()).await?;
        let live = |object: &ObjectRef| {
            let existing = found.iter().find(|existing| existing.object == *object);
            let absent = || ClusterError::NotInstalled {
                stack: stack.clone(),
                object: object.to_string(),
            };
            existing.map(|existing| &existing.live).ok_or_else(absent)
        };
        let (app, record) = (live(&deployment)?, live(&record)?);
        let container = container(app)?;
        let image = image_of(app, &container).unwrap_or_default().to_owned();
        let load = parent::Parent::of(record).load_image;
        let standing = Self {
            images: Images { app: image, load },
            app: applied_of(app)?,
            record: applied_of(record)?,
            deployment,
            container,
        };
        standing.image_is_ours(app, options)?;
        Ok(standing)
    }

    /// An image that others set is theirs, unless it is taken back.
    fn image_is_ours(&self, live: &DynamicObject, options: Options) -> Result<(), ClusterError> {
        if options.force_conflicts || image_of(&self.app, &self.container).is_some() {
            return Ok(());
        }
        let key = format!("k:{}", json!({ "name": self.container }));
        let path = ["f:spec", "f:template", "f:spec", "f:containers", &key, "f:image"];
        let managers = applied::managers_of(live, &path).join("`, `");
        let field = format!("spec.template.spec.containers[name={}].image", self.container);
        let problem = format!("{}: field `{field}` was changed by `{managers}`", self.deployment);
        Err(ClusterError::Rejected(vec![problem]))
    }

    pub(super) fn has(&self, images: &Images) -> bool {
        self.images.app == images.app
            && images
                .load
                .as_ref()
                .is_none_or(|load| self.images.load.as_ref() == Some(load))
    }

    /// The objects that have to be applied.
    pub(super) fn wanted(&self, images: &Images) -> Vec<(ObjectRef, DynamicObject)> {
        let (mut app, mut record) = (self.app.clone(), self.record.clone());
        let mut wanted = Vec::new();
        if self.images.app != images.app {
            set_image(&mut app, &self.container, &images.app);
            wanted.push((self.deployment.clone(), app));
        }
        if let Some(load) = images
            .load
            .as_ref()
            .filter(|load| self.images.load.as_ref() != Some(load))
        {
            let annotations = record.metadata.annotations.get_or_insert_default();
            annotations.insert(ANNOTATION_LOAD_IMAGE.to_owned(), load.clone());
            wanted.push((ObjectRef::of(&record), record));
        }
        wanted
    }
}

/// The error for a Deployment that has another image by now.
pub(super) fn overtaken(deployment: &ObjectRef, image: &str) -> ClusterError {
    ClusterError::Overtaken {
        object: deployment.to_string(),
        image: image.to_owned(),
    }
}

/// The image of the app's container.
pub(super) fn app_image(deployment: &DynamicObject) -> Option<&str> {
    image_of(deployment, &container(deployment).ok()?)
}

/// An object by its name alone.
pub(super) fn bare(object: &ObjectRef) -> DynamicObject {
    DynamicObject {
        types: Some(TypeMeta {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
        }),
        metadata: ObjectMeta {
            name: Some(object.name.clone()),
            namespace: object.namespace.clone(),
            ..ObjectMeta::default()
        },
        data: json!({}),
    }
}

fn applied_of(live: &DynamicObject) -> Result<DynamicObject, ClusterError> {
    applied::of(live).ok_or_else(|| ClusterError::NotApplied {
        object: ObjectRef::of(live).to_string(),
    })
}

/// The container that runs the app: the only one, or the one of that name.
pub(super) fn container(deployment: &DynamicObject) -> Result<String, ClusterError> {
    let containers = deployment.data.pointer(CONTAINERS).and_then(Value::as_array);
    let names = containers.into_iter().flatten().filter_map(|one| one["name"].as_str());
    let names: Vec<&str> = names.collect();
    match names[..] {
        [only] => Ok(only.to_owned()),
        _ if names.contains(&CONTAINER) => Ok(CONTAINER.to_owned()),
        _ => Err(ClusterError::Manifests(vec![format!(
            "{}: none of its containers `{}` is named `{CONTAINER}`: it is not known which one runs the app",
            ObjectRef::of(deployment),
            names.join("`, `")
        )])),
    }
}

fn image_of<'a>(deployment: &'a DynamicObject, container: &str) -> Option<&'a str> {
    let containers = deployment.data.pointer(CONTAINERS)?.as_array()?;
    let it = containers.iter().find(|one| one["name"] == container)?;
    it["image"].as_str()
}

fn set_image(deployment: &mut DynamicObject, container: &str, image: &str) {
    let containers = deployment.data.pointer_mut(CONTAINERS).and_then(Value::as_array_mut);
    let named = containers.into_iter().flatten().filter(|one| one["name"] == container);
    for one in named {
        one["image"] = image.into();
    }
}
