//! What a stack costs: planned, while it runs, and in the moment in which a run ends before its end.

use jiff::{Timestamp, Unit};

use crate::aws::cost::{Cost, Intents, Nodes, Owner, Spent};
use crate::aws::eks::{Compute, EksCluster};
use crate::cluster::nodes::{Node, counted};
use crate::config::Eks;
use crate::report::Entries;

/// Name of nodes that do not tell what they are.
const UNKNOWN: &str = "node of unknown type";

/// The cost of everything that a run has of its own, and what of it there was before.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    /// All of it.
    pub cost: Cost,
    /// What existed when the run began.
    there: Vec<Owner>,
}

impl Bill {
    /// For a cluster as it was found. One that others made is theirs to pay: only the images are the stack's.
    /// `gateway`: nodes are behind a NAT gateway of the foundation's.
    pub(super) fn new(found: &EksCluster, gateway: bool, region: &str) -> Self {
        let (intents, there) = if found.created_by_us {
            (
                cluster(Some(found.settings.compute), gateway),
                vec![Owner::Cluster, Owner::Network, Owner::Images],
            )
        } else {
            (Intents::images(), vec![Owner::Images])
        };
        Self {
            cost: Cost::of(&intents, region),
            there,
        }
    }

    /// For the cluster that will be made as `eks` says.
    pub(super) fn planned(eks: &Eks, region: &str) -> Self {
        Self {
            cost: Cost::of(&cluster(eks.compute, eks.private_nodes), region),
            there: Vec::new(),
        }
    }

    /// The same with so many copies of others' images.
    #[must_use]
    pub(super) fn mirroring(self, copies: usize) -> Self {
        let copies = u32::try_from(copies).unwrap_or(u32::MAX);
        Self {
            cost: self.cost.mirroring(copies),
            ..self
        }
    }

    /// The cost of what exists: what was there and did not go, what this run made, what may come to exist. None where
    /// nothing is billed by the hour.
    pub(super) fn of(&self, entries: &Entries) -> Option<Cost> {
        let words = [
            ("cluster", Owner::Cluster),
            ("foundation", Owner::Network),
            ("repository", Owner::Images),
        ];
        let exists = |(word, owner): &(&str, Owner)| {
            let any = |things: &std::collections::BTreeSet<String>| things.iter().any(|thing| thing.starts_with(word));
            let pending = entries.pending.iter().any(|what| what.contains(word));
            (self.there.contains(owner) && !any(&entries.gone)) || any(&entries.made) || pending
        };
        let owners: Vec<Owner> = words.into_iter().filter(exists).map(|(_, owner)| owner).collect();
        let cost = self.cost.only(&owners);
        cost.is_billable().then_some(cost)
    }
}

fn cluster(compute: Option<Compute>, gateway: bool) -> Intents {
    let intents = Intents::auto_mode_cluster();
    let intents = match compute {
        Some(Compute::NodeGroup) => intents.with_node_group(),
        Some(Compute::Auto) | None => intents,
    };
    if gateway { intents.behind_nat() } else { intents }
}

/// What a stack costs an hour with the nodes that there are; only their images where the cluster is somebody else's.
pub(super) fn running(found: &EksCluster, nodes: &[Node], gateway: bool, region: &str) -> Cost {
    if !found.created_by_us {
        return Cost::of(&Intents::images(), region);
    }
    let kind = |(node, count): (&Node, u32)| Nodes {
        instance_type: node.instance_type.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        count,
        auto_mode: node.auto_mode,
    };
    let public = nodes.iter().filter(|node| node.public).count();
    let kinds = counted(nodes).into_iter().map(kind).collect();
    let intents = Intents::auto_mode_cluster().with_nodes(kinds, u32::try_from(public).unwrap_or(u32::MAX));
    let intents = if gateway { intents.with_gateway() } else { intents };
    Cost::of(&intents, region)
}

