//! The cluster's nodes: what they are decides what they cost and which images they run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::manifest::{self, Component};
use super::{Cluster, ClusterError};
use crate::names::APP;

/// Label with the EC2 instance type; cloud providers set it.
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// Label with the processor architecture; every kubelet sets it.
const ARCHITECTURE: &str = "kubernetes.io/arch";
/// Label of EKS with the kind of compute; `auto` for Auto Mode's nodes.
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// EC2 instance type; none on nodes that are none of EC2's.
    pub instance_type: Option<String>,
    /// As Go spells it, e.g. `amd64`.
    pub architecture: String,
    /// Whether EKS Auto Mode runs it.
    pub auto_mode: bool,
    /// Whether it has a public address.
    pub public: bool,
}

/// Reads the nodes.
///
/// # Errors
/// The API server does not answer, or these credentials may not list nodes.
pub async fn read(cluster: &Cluster) -> Result<Vec<Node>, ClusterError> {
    let list = cluster.get_json("/api/v1/nodes").await;
    let list = list.map_err(|failure| ClusterError::request("list", "the nodes", failure))?;
    Ok(parse(&list))
}

fn parse(list: &Value) -> Vec<Node> {
    let nodes = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let node = |node: &Value| {
        let label = |name: &str| node["metadata"]["labels"][name].as_str();
        let addresses = node["status"]["addresses"].as_array();
        Node {
            instance_type: label(INSTANCE_TYPE).map(str::to_owned),
            architecture: label(ARCHITECTURE).unwrap_or_default().to_owned(),
            auto_mode: label(COMPUTE_TYPE) == Some("auto"),
            public: addresses.is_some_and(|all| all.iter().any(|address| address["type"] == "ExternalIP")),
        }
    };
    nodes.iter().map(node).collect()
}

/// The architecture of the nodes that a `nodeSelector` keeps the app's pods to; none where they may land on any.
pub fn kept_to(stack: &[Component]) -> Option<&str> {
    let app = manifest::find(stack, "Deployment", APP)?;
    let selector = app.data.pointer("/spec/template/spec/nodeSelector")?;
    selector[ARCHITECTURE].as_str()
}

/// What to know of an image for these `platforms` on these nodes, or on those of one architecture that its pods are
/// [`kept_to`]: nothing else keeps them away from nodes that it is not for. None where it runs on all that say what they are.
pub fn misfit(nodes: &[Node], platforms: &[String], kept_to: Option<&str>) -> Option<String> {
    let may_get = |node: &&Node| {
        let architecture = node.architecture.as_str();
        !architecture.is_empty() && kept_to.is_none_or(|only| only == architecture)
    };
    let nodes: Vec<&Node> = nodes.iter().filter(may_get).collect();
    let runs = |node: &&Node| platforms.contains(&format!("linux/{}", node.architecture));
    let (fit, others): (Vec<&Node>, Vec<&Node>) = nodes.iter().copied().partition(runs);
    if others.is_empty() {
        return None;
    }
    let kinds: BTreeSet<&str> = others.iter().map(|node| node.architecture.as_str()).collect();
    let kinds = Vec::from_iter(kinds).join(" and ");
    let all: BTreeSet<String> = nodes
        .iter()
        .map(|node| format!("linux/{}", node.architecture))
        .collect();
    let away = if fit.is_empty() {
        ""
    } else {
        ", or keep its pods away from them by a `nodeSelector` in the app's manifest"
    };
    Some(format!(
        "the image is for {}, and {} of {} nodes are {kinds}: pods that land there do not start; take an image for all of them (`--platform {}`){away}",
        platforms.join(" and "),
        others.len(),
        nodes.len(),
        Vec::from_iter(all).join(","),
    ))
}

/// Nodes of the same kind, counted.
pub fn counted(nodes: &[Node]) -> BTreeMap<&Node, u32> {
    let mut kinds = BTreeMap::new();
    for node in nodes {
        *kinds.entry(node).or_default() += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_tell_what_a_node_is() {
        let labels = json!({INSTANCE_TYPE: "c6a.large", ARCHITECTURE: "amd64", COMPUTE_TYPE: "auto"});
        let auto = json!({
            "metadata": {"labels": labels},
            "status": {"addresses": [{"type": "InternalIP"}, {"type": "ExternalIP"}]},
        });
        let bare = json!({
            "metadata": {"labels": {ARCHITECTURE: "arm64"}},
            "status": {"addresses": [{"type": "InternalIP"}]},
        });
        let nodes = parse(&json!({"items": [auto, bare, auto]}));
        let kinds: Vec<_> = counted(&nodes).into_iter().collect();
        let bare = Node {
            instance_type: None,
            architecture: "arm64".to_owned(),
            auto_mode: false,
            public: false,
        };
        let auto = Node {
            instance_type: Some("c6a.large".to_owned()),
            architecture: "amd64".to_owned(),
            auto_mode: true,
            public: true,
        };
        assert_eq!(kinds, [(&bare, 1), (&auto, 2)]);
        assert_eq!(parse(&json!({})), []);
    }

    #[test]
    fn nodes_that_an_image_is_not_for_are_told() {
        let node = |architecture: &str| Node {
            architecture: architecture.to_owned(),
            ..Node::default()
        };
        let nodes = ["amd64", "arm64", "arm64"].map(node);
        let both = ["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        assert_eq!(misfit(&nodes, &both, None), None);
        assert_eq!(misfit(&[], &both[..1], None), None, "nodes may come");
        assert_eq!(misfit(&[node(""), node("amd64")], &both[..1], None), None);
        insta::assert_snapshot!(misfit(&nodes, &both[..1], None).expect("two"), @"the image is for linux/amd64, and 2 of 3 nodes are arm64: pods that land there do not start; take an image for all of them (`--platform linux/amd64,linux/arm64`), or keep its pods away from them by a `nodeSelector` in the app's manifest");
        insta::assert_snapshot!(misfit(&nodes[1..], &both[..1], None).expect("all"), @"the image is for linux/amd64, and 2 of 2 nodes are arm64: pods that land there do not start; take an image for all of them (`--platform linux/arm64`)");
        assert_eq!(
            misfit(&nodes, &both[..1], Some("amd64")),
            None,
            "kept to what it runs on"
        );
        assert!(
            misfit(&nodes, &both[..1], Some("arm64"))
                .expect("two")
                .contains("2 of 2")
        );
    }

    #[test]
    fn a_node_selector_of_the_app_says_where_its_pods_land() {
        let stack = |selector: &Value| {
            let spec = json!({"template": {"spec": {"nodeSelector": selector}}});
            let app = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APP}, "spec": spec});
            [Component {
                name: "app".to_owned(),
                objects: vec![serde_json::from_value(app).expect("an object")],
            }]
        };
        assert_eq!(kept_to(&stack(&json!({ARCHITECTURE: "arm64"}))), Some("arm64"));
        assert_eq!(kept_to(&stack(&json!({"disk": "fast"}))), None);
        assert_eq!(kept_to(&stack(&Value::Null)), None);
        assert_eq!(kept_to(&[]), None);
    }
}
