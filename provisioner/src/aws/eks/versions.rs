//! Kubernetes versions: asked of EKS, never hard-coded, since they leave standard support every few months.
//!
//! Assumed of the control plane's settings, which `DescribeClusterVersions` lists per version and per scaling tier: what
//! the version lists itself holds for the standard tier, which ours have; what only a tier lists needs that tier.

use std::time::Duration;

use aws_sdk_eks::types::{
    ClusterVersionInformation, ControlPlaneConfigInfo, ControlPlaneScalingTierInfo, DurationParameterConfig,
    VersionStatus,
};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ClusterSpec;
use super::spec::eks_duration;
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, incomplete};
use crate::config::duration;

const OPERATION: &str = "eks:DescribeClusterVersions";

/// A version that leaves standard support sooner than this is warned about.
const SOON_DAYS: i64 = 60;
const DAY_SECONDS: i64 = 24 * 3600;

/// What EKS offers in a region, as read.
#[derive(Debug, Clone)]
pub struct Versions {
    region: String,
    offered: Vec<ClusterVersionInformation>,
}

/// The version of a new cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// E.g. `1.35`.
    pub name: String,
    /// Whether it is EKS's default.
    pub is_default: bool,
    /// When its standard support ends, where EKS tells.
    pub standard_until: Option<Timestamp>,
}

impl Choice {
    /// What a person should know about it, as a sentence: that its support ends soon after `now`.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let until = self.standard_until?;
        let days = (until.as_second() - now.as_second()).div_euclid(DAY_SECONDS);
        (days < SOON_DAYS).then(|| {
            let day = until.to_zoned(TimeZone::UTC).date();
            let left = match days {
                i64::MIN..=0 => "now".to_owned(),
                1 => "in 1 day".to_owned(),
                days => format!("in {days} days"),
            };
            format!(
                "Kubernetes {} leaves standard support {left}, on {day}: EKS upgrades the cluster by itself then",
                self.name
            )
        })
    }
}

impl Versions {
    /// Asks EKS.
    ///
    /// # Errors
    /// EKS does not say.
    pub async fn read(aws: &Aws) -> Result<Self, AwsError> {
        let pages = aws.eks.describe_cluster_versions().into_paginator().items();
        let found: Result<Vec<_>, _> = pages.send().collect().await;
        Ok(Self {
            region: aws.region.clone(),
            offered: found.map_err(api(OPERATION, "ask for the Kubernetes versions on offer", ""))?,
        })
    }

    /// The version that a new cluster gets: the one asked for, or EKS's default.
    ///
    /// # Errors
    /// [`AwsError::UnknownVersion`] with those on offer, [`AwsError::NotOffered`] for an HPA sync period that the version
    /// does not take; exit 2.
    pub fn choose(&self, spec: &ClusterSpec) -> Result<Choice, AwsError> {
        let offered = &self.offered;
        let chosen = if let Some(wanted) = &spec.kubernetes_version {
            let is_wanted = |v: &&ClusterVersionInformation| v.cluster_version() == Some(wanted) && is_standard(v);
            let found = offered.iter().find(is_wanted);
            found.ok_or_else(|| self.unknown(wanted))?
        } else {
            let default = offered.iter().find(|v| v.default_version());
            default.ok_or_else(|| incomplete(OPERATION, &self.region, "default version"))?
        };
        let name = chosen.cluster_version();
        let name = name.ok_or_else(|| incomplete(OPERATION, &self.region, "version"))?;
        if let Some(period) = spec.hpa_sync_period {
            check_period(name, chosen, period)?;
        }
        let until = chosen.end_of_standard_support_date();
        Ok(Choice {
            name: name.to_owned(),
            is_default: chosen.default_version(),
            standard_until: until.and_then(|date| Timestamp::from_second(date.secs()).ok()),
        })
    }

    /// Checks the HPA sync period that is asked of a cluster that runs `version`.
    ///
    /// # Errors
    /// [`AwsError::NotOffered`] where the version does not take it; exit 2.
    pub fn check_sync_period(&self, version: &str, period: Duration) -> Result<(), AwsError> {
        match self.offered.iter().find(|v| v.cluster_version() == Some(version)) {
            Some(found) => check_period(version, found, period),
            None => Err(self.unknown(version)),
        }
    }

    fn unknown(&self, wanted: &str) -> AwsError {
        let standard = self.offered.iter().filter(|v| is_standard(v));
        let label = |v: &ClusterVersionInformation| {
            let default = if v.default_version() { " (the default)" } else { "" };
            Some(format!("{}{default}", v.cluster_version()?))
        };
        let mut valid: Vec<String> = standard.filter_map(label).collect();
        valid.sort();
        AwsError::UnknownVersion {
            wanted: wanted.to_owned(),
            region: self.region.clone(),
            extended: self.offered.iter().any(|v| v.cluster_version() == Some(wanted)),
            valid: valid.join(", "),
        }
    }
}

/// Extended support costs six times as much, and a cluster with support type STANDARD is not made in it.
fn is_standard(version: &ClusterVersionInformation) -> bool {
    version
        .version_status()
        .is_none_or(|s| *s == VersionStatus::StandardSupport)
}

fn check_period(name: &str, version: &ClusterVersionInformation, period: Duration) -> Result<(), AwsError> {
    let refuse = |reason: String| {
        Err(AwsError::NotOffered {
            what: "an HPA sync period",
            version: name.to_owned(),
            reason,
        })
    };
    let Some(offer) = version.control_plane_component_config().and_then(sync_period) else {
        let tiers = version.control_plane_scaling_tiers().iter();
        let able = tiers.filter(|t| {
            t.control_plane_component_config_overrides()
                .and_then(sync_period)
                .is_some()
        });
        let names: Vec<_> = able.filter_map(ControlPlaneScalingTierInfo::tier_name).collect();
        return refuse(if names.is_empty() {
            "EKS sets it itself, 15 s where nothing else is known".to_owned()
        } else {
            format!("only in the provisioned tiers {}", names.join(", "))
        });
    };
    let bound = |text: Option<&str>| text.and_then(|text| duration::parse(text).ok());
    let limits = offer.constraints();
    let (min, max) = (bound(limits.and_then(|l| l.min())), bound(limits.and_then(|l| l.max())));
    if min.is_some_and(|min| period < min) || max.is_some_and(|max| period > max) {
        let text = |limit: Option<Duration>| limit.map_or("any".to_owned(), eks_duration);
        return refuse(format!(
            "{} is not within {} to {}",
            eks_duration(period),
            text(min),
            text(max)
        ));
    }
    Ok(())
}

fn sync_period(config: &ControlPlaneConfigInfo) -> Option<&DurationParameterConfig> {
    let manager = config.kube_controller_manager_config()?;
    let hpa = manager.horizontal_pod_autoscaler_controller_config()?;
    hpa.horizontal_pod_autoscaler_sync_period()
}
