//! Pushing to a registry: what is sent, in which order, and what happens when it goes wrong.

use std::time::Duration;

use provisioner::image::{Image, ImageError, Published, RegistryTarget, RetryPolicy, publish_with};
use provisioner::report::Silent;

use crate::support::image::image;
use crate::support::registry::{Auth, BASE, Fault, Recorded, Registry};

pub(crate) const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// The requests of a push, each kind once.
pub(crate) const PUSH: [&str; 6] = [
    "GET /v2/",
    "HEAD manifests/",
    "HEAD blobs/",
    "POST blobs/uploads/",
    "PUT blobs/uploads/",
    "PUT manifests/",
];

pub(crate) async fn push_to(
    target: &RegistryTarget,
    image: &Image,
    tag: Option<&str>,
) -> Result<Published, ImageError> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let policy = RetryPolicy {
        base_delay: Duration::ZERO,
        ..RetryPolicy::default()
    };
    publish_with(image, target, tag, &Silent, policy).await
}

pub(crate) async fn push(registry: &Registry, image: &Image) -> Result<Published, ImageError> {
    push_to(&registry.target(), image, None).await
}

pub(crate) fn lines(requests: &[Recorded]) -> Vec<&str> {
    requests.iter().map(|r| r.line.as_str()).collect()
}

pub(crate) fn count(requests: &[Recorded], start: &str) -> usize {
    let hits = requests.iter().filter(|r| r.line.starts_with(start));
    hits.count()
}

pub(crate) fn bytes(requests: &[Recorded]) -> u64 {
    requests.iter().map(|r| r.bytes).sum()
}

#[tokio::test]
async fn first_push_sends_every_blob_and_then_the_manifest() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    let published = push(&registry, &image).await.expect("pushed");

    assert_eq!(published.reference, format!("{BASE}@{}", image.digest()));
    assert_eq!(published.tag, image.digest().as_str()[7..19]);
    assert_eq!((published.blobs_sent, published.blobs_reused), (3, 0));
    assert!(published.pushed);
    let requests = registry.take_requests();
    assert_eq!(published.bytes_sent, bytes(&requests));
    let tag = format!("manifests/{}", published.tag);
    let lines = lines(&requests);
    assert_eq!(lines[..2], ["GET /v2/".to_owned(), format!("HEAD {tag}")]);
    assert_eq!(lines[lines.len() - 2..], [format!("PUT {tag}"), format!("HEAD {tag}")]);
    assert_eq!(lines.len(), 2 + 3 * 3 + 2, "{lines:#?}");
    assert_eq!(registry.tag(&published.tag), Some(image.digest().to_string()));
}

#[tokio::test]
async fn second_push_sends_nothing() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    let first = push(&registry, &image).await.expect("pushed");
    registry.take_requests();

    let second = push(&registry, &image).await.expect("nothing to do");
    assert_eq!(second.reference, first.reference);
    assert_eq!((second.bytes_sent, second.blobs_sent), (0, 0));
    assert_eq!((second.blobs_reused, second.pushed), (3, false));
    let requests = registry.take_requests();
    let head = format!("HEAD manifests/{}", first.tag);
    assert_eq!(lines(&requests), ["GET /v2/", &head]);
    assert_eq!(bytes(&requests), 0);
}

#[tokio::test]
async fn changed_binary_sends_its_layer_and_the_configuration_only() {
    let registry = Registry::start(Auth::Basic).await;
    push(&registry, &image("one").await).await.expect("pushed");
    registry.take_requests();

    let changed = image("two").await;
    let published = push(&registry, &changed).await.expect("pushed");
    assert_eq!((published.blobs_sent, published.blobs_reused), (2, 1));
    let requests = registry.take_requests();
    let sent = [&changed.blobs[1], &changed.blobs[2]];
    for blob in sent {
        assert_eq!(count(&requests, &format!("PUT blobs/uploads/{}", blob.digest())), 1);
    }
    assert_eq!(count(&requests, "PUT blobs/"), 2);
    let blobs: u64 = sent.iter().map(|blob| blob.size()).sum();
    assert_eq!(bytes(&requests), blobs + changed.root.bytes.len() as u64);
}

