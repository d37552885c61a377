//! Whose something is, by its tags. Pure.

use std::collections::BTreeMap;

use super::{Owner, Scope, Whose};

/// Tag that `CloudFormation` puts on what a stack makes.
const STACK: &str = "aws:cloudformation:stack-name";
/// Prefix of the oldest tag of clusters; the name follows, the value is `owned` or `shared`.
const CLUSTER_PREFIX: &str = "kubernetes.io/cluster/";
/// Tags whose value is a cluster's name: load balancer controller, Auto Mode, EKS, its node groups, eksctl, the network
/// plugin, Kubernetes' own cloud provider.
const CLUSTER_TAGS: [&str; 7] = [
    "elbv2.k8s.aws/cluster",
    "eks:eks-cluster-name",
    "aws:eks:cluster-name",
    "eks:cluster-name",
    "alpha.eksctl.io/cluster-name",
    "cluster.k8s.amazonaws.com/name",
    "KubernetesCluster",
];
/// So many tags of something foreign are told.
const TOLD: usize = 4;

type Tags = BTreeMap<String, String>;

/// The tag that says that a cluster owns something.
fn cluster_tag(cluster: &str) -> String {
    format!("{CLUSTER_PREFIX}{cluster}")
}

/// Whose something with these tags is; none where they do not say.
pub(super) fn by_tags(scope: &Scope, tags: &Tags) -> Option<Owner> {
    if let Some(stack) = tags.get(STACK) {
        return Some(if *stack == scope.stack.foundation() {
            Owner::Network
        } else {
            foreign(&format!("it belongs to CloudFormation stack `{stack}`"), tags)
        });
    }
    let named = CLUSTER_TAGS.iter().filter_map(|key| tags.get(*key)).map(String::as_str);
    let prefixed = tags.iter().filter_map(|(key, value)| {
        let cluster = key.strip_prefix(CLUSTER_PREFIX)?;
        Some((cluster, value == "owned"))
    });
    let mut clusters: Vec<(&str, bool)> = named.map(|name| (name, true)).chain(prefixed).collect();
    clusters.sort_unstable();
    // One that names another cluster too is not ours alone.
    let other = clusters.iter().find(|(name, _)| *name != scope.cluster);
    if let Some((other, _)) = other {
        return Some(foreign(&format!("it belongs to cluster `{other}`"), tags));
    }
    let owned = clusters.iter().any(|(_, owned)| *owned);
    match (clusters.is_empty(), owned) {
        (true, _) => scope.stack.owns(tags).then_some(Owner::Ours),
        (false, true) => Some(of_cluster(scope, tags)),
        (false, false) => Some(foreign(
            &format!("cluster `{}` shares it and does not own it", scope.cluster),
            tags,
        )),
    }
}

/// The owner of what is the cluster's.
pub(super) fn of_cluster(scope: &Scope, tags: &Tags) -> Owner {
    let reason = match scope.whose {
        Whose::Ours => return Owner::Ours,
        Whose::Others => "which this stack did not create",
        Whose::Unknown => "which is gone, and nothing tells whether this stack created it",
    };
    foreign(&format!("it belongs to cluster `{}`, {reason}", scope.cluster), tags)
}

/// Whether tags say that something is the cluster's, whoever created that.
pub(super) fn is_marked(scope: &Scope, tags: &Tags) -> bool {
    let ours = Scope {
        whose: Whose::Ours,
        ..scope.clone()
    };
    by_tags(&ours, tags) == Some(Owner::Ours)
}

/// An EC2 filter for what has a tag with the name of a cluster, this one or another.
pub(super) fn filter(cluster: &str) -> Vec<(String, String)> {
    let keys = CLUSTER_TAGS
        .map(str::to_owned)
        .into_iter()
        .chain([cluster_tag(cluster)]);
    let values = keys
        .enumerate()
        .map(|(n, key)| (format!("Filter.1.Value.{}", n + 1), key));
    [("Filter.1.Name".to_owned(), "tag-key".to_owned())]
        .into_iter()
        .chain(values)
        .collect()
}

/// The owner of what nothing marks.
pub(super) fn unmarked(scope: &Scope, tags: &Tags) -> Owner {
    foreign(&format!("nothing marks it as of cluster `{}`", scope.cluster), tags)
}

/// Somebody else's, with its tags: they often name the owner.
pub(super) fn foreign(reason: &str, tags: &Tags) -> Owner {
    let told: Vec<String> = tags
        .iter()
        .take(TOLD)
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let more = if tags.len() > TOLD { ", ..." } else { "" };
    Owner::Foreign(if told.is_empty() {
        format!("{reason}; it has no tags")
    } else {
        format!("{reason}; tags: {}{more}", told.join(", "))
    })
}

/// `id (name)`, or the id alone.
pub(super) fn name(id: &str, name: &str) -> String {
    if name.is_empty() {
        return id.to_owned();
    }
    format!("{id} ({name})")
}

#[cfg(test)]
mod tests {
    use super::super::tests::scope;
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn owner(pairs: &[(&str, &str)]) -> Option<Owner> {
        by_tags(&scope(), &tags(pairs))
    }

    #[test]
    fn the_clusters_own_marks_make_something_ours() {
        for key in CLUSTER_TAGS {
            assert_eq!(owner(&[(key, "demo")]), Some(Owner::Ours), "{key}");
        }
        assert_eq!(owner(&[("kubernetes.io/cluster/demo", "owned")]), Some(Owner::Ours));
        assert_eq!(
            owner(&[("provisioner:stack", "demo"), ("provisioner:created", "true")]),
            Some(Owner::Ours)
        );
        assert_eq!(owner(&[("Name", "demo")]), None);
    }

    #[test]
    fn marks_of_others_win() {
        for pairs in [
            &[("kubernetes.io/cluster/demo", "shared")][..],
            &[("kubernetes.io/cluster/demo-2", "owned")],
            &[
                ("eks:eks-cluster-name", "demo"),
                ("kubernetes.io/cluster/other", "shared"),
            ],
            &[
                ("aws:cloudformation:stack-name", "theirs"),
                ("eks:eks-cluster-name", "demo"),
            ],
        ] {
            assert!(matches!(owner(pairs), Some(Owner::Foreign(_))), "{pairs:?}");
        }
        assert_eq!(
            owner(&[("aws:cloudformation:stack-name", "provisioner-demo")]),
            Some(Owner::Network)
        );
    }

    #[test]
    fn nothing_of_a_cluster_that_others_made_is_ours() {
        let mut scope = scope();
        scope.whose = Whose::Others;
        let owner = by_tags(&scope, &tags(&[("eks:eks-cluster-name", "demo")]));
        let expected = "it belongs to cluster `demo`, which this stack did not create; tags: eks:eks-cluster-name=demo";
        assert_eq!(owner, Some(Owner::Foreign(expected.to_owned())));
    }

    #[test]
    fn tags_are_told_in_moderation() {
        let many: Vec<(String, String)> = (0..9).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        let Owner::Foreign(why) = foreign("why", &many.into_iter().collect()) else {
            panic!("foreign")
        };
        assert_eq!(why, "why; tags: k0=v, k1=v, k2=v, k3=v, ...");
        assert_eq!(
            foreign("why", &Tags::new()),
            Owner::Foreign("why; it has no tags".to_owned())
        );
    }
}
