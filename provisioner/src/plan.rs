//! What a bootstrap is going to do, as a value: decided from the settings alone, shown before it happens.

use std::fmt;

use serde::Serialize;

use crate::cluster::reaction::Reaction;
use crate::config::Config;
use crate::names::{APP, LOAD, StackName};

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
    /// Kubernetes version of a new cluster; none takes the default of EKS.
    pub k8s_version: Option<String>,
    /// Another administrator of the cluster.
    pub admin_arn: Option<String>,
    /// Repositories that images go to: those of ECR are created, others are used.
    pub repositories: Vec<String>,
    /// The registry where that is not ECR.
    pub registry: Option<String>,
    /// Components left out.
    pub without: Vec<String>,
    /// How quickly the stack reacts to load.
    pub reaction: Reaction,
}

impl Plan {
    /// The plan of `config` for a cluster and its stack.
    pub fn build(config: &Config, cluster: &str, stack: &StackName) -> Self {
        Self {
            cluster: cluster.to_owned(),
            stack: stack.clone(),
            create_cluster: config.eks.create_cluster,
            k8s_version: config.eks.k8s_version.clone(),
            admin_arn: config.eks.admin_arn.clone(),
            repositories: [APP, LOAD]
                .map(|image| match &config.target.registry {
                    Some(prefix) => prefix.repository(image),
                    None => stack.repository(image),
                })
                .into(),
            registry: config.target.registry.as_ref().map(ToString::to_string),
            without: config.stack.without.clone(),
            reaction: config.reaction,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.k8s_version.as_deref().unwrap_or("default");
        if self.create_cluster {
            writeln!(
                f,
                "EKS cluster `{}` (Kubernetes {version}) where it is missing",
                self.cluster
            )?;
            writeln!(
                f,
                "CloudFormation stack `{}`: network and roles",
                self.stack.foundation()
            )?;
        }
        let kind = self.registry.as_ref().map_or("ECR repositories", |_| "images in");
        writeln!(f, "{kind} `{}`", self.repositories.join("`, `"))?;
        write!(f, "Kubernetes objects of stack `{}`", self.stack)?;
        if !self.without.is_empty() {
            write!(f, ", without {}", self.without.join(", "))?;
        }
        Ok(())
    }
}

fn as_text<S: serde::Serializer>(name: &StackName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_plan_names_everything_that_costs_money_first() {
        let sources = Sources {
            folder: "/nowhere".into(),
            ..Sources::default()
        };
        let mut config = Config::resolve(&sources).unwrap();
        let stack: StackName = "demo".parse().unwrap();
        config.stack.without = vec!["grafana".into()];
        insta::assert_snapshot!(Plan::build(&config, "Demo", &stack), @r#"
        ECR repositories `demo/web-app`, `demo/load`
        Kubernetes objects of stack `demo`, without grafana
        "#);
        config.eks.create_cluster = true;
        insta::assert_snapshot!(Plan::build(&config, "Demo", &stack), @r#"
        EKS cluster `Demo` (Kubernetes default) where it is missing
        CloudFormation stack `provisioner-demo`: network and roles
        ECR repositories `demo/web-app`, `demo/load`
        Kubernetes objects of stack `demo`, without grafana
        "#);
        let json = serde_json::to_value(Plan::build(&config, "Demo", &stack)).unwrap();
        assert_eq!(json["stack"], "demo");
        assert_eq!(json["reaction"], "fast");
    }
}