#[tokio::test]
async fn same_image_under_another_tag_sends_the_manifest_only() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    push(&registry, &image).await.expect("pushed");
    registry.take_requests();

    let published = push_to(&registry.target(), &image, Some("v1")).await.expect("tagged");
    assert_eq!((published.blobs_sent, published.blobs_reused), (0, 3));
    assert_eq!(bytes(&registry.take_requests()), image.root.bytes.len() as u64);
    assert_eq!(registry.tag("v1"), Some(image.digest().to_string()));
}

#[tokio::test]
async fn every_way_to_authenticate_works() {
    for auth in [Auth::Anonymous, Auth::Basic, Auth::Bearer] {
        let registry = Registry::start(auth).await;
        let published = push(&registry, &image("one").await).await;
        assert!(published.is_ok_and(|p| p.pushed), "{auth:?}");
        let requests = registry.take_requests();
        assert_eq!(count(&requests, "GET /v2/"), 1, "{auth:?} asks once");
    }
}

#[tokio::test]
async fn passing_faults_are_retried_wherever_they_strike() {
    let digest_invalid = r#"{"errors":[{"code":"DIGEST_INVALID","message":""}]}"#;
    let faults = [
        Fault::Answer(500, ""),
        Fault::Answer(503, "<html>"),
        Fault::Answer(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":""}]}"#),
        Fault::Cut,
        Fault::CutAfter,
    ];
    let image = image("one").await;
    for line in PUSH {
        for fault in &faults {
            let registry = Registry::start(Auth::Basic).await;
            registry.inject(line, 1, fault.clone());
            let published = push(&registry, &image).await;
            assert!(published.is_ok(), "{line} {fault:?}: {published:?}");
            assert_eq!(registry.counts(), (1, 1, 3), "{line} {fault:?}");
        }
    }
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT blobs/uploads/", 1, Fault::Answer(400, digest_invalid));
    push(&registry, &image).await.expect("the upload is repeated");
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_given_up_wherever_it_does() {
    let image = image("one").await;
    for line in ["GET /v2/", "HEAD manifests/", "PUT blobs/uploads/", "PUT manifests/"] {
        let registry = Registry::start(Auth::Basic).await;
        registry.inject(line, 99, Fault::Silence);
        let policy = RetryPolicy {
            attempts: 1,
            patience: Duration::from_millis(300),
            ..RetryPolicy::default()
        };
        let error = publish_with(&image, &registry.target(), None, &Silent, policy).await;
        let error = error.expect_err("silent");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert!(
            source.is_some_and(|s| s.contains("no answer within")),
            "{line}: {error:?}"
        );
        assert!(error.hint().is_some(), "{line}");
    }
}

#[tokio::test]
async fn a_blob_whose_answer_got_lost_is_not_sent_again() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    let layer = format!("PUT blobs/uploads/{}", image.blobs[1].digest());
    registry.inject(&layer, 1, Fault::CutAfter);
    let published = push(&registry, &image).await.expect("pushed");
    assert_eq!(published.blobs_sent, 3, "it was sent by this run");
    assert_eq!(count(&registry.take_requests(), &layer), 1);
}

#[tokio::test]
async fn an_incomplete_image_never_gets_a_tag_and_the_next_run_goes_on() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    let layer = image.blobs[1].digest().clone();
    registry.inject(&format!("PUT blobs/uploads/{layer}"), 99, Fault::Answer(500, "broken"));
    let error = push(&registry, &image).await.expect_err("never complete");

    let place = registry.target().registry;
    let text = error.to_string();
    assert_eq!(
        text,
        format!("cannot push blob {layer} to `{place}/demo/web-app` (attempts: 4)")
    );
    let requests = registry.take_requests();
    assert_eq!(count(&requests, &format!("PUT blobs/uploads/{layer}")), 4);
    assert_eq!(count(&requests, "PUT manifests/"), 0);
    let (tags, manifests, blobs) = registry.counts();
    assert_eq!((tags, manifests, blobs), (0, 0, 2));

    registry.clear_faults();
    let published = push(&registry, &image).await.expect("pushed");
    assert_eq!((published.blobs_sent, published.blobs_reused), (1, 2));
}
