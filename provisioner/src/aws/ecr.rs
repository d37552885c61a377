//! ECR: one repository per image, and the registry's password.
//!
//! Ours are named `NAME/IMAGE`, with immutable tags (but for those that are made to move), AES256 and a lifecycle
//! policy that bounds their cost.

mod host;
mod password;
mod settings;

use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::operation::delete_repository::DeleteRepositoryError;
use aws_sdk_ecr::operation::describe_repositories::DescribeRepositoriesError;
use aws_sdk_ecr::types::{self as ecr, ImageTagMutability, Tag};

pub use host::Host;
pub(super) use password::Kept;
pub use password::{RegistryAuth, authorize, reauthorize};

use super::drift::{Aspect, Drift, made_by_newer, refuse};
use super::error::{AwsError, api, is};
use super::quota::QuotaIsFinal;
use super::{Aws, error};
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// A repository as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `NAME/IMAGE`.
    pub name: String,
    /// What image references start with: host and name, no scheme.
    pub uri: String,
    /// Its ARN.
    pub arn: String,
    /// Whether its tags say that this stack created it.
    pub created_by_us: bool,
    /// Set where a newer version of the tool created it.
    pub newer: Option<Drift>,
}

/// A repository as it was read, with what decides whether it has to be changed.
#[derive(Debug, Clone)]
pub struct Reading {
    /// `NAME/IMAGE`.
    pub name: String,
    found: Option<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    repository: Repository,
    settings: ecr::Repository,
    has_lifecycle: bool,
}

impl Reading {
    /// The repository, if it exists.
    pub fn repository(&self) -> Option<&Repository> {
        self.found.as_ref().map(|known| &known.repository)
    }

    /// How one of ours differs from what [`ensure_from`] leaves behind.
    pub fn drifts(&self) -> Vec<Drift> {
        let Some(known) = self.found.as_ref().filter(|known| known.repository.created_by_us) else {
            return Vec::new();
        };
        if let Some(newer) = &known.repository.newer {
            return vec![newer.clone()];
        }
        let of = ("repository", self.name.as_str());
        let tags = (!settings::has_tag_rules(&known.settings)).then(|| {
            Drift::repaired(
                of,
                Aspect::TagRules,
                settings::tag_rules(&known.settings),
                settings::wanted_tag_rules(),
            )
        });
        let lifecycle = (!known.has_lifecycle)
            .then(|| Drift::repaired(of, Aspect::Lifecycle, "none or another one", "that of provisioner"));
        tags.into_iter().chain(lifecycle).collect()
    }
}

/// Reads everything that [`ensure_from`] has to know of the repository of `image`.
pub async fn read(aws: &Aws, stack: &StackName, image: &str) -> Result<Reading, AwsError> {
    let name = stack.repository(image);
    let Some((repository, settings)) = look(aws, stack, image).await? else {
        return Ok(Reading { name, found: None });
    };
    // What others created is never changed, nor what a newer version of the tool did.
    let touched = repository.created_by_us && repository.newer.is_none();
    let has_lifecycle = !touched || settings::has_lifecycle(aws, &name).await?;
    let found = Some(Known {
        repository,
        settings,
        has_lifecycle,
    });
    Ok(Reading { name, found })
}

/// The repository of `image`, if it exists.
pub async fn find_repository(aws: &Aws, stack: &StackName, image: &str) -> Result<Option<Repository>, AwsError> {
    Ok(look(aws, stack, image).await?.map(|(found, _)| found))
}

