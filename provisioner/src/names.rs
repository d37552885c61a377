//! Every name, tag, label and field manager that the tool gives to something, in one place.
//!
//! All derive from [`StackName`], so that ownership can be read back from the objects themselves: there is no
//! state file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "provisioner";
/// The field manager that a number of pods is handed over to, for the autoscaler to take.
pub const FIELD_MANAGER_SCALE: &str = "provisioner-handover";
/// AWS tag and value of [`StackName::aws_tags`] that mark what belongs to a stack.
pub const TAG_STACK: &str = "provisioner:stack";
/// AWS tag: the version of the tool that created the resource.
pub const TAG_VERSION: &str = "provisioner:version";
/// AWS tag, `true` only on what the tool created: teardown deletes nothing without it.
pub const TAG_CREATED: &str = "provisioner:created";
/// AWS tag of the foundation stack: the hash of the template that it was made from.
pub const TAG_TEMPLATE: &str = "provisioner:template";
/// AWS tag of the foundation stack: the cluster that it was made for.
pub const TAG_CLUSTER: &str = "provisioner:cluster";
/// The one managed node group of a cluster that is created with `--compute nodegroup`.
pub const NODE_GROUP: &str = "provisioner";
/// Kubernetes label whose value is always [`FIELD_MANAGER`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Kubernetes label whose value is the stack's name: the mark of ownership.
pub const LABEL_PART_OF: &str = "app.kubernetes.io/part-of";
/// Kubernetes label with the component (folder under `manifests/`) an object came from.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// `ApplySet` label on every member object.
pub const LABEL_APPLYSET_PART_OF: &str = "applyset.kubernetes.io/part-of";
/// `ApplySet` label of the parent, with the set's id.
pub const LABEL_APPLYSET_ID: &str = "applyset.kubernetes.io/id";
/// Annotation of the `ApplySet`'s parent: tool and version that applied last, `provisioner/v1.2.3`.
pub const ANNOTATION_TOOLING: &str = "applyset.kubernetes.io/tooling";
/// Annotation of the `ApplySet`'s parent: kinds of the members.
pub const ANNOTATION_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// Annotation of the `ApplySet`'s parent: namespaces of the members beside its own.
pub const ANNOTATION_NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// Annotation of the `ApplySet`'s parent: which image makes load.
pub const ANNOTATION_LOAD_IMAGE: &str = "provisioner/load-image";
/// Annotation of the `ApplySet`'s parent: the repositories that images of others were copied into, with commas.
pub const ANNOTATION_MIRRORED: &str = "provisioner/mirrored";
/// Annotation of the `ApplySet`'s parent: what was there before the stack took an object over, as JSON.
pub const ANNOTATION_REPLACED: &str = "provisioner/replaced";
/// Annotation of an object that is left out where the server does not know its kind; the value is `kind`.
pub const ANNOTATION_OPTIONAL: &str = "provisioner/optional";
/// Annotation of an object that belongs to the stack only where this authority signs certificates: `own` or
/// `cert-manager`.
pub const ANNOTATION_CERTIFICATES: &str = "provisioner/certificates";
/// Annotation of an object that stays where the manifests no longer have it; the value is `true`.
pub const ANNOTATION_KEEP: &str = "provisioner/keep";
/// Annotation of an object: `required`, `reported` or `none`, what it means for a run that it is not ready.
pub const ANNOTATION_WAIT: &str = "provisioner/wait";
/// Annotation of the `ApplySet`'s parent: a hash of which objects the set has.
pub const ANNOTATION_MEMBERS: &str = "provisioner/members";
/// Annotation of pod templates: a hash of the `ConfigMap`s and Secrets that the pods use.
pub const ANNOTATION_CHECKSUM: &str = "provisioner/config-checksum";

/// Tags that start with this may move from one image to another; all others are immutable.
pub const MOVING_TAG: &str = "latest";

/// The service's repository and workload name.
pub const APP: &str = "web-app";
/// The load generator's repository suffix.
pub const LOAD: &str = "load";

/// How the names of all entries end that `kubeconfig` writes.
pub const KUBECONFIG_MARK: &str = ".provisioner";

/// Name of the entry that `kubeconfig` writes for an EKS cluster. It names the cluster in full: the same name in another
/// region or account is another cluster.
pub fn kube_context(cluster: &str, region: &str, account: &str) -> String {
    format!("{cluster}.{region}.{account}{KUBECONFIG_MARK}")
}

/// A stack's name: `[a-z][a-z0-9-]{0,38}[a-z0-9]` without `--`, the cluster's name or `--name`.
///
/// It is part of the names of ECR repositories, which know no two separators in a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackName(String);

