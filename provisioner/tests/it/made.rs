//! Images that were made elsewhere, on their way into a registry.

use std::path::Path;
use std::time::Duration;

use provisioner::image::{
    Content, Found, Image, ImageError, ImageRef, Local, Renewal, RetryPolicy, find, import, publish_with,
};
use provisioner::report::Silent;

use crate::registry::{OTHER, bytes, count, push, push_to};
use crate::run::Run;
use crate::support::image::{bulky_image, image, image_for_two};
use crate::support::registry::{Auth, Fault, REPOSITORY, Registry};

const AMD64: [&str; 1] = ["linux/amd64"];
const PLACE: &str = "demo/copy";

/// Looks up what a tag of the first repository stands for.
async fn found(registry: &Registry, tag: &str, wanted: &[&str]) -> Result<Found, ImageError> {
    let reference: ImageRef = format!("{}/{REPOSITORY}:{tag}", registry.address()).parse().unwrap();
    let credentials = ("AWS".to_owned(), crate::support::registry::PASSWORD.to_owned());
    let policy = RetryPolicy {
        base_delay: Duration::ZERO,
        ..RetryPolicy::default()
    };
    let target = reference.target(Some(credentials));
    find(&reference, &target, wanted, (policy, &Silent)).await
}

/// Writes `image` as a folder in the OCI layout.
pub(crate) fn write_layout(image: &Image, folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let root = &image.root.descriptor;
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": root.media_type, "digest": root.digest, "size": root.size },
    ] });
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    for manifest in image.children.iter().chain([&image.root]) {
        std::fs::write(blobs.join(manifest.digest().hex()), &manifest.bytes).unwrap();
    }
    for blob in &image.blobs {
        let Content::Memory(bytes) = &blob.content else {
            panic!("{blob:?}")
        };
        std::fs::write(blobs.join(blob.digest().hex()), bytes).unwrap();
    }
}

