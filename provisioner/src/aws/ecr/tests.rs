use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::settings::LIFECYCLE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::aws::fake::{Record, Wire, demo, error};
use crate::image::ImageRef;
use crate::names::MOVING_TAG;
use crate::report::{Event, Silent};

fn repository() -> Value {
    json!({
        "repositoryName": "demo/web-app",
        "repositoryArn": "arn:aws:ecr:eu-central-1:123456789012:repository/demo/web-app",
        "repositoryUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/demo/web-app",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [
            {"filterType": "WILDCARD", "filter": "latest*"}, {"filterType": "WILDCARD", "filter": "sha256-*"},
        ],
    })
}

fn described() -> Value {
    json!({"repositories": [repository()]})
}

fn tags(ours: bool) -> Value {
    if !ours {
        return json!({"tags": []});
    }
    let tag = |(key, value)| json!({"Key": key, "Value": value});
    json!({"tags": demo().aws_tags().into_iter().map(tag).collect::<Vec<_>>()})
}

fn absent() -> String {
    error("RepositoryNotFoundException", "not there")
}

fn existing(ours: bool) -> Wire {
    Wire::default()
        .on("DescribeRepositories", 200, described())
        .on("ListTagsForResource", 200, tags(ours))
}

async fn ensure(wire: &Wire) -> (Repository, Outcome) {
    let done = ensure_repository(&wire.aws(), &demo(), "web-app", &Silent).await;
    done.expect("ensured")
}

