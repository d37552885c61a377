//! What there is of a stack, looked up before anything is asked, and again as proof.

use super::leftovers::Leftovers;
use super::{ANSWER, Teardown};
use crate::aws::Aws;
use crate::aws::ecr::{self, Repository};
use crate::aws::eks::EksCluster;
use crate::aws::foundation::{self, Ground};
use crate::cluster::values::Namespaces;
use crate::cluster::{ObjectRef, inventory, parent};
use crate::error::Error;
use crate::names::{APP, LOAD, StackName};
use crate::ops::receipt::Item;
use crate::report::Reporter;
use crate::target::{Found, Place, Registry, Session};

/// What there is of a stack.
pub(super) struct Survey {
    pub(super) cluster: Found,
    pub(super) foundation: Option<Ground>,
    /// In ECR, those of app and loader first.
    pub(super) repositories: Vec<Repository>,
    /// Repositories of a registry that is not ECR into which images of others were copied, as far as the stack says so.
    pub(super) mirrored: Vec<String>,
    /// Objects on the cluster of a context; those of an EKS cluster are looked for when it is connected to.
    objects: Vec<ObjectRef>,
    /// What the cluster leaves on AWS, where it is asked to go.
    pub(super) leftovers: Leftovers,
}

impl Survey {
    pub(super) async fn of(teardown: &Teardown<'_>) -> Result<Self, Error> {
        let (mut survey, has_list) = Self::without_leftovers(teardown).await?;
        if !has_list {
            teardown.context.report.warning(
                "cannot list repositories: copies of others' images that `bootstrap --mirror` made are not looked for, which takes \
                 `ecr:DescribeRepositories` on all of the registry's",
            );
        }
        if let Some(aws) = teardown.place.aws().filter(|_| teardown.flags.delete_cluster) {
            let cluster = survey.cluster.eks();
            survey.leftovers = Leftovers::look(aws, teardown.cluster, teardown.stack, cluster).await?;
        }
        Ok(survey)
    }

    /// The same once things were deleted: whose the cluster was, what is gone can no longer tell.
    pub(super) async fn after(teardown: &Teardown<'_>, before: &Self) -> Result<Self, Error> {
        let (mut survey, _) = Self::without_leftovers(teardown).await?;
        if let Some(aws) = teardown.place.aws() {
            survey.leftovers = before.leftovers.look_again(aws).await?;
        }
        Ok(survey)
    }

    /// Also whether all of the registry's repositories were looked at.
    async fn without_leftovers(teardown: &Teardown<'_>) -> Result<(Self, bool), Error> {
        let (place, stack) = (teardown.place, teardown.stack);
        let foundation = async {
            match place.aws() {
                Some(aws) => Ok(foundation::ground(aws, stack).await?),
                None => Ok(None),
            }
        };
        let (cluster, foundation, (repositories, has_list)) = tokio::try_join!(
            Box::pin(place.find(stack)),
            Box::pin(foundation),
            Box::pin(repositories(teardown, stack)),
        )?;
        let (objects, mirrored) = match place {
            Place::Eks(..) => (Vec::new(), Vec::new()),
            Place::Context(_) => {
                let session = place.connect(&cluster, ANSWER, &*teardown.context.report).await?;
                let objects = inventory::of_stack(&session.cluster, stack).await?;
                (objects, mirrored(teardown, &session).await?)
            }
        };
        let survey = Self {
            cluster,
            foundation,
            repositories,
            mirrored,
            objects,
            leftovers: Leftovers::default(),
        };
        Ok((survey, has_list))
    }

    /// Whether this stack made the cluster; of one that is gone its foundation tells.
    pub(super) fn cluster_was_ours(&self) -> bool {
        self.cluster
            .eks()
            .map_or(self.foundation.is_some(), |found| found.created_by_us)
    }

    /// Whether the foundation has a NAT gateway, which is billed.
    pub(super) fn has_gateway(&self) -> bool {
        self.foundation.as_ref().is_some_and(|ground| ground.gateway)
    }

    /// How many repositories in ECR are for copies of others' images.
    pub(super) fn copies(&self, stack: &StackName) -> usize {
        let own = [APP, LOAD].map(|image| stack.repository(image));
        let names = self.repositories.iter().map(|found| &found.name);
        names.filter(|name| !own.contains(name)).count()
    }

