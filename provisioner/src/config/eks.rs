//! `[eks]`: reading its settings, and which of them cannot be together.

use std::time::Duration;

use ipnet::Ipv4Net;

use super::read::Reader;
use super::{Eks, Problem};
use crate::aws::eks::{Compute, LOG_TYPES};
use crate::spelling::nearest;

/// Subnets must lie in two zones.
const FEWEST_SUBNETS: usize = 2;
/// Settings that only an EKS cluster of ours can have.
const OF_A_NEW_CLUSTER: [&str; 10] = [
    "eks.k8s-version",
    "eks.compute",
    "eks.private-nodes",
    "eks.subnet-ids",
    "eks.cluster-role-arn",
    "eks.node-role-arn",
    "eks.admin-arn",
    "eks.public-access-cidr",
    "eks.control-plane-logs",
    "eks.hpa-sync-period",
];

impl Reader<'_> {
    pub(super) fn eks(&mut self) -> Eks {
        let computes = [("auto", Some(Compute::Auto)), ("nodegroup", Some(Compute::NodeGroup))];
        let eks = Eks {
            create_cluster: self.create_cluster(),
            k8s_version: self.checked("eks.k8s-version", is_version, "like `1.34`"),
            compute: self.choice("eks.compute", &computes),
            private_nodes: self.switch("eks.private-nodes"),
            subnet_ids: self.each("eks.subnet-ids", subnet),
            cluster_role_arn: self.checked("eks.cluster-role-arn", is_role, "the ARN of an IAM role"),
            node_role_arn: self.checked("eks.node-role-arn", is_role, "the ARN of an IAM role"),
            admin_arns: self.each("eks.admin-arn", principal),
            public_access_cidrs: self.each("eks.public-access-cidr", range),
            control_plane_logs: self.each("eks.control-plane-logs", log_type),
            // Read by itself: more commands use it.
            hpa_sync_period: None,
        };
        self.subnets_alone(&eks);
        self.one_account(&eks);
        self.no_context();
        eks
    }

    /// A cluster of a kube-context exists, and is used as it is: what a source of the same or a higher rank says about
    /// a new one is a misunderstanding.
    fn no_context(&mut self) {
        let Some(context) = self.rank("target.kube-context") else {
            return;
        };
        if self.rank("target.cluster").is_some_and(|cluster| cluster <= context) {
            return;
        }
        let asked = OF_A_NEW_CLUSTER
            .iter()
            .filter(|path| self.rank(path).is_some_and(|rank| rank <= context));
        let origins: Vec<String> = asked.filter_map(|path| Some(self.find(path)?.origin.clone())).collect();
        for origin in origins {
            let message = format!("{origin} needs `--cluster`: the cluster of a kube-context is used as it is");
            self.problems.push(Problem::new(message));
        }
    }

    /// The texts of a list, without repetitions; each that is not valid is a problem of its own.
    fn each(&mut self, path: &str, check: fn(&str) -> Result<(), String>) -> Vec<String> {
        let Some(setting) = self.find(path) else {
            return Vec::new();
        };
        let mut valid: Vec<String> = Vec::new();
        for text in &setting.texts {
            match check(text) {
                Err(what) => self
                    .problems
                    .push(Problem::new(format!("{}: `{text}` {what}", setting.origin))),
                Ok(()) if valid.contains(text) => {}
                Ok(()) => valid.push(text.clone()),
            }
        }
        valid
    }

    /// EKS takes single-unit durations; fractions of a second it does not know.
    pub(super) fn sync_period(&mut self) -> Option<Duration> {
        let period = self.duration("eks.hpa-sync-period")?;
        if period.subsec_nanos() > 0 {
            let setting = self.find("eks.hpa-sync-period")?;
            self.problem(setting, "must be whole seconds");
            return None;
        }
        Some(period)
    }

    fn subnets_alone(&mut self, eks: &Eks) {
        let Some(setting) = self.find("eks.subnet-ids") else {
            return;
        };
        if !eks.subnet_ids.is_empty() && eks.subnet_ids.len() < FEWEST_SUBNETS && setting.texts.len() < FEWEST_SUBNETS {
            self.problem(setting, "is one subnet: EKS needs two or more, in two zones");
        }
        if eks.private_nodes
            && let Some(private) = self.find("eks.private-nodes")
        {
            let message = format!(
                "{} and {} cannot be together: nodes go to the subnets that are given, private or not",
                private.origin, setting.origin
            );
            self.problems.push(Problem::new(message));
        }
    }

    /// A cluster lives in one account, and so do its roles.
    fn one_account(&mut self, eks: &Eks) {
        let account = |arn: &str| arn.split(':').nth(4).map(str::to_owned);
        let (Some(cluster), Some(node)) = (&eks.cluster_role_arn, &eks.node_role_arn) else {
            return;
        };
        if account(cluster) != account(node) {
            let message = format!("roles `{cluster}` and `{node}` are of two accounts: EKS takes those of one");
            self.problems.push(Problem::new(message));
        }
    }
}

fn is_version(text: &str) -> bool {
    text.strip_prefix("1.")
        .is_some_and(|minor| (1..=3).contains(&minor.len()) && minor.chars().all(|c| c.is_ascii_digit()))
}

fn is_role(text: &str) -> bool {
    is_iam(text, &["role/"])
}

/// Whether a text is the ARN of an IAM identity whose kind is one of `kinds`.
fn is_iam(text: &str, kinds: &[&str]) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "iam", "", account, name]
        if account.len() == 12 && account.chars().all(|c| c.is_ascii_digit())
            && kinds.iter().any(|kind| name.starts_with(kind)) && name.split('/').all(|part| !part.is_empty()))
}

/// A user, a role, or a role's session, which counts as its role: the ARN that `aws sts get-caller-identity` shows.
fn principal(text: &str) -> Result<(), String> {
    if is_iam(text, &["role/", "user/"]) || is_session(text) {
        return Ok(());
    }
    Err("is not valid: the ARN of an IAM role, of its session, or of a user".to_owned())
}

fn is_session(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", _, "sts", "", account, name] = parts[..] else {
        return false;
    };
    let name: Vec<&str> = name.split('/').collect();
    let known = matches!(name[..], ["assumed-role", role, session] if !role.is_empty() && !session.is_empty());
    known && account.len() == 12
}

fn subnet(text: &str) -> Result<(), String> {
    let id = text.strip_prefix("subnet-");
    if id.is_some_and(|id| id.len() >= 8 && id.chars().all(|c| c.is_ascii_hexdigit())) {
        return Ok(());
    }
    Err("is not valid: like `subnet-0123456789abcdef0`".to_owned())
}

/// EKS takes IPv4 ranges for clusters like ours.
fn range(text: &str) -> Result<(), String> {
    match text.parse::<Ipv4Net>() {
        Ok(net) if net.trunc() == net => Ok(()),
        Ok(net) => Err(format!("has bits beyond its prefix: write `{}`", net.trunc())),
        Err(_) if text.parse::<std::net::Ipv4Addr>().is_ok() => {
            Err(format!("is an address: write `{text}/32` for it alone"))
        }
        Err(_) => Err("is not an IPv4 range: like `203.0.113.0/24`".to_owned()),
    }
}

fn log_type(text: &str) -> Result<(), String> {
    if LOG_TYPES.contains(&text) {
        return Ok(());
    }
    let near = nearest(text, LOG_TYPES).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    Err(format!("is none of `{}`{near}", LOG_TYPES.join("`, `")))
}

#[cfg(test)]
mod tests;