#[tokio::test]
async fn a_missing_repository_is_created_with_tags_and_lifecycle() {
    let wire = Wire::default()
        .on("DescribeRepositories", 400, absent())
        .on("CreateRepository", 200, json!({"repository": repository()}))
        .on("PutLifecyclePolicy", 200, "{}");
    let (made, outcome) = ensure(&wire).await;
    assert_eq!(outcome, Outcome::Created);
    assert!(made.created_by_us);
    assert_eq!(
        wire.calls(),
        ["DescribeRepositories", "CreateRepository", "PutLifecyclePolicy"]
    );
    let sent: Value = serde_json::from_str(&wire.body("CreateRepository")).expect("JSON");
    assert_eq!(sent["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    let filters = &sent["imageTagMutabilityExclusionFilters"];
    assert_eq!(filters[0]["filter"], format!("{MOVING_TAG}*"));
    assert_eq!(filters[1]["filter"], "sha256-*");
    assert_eq!(sent["encryptionConfiguration"]["encryptionType"], "AES256");
    assert_eq!(sent["tags"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_repository_is_told_as_soon_as_it_is_there() {
    let wire = Wire::default()
        .on("DescribeRepositories", 400, absent())
        .on("CreateRepository", 200, json!({"repository": repository()}))
        .on("PutLifecyclePolicy", 400, error("AccessDeniedException", "no"));
    let record = Record::default();
    let done = ensure_repository(&wire.aws(), &demo(), "web-app", &record).await;
    assert!(done.is_err());
    let events = record.0.into_inner().expect("lock");
    let made =
        |event: &Event| matches!(event, Event::Done { name, outcome: Outcome::Created, .. } if name == "demo/web-app");
    assert!(events.iter().any(made), "{events:?}");
}

/// As ECR judges: what the tags of a rule match no later rule expires.
#[test]
fn a_copy_never_expires_for_others_that_came_later() {
    let policy: Value = serde_json::from_str(LIFECYCLE).expect("JSON");
    let rules = policy["rules"].as_array().expect("rules");
    let copy = "docker.io/grafana/grafana:12.3.1"
        .parse::<ImageRef>()
        .expect("an image");
    let first_for = |tag: &str| {
        let is_for = |rule: &&Value| {
            let (prefix, pattern) = (
                &rule["selection"]["tagPrefixList"][0],
                &rule["selection"]["tagPatternList"][0],
            );
            prefix.as_str().is_some_and(|prefix| tag.starts_with(prefix)) || *pattern == "*"
        };
        let rule = rules.iter().find(is_for).expect("a rule");
        rule["selection"]["countNumber"].as_u64()
    };
    assert_eq!(
        first_for(&copy.mirror_tag(&["linux/amd64"])),
        Some(100_000),
        "all that a repository may have"
    );
    assert_eq!(first_for("1.2.3"), Some(20));
    let priorities: Vec<&Value> = rules.iter().map(|rule| &rule["rulePriority"]).collect();
    assert_eq!(priorities, [1, 2, 3]);
}

#[tokio::test]
async fn second_run_changes_nothing() {
    let pretty: Value = serde_json::from_str(LIFECYCLE).expect("JSON");
    let policy = json!({"lifecyclePolicyText": format!("{pretty:#}")});
    let wire = existing(true).on("GetLifecyclePolicy", 200, policy);
    assert_eq!(ensure(&wire).await.1, Outcome::Unchanged);
    assert_eq!(
        wire.calls(),
        ["DescribeRepositories", "ListTagsForResource", "GetLifecyclePolicy"]
    );
}

#[tokio::test]
async fn ours_gets_a_lost_lifecycle_policy_and_tag_rules_back() {
    let mut repository = repository();
    repository["imageTagMutability"] = json!("MUTABLE");
    let wire = Wire::default()
        .on("DescribeRepositories", 200, json!({"repositories": [repository]}))
        .on("ListTagsForResource", 200, tags(true))
        .on("PutImageTagMutability", 200, "{}")
        .on(
            "GetLifecyclePolicy",
            400,
            error("LifecyclePolicyNotFoundException", "none"),
        )
        .on("PutLifecyclePolicy", 200, "{}");
    assert_eq!(ensure(&wire).await.1, Outcome::Updated);
    assert_eq!(
        wire.calls()[2..],
        ["GetLifecyclePolicy", "PutImageTagMutability", "PutLifecyclePolicy"]
    );
}

/// The answer to our own creation was lost: the repeated call finds it existing.
#[tokio::test]
async fn already_exists_with_our_tags_is_adopted() {
    let wire = Wire::default()
        .on("DescribeRepositories", 400, absent())
        .on("DescribeRepositories", 200, described())
        .on(
            "CreateRepository",
            400,
            error("RepositoryAlreadyExistsException", "there"),
        )
        .on("ListTagsForResource", 200, tags(true))
        .on(
            "GetLifecyclePolicy",
            400,
            error("LifecyclePolicyNotFoundException", "none"),
        )
        .on("PutLifecyclePolicy", 200, "{}");
    let (found, outcome) = ensure(&wire).await;
    assert!(found.created_by_us);
    assert_eq!(outcome, Outcome::Created);
}

#[tokio::test]
async fn a_foreign_repository_is_used_without_marks() {
    let wire = existing(false);
    let record = Record::default();
    let done = ensure_repository(&wire.aws(), &demo(), "web-app", &record).await;
    let (found, outcome) = done.expect("used");
    assert_eq!((found.created_by_us, outcome), (false, Outcome::Unchanged));
    assert_eq!(wire.calls(), ["DescribeRepositories", "ListTagsForResource"]);
    let events = record.0.into_inner().expect("lock");
    assert!(
        matches!(events[..], [Event::Note { .. }, Event::Done { .. }]),
        "{events:?}"
    );
}

#[tokio::test]
async fn only_ours_is_deleted() {
    let delete = async |wire: &Wire| delete_repository(&wire.aws(), &demo(), "web-app").await;
    let ours = existing(true).on("DeleteRepository", 200, "{}");
    assert_eq!(delete(&ours).await.expect("deleted"), Outcome::Deleted);
    assert!(ours.body("DeleteRepository").contains("\"force\":true"));
    let foreign = existing(false);
    assert_eq!(delete(&foreign).await.expect("left"), Outcome::Skipped);
    assert!(!foreign.calls().contains(&"DeleteRepository".to_owned()));
    let none = Wire::default().on("DescribeRepositories", 400, absent());
    assert_eq!(delete(&none).await.expect("nothing"), Outcome::Unchanged);
}

#[tokio::test]
async fn the_password_is_read_and_hidden() {
    let answer = json!({"authorizationData": [{
        "authorizationToken": STANDARD.encode("AWS:se:cret"),
        "proxyEndpoint": "http://127.0.0.1:5000",
    }]});
    let wire = Wire::default().on("GetAuthorizationToken", 200, answer);
    let auth = authorize(&wire.aws()).await.expect("authorized");
    assert_eq!((auth.username.as_str(), auth.password.as_str()), ("AWS", "se:cret"));
    assert_eq!(auth.endpoint, "http://127.0.0.1:5000");
    assert!(!format!("{auth:?}").contains("cret"));
    let empty = Wire::default().on("GetAuthorizationToken", 200, "{}");
    let error = authorize(&empty.aws()).await.expect_err("empty");
    insta::assert_snapshot!(error, @"answer to ecr:GetAuthorizationToken for `eu-central-1` has no authorization data");
}

#[tokio::test]
async fn tag_rules_that_lack_one_filter_are_set_right() {
    let mut repository = repository();
    repository["imageTagMutabilityExclusionFilters"] = json!([{"filterType": "WILDCARD", "filter": "latest*"}]);
    let wire = Wire::default()
        .on("DescribeRepositories", 200, json!({"repositories": [repository]}))
        .on("ListTagsForResource", 200, tags(true))
        .on("PutImageTagMutability", 200, "{}")
        .on("GetLifecyclePolicy", 200, json!({"lifecyclePolicyText": LIFECYCLE}));
    assert_eq!(ensure(&wire).await.1, Outcome::Updated);
    assert!(wire.body("PutImageTagMutability").contains("sha256-*"));
}

#[tokio::test]
async fn a_repository_of_a_newer_version_is_refused() {
    let mut newer = tags(true);
    for tag in newer["tags"].as_array_mut().expect("tags") {
        if tag["Key"] == "provisioner:version" {
            tag["Value"] = json!("99.0.0");
        }
    }
    let wire = Wire::default()
        .on("DescribeRepositories", 200, described())
        .on("ListTagsForResource", 200, newer);
    let refused = ensure_repository(&wire.aws(), &demo(), "web-app", &Silent).await;
    let refused = refused.expect_err("refused");
    assert!(refused.is_configuration(), "{refused}");
    assert_eq!(wire.calls(), ["DescribeRepositories", "ListTagsForResource"]);
}

#[tokio::test]
async fn a_quota_of_repositories_is_told_at_once() {
    let wire = Wire::default().on("DescribeRepositories", 400, absent()).on(
        "CreateRepository",
        400,
        error("LimitExceededException", "too many"),
    );
    let refused = ensure_repository(&wire.patient(), &demo(), "web-app", &Silent).await;
    let hint = refused.expect_err("refused").hint().unwrap_or_default();
    assert!(hint.starts_with("the quota `Registered repositories`"), "{hint}");
    assert_eq!(wire.calls(), ["DescribeRepositories", "CreateRepository"]);
}

fn token(text: &str) -> Value {
    json!({"authorizationData": [{
        "authorizationToken": STANDARD.encode(format!("AWS:{text}")),
        "proxyEndpoint": "http://127.0.0.1:5000",
        "expiresAt": 1_420_070_400,
    }]})
}

/// What AWS says about the end does not count, this machine's clock does.
#[tokio::test]
async fn the_password_is_kept_for_almost_twelve_hours() {
    let wire =
        Wire::default()
            .on("GetAuthorizationToken", 200, token("one"))
            .on("GetAuthorizationToken", 200, token("two"));
    let (aws, began) = (wire.aws(), Instant::now());
    let after = async |minutes| {
        let now = began + Duration::from_mins(minutes);
        password::authorize_at(&aws.clone(), now)
            .await
            .expect("authorized")
            .password
    };
    for (minutes, expected) in [(0, "one"), (1, "one"), (11 * 60 + 54, "one"), (11 * 60 + 56, "two")] {
        assert_eq!(after(minutes).await, expected, "{minutes} min");
    }
    assert_eq!(wire.calls().len(), 2);
}

#[tokio::test]
async fn a_password_that_is_refused_is_asked_again_once() {
    let wire =
        Wire::default()
            .on("GetAuthorizationToken", 200, token("one"))
            .on("GetAuthorizationToken", 200, token("two"));
    let aws = wire.aws();
    authorize(&aws).await.expect("authorized");
    // Two uploads met the refusal at the same time.
    let (first, second) = tokio::join!(reauthorize(&aws, "one"), reauthorize(&aws, "one"));
    assert_eq!(first.expect("new").password, "two");
    assert_eq!(second.expect("new").password, "two");
    assert_eq!(wire.calls().len(), 2);
}

fn named(name: &str) -> Value {
    let mut repository = repository();
    for (field, start) in [
        ("repositoryName", ""),
        ("repositoryArn", "arn:aws:ecr:eu-central-1:123456789012:repository/"),
        ("repositoryUri", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/"),
    ] {
        repository[field] = format!("{start}{name}").into();
    }
    repository
}

#[tokio::test]
async fn the_repositories_of_a_stack_are_listed_with_whose_they_are() {
    let first = json!({"repositories": [named("demo/grafana"), named("demo2/grafana")], "nextToken": "more"});
    let last = json!({"repositories": [named("demo/theirs"), named("demo/load")]});
    let wire = Wire::default()
        .on("DescribeRepositories", 200, first)
        .on("DescribeRepositories", 200, last)
        .on("ListTagsForResource", 200, tags(true))
        .on("ListTagsForResource", 200, tags(false))
        .on("ListTagsForResource", 200, tags(true));
    let listed = list(&wire.aws(), &demo()).await.expect("answered").expect("allowed");
    let names: Vec<(&str, bool)> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.created_by_us))
        .collect();
    assert_eq!(
        names,
        [("demo/grafana", true), ("demo/theirs", false), ("demo/load", true)]
    );
    let tags = wire
        .calls()
        .iter()
        .filter(|call| *call == "ListTagsForResource")
        .count();
    assert_eq!(tags, 3, "nobody asks about another stack's");
}

#[tokio::test]
async fn a_list_that_is_not_allowed_is_none_and_any_other_failure_is_one() {
    let of = async |code: &str, status: u16| {
        let wire = Wire::default().on("DescribeRepositories", status, error(code, "no"));
        list(&wire.aws(), &demo()).await
    };
    assert_eq!(of("AccessDeniedException", 400).await.expect("told"), None);
    assert!(of("InvalidParameterException", 400).await.is_err());
}