/// Every repository `NAME/...`, whatever image it is for and whoever created it.
///
/// None where it may not be known: the list is of all repositories of the registry, which takes a right of its own.
pub async fn list(aws: &Aws, stack: &StackName) -> Result<Option<Vec<Repository>>, AwsError> {
    let operation = "ecr:DescribeRepositories";
    let prefix = stack.repository("");
    let mut pages = aws.ecr.describe_repositories().into_paginator().items().send();
    let mut listed = Vec::new();
    while let Some(settings) = pages.next().await {
        let settings = match settings {
            Err(e) if is(&e, DescribeRepositoriesError::is_repository_not_found_exception) => break,
            other => other.map_err(api(
                operation,
                "list the repositories of registry",
                &aws.registry_host(),
            )),
        };
        let settings = match settings {
            Err(AwsError::Api(error)) if error.is_denied() => return Ok(None),
            other => other?,
        };
        let mut found = repository(&settings, operation)?;
        if found.name.starts_with(&prefix) {
            tag(aws, stack, &mut found).await?;
            listed.push(found);
        }
    }
    Ok(Some(listed))
}

/// Makes sure that the repository of `image` exists; one of ours also gets its tag rules and lifecycle policy back.
/// A repository that we did not create is used as it is. It is told here, and one that is new at once: it is there also
/// where its settings are refused afterwards.
///
/// # Errors
/// [`AwsError::Drift`] for one of ours that a newer version of the tool made; nothing was changed.
pub async fn ensure_repository(
    aws: &Aws,
    stack: &StackName,
    image: &str,
    report: &dyn Reporter,
) -> Result<(Repository, Outcome), AwsError> {
    let reading = read(aws, stack, image).await?;
    ensure_from(aws, stack, (image, reading), report).await
}

/// [`ensure_repository`] from what was read before.
///
/// # Errors
/// As there.
pub async fn ensure_from(
    aws: &Aws,
    stack: &StackName,
    (image, reading): (&str, Reading),
    report: &dyn Reporter,
) -> Result<(Repository, Outcome), AwsError> {
    let tell = |found: &Repository, outcome| report.done("repository", &found.name, outcome, "");
    if let Some(known) = reading.found {
        let (found, outcome) = settle(aws, known, report).await?;
        tell(&found, outcome);
        return Ok((found, outcome));
    }
    if let Some(made) = Box::pin(create(aws, stack, image)).await? {
        tell(&made, Outcome::Created);
        settings::put_lifecycle(aws, &made.name).await?;
        return Ok((made, Outcome::Created));
    }
    // Someone was faster, or the answer to our own request was lost: tags tell which.
    let Some(known) = read(aws, stack, image).await?.found else {
        return Err(error::incomplete(
            "ecr:DescribeRepositories",
            &stack.repository(image),
            "repository, though it exists",
        ));
    };
    if known.repository.created_by_us {
        tell(&known.repository, Outcome::Created);
        let (found, _) = settle(aws, known, report).await?;
        return Ok((found, Outcome::Created));
    }
    let (found, outcome) = settle(aws, known, report).await?;
    tell(&found, outcome);
    Ok((found, outcome))
}

/// Deletes the repository of `image` with its images, if we created it; else it is [`Outcome::Skipped`].
pub async fn delete_repository(aws: &Aws, stack: &StackName, image: &str) -> Result<Outcome, AwsError> {
    let Some(found) = find_repository(aws, stack, image).await? else {
        return Ok(Outcome::Unchanged);
    };
    if !found.created_by_us {
        return Ok(Outcome::Skipped);
    }
    let call = aws.ecr.delete_repository().repository_name(&found.name);
    match call.force(true).send().await {
        Ok(_) => Ok(Outcome::Deleted),
        // A repeated request after a lost answer, or someone else's.
        Err(e) if is(&e, DeleteRepositoryError::is_repository_not_found_exception) => Ok(Outcome::Deleted),
        Err(e) => Err(api("ecr:DeleteRepository", "delete repository", &found.name)(e)),
    }
}

