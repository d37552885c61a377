//! Credentials that end in the middle of a push.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use provisioner::image::{Credentials, ImageError, RegistryTarget, Renewal};

use crate::registry::{PUSH, count, push, push_to};
use crate::support::image::image;
use crate::support::registry::{Auth, Fault, PASSWORD, Registry};

const NEXT: &str = "second-password";

/// A target whose renewal gives `password`, and how often it was asked.
fn renewing(registry: &Registry, password: &'static str) -> (RegistryTarget, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let renewal = Renewal::new(move |refused| {
        counter.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            assert_eq!(refused, PASSWORD, "the one that was refused");
            Ok(Credentials {
                username: "AWS".to_owned(),
                password: password.to_owned(),
            })
        })
    });
    (registry.target().renewed_by(renewal), asked)
}

#[tokio::test]
async fn a_password_that_ends_mid_push_is_renewed_once() {
    let image = image("one").await;
    let ends = [Fault::NewPassword(NEXT), Fault::PasswordEnds(NEXT)];
    for (line, end) in PUSH.into_iter().flat_map(|line| ends.clone().map(|end| (line, end))) {
        let registry = Registry::start(Auth::Basic).await;
        registry.inject(line, 1, end);
        let (target, asked) = renewing(&registry, NEXT);
        let published = push_to(&target, &image, None).await;
        assert!(published.is_ok_and(|p| p.pushed), "{line}");
        assert_eq!(
            asked.load(Ordering::Relaxed),
            1,
            "{line}: blobs go side by side and share the new one"
        );
        assert_eq!(registry.counts(), (1, 1, 3), "{line}");
    }
}

#[tokio::test]
async fn a_right_that_is_missing_costs_one_renewal_in_a_push() {
    for line in PUSH.into_iter().skip(1) {
        let registry = Registry::start(Auth::Basic).await;
        registry.inject(line, 99, Fault::Answer(403, ""));
        let (target, asked) = renewing(&registry, PASSWORD);
        let error = push_to(&target, &image("one").await, None).await.expect_err("refused");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("may not push there")),
            "{line}: {error}"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{line}");
    }
}

#[tokio::test]
async fn a_new_password_that_is_refused_too_ends_the_push() {
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT manifests/", 1, Fault::NewPassword(NEXT));
    let (target, asked) = renewing(&registry, "also-wrong");
    let error = push_to(&target, &image("one").await, None).await.expect_err("refused");
    assert!(error.to_string().starts_with("cannot push manifest"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(count(&registry.take_requests(), "PUT manifests/"), 2);
}

#[tokio::test]
async fn without_a_source_of_new_ones_the_refusal_stands() {
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT manifests/", 1, Fault::NewPassword(NEXT));
    let error = push(&registry, &image("one").await).await.expect_err("refused");
    assert!(error.to_string().starts_with("cannot push manifest"), "{error}");
}

#[tokio::test]
async fn a_renewal_that_fails_tells_why() {
    let registry = Registry::start(Auth::Basic).await;
    registry.inject("PUT manifests/", 1, Fault::NewPassword(NEXT));
    let renewal = Renewal::new(|_| Box::pin(async { Err("the session is over".into()) }));
    let target = registry.target().renewed_by(renewal);
    let error = push_to(&target, &image("one").await, None).await.expect_err("failed");
    let ImageError::Renewal { source, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(source.to_string(), "the session is over");
    assert!(
        error
            .to_string()
            .starts_with("cannot renew the credentials for `127.0.0.1:"),
        "{error}"
    );
}
