//! What our repositories are like: their tag rules and their lifecycle policy.

use aws_sdk_ecr::operation::get_lifecycle_policy::GetLifecyclePolicyError;
use aws_sdk_ecr::types::{
    self as ecr, EncryptionConfiguration, EncryptionType, ImageTagMutability, ImageTagMutabilityExclusionFilter,
    ImageTagMutabilityExclusionFilterType,
};

use crate::aws::Aws;
use crate::aws::error::{self, AwsError, api, is};

/// Tags that may move: the latest image, and the fallback tags `sha256-DIGEST`, under which clients keep the list of
/// what refers to an image (signatures, bills of material) on registries without a referrers API.
const MOVING_TAGS: [&str; 2] = ["latest*", "sha256-*"];

/// Untagged images go after a week, of the tagged ones the last 20 stay. Copies of others' images stay all: which of them
/// are in use the order in which they came does not tell, and where one is gone its source is asked anew. What the tags of a
/// rule match no later rule expires
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html>), so theirs is one that never does.
pub(super) const LIFECYCLE: &str = concat!(
    r#"{"rules":[{"rulePriority":1,"description":"provisioner: untagged images after 7 days","#,
    r#""selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":7},"#,
    r#""action":{"type":"expire"}},"#,
    r#"{"rulePriority":2,"description":"provisioner: copies of others' images stay","#,
    r#""selection":{"tagStatus":"tagged","tagPrefixList":["mirror-"],"countType":"imageCountMoreThan","countNumber":100000},"#,
    r#""action":{"type":"expire"}},"#,
    r#"{"rulePriority":3,"description":"provisioner: all but the last 20 tagged images","#,
    r#""selection":{"tagStatus":"tagged","tagPatternList":["*"],"countType":"imageCountMoreThan","countNumber":20},"#,
    r#""action":{"type":"expire"}}]}"#,
);

pub(super) fn has_tag_rules(settings: &ecr::Repository) -> bool {
    let filters = settings.image_tag_mutability_exclusion_filters();
    settings.image_tag_mutability() == Some(&ImageTagMutability::ImmutableWithExclusion)
        && filters.len() == MOVING_TAGS.len()
        && MOVING_TAGS.iter().all(|tag| filters.iter().any(|f| f.filter() == *tag))
}

/// The tag rules of a repository, in words.
pub(super) fn tag_rules(settings: &ecr::Repository) -> String {
    let filters = settings.image_tag_mutability_exclusion_filters();
    let filters: Vec<&str> = filters.iter().map(ImageTagMutabilityExclusionFilter::filter).collect();
    rules(
        settings.image_tag_mutability().map_or("", ImageTagMutability::as_str),
        &filters,
    )
}

/// Those that our repositories get.
pub(super) fn wanted_tag_rules() -> String {
    rules(ImageTagMutability::ImmutableWithExclusion.as_str(), &MOVING_TAGS)
}

fn rules(mutability: &str, filters: &[&str]) -> String {
    match filters {
        [] => mutability.to_owned(),
        filters => format!("{mutability} ({})", filters.join(", ")),
    }
}

pub(super) async fn put_tag_rules(aws: &Aws, name: &str) -> Result<(), AwsError> {
    let call = aws
        .ecr
        .put_image_tag_mutability()
        .repository_name(name)
        .image_tag_mutability(ImageTagMutability::ImmutableWithExclusion)
        .set_image_tag_mutability_exclusion_filters(Some(moving_tags()?));
    let answer = call.send().await;
    answer.map_err(api(
        "ecr:PutImageTagMutability",
        "set the tag rules of repository",
        name,
    ))?;
    Ok(())
}

pub(super) async fn has_lifecycle(aws: &Aws, name: &str) -> Result<bool, AwsError> {
    let answer = match aws.ecr.get_lifecycle_policy().repository_name(name).send().await {
        Err(e) if is(&e, GetLifecyclePolicyError::is_lifecycle_policy_not_found_exception) => {
            return Ok(false);
        }
        other => other.map_err(api(
            "ecr:GetLifecyclePolicy",
            "read the lifecycle policy of repository",
            name,
        ))?,
    };
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    Ok(answer.lifecycle_policy_text().and_then(parse) == parse(LIFECYCLE))
}

pub(super) async fn put_lifecycle(aws: &Aws, name: &str) -> Result<(), AwsError> {
    let call = aws.ecr.put_lifecycle_policy().repository_name(name);
    let answer = call.lifecycle_policy_text(LIFECYCLE).send().await;
    answer.map_err(api(
        "ecr:PutLifecyclePolicy",
        "set the lifecycle policy of repository",
        name,
    ))?;
    Ok(())
}

pub(super) fn moving_tags() -> Result<Vec<ImageTagMutabilityExclusionFilter>, AwsError> {
    let filter = |tag: &&str| {
        ImageTagMutabilityExclusionFilter::builder()
            .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
            .filter(*tag)
            .build()
            .map_err(error::request("ecr:CreateRepository"))
    };
    MOVING_TAGS.iter().map(filter).collect()
}

pub(super) fn aes256() -> Result<EncryptionConfiguration, AwsError> {
    EncryptionConfiguration::builder()
        .encryption_type(EncryptionType::Aes256)
        .build()
        .map_err(error::request("ecr:CreateRepository"))
}
