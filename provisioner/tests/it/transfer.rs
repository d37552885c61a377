//! Pushing images of several platforms, and over lines that break.

use std::time::{Duration, Instant};

use crate::registry::{OTHER, bytes, count, lines, push};
use crate::support::image::{bulky_image, image, image_for_two};
use crate::support::registry::{Auth, Fault, Registry};

const MEGABYTE: usize = 1_000_000;

#[tokio::test]
async fn two_platforms_are_one_index_after_their_manifests() {
    let registry = Registry::start(Auth::Basic).await;
    let image = image_for_two("one", "one");
    let published = push(&registry, &image).await.expect("pushed");
    assert_eq!(published.platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!((published.blobs_sent, published.blobs_reused), (5, 0));
    assert_eq!(registry.counts(), (1, 3, 5), "tags, manifests, blobs");
    let requests = registry.take_requests();
    assert_eq!(published.bytes_sent, bytes(&requests));
    let lines = lines(&requests);
    assert_eq!(count(&requests, "PUT blobs/"), 5, "the base is sent once");
    let [amd64, arm64] = [&image.children[0], &image.children[1]].map(|child| format!("manifests/{}", child.digest()));
    let tag = format!("manifests/{}", published.tag);
    assert_eq!(
        lines[lines.len() - 6..],
        [
            format!("HEAD {amd64}"),
            format!("PUT {amd64}"),
            format!("HEAD {arm64}"),
            format!("PUT {arm64}"),
            format!("PUT {tag}"),
            format!("HEAD {tag}"),
        ]
    );
    push(&registry, &image).await.expect("nothing to do");
    assert_eq!(bytes(&registry.take_requests()), 0, "a second push sends nothing");
}

#[tokio::test]
async fn a_change_of_one_platform_leaves_the_other_as_it_is() {
    let registry = Registry::start(Auth::Basic).await;
    push(&registry, &image_for_two("one", "one")).await.expect("pushed");
    registry.take_requests();
    let changed = image_for_two("one", "two");
    let published = push(&registry, &changed).await.expect("pushed");
    assert_eq!((published.blobs_sent, published.blobs_reused), (2, 3));
    let requests = registry.take_requests();
    assert_eq!(count(&requests, "PUT manifests/"), 2, "one platform's and the index");
    let sent: u64 = changed.blobs[3..].iter().map(provisioner::image::Blob::size).sum();
    let manifests = changed.children[1].bytes.len() + changed.root.bytes.len();
    assert_eq!(bytes(&requests), sent + manifests as u64);
}

#[tokio::test]
async fn an_index_gets_no_tag_before_every_platform_is_there() {
    let image = image_for_two("one", "two");
    for child in &image.children {
        let registry = Registry::start(Auth::Basic).await;
        let line = format!("PUT manifests/{}", child.digest());
        registry.inject(&line, 99, Fault::Answer(500, ""));
        push(&registry, &image).await.expect_err("never complete");
        assert_eq!(registry.counts().0, 0);
    }
    let registry = Registry::start(Auth::Basic).await;
    let line = format!("PUT manifests/{}", image.children[0].digest());
    registry.inject(&line, 1, Fault::Digest(OTHER.to_owned()));
    let error = push(&registry, &image).await.expect_err("another digest");
    assert!(format!("{error:?}").contains(OTHER), "{error:?}");
    assert_eq!(registry.counts().0, 0);
}

#[tokio::test]
async fn a_line_that_breaks_in_the_middle_of_a_blob_costs_only_that_blob() {
    let image = bulky_image(MEGABYTE);
    let layer = &image.blobs[1];
    assert!(layer.size() >= MEGABYTE as u64);
    for percent in [10, 50, 90] {
        let registry = Registry::start(Auth::Basic).await;
        let line = format!("PUT blobs/uploads/{}", layer.digest());
        registry.inject(&line, 1, Fault::CutAt(percent));
        let published = push(&registry, &image).await.expect("pushed");
        assert_eq!(published.blobs_sent, 3);
        let requests = registry.take_requests();
        assert_eq!(count(&requests, &line), 2, "{percent} %");
        assert_eq!(count(&requests, "PUT blobs/uploads/"), 4, "{percent} %");
        assert_eq!(registry.tag(&published.tag), Some(image.digest().to_string()));
    }
}

#[tokio::test]
async fn a_line_that_always_breaks_leaves_no_tag_and_says_which_blob() {
    let image = bulky_image(MEGABYTE);
    let layer = image.blobs[1].digest();
    let registry = Registry::start(Auth::Basic).await;
    registry.inject(&format!("PUT blobs/uploads/{layer}"), 99, Fault::CutAt(50));
    let error = push(&registry, &image).await.expect_err("never whole");
    assert!(
        error.to_string().starts_with(&format!("cannot push blob {layer} to")),
        "{error}"
    );
    assert!(!error.is_configuration());
    assert_eq!(registry.counts().0, 0);
    assert_eq!(count(&registry.take_requests(), "PUT manifests/"), 0);
}

#[tokio::test]
async fn a_registry_that_throttles_is_asked_again_after_as_long_as_it_says() {
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT blobs/", 2, Fault::Throttle(0));
    push(&registry, &image("one").await).await.expect("pushed");
    // A date counts from the answer's own: this machine's clock may be wrong by years.
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT manifests/", 1, Fault::ThrottleUntil(1));
    let started = Instant::now();
    push(&registry, &image("one").await).await.expect("pushed");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    // Longer than anybody waits: the answer is given at once.
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("POST blobs/", 99, Fault::Throttle(86_400));
    let error = push(&registry, &image("one").await).await.expect_err("throttled");
    assert!(error.to_string().ends_with("(attempts: 1)"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("throttles")));
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed() {
    let image = image("one").await;
    for line in [
        "HEAD manifests/",
        "HEAD blobs/",
        "POST blobs/",
        "PUT blobs/",
        "PUT manifests/",
    ] {
        let registry = Registry::start(Auth::Bearer).await;
        registry.inject(line, 1, Fault::TokenEnds);
        push(&registry, &image).await.expect(line);
        assert_eq!(registry.counts(), (1, 1, 3), "{line}");
        let tokens = count(&registry.take_requests(), "GET /token");
        assert_eq!(tokens, 2, "{line}: blobs go side by side and share the new one");
    }
}
