//! What is asked of a foundation, and how one that exists differs from it.
//!
//! What is not asked for is taken as found. The parameters of a stack never change in place: a network or a role that
//! went would take the cluster on it along.

use std::collections::BTreeSet;

use super::stack::Stack;
use super::{Foundation, template_hash};
use crate::aws::drift::{Aspect, Drift, made_by_newer};
use crate::aws::eks::Compute;
use crate::names::TAG_TEMPLATE;

/// The kind of a foundation in messages.
pub(super) const KIND: &str = "foundation stack";

/// What a cluster is to stand on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundationSpec {
    /// Decides the policies of the roles; none: as found, else [`Compute::Auto`].
    pub compute: Option<Compute>,
    /// Whether nodes get private subnets behind a NAT gateway; false: as found, else no.
    pub private_nodes: bool,
    /// Existing subnets; empty: the stack makes a network.
    pub subnet_ids: Vec<String>,
    /// Existing role of the control plane; none: the stack makes one.
    pub cluster_role_arn: Option<String>,
    /// Existing role of the nodes; none: the stack makes one.
    pub node_role_arn: Option<String>,
    /// The two zones of a network that is made; none: the first two of the region.
    pub zones: Option<[String; 2]>,
    /// The cluster that is to stand on it; none: it is not compared.
    pub cluster: Option<String>,
    /// Whether a cluster stands already: then a missing stack is not made any more.
    pub standing: bool,
}

impl FoundationSpec {
    /// Whether everything was brought along, so that no stack is made.
    pub fn is_brought_along(&self) -> bool {
        self.brought_along().is_some()
    }

    /// The foundation that needs no stack, since everything was brought along.
    pub(super) fn brought_along(&self) -> Option<Foundation> {
        if self.subnet_ids.is_empty() {
            return None;
        }
        Some(Foundation {
            vpc_id: None,
            subnet_ids: self.subnet_ids.clone(),
            cluster_role_arn: self.cluster_role_arn.clone()?,
            node_role_arn: self.node_role_arn.clone()?,
            compute: self.compute.unwrap_or_default(),
        })
    }

    /// Parameters of a new stack, by name.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let compute = self.compute.unwrap_or_default();
        let mut parameters = vec![
            ("Compute", compute.as_str().to_owned()),
            ("Network", self.subnet_ids.is_empty().to_string()),
            ("PrivateNodes", self.private_nodes.to_string()),
            ("MakeClusterRole", self.cluster_role_arn.is_none().to_string()),
            ("MakeNodeRole", self.node_role_arn.is_none().to_string()),
        ];
        if let Some([first, second]) = &self.zones {
            parameters.extend([("ZoneA", first.clone()), ("ZoneB", second.clone())]);
        }
        parameters
    }

    /// How the complete stack `found`, one of ours, differs.
    pub(super) fn drift(&self, found: &Stack) -> Vec<Drift> {
        let of = (KIND, found.name.as_str());
        let refused = |aspect, was: &str, wanted: &str| Some(Drift::refused(of, aspect, was, wanted));
        let made = Parameters(found);
        let compute = self.compute.filter(|wanted| *wanted != made.compute());
        let drifts = [
            made_by_newer(of, &found.tags),
            self.other_cluster(found),
            (found.tags.get(TAG_TEMPLATE) != Some(&template_hash())).then(|| {
                let was = found.tags.get(TAG_TEMPLATE).map_or("unknown", String::as_str);
                Drift::repaired(of, Aspect::Template, was, template_hash())
            }),
            compute.and_then(|wanted| refused(Aspect::Compute, made.compute().as_str(), wanted.as_str())),
            (self.private_nodes && !made.is("PrivateNodes", false))
                .then(|| refused(Aspect::PrivateNodes, "none", "made"))
                .flatten(),
        ];
        let mut drifts: Vec<_> = drifts.into_iter().flatten().collect();
        // What a cluster stands on is told by the cluster itself.
        if !self.standing {
            drifts.extend(self.drift_of_parts(found, &made));
        }
        drifts
    }

    /// A stack of ours that was made for another cluster: that one may stand on it.
    pub(super) fn other_cluster(&self, found: &Stack) -> Option<Drift> {
        let (wanted, made_for) = (self.cluster.as_ref()?, found.made_for()?);
        let drift = || Drift::refused((KIND, &found.name), Aspect::Cluster, made_for, wanted);
        (made_for != wanted).then(drift)
    }

    /// What was to be brought along and is not, or the other way round.
    fn drift_of_parts(&self, found: &Stack, made: &Parameters<'_>) -> Vec<Drift> {
        let role = |arn: &Option<String>| arn.clone().unwrap_or_default();
        let parts = [
            (
                Aspect::Subnets,
                "SubnetIds",
                made.is("Network", true),
                self.subnet_ids.join(","),
            ),
            (
                Aspect::ClusterRole,
                "ClusterRoleArn",
                made.is("MakeClusterRole", true),
                role(&self.cluster_role_arn),
            ),
            (
                Aspect::NodeRole,
                "NodeRoleArn",
                made.is("MakeNodeRole", true),
                role(&self.node_role_arn),
            ),
        ];
        let drift = |(aspect, output, is_made, given): (_, &str, bool, String)| {
            let made = found.outputs.get(output).filter(|_| is_made);
            let (was, wanted) = match made {
                Some(made) if !given.is_empty() && !same_set(made, &given) => (made.clone(), given),
                // What the stack did not make it does not know: another one brought along is no drift here.
                None if given.is_empty() => ("brought along".to_owned(), "the stack's own".to_owned()),
                _ => return None,
            };
            Some(Drift::refused((KIND, &found.name), aspect, was, wanted))
        };
        parts.into_iter().filter_map(drift).collect()
    }
}

/// What a stack was made with; a parameter that it lacks has the template's default.
pub(super) struct Parameters<'a>(pub(super) &'a Stack);

impl Parameters<'_> {
    pub(super) fn compute(&self) -> Compute {
        match self.0.parameters.get("Compute").map(String::as_str) {
            Some("nodegroup") => Compute::NodeGroup,
            _ => Compute::Auto,
        }
    }

    /// Whether there is a NAT gateway, which nodes in private subnets of the stack's own network have.
    pub(super) fn gateway(&self) -> bool {
        self.is("Network", true) && self.is("PrivateNodes", false)
    }

    fn is(&self, name: &str, default: bool) -> bool {
        let given = self.0.parameters.get(name);
        given.map_or(default, |value| value == "true")
    }
}

/// Whether two lists with commas hold the same.
fn same_set(a: &str, b: &str) -> bool {
    let set = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    set(a) == set(b)
}
