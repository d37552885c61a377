use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::image::elf::tests::executable;
use crate::image::{Compression, Platform, assemble};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/toolchain");
const LOCK: &str = "[[package]]\nname = 'app'\nversion = '1.2.3'\ndependencies = ['a']\n\
    [[package]]\nname = 'a'\nversion = '1.0.0'\nsource = 'registry'\nchecksum = '01'\n\
    [[package]]\nname = 'library'\nversion = '0.1.0'\ndependencies = ['b']\n\
    [[package]]\nname = 'b'\nversion = '1.0.0'\nsource = 'registry'\nchecksum = '02'\n";

/// A workspace on a machine of its own.
struct Machine {
    folder: tempfile::TempDir,
    toolchain: Toolchain,
    spec: ImageSpec,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = ImageSpec::of_app(folder.path());
        let toolchain = Toolchain {
            cargo: format!("{FIXTURES}/cargo").into(),
            rustc: format!("{FIXTURES}/rustc-with-musl").into(),
            env: BTreeMap::new(),
        };
        let machine = Self {
            folder,
            toolchain,
            spec,
        };
        for (name, text) in [
            ("Cargo.toml", "[workspace]\n"),
            ("Cargo.lock", LOCK),
            (".gitignore", "*.log\n/app/cache\n"),
            ("app/Cargo.toml", "[package]\n"),
            ("app/src/main.rs", "fn main() {}\n"),
            ("app/assets/logo", "a logo"),
            ("library/Cargo.toml", "[package]\n"),
            ("library/src/lib.rs", "\n"),
        ] {
            machine.write(name, text);
        }
        machine
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn inputs(&self) -> Option<Inputs> {
        inputs_with(&self.toolchain, &self.spec).await.unwrap()
    }

    async fn tag(&self) -> String {
        self.inputs().await.expect("known").tag(&self.spec)
    }
}

#[tokio::test]
async fn two_machines_with_the_same_sources_have_the_same_inputs() {
    let (one, other) = (Machine::new(), Machine::new());
    let tag = one.tag().await;
    assert_eq!(tag, other.tag().await);
    assert_eq!(tag.len(), "input-".len() + 64);
}

#[tokio::test]
async fn what_is_no_source_of_the_package_changes_nothing() {
    let machine = Machine::new();
    let before = machine.tag().await;
    for name in [
        "README.md",
        "library/src/lib.rs",
        "app/debug.log",
        "app/cache/old",
        "app/.env",
        "app/tests/it.rs",
        "app/nested/Cargo.toml",
        "app/nested/src/lib.rs",
        "target/app/src/main.rs",
    ] {
        machine.write(name, "other");
    }
    machine.write("Cargo.lock", &LOCK.replace("'02'", "'03'"));
    assert_eq!(machine.tag().await, before);
}

#[tokio::test]
async fn whatever_goes_into_the_image_changes_the_tag() {
    type Change = fn(&mut Machine);
    let changes: [(&str, Change); 13] = [
        ("a source", |m| m.write("app/src/main.rs", "fn main() { loop {} }\n")),
        ("a new module", |m| m.write("app/src/new.rs", "")),
        ("another file of the package", |m| m.write("app/assets/logo", "another")),
        ("its manifest", |m| {
            m.write("app/Cargo.toml", "[package]\nedition = '2024'\n");
        }),
        ("the workspace's manifest", |m| {
            m.write("Cargo.toml", "[workspace]\n[profile.image]\nlto = true\n");
        }),
        ("a dependency", |m| m.write("Cargo.lock", &LOCK.replace("'01'", "'11'"))),
        ("the toolchain file", |m| {
            m.write("rust-toolchain.toml", "[toolchain]\n");
        }),
        ("cargo's settings", |m| {
            m.write(".cargo/config.toml", "[build]\nrustflags = '-g'\n");
        }),
        ("the flags", |m| {
            drop(m.toolchain.env.insert("RUSTFLAGS".into(), "-g".into()));
        }),
        ("the time", |m| {
            drop(m.toolchain.env.insert("SOURCE_DATE_EPOCH".into(), "1".into()));
        }),
        ("the platforms", |m| m.spec.platforms = Platform::ALL.to_vec()),
        ("the compression", |m| m.spec.compression = Compression::Zstd),
        ("the arguments", |m| m.spec.entrypoint_args.push("--verbose".into())),
    ];
    let mut tags = vec![Machine::new().tag().await];
    for (what, change) in changes {
        let mut machine = Machine::new();
        change(&mut machine);
        let tag = machine.tag().await;
        assert!(!tags.contains(&tag), "{what}");
        tags.push(tag);
    }
}