async fn look(aws: &Aws, stack: &StackName, image: &str) -> Result<Option<(Repository, ecr::Repository)>, AwsError> {
    let (operation, name) = ("ecr:DescribeRepositories", stack.repository(image));
    let answer = match aws.ecr.describe_repositories().repository_names(&name).send().await {
        Err(e) if is(&e, DescribeRepositoriesError::is_repository_not_found_exception) => {
            return Ok(None);
        }
        other => other.map_err(api(operation, "look up repository", &name))?,
    };
    let Some(settings) = answer.repositories.and_then(|r| r.into_iter().next()) else {
        return Ok(None);
    };
    let mut found = repository(&settings, operation)?;
    tag(aws, stack, &mut found).await?;
    Ok(Some((found, settings)))
}

/// Reads whose it is.
async fn tag(aws: &Aws, stack: &StackName, found: &mut Repository) -> Result<(), AwsError> {
    let tags = aws.ecr.list_tags_for_resource().resource_arn(&found.arn).send().await;
    let tags = tags.map_err(api(
        "ecr:ListTagsForResource",
        "read the tags of repository",
        &found.name,
    ))?;
    let tags = || tags.tags().iter().map(|t| (t.key(), t.value()));
    found.created_by_us = stack.owns(tags());
    found.newer = made_by_newer(("repository", &found.name), tags());
    Ok(())
}

fn repository(settings: &ecr::Repository, operation: &'static str) -> Result<Repository, AwsError> {
    let name = settings.repository_name().unwrap_or_default().to_owned();
    let missing = |missing| error::incomplete(operation, &name, missing);
    Ok(Repository {
        uri: settings.repository_uri().ok_or_else(|| missing("URI"))?.to_owned(),
        arn: settings.repository_arn().ok_or_else(|| missing("ARN"))?.to_owned(),
        created_by_us: false,
        newer: None,
        name,
    })
}

/// None: it exists already.
async fn create(aws: &Aws, stack: &StackName, image: &str) -> Result<Option<Repository>, AwsError> {
    let (operation, intent) = ("ecr:CreateRepository", "create repository");
    let name = stack.repository(image);
    let mut call = aws
        .ecr
        .create_repository()
        .repository_name(&name)
        .image_tag_mutability(ImageTagMutability::ImmutableWithExclusion)
        .set_image_tag_mutability_exclusion_filters(Some(settings::moving_tags()?))
        .encryption_configuration(settings::aes256()?);
    for (key, value) in stack.aws_tags() {
        let tag = Tag::builder().key(key).value(value).build();
        call = call.tags(tag.map_err(error::request(operation))?);
    }
    let quota = aws_sdk_ecr::Config::builder().retry_classifier(QuotaIsFinal::<CreateRepositoryError>::new());
    let answer = match call.customize().config_override(quota).send().await {
        Err(e) if is(&e, CreateRepositoryError::is_repository_already_exists_exception) => {
            return Ok(None);
        }
        other => other.map_err(api(operation, intent, &name))?,
    };
    let settings = answer.repository();
    let settings = settings.ok_or_else(|| error::incomplete(operation, &name, "repository"))?;
    let mut made = repository(settings, operation)?;
    made.created_by_us = true;
    Ok(Some(made))
}

/// Brings what we created back to what we would create; leaves the rest alone.
async fn settle(aws: &Aws, known: Known, report: &dyn Reporter) -> Result<(Repository, Outcome), AwsError> {
    let found = known.repository;
    if !found.created_by_us {
        report.note(&format!(
            "repository `{}` was not created by this stack: it is used as it is and stays at teardown",
            found.name
        ));
        return Ok((found, Outcome::Unchanged));
    }
    refuse(found.newer.as_slice())?;
    let mut outcome = Outcome::Unchanged;
    if !settings::has_tag_rules(&known.settings) {
        settings::put_tag_rules(aws, &found.name).await?;
        outcome = Outcome::Updated;
    }
    if !known.has_lifecycle {
        settings::put_lifecycle(aws, &found.name).await?;
        outcome = Outcome::Updated;
    }
    Ok((found, outcome))
}

#[cfg(test)]
mod tests;
