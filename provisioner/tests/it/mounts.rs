//! Blobs that another repository of the registry has.

use provisioner::image::{Image, Published};

use crate::registry::{bytes, count, lines, push, push_to};
use crate::support::image::image;
use crate::support::registry::{Auth, Fault, PASSWORD, REPOSITORY, Registry};

const SIBLING: &str = "demo/load";

#[tokio::test]
async fn blobs_of_the_sibling_are_mounted_and_not_sent() {
    let registry = Registry::start(Auth::Basic).await;
    registry.mounts();
    let image = image("one").await;
    push(&registry, &image).await.expect("pushed");
    registry.take_requests();
    let target = registry.repository(SIBLING).beside(REPOSITORY.to_owned());
    let published = push_to(&target, &image, None).await.expect("pushed");
    assert_eq!((published.blobs_sent, published.blobs_mounted), (0, 3));
    let requests = registry.take_requests();
    assert_eq!(bytes(&requests), image.root.bytes.len() as u64);
    assert_eq!(requests.len(), 2 + 3 * 2 + 2, "{:?}", lines(&requests));
    assert_eq!(registry.counts_of(SIBLING), (1, 1, 3));
}

#[tokio::test]
async fn a_mount_that_is_refused_becomes_an_upload() {
    let image = image("one").await;
    // What the registry does not have opens an upload at once, which costs no request more.
    let registry = Registry::start(Auth::Basic).await;
    registry.mounts();
    let target = registry.target().beside(SIBLING.to_owned());
    let published = push_to(&target, &image, None).await.expect("pushed");
    assert_eq!((published.blobs_sent, published.blobs_mounted), (3, 0));
    assert_eq!(registry.take_requests().len(), 2 + 3 * 3 + 2);
    // One that does not want to be asked is not asked for each blob: those that go side by side may be.
    for code in [400, 401, 403, 404, 405] {
        let registry = Registry::start(Auth::Basic).await;
        registry.inject("POST blobs/uploads/mount=", 99, Fault::Answer(code, ""));
        let target = registry.target().beside(SIBLING.to_owned());
        push_to(&target, &image, None).await.expect("pushed");
        assert_eq!(registry.counts(), (1, 1, 3), "{code}");
    }
}

/// Pushes to the sibling what the first repository has.
async fn push_beside(registry: &Registry, image: &Image) -> Published {
    registry.mounts();
    push(registry, image).await.expect("pushed");
    registry.take_requests();
    let target = registry.repository(SIBLING).beside(REPOSITORY.to_owned());
    push_to(&target, image, None).await.expect("pushed")
}

#[tokio::test]
async fn a_token_is_good_for_the_repository_that_blobs_are_taken_from() {
    let (registry, image) = (Registry::start(Auth::Bearer).await, image("one").await);
    let published = push_beside(&registry, &image).await;
    assert_eq!((published.blobs_sent, published.blobs_mounted), (0, 3));
    let requests = registry.take_requests();
    assert_eq!(bytes(&requests), image.root.bytes.len() as u64);
    assert_eq!(count(&requests, "GET /token"), 1, "one token for both");
}

#[tokio::test]
async fn without_a_right_to_read_the_other_repository_blobs_are_sent() {
    let image = image("one").await;
    for (strict, tokens) in [(false, 1), (true, 2)] {
        let registry = Registry::start(Auth::Bearer).await;
        push(&registry, &image).await.expect("pushed");
        registry.deny(REPOSITORY, strict);
        registry.mounts();
        registry.take_requests();
        let target = registry.repository(SIBLING).beside(REPOSITORY.to_owned());
        let published = push_to(&target, &image, None).await.expect("pushed");
        assert_eq!((published.blobs_sent, published.blobs_mounted), (3, 0), "{strict}");
        let requests = registry.take_requests();
        assert_eq!(count(&requests, "GET /token"), tokens, "{strict}");
        if strict {
            let mounts = count(&requests, &format!("POST {SIBLING} blobs/uploads/mount="));
            assert_eq!(mounts, 0, "nobody asks for what there is no token for");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let registry = Registry::start(Auth::Bearer).await;
    registry.inject("GET /token", 1, Fault::NewPassword("another"));
    let target = registry.repository(SIBLING).beside(REPOSITORY.to_owned());
    let error = push_to(&target, &image("one").await, None).await.expect_err("refused");
    assert!(error.to_string().starts_with("cannot sign in to"), "{error}");
    assert_eq!(count(&registry.take_requests(), "GET /token"), 1);
}

#[tokio::test]
async fn a_token_that_ends_while_blobs_are_mounted_does_not_end_mounting() {
    let registry = Registry::start(Auth::Bearer).await;
    registry.inject(&format!("POST {SIBLING} blobs/uploads/mount="), 1, Fault::TokenEnds);
    let published = push_beside(&registry, &image("one").await).await;
    assert_eq!((published.blobs_sent, published.blobs_mounted), (0, 3));
    assert_eq!(count(&registry.take_requests(), "GET /token"), 2);
}

#[tokio::test]
async fn a_token_service_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let image = image("one").await;
    for fault in [Fault::Answer(500, ""), Fault::Throttle(0), Fault::Cut, Fault::CutAfter] {
        let registry = Registry::start(Auth::Bearer).await;
        registry.inject("GET /token", 1, fault.clone());
        push(&registry, &image)
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
    }
    for (code, body, hint) in [
        (401, "", "credentials"),
        (403, "", "may not push"),
        (200, r#"{"expires_in":300}"#, ""),
        (200, r#"{"token":"secret\u0007"}"#, ""),
    ] {
        let registry = Registry::start(Auth::Bearer).await;
        registry.inject("GET /token", 99, Fault::Answer(code, body));
        let error = push(&registry, &image).await.expect_err("refused");
        assert!(
            error.to_string().starts_with("cannot sign in to `127.0.0.1:"),
            "{error}"
        );
        assert!(error.to_string().ends_with("(attempts: 1)"), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{error:?}");
        let shown = format!("{error:?}");
        assert!(!shown.contains("secret") && !shown.contains(PASSWORD), "{shown}");
        assert_eq!(registry.counts(), (0, 0, 0));
    }
}