#[tokio::test]
async fn names_and_contents_cannot_stand_for_one_another() {
    let (one, other) = (Machine::new(), Machine::new());
    one.write("app/src/a", "bc");
    other.write("app/src/ab", "c");
    assert_ne!(one.tag().await, other.tag().await);
}

#[tokio::test]
async fn inputs_that_cannot_be_known_are_none() {
    let mut of_machine = Machine::new();
    of_machine.toolchain.rustc = format!("{FIXTURES}/rustc-without-musl").into();
    let no_lock = Machine::new();
    std::fs::remove_file(no_lock.folder.path().join("Cargo.lock")).unwrap();
    let outside = Machine::new();
    outside.write("Cargo.lock", "[[package]]\nname = 'app'\nversion = '1.2.3'\ndependencies = ['x']\n[[package]]\nname = 'x'\nversion = '1.0.0'\n");
    let unreadable = Machine::new();
    unreadable.write("Cargo.lock", "package = 1");
    let mut given = Machine::new();
    given.spec.source = Source::Binaries(Vec::new());
    assert!(inputs(&given.spec).await.unwrap().is_none());
    for (what, machine) in [
        ("glibc", of_machine),
        ("no lock", no_lock),
        ("outside", outside),
        ("lock", unreadable),
    ] {
        assert!(machine.inputs().await.is_none(), "{what}");
    }
}

#[tokio::test]
async fn a_change_while_building_is_seen() {
    let machine = Machine::new();
    let before = machine.inputs().await.unwrap();
    assert!(before.is(&machine.inputs().await.unwrap()));
    machine.write("app/src/main.rs", "fn main() { loop {} }\n");
    assert!(!before.is(&machine.inputs().await.unwrap()));
}

/// The real compiler on a crate that compiles in a moment: what it read is covered, until it reads more.
#[tokio::test]
async fn a_build_that_reads_more_than_its_inputs_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let root: &Path = folder.path();
    std::fs::create_dir_all(root.join("app/src")).unwrap();
    let workspace = "[workspace]\nmembers = ['app']\nresolver = '3'\n[profile.image]\ninherits = 'release'\n";
    std::fs::write(root.join("Cargo.toml"), workspace).unwrap();
    let package = "[package]\nname = 'app'\nversion = '0.1.0'\nedition = '2024'\n";
    std::fs::write(root.join("app/Cargo.toml"), package).unwrap();
    std::fs::write(root.join("outside"), "text").unwrap();
    let mut machine = Machine::new();
    machine.spec.workspace = root.to_owned();
    for (main, expected) in [
        ("fn main() { println!(env!(\"CARGO_PKG_VERSION\")) }", None),
        (
            "fn main() { println!(include_str!(\"../../outside\")) }",
            Some("file `"),
        ),
        (
            "fn main() { println!(\"{:?}\", option_env!(\"HOSTNAME\")) }",
            Some("variable `HOSTNAME`"),
        ),
    ] {
        std::fs::write(root.join("app/src/main.rs"), main).unwrap();
        // The first build writes the lock file.
        let binaries = crate::image::build(&machine.spec, &crate::report::Silent)
            .await
            .unwrap();
        let Some(inputs) = inputs(&machine.spec).await.unwrap() else {
            // Without the musl target there is nothing to cover.
            return;
        };
        let read = inputs.uncovered(&binaries).unwrap();
        match expected {
            None => assert_eq!(read, None),
            Some(start) => assert!(read.as_ref().is_some_and(|read| read.starts_with(start)), "{read:?}"),
        }
    }
}

/// Raise [`GENERATION`] whenever this digest changes: else images of the former layout would be found for the new one.
#[test]
fn the_generation_stands_for_one_way_to_put_images_together() {
    let mut machine = Machine::new();
    machine.write("program", "");
    let path = machine.folder.path().join("program");
    std::fs::write(&path, executable(1, b"code")).unwrap();
    machine.spec.source = Source::Binaries(Vec::new());
    let binary = Binary {
        path,
        platform: "linux/amd64".into(),
        version: Some("1.2.3".into()),
        repository: Some("https://example.org/app".into()),
    };
    let arm = {
        let mut file = executable(1, b"code");
        file[18] = 183;
        let path = machine.folder.path().join("arm");
        std::fs::write(&path, file).unwrap();
        Binary {
            path,
            platform: "linux/arm64".into(),
            ..binary.clone()
        }
    };
    let digest = assemble(&machine.spec, &[binary, arm]).unwrap().digest().to_string();
    assert_eq!(
        (GENERATION, digest.as_str()),
        (
            "1",
            "sha256:37fc41fac0abdd0849681cd4b7f48c5427edac40df6fcc7103fa7bdb71713266"
        )
    );
}