/// Why a text is no [`StackName`], with a proposal that is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not a valid stack name: 2 to 40 characters, lower-case letters, digits and single `-`, first a letter, last not `-`"
)]
pub struct InvalidName {
    /// The text as given.
    pub given: String,
    /// The nearest valid name, for `--name`; none where nothing of the text is usable.
    pub proposal: Option<String>,
}

impl FromStr for StackName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_valid(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName {
            given: text.to_owned(),
            proposal: propose(text),
        })
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StackName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// ECR repository of image `image` (`web-app` or `load`): `NAME/image`.
    pub fn repository(&self, image: &str) -> String {
        format!("{self}/{image}")
    }

    /// `CloudFormation` stack of the foundation: `provisioner-NAME`.
    pub fn foundation(&self) -> String {
        format!("provisioner-{self}")
    }

    /// The `ApplySet` parent Secret in the app's namespace: `provisioner-NAME`.
    pub fn applyset_parent(&self) -> String {
        format!("provisioner-{self}")
    }

    /// The Lease in the app's namespace that one run at a time holds: `provisioner-NAME`.
    pub fn lease(&self) -> String {
        format!("provisioner-{self}")
    }

    /// Tags of everything that the tool creates on AWS.
    pub fn aws_tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (TAG_STACK.to_owned(), self.0.clone()),
            (TAG_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            (TAG_CREATED.to_owned(), "true".to_owned()),
        ])
    }

    /// Whether tags say that this stack created the resource.
    pub fn owns<K: AsRef<str>, V: AsRef<str>>(&self, tags: impl IntoIterator<Item = (K, V)>) -> bool {
        let (mut stack, mut created) = (false, false);
        for (key, value) in tags {
            stack |= key.as_ref() == TAG_STACK && value.as_ref() == self.0;
            created |= key.as_ref() == TAG_CREATED && value.as_ref() == "true";
        }
        stack && created
    }

    /// Whether labels are those of this stack's objects; see [`Self::selector`].
    pub fn marks<'a>(&self, labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        let (mut managed, mut part) = (false, false);
        for (key, value) in labels {
            managed |= key == LABEL_MANAGED_BY && value == FIELD_MANAGER;
            part |= key == LABEL_PART_OF && *value == self.0;
        }
        managed && part
    }

    /// Labels of every Kubernetes object of component `component`.
    pub fn labels(&self, component: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_MANAGED_BY.to_owned(), FIELD_MANAGER.to_owned()),
            (LABEL_PART_OF.to_owned(), self.0.clone()),
            (LABEL_COMPONENT.to_owned(), component.to_owned()),
        ])
    }

    /// Label selector of every Kubernetes object of this stack.
    pub fn selector(&self) -> String {
        format!("{LABEL_MANAGED_BY}={FIELD_MANAGER},{LABEL_PART_OF}={self}")
    }
}

fn is_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    (2..=40).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
        && !text.contains("--")
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

fn propose(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let dashed = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let trimmed = dashed.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let cut: String = trimmed.chars().take(40).collect();
    let candidate = cut.trim_end_matches('-').to_owned();
    is_valid(&candidate).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_pass_unchanged() {
        for name in ["demo", "a1", "web-app-2", &"a".repeat(40)] {
            assert_eq!(name.parse::<StackName>().map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn names_that_do_not_fit_come_with_a_proposal() {
        let cases = [
            ("", None),
            ("a", None),
            ("-", None),
            ("Demo", Some("demo")),
            ("1demo", Some("demo")),
            ("demo-", Some("demo")),
            ("dev--1", Some("dev-1")),
            ("Dev_-_1", Some("dev-1")),
            ("team__a@b", Some("team-a-b")),
            ("admin@host.example", Some("admin-host-example")),
            (
                "arn:aws:eks:eu-west-1:1:cluster/demo",
                Some("arn-aws-eks-eu-west-1-1-cluster-demo"),
            ),
        ];
        for (given, proposal) in cases {
            let error = given.parse::<StackName>().expect_err(given);
            assert_eq!(error.proposal.as_deref(), proposal, "{given}");
        }
        assert!("a".repeat(41).parse::<StackName>().is_err());
    }

    #[test]
    fn ownership_needs_both_tags_and_the_same_stack() {
        let demo: StackName = "demo".parse().expect("valid");
        assert!(demo.owns(demo.aws_tags()));
        assert!(!demo.owns([(TAG_STACK, "demo")]));
        assert!(!demo.owns([(TAG_STACK, "other"), (TAG_CREATED, "true")]));
        assert!(!demo.owns([(TAG_STACK, "demo"), (TAG_CREATED, "false")]));
    }
}