    pub(super) fn items(&self, cluster: &str, stack: &StackName) -> Vec<Item> {
        let cluster = self.cluster.eks().map(|_| Item::new("cluster", cluster));
        let foundation = self
            .foundation
            .as_ref()
            .map(|_| Item::new("foundation", &stack.foundation()));
        let repositories = self.repositories.iter();
        let repositories = repositories.map(|repository| Item::new("repository", &repository.name));
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

    /// Refuses a stack whose foundation was made for another cluster, before that one loses something.
    ///
    /// # Errors
    /// The names do not belong together: exit 2, nothing was changed.
    pub(super) fn check_names(&self, teardown: &Teardown<'_>) -> Result<(), Error> {
        let region = teardown.place.aws().map_or("", Aws::region);
        let touches = teardown.flags.delete_cluster || matches!(self.cluster, Found::Missing);
        match &self.foundation {
            Some(ground) if touches => {
                same_cluster(teardown.stack, ground, (teardown.cluster, region), self.cluster.eks())
            }
            _ => Ok(()),
        }
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

/// Where the foundation does not tell, it goes with a cluster of this stack's, with one that stands on it, and with one
/// that bears the stack's name, as clusters do unless `--name` says otherwise.
fn same_cluster(
    stack: &StackName,
    ground: &Ground,
    (cluster, region): (&str, &str),
    found: Option<&EksCluster>,
) -> Result<(), Error> {
    let foundation = stack.foundation();
    if let Some(made_for) = &ground.made_for {
        if made_for == cluster {
            return Ok(());
        }
        let refused = format!("foundation stack `{foundation}` was made for cluster `{made_for}`, not for `{cluster}`");
        let hint = format!("check `--cluster` and `--name`: stack `{stack}` goes with `--cluster {made_for}`");
        return Err(Error::usage(refused).hint(hint));
    }
    let goes_with = |found: &EksCluster| found.created_by_us || ground.needed_by(found, None).is_some();
    if !ground.ours || cluster == stack.as_str() || found.is_some_and(goes_with) {
        return Ok(());
    }
    let refused = format!(
        "foundation stack `{foundation}` does not say which cluster it was made for, and nothing says that it was `{cluster}`"
    );
    let hint = format!(
        "give the name of the cluster that stands on it with `--cluster`; where that is gone, delete what it stood on with \
         `aws cloudformation delete-stack --stack-name {foundation} --region {region}`"
    );
    Err(Error::usage(refused).hint(hint))
}

/// The stack's repositories in ECR, first those of app and loader, also where others made them, which is told; and whether
/// those of copies were looked for. Those of another registry are not ours to delete.
async fn repositories(teardown: &Teardown<'_>, stack: &StackName) -> Result<(Vec<Repository>, bool), Error> {
    let Some(aws) = teardown.registry.and_then(Registry::aws) else {
        return Ok((Vec::new(), true));
    };
    let own = [APP, LOAD].map(|image| stack.repository(image));
    if let Some(mut listed) = Box::pin(ecr::list(aws, stack)).await? {
        listed.retain(|found| found.created_by_us || own.contains(&found.name));
        listed.sort_by_key(|found| !own.contains(&found.name));
        return Ok((listed, true));
    }
    let (app, load) = tokio::try_join!(
        Box::pin(ecr::find_repository(aws, stack, APP)),
        Box::pin(ecr::find_repository(aws, stack, LOAD)),
    )?;
    Ok((app.into_iter().chain(load).collect(), false))
}

/// Where the stack says that it has copies, in a registry that is not ECR.
async fn mirrored(teardown: &Teardown<'_>, session: &Session) -> Result<Vec<String>, Error> {
    let Some(Registry::Other(_)) = teardown.registry else {
        return Ok(Vec::new());
    };
    let parent = parent::read(&session.cluster, teardown.stack, &Namespaces::default().app).await?;
    Ok(parent.unwrap_or_default().mirrored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fake::cluster;

    fn ground(made_for: Option<&str>) -> Ground {
        let mut ground = Ground::default();
        (ground.ours, ground.made_for) = (true, made_for.map(str::to_owned));
        ground
    }

    #[test]
    fn a_foundation_of_another_cluster_is_refused_before_anything_is_deleted() {
        let stack: StackName = "demo".parse().unwrap();
        same_cluster(&stack, &ground(Some("prod")), ("prod", "us-east-1"), None).unwrap();
        let error = same_cluster(&stack, &ground(Some("prod")), ("prdo", "us-east-1"), None).unwrap_err();
        assert_eq!(error.exit().code(), 2);
        insta::assert_snapshot!(error, @"
        error: foundation stack `provisioner-demo` was made for cluster `prod`, not for `prdo`

        hint: check `--cluster` and `--name`: stack `demo` goes with `--cluster prod`
        ");
    }

    #[test]
    fn a_foundation_that_does_not_tell_goes_only_with_a_cluster_that_is_known_to_be_its_own() {
        let stack: StackName = "demo".parse().unwrap();
        let (foreign, ours) = (cluster("prod", false), cluster("prod", true));
        same_cluster(&stack, &ground(None), ("demo", "us-east-1"), None).unwrap();
        same_cluster(&stack, &ground(None), ("prod", "us-east-1"), Some(&ours)).unwrap();
        let theirs = Ground::default();
        same_cluster(&stack, &theirs, ("prod", "us-east-1"), None).unwrap();
        let error = same_cluster(&stack, &ground(None), ("prod", "us-east-1"), Some(&foreign)).unwrap_err();
        assert_eq!(error.exit().code(), 2);
        let error = same_cluster(&stack, &ground(None), ("prod", "us-east-1"), None).unwrap_err();
        insta::assert_snapshot!(error, @"
        error: foundation stack `provisioner-demo` does not say which cluster it was made for, and nothing says that it was `prod`

        hint: give the name of the cluster that stands on it with `--cluster`; where that is gone, delete what it stood on with `aws cloudformation delete-stack --stack-name provisioner-demo --region us-east-1`
        ");
    }
}
