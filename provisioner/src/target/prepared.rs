//! Between reading and acting: all that a bootstrap needs is read at one moment, and what follows from it is decided
//! without a network.

use super::{Found, Place, Registry, eks};
use crate::aws::drift::{self, Drift};
use crate::aws::ecr;
use crate::aws::eks::Choice;
use crate::aws::foundation::{self, FoundationSpec};
use crate::aws::preflight::{self, ClusterReadings, Readings, Wanted, WantedCluster};
use crate::error::Error;
use crate::plan::Plan;

/// What a bootstrap knows before it changes anything.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The cluster.
    pub found: Found,
    /// What was read and decided of an EKS cluster; none for one of a context.
    pub cluster: Option<Decided>,
    /// The repositories in ECR; empty where images go elsewhere.
    pub repositories: Vec<ecr::Reading>,
}

/// What was read of an EKS cluster, and what follows from it for a plan.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What was read.
    pub readings: ClusterReadings,
    /// How what is ours differs from the plan, as far as a bootstrap sets it right.
    pub drifts: Vec<Drift>,
    /// The version of a new cluster; none where none is made.
    pub version: Option<Choice>,
    /// What the cluster is to stand on; none where that is not ours to decide.
    pub ground: Option<FoundationSpec>,
}

impl Place {
    /// Reads all that a bootstrap with `plan` needs, and decides what follows from it. Changes nothing.
    ///
    /// # Errors
    /// Every refusal of AWS at once; what a bootstrap would refuse: drift that is not set right, versions and settings
    /// that EKS does not offer; exit 2.
    pub async fn prepare(&self, plan: &Plan, registry: &Registry) -> Result<Prepared, Error> {
        let Some(aws) = self.aws().or(registry.aws()) else {
            return Ok(Prepared {
                found: Found::Context,
                cluster: None,
                repositories: Vec::new(),
            });
        };
        let spec = eks::cluster_spec(plan);
        let cluster = match self {
            Self::Context(_) => None,
            Self::Eks(_, name) => Some(WantedCluster {
                name,
                create: plan.create_cluster,
                spec: &spec,
                addon: eks::ADDON,
                network: plan.eks.subnet_ids.is_empty(),
            }),
        };
        let images: Vec<&str> = plan.images.iter().map(String::as_str).collect();
        let wanted = Wanted {
            stack: &plan.stack,
            cluster,
            images: if registry.aws().is_some() { &images } else { &[] },
        };
        let Readings { cluster, repositories } = Box::pin(preflight::read(aws, &wanted)).await?;
        let found = match &cluster {
            None => Found::Context,
            Some(cluster) => Found::of(cluster.found.clone()),
        };
        let cluster = cluster.map(|cluster| Decided::new(aws.region(), plan, cluster));
        Ok(Prepared {
            found,
            cluster: cluster.transpose()?,
            repositories,
        })
    }
}

impl Decided {
    /// # Errors
    /// What a bootstrap would refuse: drift that is not set right, versions and settings that EKS does not offer, a
    /// region with too few zones; exit 2.
    fn new(region: &str, plan: &Plan, readings: ClusterReadings) -> Result<Self, Error> {
        let standing = eks::standing(readings.found.as_ref());
        if standing.is_some_and(|found| !found.created_by_us) || (standing.is_none() && !plan.create_cluster) {
            return Ok(Self {
                readings,
                drifts: Vec::new(),
                version: None,
                ground: None,
            });
        }
        let spec = eks::cluster_spec(plan);
        let node_role = readings.node_group.as_ref().and_then(|group| group.role.clone());
        let mut ground = eks::foundation_spec(plan, standing, node_role);
        let mut drifts = Vec::new();
        if let Some(found) = standing {
            drifts.extend(crate::aws::eks::drift(found, &spec));
            drifts.extend(eks::moved(found, plan));
        }
        drifts.extend(foundation::drift(&readings.foundation, &plan.stack, &ground));
        drift::refuse(&drifts)?;
        let mut version = None;
        if let Some(offered) = &readings.versions {
            match (standing.and_then(|found| found.version.as_ref()), spec.hpa_sync_period) {
                (Some(version), Some(period)) => offered.check_sync_period(version, period)?,
                (Some(_), None) => {}
                (None, _) => version = Some(offered.choose(&spec)?),
            }
        }
        if let Some(zones) = &readings.zones {
            ground.zones = Some(preflight::two_zones(zones, region)?);
        }
        Ok(Self {
            readings,
            drifts,
            version,
            ground: Some(ground),
        })
    }
}