#[tokio::test]
async fn a_layout_is_streamed_from_its_files_and_keeps_its_digest() {
    let image = bulky_image(2_000_000);
    let folder = tempfile::tempdir().unwrap();
    write_layout(&image, folder.path());
    let imported = import(&Local::Layout(folder.path().to_owned()), &AMD64).await.unwrap();
    assert!(
        imported
            .blobs
            .iter()
            .all(|blob| matches!(blob.content, Content::Path(_)))
    );
    let registry = Registry::start(Auth::Basic).await;
    let published = push(&registry, &imported).await.expect("pushed");
    assert_eq!(published.digest, image.digest().as_str());
    assert_eq!(published.bytes_sent, bytes(&registry.take_requests()));
    push(&registry, &imported).await.expect("nothing to do");
    assert_eq!(bytes(&registry.take_requests()), 0);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_never_gets_a_tag() {
    let image = image("one").await;
    let folder = tempfile::tempdir().unwrap();
    write_layout(&image, folder.path());
    let imported = import(&Local::Layout(folder.path().to_owned()), &AMD64).await.unwrap();
    let layer = image.blobs[1].digest();
    let path = folder.path().join("blobs/sha256").join(layer.hex());
    let mut content = std::fs::read(&path).unwrap();
    content[0] ^= 1;
    std::fs::write(&path, content).unwrap();
    let registry = Registry::start(Auth::Basic).await;
    let error = push(&registry, &imported).await.expect_err("changed");
    assert!(
        matches!(&error, ImageError::Content { digest, .. } if digest == layer),
        "{error:?}"
    );
    assert_eq!(registry.counts().0, 0);
    let line = format!("PUT blobs/uploads/{layer}");
    assert!(
        count(&registry.take_requests(), &line) <= 1,
        "trying again would not mend it"
    );
}

#[tokio::test]
async fn an_image_is_found_by_its_tag_and_used_by_its_digest() {
    let registry = Registry::start(Auth::Bearer).await;
    let image = image_for_two("one", "one");
    push_to(&registry.target(), &image, Some("v1")).await.expect("pushed");
    registry.take_requests();
    let found = found(&registry, "v1", &["linux/amd64", "linux/arm64"])
        .await
        .expect("found");
    let reference = format!("{}/{REPOSITORY}@{}", registry.address(), image.digest());
    assert_eq!(found.reference, reference);
    let requests = registry.take_requests();
    assert_eq!(count(&requests, "GET manifests/"), 1, "the index says what it is for");
    assert_eq!(count(&requests, "GET blobs/"), 0);
}

#[tokio::test]
async fn an_image_of_one_platform_says_so_in_its_configuration() {
    let registry = Registry::start(Auth::Basic).await;
    push_to(&registry.target(), &image("one").await, Some("v1"))
        .await
        .expect("pushed");
    assert_eq!(found(&registry, "v1", &AMD64).await.expect("found").platforms, AMD64);
    let error = found(&registry, "v1", &["linux/arm64"]).await.expect_err("another");
    assert!(error.is_configuration());
    assert!(error.hint().is_some_and(|hint| hint.contains("--platform linux/arm64")));
    registry.inject("GET manifests/v1", 1, Fault::Answer(403, ""));
    let error = found(&registry, "v1", &AMD64).await.expect_err("refused");
    assert!(error.hint().is_some_and(|hint| hint.contains("may not read there")));
    let error = found(&registry, "v2", &AMD64).await.expect_err("none");
    assert!(
        !error.is_configuration() && error.to_string().starts_with("cannot read `v2` from"),
        "{error}"
    );
}

#[tokio::test]
async fn an_image_is_copied_from_registry_to_registry_as_it_is() {
    let from = Registry::start(Auth::Bearer).await;
    let image = bulky_image(2_000_000);
    push_to(&from.target(), &image, Some("v1")).await.expect("pushed");
    from.take_requests();
    let found = found(&from, "v1", &AMD64).await.expect("found");
    let copied = found.image(&Silent).await.expect("an image");
    let to = Registry::start(Auth::Basic).await;
    // A line that breaks costs both sides that blob once more.
    to.inject(
        &format!("PUT blobs/uploads/{}", image.blobs[1].digest()),
        1,
        Fault::CutAt(50),
    );
    let published = push(&to, &copied).await.expect("copied");
    assert_eq!(published.digest, image.digest().as_str());
    assert_eq!((published.blobs_sent, to.counts()), (3, (1, 1, 3)));
    let again = push(&to, &copied).await.expect("nothing to do");
    assert!(!again.pushed);
}

/// An image in a registry, found there.
async fn elsewhere(image: &Image) -> (Registry, Image) {
    let from = Registry::start(Auth::Basic).await;
    push_to(&from.target(), image, Some("v1")).await.expect("pushed");
    let found = found(&from, "v1", &AMD64).await.expect("found");
    let copied = found.image(&Silent).await.expect("an image");
    from.take_requests();
    (from, copied)
}

#[tokio::test]
async fn a_source_that_fails_for_a_moment_is_asked_again() {
    let image = bulky_image(2_000_000);
    let line = format!("GET blobs/{}", image.blobs[1].digest());
    for fault in [
        Fault::Answer(503, ""),
        Fault::Throttle(0),
        Fault::Cut,
        Fault::AnswerEnds(50),
    ] {
        let (from, copied) = elsewhere(&image).await;
        from.inject(&line, 2, fault.clone());
        let to = Registry::start(Auth::Basic).await;
        let published = push(&to, &copied).await;
        assert!(published.is_ok_and(|p| p.blobs_sent == 3), "{fault:?}");
        assert_eq!(count(&from.take_requests(), &line), 3, "{fault:?}");
        assert_eq!(to.counts(), (1, 1, 3));
    }
}

#[tokio::test]
async fn a_source_that_keeps_failing_is_named_and_costs_as_many_attempts_as_any() {
    let image = bulky_image(2_000_000);
    let line = format!("GET blobs/{}", image.blobs[1].digest());
    let policy = RetryPolicy {
        attempts: 2,
        base_delay: Duration::ZERO,
        patience: Duration::from_secs(2),
    };
    for (fault, attempts, said) in [
        (Fault::Answer(503, ""), 2, "answers 503"),
        (Fault::Answer(403, ""), 1, "answers 403"),
        (Fault::Silence, 2, "no answer within 0.5 s"),
        (Fault::AnswerEnds(50), 2, "broke off"),
        (Fault::AnswerStops(50), 2, "nothing came for 0.5 s"),
    ] {
        let (from, copied) = elsewhere(&image).await;
        from.inject(&line, 99, fault.clone());
        let to = Registry::start(Auth::Basic).await;
        let target = to
            .target()
            .renewed_by(Renewal::new(|_| panic!("the target refuses nothing")));
        let error = publish_with(&copied, &target, None, &Silent, policy)
            .await
            .expect_err("never whole");
        let text = format!(
            "{error}: {:?}",
            std::error::Error::source(&error).map(ToString::to_string)
        );
        assert!(
            text.contains(from.address()) && !text.contains(to.address()),
            "{fault:?}: {text}"
        );
        assert!(text.contains(said), "{fault:?}: {text}");
        assert_eq!(count(&from.take_requests(), &line), attempts, "{fault:?}");
        assert_eq!(to.counts().0, 0);
    }
}

#[tokio::test]
async fn an_image_of_the_same_registry_is_mounted() {
    let registry = Registry::start(Auth::Basic).await;
    registry.mounts();
    push_to(&registry.target(), &image_for_two("one", "two"), Some("v1"))
        .await
        .expect("pushed");
    let copied = found(&registry, "v1", &AMD64)
        .await
        .expect("found")
        .image(&Silent)
        .await
        .expect("an image");
    registry.take_requests();
    let target = registry.repository(PLACE).beside(REPOSITORY.to_owned());
    let published = push_to(&target, &copied, None).await.expect("copied");
    assert_eq!((published.blobs_sent, published.blobs_mounted), (0, 5));
    assert_eq!(registry.counts_of(PLACE), (1, 3, 5));
    assert_eq!(
        count(&registry.take_requests(), "GET blobs/"),
        0,
        "no byte passes this machine"
    );
}

#[tokio::test]
async fn a_registry_that_gives_other_bytes_is_not_believed() {
    let from = Registry::start(Auth::Basic).await;
    let image = image("one").await;
    push_to(&from.target(), &image, Some("v1")).await.expect("pushed");
    let layer = image.blobs[1].digest();
    from.spoil(layer.as_str(), b"something else");
    let copied = found(&from, "v1", &AMD64)
        .await
        .expect("found")
        .image(&Silent)
        .await
        .expect("an image");
    let to = Registry::start(Auth::Basic).await;
    let error = push(&to, &copied).await.expect_err("spoilt");
    assert!(
        matches!(&error, ImageError::Content { digest, .. } if digest == layer),
        "{error:?}"
    );
    assert_eq!(to.counts().0, 0);
    from.inject("GET manifests/", 1, Fault::Digest(OTHER.to_owned()));
    let error = found(&from, "v1", &AMD64).await.expect_err("another digest");
    assert!(format!("{error:?}").contains("it gives sha256:"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_pushes_what_was_made_elsewhere() {
    let registry = Registry::start(Auth::Anonymous).await;
    let image = image("one").await;
    let folder = tempfile::tempdir().unwrap();
    write_layout(&image, folder.path());
    let address = registry.address().to_owned();
    let push = |source: String| {
        let run = format!("push --name demo --registry {address}/team {source}");
        tokio::task::spawn_blocking(move || Run::of(&run).end())
    };
    let ended = push(format!("--oci-layout {}", folder.path().display())).await.unwrap();
    let reference = format!("{address}/team/web-app@{}", image.digest());
    assert_eq!(
        (ended.code(), ended.stdout().trim()),
        (0, reference.as_str()),
        "{}",
        ended.stderr()
    );
    let tag = image.default_tag();
    // As it is: nothing is sent, and nothing is built either.
    registry.take_requests();
    let ended = push(format!("--image {address}/team/web-app:{tag}")).await.unwrap();
    assert_eq!(
        (ended.code(), ended.stdout().trim()),
        (0, reference.as_str()),
        "{}",
        ended.stderr()
    );
    assert_eq!(bytes(&registry.take_requests()), 0);
    let ended = push(format!("--image {address}/team/web-app:{tag} --copy --tag v1"))
        .await
        .unwrap();
    assert_eq!(
        (ended.code(), ended.stdout().trim()),
        (0, reference.as_str()),
        "{}",
        ended.stderr()
    );
}

#[test]
fn the_command_refuses_what_is_no_image_before_it_asks_anybody() {
    let run =
        Run::of("push --name demo --registry 127.0.0.1:1/team --archive image.tar").file("image.tar", "no archive");
    let stderr = run.end().refused(2);
    assert!(stderr.contains("error: cannot use the image `image.tar`"), "{stderr}");
    let stderr = Run::of("push --name demo --image app --archive app.tar")
        .end()
        .refused(2);
    assert!(stderr.contains("an image has one source"), "{stderr}");
}
