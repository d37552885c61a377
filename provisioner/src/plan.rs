//! What a bootstrap is going to do, as a value: decided from the settings alone, shown before it happens.

use std::fmt;

use serde::Serialize;

use crate::aws::eks::Compute;
use crate::cluster::reaction::Reaction;
use crate::config::{Config, Eks};
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
    /// What a new cluster is like, and what one of ours has to match.
    pub eks: Eks,
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
            eks: config.eks.clone(),
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
        if self.create_cluster {
            self.write_cluster(f)?;
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

impl Plan {
    fn write_cluster(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let eks = &self.eks;
        let version = eks.k8s_version.as_deref().unwrap_or("default");
        let compute = match eks.compute {
            Some(Compute::NodeGroup) => ", one node group",
            Some(Compute::Auto) | None => "",
        };
        writeln!(
            f,
            "EKS cluster `{}` (Kubernetes {version}{compute}) where it is missing",
            self.cluster
        )?;
        let network = match (eks.subnet_ids.is_empty(), eks.private_nodes) {
            (true, true) => Some("network with private subnets and a NAT gateway"),
            (true, false) => Some("network"),
            (false, _) => None,
        };
        let roles = (eks.cluster_role_arn.is_none() || eks.node_role_arn.is_none()).then_some("roles");
        let parts: Vec<_> = network.into_iter().chain(roles).collect();
        if parts.is_empty() {
            return Ok(());
        }
        let stack = self.stack.foundation();
        writeln!(f, "CloudFormation stack `{stack}`: {}", parts.join(" and "))
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
        config.eks.compute = Some(Compute::NodeGroup);
        config.eks.private_nodes = true;
        let text = Plan::build(&config, "Demo", &stack).to_string();
        assert!(text.contains("(Kubernetes default, one node group)"), "{text}");
        assert!(
            text.contains("network with private subnets and a NAT gateway and roles"),
            "{text}"
        );
        config.eks.subnet_ids = vec!["subnet-1".into(), "subnet-2".into()];
        config.eks.cluster_role_arn = Some("arn:c".into());
        config.eks.node_role_arn = Some("arn:n".into());
        let text = Plan::build(&config, "Demo", &stack).to_string();
        assert!(!text.contains("CloudFormation"), "{text}");
        let json = serde_json::to_value(Plan::build(&config, "Demo", &stack)).unwrap();
        assert_eq!(json["stack"], "demo");
        assert_eq!(json["reaction"], "fast");
    }
}