/// What a cluster of ours cost from its creation until `now`; none for one that EKS gives no date for.
pub(super) fn spent(found: &EksCluster, gateway: bool, region: &str, now: Timestamp) -> Option<Spent> {
    let created = found.created_at.filter(|_| found.created_by_us)?;
    let hours = now.since(created).ok()?.total(Unit::Hour).ok()?;
    Some(Bill::new(found, gateway, region).cost.over(hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(created_by_us: bool) -> EksCluster {
        crate::aws::fake::cluster("demo", created_by_us)
    }

    fn entries(made: &[&str], pending: &[&str], gone: &[&str]) -> Entries {
        let set = |list: &[&str]| list.iter().map(|thing| (*thing).to_owned()).collect();
        Entries {
            made: set(made),
            pending: set(pending),
            gone: set(gone),
            ..Entries::default()
        }
    }

    #[test]
    fn nodes_of_a_group_and_their_gateway_have_their_price() {
        let plain = Bill::planned(&Eks::default(), "us-east-1").cost;
        assert_eq!(plain, Cost::of(&Intents::auto_mode_cluster(), "us-east-1"));
        let eks = Eks {
            compute: Some(Compute::NodeGroup),
            private_nodes: true,
            ..Eks::default()
        };
        let cost = Bill::planned(&eks, "us-east-1").cost;
        let what: Vec<&str> = cost.items.iter().map(|item| item.what.as_str()).collect();
        assert!(what.iter().any(|what| what.contains("t3.large")), "{what:?}");
        assert!(what.iter().any(|what| what.contains("NAT")), "{what:?}");
        // Control plane, two nodes, gateway, its address; and the images.
        let hourly = 0.10 + 2.0 * 0.0832 + 0.045 + 0.005;
        assert!((cost.per_hour - hourly).abs() < 0.001, "{}", cost.per_hour);
    }

    #[test]
    fn only_what_exists_or_may_exist_is_billed() {
        let new = &Bill::planned(&Eks::default(), "us-east-1");
        let [ours, foreign] = &[true, false].map(|ours| Bill::new(&cluster(ours), false, "us-east-1"));
        let cases = [
            (new, entries(&[], &[], &[]), false),
            (new, entries(&["repository demo/web-app"], &[], &[]), false),
            (new, entries(&["foundation provisioner-demo"], &[], &[]), false),
            (new, entries(&["cluster demo"], &[], &[]), true),
            (new, entries(&[], &["cluster `demo`"], &[]), true),
            (ours, entries(&[], &[], &[]), true),
            (ours, entries(&[], &["cluster `demo` to be deleted"], &[]), true),
            (
                ours,
                entries(&[], &[], &["cluster demo", "foundation provisioner-demo"]),
                false,
            ),
            (foreign, entries(&["repository demo/web-app"], &[], &[]), false),
        ];
        for (bill, entries, billed) in cases {
            assert_eq!(bill.of(&entries).is_some(), billed, "{bill:?} {entries:?}");
        }
    }

    #[test]
    fn the_running_cost_counts_the_nodes_that_there_are() {
        let node = Node {
            instance_type: Some("m5.large".to_owned()),
            architecture: "amd64".to_owned(),
            auto_mode: true,
            public: true,
        };
        let bare = Node {
            instance_type: None,
            auto_mode: false,
            public: false,
            ..node.clone()
        };
        let cost = running(&cluster(true), &[node.clone(), node.clone(), bare], false, "us-east-1");
        insta::assert_snapshot!(cost.details(), @r"
        1 x EKS control plane        $0.1000/h
        1 x node of unknown type     price not known
        2 x m5.large with Auto Mode  $0.2150/h
        2 x public IPv4 address      $0.0100/h
        0.05 GB in ECR               below $0.0001/h
        ");
        let foreign = running(&cluster(false), &[node], true, "us-east-1");
        assert!(!foreign.is_billable(), "{foreign}");
    }

    #[test]
    fn what_was_spent_counts_from_the_creation_of_a_cluster_of_ours() {
        let now: Timestamp = "2026-09-01T10:00:00Z".parse().expect("a time");
        let spent = |ours| spent(&cluster(ours), false, "us-east-1", now);
        insta::assert_snapshot!(spent(true).expect("ours"), @"about $2.81 in 10.0 h at $0.28 an hour (estimate, us-east-1 list prices of 2026-08-01)");
        assert_eq!(spent(false), None);
    }

    #[test]
    fn the_gateway_of_private_nodes_is_in_every_figure() {
        let (ours, now) = (cluster(true), "2026-09-01T10:00:00Z".parse().expect("a time"));
        let nat = |cost: &Cost| cost.items.iter().any(|item| item.what == "NAT gateway");
        let private = Node {
            instance_type: Some("m5.large".to_owned()),
            architecture: "amd64".to_owned(),
            auto_mode: true,
            public: false,
        };
        let cost = running(&ours, &[private], true, "us-east-1");
        insta::assert_snapshot!(cost.details(), @r"
        1 x EKS control plane        $0.1000/h
        1 x m5.large with Auto Mode  $0.1075/h
        1 x NAT gateway              $0.0450/h
        1 x public IPv4 address      $0.0050/h
        0.05 GB in ECR               below $0.0001/h
        ");
        let bill = Bill::new(&ours, true, "us-east-1");
        assert!(nat(&bill.cost) && nat(&bill.of(&entries(&[], &[], &[])).expect("billed")));
        let rate = |gateway| spent(&ours, gateway, "us-east-1", now).expect("ours").per_hour;
        // The gateway and its address, instead of those of two nodes.
        assert!(
            (rate(true) - rate(false) - 0.04).abs() < 1e-6,
            "{} {}",
            rate(true),
            rate(false)
        );
    }
}
