//! Texts of the command line and of the settings' file.

use fastrand::Rng;
use provisioner::aws::ecr;
use provisioner::config::{Config, FILE, Sources};
use provisioner::image::{Digest, Given, ImageRef, RegistryPrefix};

use crate::driver::Outcome;
use crate::mutate;
use crate::world::World;

const REFERENCES: [&str; 9] = [
    "nginx",
    "team/app:1.2",
    "ghcr.io/team/app:1.2@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "127.0.0.1:5000/app:1",
    "localhost:5000/a/b/c:1",
    "[::1]:5000/a",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/web-app:latest",
    "123456789012.dkr-ecr.eu-west-1.on.aws/demo/web-app",
    "https://registry.example:5000/team",
];

const BINARIES: [&str; 5] = ["target/app", "linux/arm64=a/b=c", "./a=b", "linux/arm/v7=app", "=/"];

const SETTINGS: &str = r#"
reaction = "fast"
[target]
cluster = "demo"
name = "demo"
region = "eu-west-1"
registry = "ghcr.io/team"
[eks]
create-cluster = true
subnet-ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
public-access-cidr = ["10.0.0.0/8"]
hpa-sync-period = "10s"
[image]
image = "ghcr.io/team/app:1"
platform = ["linux/amd64", "linux/arm64"]
[load]
loader-image = "ghcr.io/team/load:1"
[stack]
without = ["grafana"]
[output]
timeout = "30m"
poll-interval = "1s"
"#;

fn changed(rng: &mut Rng, known: &[&str]) -> String {
    let one = known[rng.usize(..known.len())];
    if rng.u8(..8) == 0 {
        one.to_owned()
    } else {
        mutate::text(rng, one)
    }
}

/// What is accepted of a text, and the same read again from how it is shown.
fn again<T: std::str::FromStr + PartialEq + std::fmt::Debug>(
    text: &str,
    shown: impl Fn(&T) -> String,
) -> Result<Option<String>, String> {
    let Ok(read) = text.parse::<T>() else {
        return Ok(None);
    };
    let shown = shown(&read);
    match shown.parse::<T>() {
        Ok(same) if same == read => Ok(Some(shown)),
        _ => Err(format!("{text:?} is {read:?}, and {shown:?} is something else")),
    }
}

/// References of images, prefixes of registries, hosts of ECR, digests.
pub(crate) fn references(rng: &mut Rng, _: &World) -> Result<Outcome, String> {
    let text = changed(rng, &REFERENCES);
    let image = again::<ImageRef>(&text, ToString::to_string)?;
    let prefix = again::<RegistryPrefix>(&text, RegistryPrefix::argument)?;
    let strange = |shown: &String| shown.contains(|c: char| c.is_control() || c.is_whitespace()) || !shown.is_ascii();
    if let Some(shown) = image.iter().chain(&prefix).find(|shown| strange(shown)) {
        return Err(format!("{text:?} is taken as {shown:?}"));
    }
    let host = text.split('/').next().unwrap_or_default();
    if let Some(found) = ecr::Host::of(host) {
        let ends = ["amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "on.aws"];
        if !ends.iter().any(|end| host.ends_with(end)) || found.region.contains('.') {
            return Err(format!("a password would go to {host:?}: {found:?}"));
        }
    }
    again::<Digest>(&text, ToString::to_string)?;
    Ok(if image.or(prefix).is_some() {
        Outcome::Accepted
    } else {
        Outcome::Refused
    })
}

/// `--binary [PLATFORM=]PATH`.
pub(crate) fn binaries(rng: &mut Rng, _: &World) -> Result<Outcome, String> {
    let text = changed(rng, &BINARIES);
    let Ok(Given { platform, path }) = text.parse() else {
        return Ok(Outcome::Refused);
    };
    let path = path.display();
    let shown = platform.map_or(path.to_string(), |platform| format!("{platform}={path}"));
    if shown != text {
        return Err(format!("{text:?} is taken as {shown:?}"));
    }
    Ok(Outcome::Accepted)
}

/// `provisioner.toml`.
pub(crate) fn file(rng: &mut Rng, world: &World) -> Result<Outcome, String> {
    let mut text = SETTINGS.as_bytes().to_vec();
    if rng.bool() {
        let lines: Vec<&str> = SETTINGS.lines().collect();
        let line = lines[rng.usize(1..lines.len())];
        let line = mutate::text(rng, line);
        text.extend(line.into_bytes());
    }
    if rng.u8(..8) > 0 {
        mutate::bytes(rng, &mut text);
    }
    std::fs::write(world.input().join(FILE), &text).unwrap();
    let sources = Sources {
        folder: world.input(),
        ..Sources::default()
    };
    match Config::resolve(&sources) {
        Ok(_) => Ok(Outcome::Accepted),
        Err(problems) if problems.0.is_empty() || problems.0.iter().any(|problem| problem.message.is_empty()) => {
            Err("refused without a reason".to_owned())
        }
        Err(problems) if text == SETTINGS.as_bytes() => Err(format!("what is valid is refused: {problems:?}")),
        Err(_) => Ok(Outcome::Refused),
    }
}
