//! What a bootstrap is going to do, as a value: decided from the settings alone.

use serde::Serialize;

use crate::cluster::reaction::Reaction;
use crate::config::{Config, Eks, Made};
use crate::names::{APP, StackName};

/// The decisions of a bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The EKS cluster, or the context of another one.
    pub cluster: String,
    /// The stack that owns what is made.
    #[serde(serialize_with = "as_text")]
    pub stack: StackName,
    /// Whether a missing cluster is created.
    pub create_cluster: bool,
    /// What a new cluster is like, and what one of ours has to match.
    pub eks: Eks,
    /// Images whose repositories are the stack's, without its name: the app's, unless it stays where it is, and copies of
    /// others'.
    #[serde(skip)]
    pub images: Vec<String>,
    /// Repositories that images go to: those of ECR are created, others are used. None where the image stays where it is.
    pub repositories: Vec<String>,
    /// The registry where that is not ECR.
    pub registry: Option<String>,
    /// Components left out.
    pub without: Vec<String>,
    /// How quickly the stack reacts to load.
    pub reaction: Reaction,
    /// The Prometheus of others that is used; none applies the stack's own.
    pub prometheus: Option<String>,
}

impl Plan {
    /// The plan of `config` for a cluster and its stack.
    pub fn build(config: &Config, cluster: &str, stack: &StackName) -> Self {
        let images = images(config);
        Self {
            cluster: cluster.to_owned(),
            stack: stack.clone(),
            create_cluster: config.eks.create_cluster,
            eks: config.eks.clone(),
            repositories: repositories(config, stack, &images),
            images,
            registry: config.target.registry.as_ref().map(ToString::to_string),
            without: config.stack.without.clone(),
            reaction: config.reaction,
            prometheus: config.prometheus.url.as_ref().map(ToString::to_string),
        }
    }

    /// The same with copies of others' images.
    #[must_use]
    pub fn mirroring(mut self, config: &Config, images: impl IntoIterator<Item = String>) -> Self {
        self.images.extend(images);
        self.repositories = repositories(config, &self.stack, &self.images);
        self
    }
}

/// The app's image, unless it is used where it is. The load generator's is no part of a bootstrap.
fn images(config: &Config) -> Vec<String> {
    if matches!(config.image.made, Some(Made::Remote { copy: false, .. })) {
        return Vec::new();
    }
    vec![APP.to_owned()]
}

/// Where images go.
fn repositories(config: &Config, stack: &StackName, images: &[String]) -> Vec<String> {
    let repository = |image: &String| match &config.target.registry {
        Some(prefix) => prefix.repository(image),
        None => stack.repository(image),
    };
    images.iter().map(repository).collect()
}

fn as_text<S: serde::Serializer>(name: &StackName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_plan_is_written_with_names_as_text() {
        let sources = Sources {
            folder: "/nowhere".into(),
            ..Sources::default()
        };
        let config = Config::resolve(&sources).unwrap();
        let stack: StackName = "demo".parse().unwrap();
        let json = serde_json::to_value(Plan::build(&config, "Demo", &stack)).unwrap();
        assert_eq!(json["stack"], "demo");
        assert_eq!(json["reaction"], "fast");
        assert_eq!(json["repositories"], serde_json::json!(["demo/web-app"]));
    }
}
