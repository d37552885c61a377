//! A copy from a registry into itself, of an image that may be none, with answers that may be none.

use std::time::Duration;

use fastrand::Rng;
use provisioner::image::{ImageError, ImageRef, Published, RetryPolicy, find, publish_with};
use provisioner::report::Silent;
use serde_json::Value;

use crate::driver::Outcome;
use crate::image::{Twist, layout};
use crate::server::{Server, Store};
use crate::world::World;

/// Little patience: a registry that asks for more than that is not waited for.
const POLICY: RetryPolicy = RetryPolicy {
    attempts: 2,
    base_delay: Duration::ZERO,
    patience: Duration::from_millis(900),
};

/// Finds, copies and pushes.
pub(crate) fn registry(rng: &mut Rng, world: &World) -> Result<Outcome, String> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let twist = Twist::any(rng);
    let (files, root) = layout(rng, &twist);
    let answers = Twist::any(rng);
    let is_valid = twist.is_none() && answers.is_none();
    let mut store = Store::new(answers, rng);
    for (name, bytes) in files {
        let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let kind = document["mediaType"].as_str().unwrap_or("application/octet-stream");
        let kind = kind.replace(|c: char| c.is_control(), " ");
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            for place in ["app/manifests", "app/blobs"] {
                let served = (kind.clone(), bytes.clone());
                store.served.insert(format!("{place}/sha256:{hex}"), served.clone());
                if root["digest"] == format!("sha256:{hex}") {
                    store.served.insert(format!("{place}/v1"), served);
                }
            }
        }
    }
    world.begin();
    world.runtime.block_on(async {
        let server = Server::start(store).await;
        let outcome = copy(&server.address).await;
        let store = server.store.lock().unwrap();
        if !store.wrong.is_empty() {
            return Err(format!("sent under a wrong name: {}", store.wrong.join(", ")));
        }
        match outcome {
            Ok(published) if published.pushed && !store.manifests.contains(&published.digest) => {
                Err(format!("{published:?} was never pushed"))
            }
            Ok(_) => Ok(Outcome::Accepted),
            Err(error) if is_valid => Err(format!("what is valid is refused: {error:?}")),
            Err(error) => told(&error),
        }
    })
}

async fn copy(address: &str) -> Result<Published, ImageError> {
    let image: ImageRef = format!("{address}/team/app:v1").parse().expect("a reference");
    let source = image.target(Some(("user".to_owned(), "secret".to_owned())));
    let found = find(&image, &source, &["linux/amd64"], (POLICY, &Silent)).await?;
    let copied = found.image(&Silent).await?;
    let mut target = source.clone().beside(source.repository);
    "team/copy".clone_into(&mut target.repository);
    publish_with(&copied, &target, None, &Silent, POLICY).await
}

/// A refusal says something, and nothing secret.
fn told(error: &ImageError) -> Result<Outcome, String> {
    let shown = format!("{error} {error:?} {:?}", error.hint());
    if error.to_string().is_empty() || shown.contains("secret") {
        return Err(format!("refused with {shown}"));
    }
    Ok(Outcome::Refused)
}
