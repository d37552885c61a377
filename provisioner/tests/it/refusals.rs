//! Pushing to a registry that refuses: no repetition, a clear error, nothing half done.

use provisioner::image::{ImageError, publish};
use provisioner::report::Silent;

use crate::registry::{OTHER, count, lines, push, push_to};
use crate::support::image::image;
use crate::support::registry::{Auth, Fault, PASSWORD, Registry};

fn attempts(error: &ImageError) -> u32 {
    match error {
        ImageError::Registry { attempts, .. } => *attempts,
        other => panic!("not an answer of the registry: {other}"),
    }
}

#[tokio::test]
async fn wrong_credentials_are_tried_once_and_never_shown() {
    for auth in [Auth::Basic, Auth::Bearer] {
        let registry = Registry::start(auth).await;
        let mut target = registry.target();
        target.password = Some(format!("not-{PASSWORD}"));
        let error = push_to(&target, &image("one").await, None).await.expect_err("refused");
        assert_eq!(attempts(&error), 1);
        assert!(error.hint().is_some_and(|hint| hint.contains("credentials")));
        let shown = format!("{error} {error:?} {target:?}");
        assert!(!shown.contains(PASSWORD), "{shown}");
        let requests = registry.take_requests();
        assert!(requests.len() <= 3, "{:?}", lines(&requests));
        assert_eq!(count(&requests, "POST"), 0);
    }
}

#[tokio::test]
async fn missing_permission_and_missing_repository_are_final() {
    let cases = [
        (403, r#"{"errors":[{"code":"DENIED","message":""}]}"#, "ecr:PutImage"),
        (
            404,
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":""}]}"#,
            "does not exist",
        ),
    ];
    for (code, body, hint) in cases {
        let registry = Registry::start(Auth::Basic).await;
        registry.inject("POST", 99, Fault::Answer(code, body));
        let error = push(&registry, &image("one").await).await.expect_err("refused");
        assert_eq!(attempts(&error), 1);
        assert!(error.hint().is_some_and(|text| text.contains(hint)), "{error:?}");
        assert_eq!(registry.counts(), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_tag_of_another_image_is_refused_before_anything_is_sent() {
    let registry = Registry::start(Auth::Basic).await;
    registry.set_tag("v1", OTHER);
    let image = image("one").await;
    let error = push_to(&registry.target(), &image, Some("v1"))
        .await
        .expect_err("taken");
    let place = registry.target().registry;
    assert_eq!(
        error.to_string(),
        format!(
            "cannot push {} to `{place}/demo/web-app`: tag `v1` already points to {OTHER}; tags are immutable",
            image.digest()
        )
    );
    assert_eq!(lines(&registry.take_requests()), ["GET /v2/", "HEAD manifests/v1"]);
    assert_eq!(registry.tag("v1").as_deref(), Some(OTHER));
}

#[tokio::test]
async fn only_a_tag_that_is_made_to_move_is_taken_from_another_image() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    for (tag, moves) in [("latest", true), ("latest-main", true), ("v1-latest", false)] {
        registry.set_tag(tag, OTHER);
        let published = push_to(&registry.target(), &image, Some(tag)).await;
        assert_eq!(published.is_ok(), moves, "{tag}: {published:?}");
        let expected = if moves { image.digest().as_str() } else { OTHER };
        assert_eq!(registry.tag(tag).as_deref(), Some(expected), "{tag}");
    }
}

#[tokio::test]
async fn a_tag_that_is_taken_meanwhile_counts_only_if_it_is_another_image() {
    let image = image("one").await;
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT manifests/", 1, Fault::Overtaken(OTHER.into()));
    let error = push(&registry, &image).await.expect_err("taken");
    assert!(matches!(error, ImageError::TagTaken { .. }), "{error:?}");

    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT manifests/", 1, Fault::Overtaken(image.digest().to_string()));
    push(&registry, &image).await.expect("the same image");
}

#[tokio::test]
async fn a_refused_manifest_is_reported_as_such() {
    let registry = Registry::start(Auth::Basic).await;
    let body = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"no"}]}"#;
    registry.inject("PUT manifests/", 99, Fault::Answer(400, body));
    let error = push(&registry, &image("one").await).await.expect_err("no");
    assert_eq!(attempts(&error), 1);
    assert!(error.to_string().starts_with("cannot push manifest sha256:"));
}

#[tokio::test]
async fn a_registry_that_shows_another_digest_is_not_believed() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    let head = format!("HEAD manifests/{}", image.default_tag());
    // The first look-up is for a tag that does not exist yet.
    registry.inject(&head, 1, Fault::Answer(404, ""));
    registry.inject(&head, 1, Fault::Digest(OTHER.into()));
    let error = push(&registry, &image).await.expect_err("not verified");
    assert!(matches!(error, ImageError::NotVerified { .. }), "{error:?}");
    assert!(error.to_string().contains(OTHER), "{error}");
}

#[tokio::test]
async fn invalid_input_reaches_no_registry() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    let error = push_to(&registry.target(), &image, Some("no/tag"))
        .await
        .expect_err("no tag");
    assert!(error.is_configuration());
    let mut target = registry.target();
    target.registry = "registry.example:5000".into();
    let error = publish(&image, &target, None, &Silent).await.expect_err("plain HTTP");
    assert!(error.is_configuration());
    assert_eq!(lines(&registry.take_requests()), [""; 0]);
}
