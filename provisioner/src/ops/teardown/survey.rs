//! What there is of a stack, looked up before anything is asked, and again as proof.

use super::leftovers::Leftovers;
use super::{ANSWER, Teardown};
use crate::aws::{ecr, foundation};
use crate::cluster::{ObjectRef, inventory};
use crate::error::Error;
use crate::names::{APP, LOAD, StackName};
use crate::ops::receipt::Item;
use crate::report::Reporter;
use crate::target::{Found, Place, Registry};

/// What there is of a stack.
pub(super) struct Survey {
    pub(super) cluster: Found,
    pub(super) foundation: bool,
    pub(super) repositories: Vec<String>,
    /// Objects on the cluster of a context; those of an EKS cluster are looked for when it is connected to.
    objects: Vec<ObjectRef>,
    /// What the cluster leaves on AWS, where it is asked to go.
    pub(super) leftovers: Leftovers,
}

impl Survey {
    pub(super) async fn of(teardown: &Teardown<'_>) -> Result<Self, Error> {
        let mut survey = Self::without_leftovers(teardown).await?;
        if let Some(aws) = teardown.place.aws().filter(|_| teardown.flags.delete_cluster) {
            let cluster = survey.cluster.eks();
            survey.leftovers = Leftovers::look(aws, teardown.cluster, teardown.stack, cluster).await?;
        }
        Ok(survey)
    }

    /// The same once things were deleted: whose the cluster was, what is gone can no longer tell.
    pub(super) async fn after(teardown: &Teardown<'_>, before: &Self) -> Result<Self, Error> {
        let mut survey = Self::without_leftovers(teardown).await?;
        if let Some(aws) = teardown.place.aws() {
            survey.leftovers = before.leftovers.look_again(aws).await?;
        }
        Ok(survey)
    }

    async fn without_leftovers(teardown: &Teardown<'_>) -> Result<Self, Error> {
        let (place, stack) = (teardown.place, teardown.stack);
        let foundation = async {
            match place.aws() {
                Some(aws) => Ok(foundation::exists(aws, stack).await?),
                None => Ok(false),
            }
        };
        let (cluster, foundation, repositories) = tokio::try_join!(
            Box::pin(place.find(stack)),
            Box::pin(foundation),
            Box::pin(repositories(teardown.registry, stack)),
        )?;
        let objects = match place {
            Place::Eks(..) => Vec::new(),
            Place::Context(_) => {
                let session = place.connect(&cluster, ANSWER).await?;
                inventory::of_stack(&session.cluster, stack).await?
            }
        };
        Ok(Self {
            cluster,
            foundation,
            repositories,
            objects,
            leftovers: Leftovers::default(),
        })
    }

    /// Whether this stack made the cluster; of one that is gone its foundation tells.
    pub(super) fn cluster_was_ours(&self) -> bool {
        self.cluster.eks().map_or(self.foundation, |found| found.created_by_us)
    }

    pub(super) fn items(&self, cluster: &str, stack: &StackName) -> Vec<Item> {
        let cluster = self.cluster.eks().map(|_| Item::new("cluster", cluster));
        let foundation = self.foundation.then(|| Item::new("foundation", &stack.foundation()));
        let repositories = self.repositories.iter().map(|name| Item::new("repository", name));
        let objects = self
            .objects
            .iter()
            .map(|object| Item::new(&object.kind, &object.path()));
        let aws = cluster.into_iter().chain(foundation).chain(repositories);
        aws.chain(self.leftovers.items()).chain(objects).collect()
    }

    /// Whether there may be objects of the stack to delete.
    pub(super) fn has_objects(&self) -> bool {
        self.cluster.eks().is_some() || !self.objects.is_empty()
    }

    /// Says early what of others will keep the network.
    pub(super) fn tell_foreign(&self, report: &dyn Reporter) {
        for (item, why) in self.leftovers.foreign() {
            report.warning(&format!(
                "{} `{}` is in the network and keeps it from going: {why}",
                item.kind, item.name
            ));
        }
    }
}

/// The stack's repositories in ECR; those of another registry are not ours to delete.
async fn repositories(registry: &Registry, stack: &StackName) -> Result<Vec<String>, Error> {
    let Some(aws) = registry.aws() else {
        return Ok(Vec::new());
    };
    let (app, load) = tokio::try_join!(
        Box::pin(ecr::find_repository(aws, stack, APP)),
        Box::pin(ecr::find_repository(aws, stack, LOAD)),
    )?;
    Ok([app, load]
        .into_iter()
        .flatten()
        .map(|repository| repository.name)
        .collect())
}
