//! Where the registry has an image of the same inputs, neither cargo nor a push runs, on any machine.

use std::path::Path;

use crate::run::{Ended, Run};
use crate::support::image::executable;
use crate::support::registry::{Auth, Fault, Registry};

const LOCK: &str = "[[package]]\nname = 'app'\nversion = '1.2.3'\n";

/// A machine with the sources, whose (pretended) cargo writes down that it was called.
pub(crate) struct Machine {
    workspace: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let machine = Self { workspace };
        machine.write("Cargo.toml", b"[workspace]\n");
        machine.write("Cargo.lock", LOCK.as_bytes());
        machine.write("app/Cargo.toml", b"[package]\n");
        machine.write("app/src/main.rs", b"fn main() {}\n");
        machine.write("program", &executable(b"one"));
        machine
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.workspace.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Whether cargo was asked to build since the last question.
    pub(crate) fn built(&self) -> bool {
        std::fs::remove_file(self.workspace.path().join("called")).is_ok()
    }

    pub(crate) fn push(&self, registry: &Registry, more: &str) -> Ended {
        let workspace: &Path = self.workspace.path();
        let run = Run::in_workspace(&format!(
            "push --name demo --registry {}/demo --workspace {} {more}",
            registry.address(),
            workspace.display()
        ));
        run.end()
    }
}

/// What the registry was asked, without the tag's hash.
pub(crate) fn asked(registry: &Registry) -> Vec<String> {
    let requests = registry.take_requests().into_iter().map(|request| request.line);
    let requests = requests.filter(|line| line != "GET /v2/");
    requests
        .map(|line| match line.split_once("manifests/input-") {
            Some((verb, hash)) if hash.len() == 64 => format!("{verb}manifests/input-HASH"),
            _ => line,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_neither_builds_nor_sends_what_the_first_pushed() {
    let registry = Registry::start(Auth::Anonymous).await;
    let (first, second) = (Machine::new(), Machine::new());
    let pushed = first.push(&registry, "");
    assert_eq!(pushed.code(), 0, "{}", pushed.stderr());
    assert!(first.built());
    let reference = pushed.stdout();
    let tag = reference.trim().rsplit_once("sha256:").unwrap().1[..12].to_owned();
    let recorded = asked(&registry);
    let last = format!("{:?}", &recorded[recorded.len() - 3..]);
    assert!(
        last.contains("HEAD manifests/input-HASH") && last.contains("PUT manifests/input-HASH"),
        "{recorded:?}"
    );

    let again = second.push(&registry, "--output json");
    assert_eq!(again.code(), 0, "{}", again.stderr());
    assert!(!second.built());
    let answer: serde_json::Value = serde_json::from_str(&again.stdout()).unwrap();
    assert_eq!(answer["reference"], reference.trim());
    assert_eq!((&answer["pushed"], &answer["bytes_sent"]), (&false.into(), &0.into()));
    let tag = format!("HEAD manifests/{tag}");
    assert_eq!(asked(&registry), ["GET manifests/input-HASH", &tag]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_sources_and_rebuild_build_again() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    machine.push(&registry, "");
    assert!(machine.built());
    machine.write("app/src/main.rs", b"fn main() { loop {} }\n");
    machine.write("program", &executable(b"two"));
    let changed = machine.push(&registry, "");
    assert!(machine.built(), "{}", changed.stderr());
    let (tags, manifests, _) = registry.counts();
    assert_eq!(
        (tags, manifests),
        (4, 2),
        "each image has its own tag and that of its inputs"
    );
    registry.take_requests();
    let forced = machine.push(&registry, "--rebuild");
    assert!(machine.built());
    assert_eq!(forced.stdout(), changed.stdout());
    assert!(!asked(&registry).iter().any(|line| line.starts_with("PUT")));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tag_for_the_same_inputs_sends_only_the_manifest() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    let first = machine.push(&registry, "");
    assert!(machine.built());
    registry.take_requests();
    let tagged = machine.push(&registry, "--tag v2");
    assert!(!machine.built(), "{}", tagged.stderr());
    assert_eq!(tagged.stdout(), first.stdout());
    let digest = registry.tag("v2").expect("tagged");
    assert!(first.stdout().trim().ends_with(&digest));
    let expected = [
        "GET manifests/input-HASH",
        "HEAD manifests/v2",
        "PUT manifests/v2",
        "HEAD manifests/v2",
    ];
    assert_eq!(asked(&registry), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_read_more_than_its_sources_is_not_recorded() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    machine.write("reads", b"/elsewhere/logo.png");
    for _ in 0..2 {
        let pushed = machine.push(&registry, "");
        assert_eq!(pushed.code(), 0, "{}", pushed.stderr());
        assert!(machine.built());
        let note = "this build read file `/elsewhere/logo.png`";
        assert!(pushed.stderr().contains(note), "{}", pushed.stderr());
    }
    assert_eq!(registry.counts().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_show_or_take_the_record_does_not_keep_an_image_from_being_pushed() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    let denied = r#"{"errors":[{"code":"DENIED","message":""}]}"#;
    for verb in ["GET", "PUT"] {
        registry.clear_faults();
        registry.inject(&format!("{verb} manifests/input-"), 9, Fault::Answer(403, denied));
        let pushed = machine.push(&registry, "");
        assert_eq!(pushed.code(), 0, "{}", pushed.stderr());
        assert!(machine.built(), "{verb}");
        assert!(pushed.stderr().contains("warning"), "{verb}: {}", pushed.stderr());
        // Without the record of the first round the second one builds.
        machine.write("app/src/main.rs", b"fn main() { loop {} }\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_error_is_shown_once_and_nothing_is_pushed() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    machine.write(
        "fail",
        b"   Compiling app v1.2.3\nerror[E0425]: cannot find value `nothing`\n",
    );
    let stderr = machine.push(&registry, "").refused(1);
    assert_eq!(stderr.matches("cannot find value `nothing`").count(), 1, "{stderr}");
    assert!(
        stderr.contains("exit status: 101") && !stderr.contains("Compiling"),
        "{stderr}"
    );
    assert_eq!(registry.counts(), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_target_is_refused_before_the_registry_is_asked() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    let toolchain = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/toolchain");
    let run = Run::in_workspace(&format!(
        "push --name demo --registry {}/demo --workspace {} --platform linux/arm64",
        registry.address(),
        machine.workspace.path().display()
    ));
    let stderr = run
        .env("RUSTC", &format!("{toolchain}/rustc-without-musl"))
        .end()
        .refused(2);
    assert!(
        stderr.contains("`rustup target add aarch64-unknown-linux-musl`"),
        "{stderr}"
    );
    assert!(!machine.built());
    assert_eq!(asked(&registry), [""; 0]);
}
