use std::collections::BTreeMap;

use super::*;
use crate::image::Compression;
use crate::image::elf::tests::executable;
use crate::report::Record;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/toolchain");

fn toolchain(rustc: &str) -> Toolchain {
    Toolchain {
        cargo: format!("{FIXTURES}/cargo").into(),
        rustc: format!("{FIXTURES}/{rustc}").into(),
        env: BTreeMap::new(),
    }
}

/// A static executable for `platform`.
fn program(platform: Platform) -> Vec<u8> {
    let mut file = executable(1, b"code");
    file[18..20].copy_from_slice(&platform.machine().to_le_bytes());
    file
}

/// A workspace whose (pretended) build leaves static executables.
fn workspace() -> (tempfile::TempDir, ImageSpec) {
    let folder = tempfile::tempdir().expect("temporary folder");
    for platform in Platform::ALL {
        for triple in [platform.musl(), platform.gnu()] {
            let made = folder.path().join("target").join(triple).join("image");
            std::fs::create_dir_all(&made).expect("folder");
            std::fs::write(made.join("app"), program(platform)).expect("written");
        }
    }
    let spec = ImageSpec {
        package: "app".into(),
        entrypoint_args: vec![],
        title: "web-app".into(),
        workspace: folder.path().to_owned(),
        source: Source::Cargo,
        platforms: vec![],
        compression: Compression::default(),
    };
    (folder, spec)
}

fn called(folder: &tempfile::TempDir) -> String {
    std::fs::read_to_string(folder.path().join("called")).expect("cargo was called")
}

#[tokio::test]
async fn builds_for_musl_with_the_image_profile() {
    let (folder, spec) = workspace();
    let reporter = Record::default();
    let binaries = build_with(&toolchain("rustc-with-musl"), &spec, &reporter)
        .await
        .expect("built");
    let [binary] = binaries.as_slice() else {
        panic!("{binaries:?}");
    };
    assert_eq!(binary.platform, "linux/amd64");
    assert_eq!(binary.version.as_deref(), Some("1.2.3"));
    assert_eq!(binary.repository.as_deref(), Some("https://example.org/app"));
    assert!(called(&folder).starts_with(
        "build -p app --bin app --profile image --message-format json-render-diagnostics --target x86_64-unknown-linux-musl "
    ));
    assert_eq!(reporter.warnings(), [""; 0]);
    let events = reporter.0.into_inner().expect("not poisoned");
    assert!(matches!(&events[1], Event::Progress { done: 2, .. }), "{events:?}");
    assert!(
        matches!(&events[2], Event::Done { name, outcome: Outcome::Built, .. } if name == "app"),
        "{events:?}"
    );
}

#[tokio::test]
async fn without_musl_it_links_glibc_statically_and_says_how_to_install_musl() {
    let (folder, spec) = workspace();
    let reporter = Record::default();
    build_with(&toolchain("rustc-without-musl"), &spec, &reporter)
        .await
        .expect("built");
    let called = called(&folder);
    assert!(called.contains("--target x86_64-unknown-linux-gnu "), "{called}");
    let warnings = reporter.warnings();
    assert!(
        warnings[0].contains("`rustup target add x86_64-unknown-linux-musl`"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn both_platforms_are_built_by_one_command() {
    let (folder, mut spec) = workspace();
    spec.platforms = vec![Platform::Arm64, Platform::Amd64, Platform::Arm64];
    let binaries = build_with(&toolchain("rustc-with-musl"), &spec, &Record::default())
        .await
        .expect("built");
    let platforms: Vec<&str> = binaries.iter().map(|binary| binary.platform.as_str()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    for (binary, target) in binaries
        .iter()
        .zip(["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"])
    {
        assert_eq!(binary.path, folder.path().join("target").join(target).join("image/app"));
    }
    let called = called(&folder);
    assert_eq!(called.matches("--target ").count(), 2, "{called}");
}

#[tokio::test]
async fn a_missing_target_is_a_configuration_error_with_the_command_that_adds_it() {
    let (folder, mut spec) = workspace();
    spec.platforms = vec![Platform::Amd64, Platform::Arm64];
    for error in [
        check_with(&toolchain("rustc-without-musl"), &spec).await.map(drop),
        build_with(&toolchain("rustc-without-musl"), &spec, &Record::default())
            .await
            .map(drop),
    ] {
        let error = error.expect_err("no target");
        assert_eq!(
            error.to_string(),
            "cannot build for `linux/arm64`: target `aarch64-unknown-linux-musl` is not installed"
        );
        let hint = error.hint().expect("hint");
        assert!(
            hint.contains("`rustup target add aarch64-unknown-linux-musl`"),
            "{hint}"
        );
        assert!(error.is_configuration());
    }
    assert!(!folder.path().join("called").exists(), "nothing was built");
}

#[tokio::test]
async fn folders_of_this_machine_are_named_otherwise_in_the_executable() {
    let (folder, spec) = workspace();
    let mut toolchain = toolchain("rustc-with-musl");
    toolchain.env.insert("CARGO_HOME".into(), "/the/home".into());
    build_with(&toolchain, &spec, &Record::default()).await.expect("built");
    let workspace = folder.path().display();
    let expected = format!(
        "--config target.x86_64-unknown-linux-musl.rustflags=[\"--remap-path-prefix={workspace}=/source\", \
         \"--remap-path-prefix=/the/home=/cargo\", \
         \"--remap-path-prefix={workspace}/lib/rustlib/src/rust=/rustc/0123abc\"] CARGO_ENCODED_RUSTFLAGS=\n"
    );
    let called = called(&folder);
    assert!(called.ends_with(&expected), "{called}");
}

#[tokio::test]
async fn flags_of_the_environment_stay_and_ours_are_added() {
    let (folder, spec) = workspace();
    let mut toolchain = toolchain("rustc-without-musl");
    toolchain.env.insert("RUSTFLAGS".into(), " -g  -Ca=b ".into());
    build_with(&toolchain, &spec, &Record::default()).await.expect("built");
    let called = called(&folder);
    let expected = "CARGO_ENCODED_RUSTFLAGS=-g\u{1f}-Ca=b\u{1f}-Ctarget-feature=+crt-static\u{1f}--remap-path-prefix=";
    assert!(
        called.contains(expected) && !called.contains("--config target"),
        "{called}"
    );
}

#[tokio::test]
async fn the_compilers_own_linker_is_used_unless_the_user_chose_one() {
    let (folder, spec) = workspace();
    let linkers = folder.path().join("lib/rustlib/x86_64-unknown-linux-gnu/bin");
    std::fs::create_dir_all(&linkers).expect("folder");
    std::fs::write(linkers.join("rust-lld"), "").expect("written");
    let mut toolchain = toolchain("rustc-with-musl");
    build_with(&toolchain, &spec, &Record::default()).await.expect("built");
    let linker = "--config target.x86_64-unknown-linux-musl.linker=\"rust-lld\" ";
    assert!(called(&folder).contains(linker), "{}", called(&folder));
    let variable = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER".to_owned();
    toolchain.env.insert(variable, "musl-gcc".into());
    build_with(&toolchain, &spec, &Record::default()).await.expect("built");
    assert!(!called(&folder).contains(".linker="), "{}", called(&folder));
}

#[tokio::test]
async fn a_workspace_without_the_image_profile_is_built_as_a_release() {
    let inherits = r#"profile.image.inherits="release""#;
    for (manifest, want) in [
        ("[workspace]\n", true),
        ("[workspace]\n[profile.image]\ninherits = \"dist\"\n", false),
    ] {
        let (folder, spec) = workspace();
        std::fs::write(folder.path().join("Cargo.toml"), manifest).expect("written");
        let built = build_with(&toolchain("rustc-with-musl"), &spec, &Record::default()).await;
        built.expect("built");
        assert_eq!(called(&folder).contains(inherits), want, "{manifest}");
    }
}

#[tokio::test]
async fn a_failing_build_carries_its_command_line_and_output() {
    let (folder, spec) = workspace();
    std::fs::write(
        folder.path().join("fail"),
        "error[E0425]: cannot find value `nothing`\n",
    )
    .expect("written");
    let error = build_with(&toolchain("rustc-with-musl"), &spec, &Record::default())
        .await
        .expect_err("fails");
    let text = error.to_string();
    assert!(text.contains("cargo build -p app --bin app --profile image"), "{text}");
    assert!(
        text.contains("exit status: 101") && text.contains("error[E0425]"),
        "{text}"
    );
    assert!(!error.is_configuration());
}

#[tokio::test]
async fn a_full_disk_is_named_with_the_folder_that_fills_it() {
    let (folder, spec) = workspace();
    for said in [
        "error: failed to write `/t/app.rlib`\n\nCaused by:\n  No space left on device (os error 28)\n",
        "error: linking with `rust-lld` failed: signal: 7 (SIGBUS)\n",
    ] {
        std::fs::write(folder.path().join("fail"), said).expect("written");
        let error = build_with(&toolchain("rustc-with-musl"), &spec, &Record::default())
            .await
            .expect_err("fails");
        let hint = error.hint().expect("hint");
        assert!(
            hint.contains("/target` is full") && hint.contains("CARGO_TARGET_DIR"),
            "{hint}"
        );
        assert!(!error.is_configuration());
    }
}

#[tokio::test]
async fn a_build_that_names_no_executable_is_an_error() {
    let (folder, spec) = workspace();
    std::fs::write(folder.path().join("silent"), "").expect("written");
    let error = build_with(&toolchain("rustc-with-musl"), &spec, &Record::default())
        .await
        .expect_err("none named");
    assert!(matches!(error, ImageError::NoExecutable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_unknown_package_is_a_configuration_error_that_names_the_known() {
    let (_folder, mut spec) = workspace();
    for package in ["library", "ap"] {
        spec.package = package.into();
        let error = build_with(&toolchain("rustc-with-musl"), &spec, &Record::default())
            .await
            .expect_err("no such binary");
        assert!(error.is_configuration());
        assert_eq!(
            error.hint().as_deref(),
            Some("packages with a binary: `app`; name one with `--package NAME`")
        );
    }
}

#[tokio::test]
async fn a_check_finds_what_a_build_would_miss_and_compiles_nothing() {
    let (folder, mut spec) = workspace();
    check_with(&toolchain("rustc-with-musl"), &spec)
        .await
        .expect("complete");
    check_with(&toolchain("rustc-without-musl"), &spec)
        .await
        .expect("complete");
    let no_rustc = check_with(&toolchain("no-rustc"), &spec).await;
    assert!(matches!(no_rustc, Err(ImageError::Toolchain { .. })), "{no_rustc:?}");
    spec.package = "other".into();
    let no_package = check_with(&toolchain("rustc-with-musl"), &spec).await;
    assert!(
        matches!(no_package, Err(ImageError::NoPackage { .. })),
        "{no_package:?}"
    );
    assert!(!folder.path().join("called").exists(), "nothing was built");
}

#[tokio::test]
async fn without_cargo_the_error_names_it_and_what_to_do() {
    let (_folder, spec) = workspace();
    let no_cargo = Toolchain {
        cargo: "cargo-that-does-not-exist".into(),
        ..toolchain("rustc-with-musl")
    };
    let error = build_with(&no_cargo, &spec, &Record::default())
        .await
        .expect_err("no cargo");
    assert_eq!(error.to_string(), "cannot run `cargo-that-does-not-exist`");
    assert!(error.is_configuration() && error.hint().is_some());
}

#[tokio::test]
async fn a_missing_workspace_or_binary_is_named() {
    let (_folder, mut spec) = workspace();
    let silent = Record::default();
    spec.workspace = "/does/not/exist".into();
    let error = build(&spec, &silent).await.expect_err("no workspace");
    assert!(error.to_string().contains("/does/not/exist"), "{error}");
    spec.source = Source::Binaries(vec![given("/no/binary")]);
    let error = build(&spec, &silent).await.expect_err("no binary");
    assert!(error.to_string().contains("/no/binary"), "{error}");
    assert!(error.is_configuration());
}

fn given(text: &str) -> Given {
    text.parse().expect("valid")
}

#[tokio::test]
async fn given_binaries_are_checked_and_chosen_by_platform() {
    let (folder, mut spec) = workspace();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("amd"), program(Platform::Amd64)).expect("written");
    std::fs::write(path("arm"), program(Platform::Arm64)).expect("written");
    let mut end = async |given_texts: &[String], platforms: &[Platform]| {
        spec.source = Source::Binaries(given_texts.iter().map(|text| given(text)).collect());
        spec.platforms = platforms.to_vec();
        let known = check(&spec).await?;
        let built = build(&spec, &Record::default()).await?;
        assert_eq!(known.len(), built.len());
        Ok::<_, ImageError>(built.into_iter().map(|binary| binary.platform).collect::<Vec<_>>())
    };
    let both = [format!("linux/arm64={}", path("arm")), path("amd")];
    assert_eq!(end(&both, &[]).await.unwrap(), ["linux/amd64", "linux/arm64"]);
    assert_eq!(end(&both, &[Platform::Arm64]).await.unwrap(), ["linux/arm64"]);
    let wrong = end(&[format!("linux/amd64={}", path("arm"))], &[]).await.unwrap_err();
    assert!(matches!(wrong, ImageError::NotRunnable { .. }), "{wrong:?}");
    let missing = end(&both[1..], &[Platform::Arm64]).await.unwrap_err();
    assert_eq!(
        missing.hint().as_deref(),
        Some("give one with `--binary linux/arm64=PATH`")
    );
    let twice = end(&[path("amd"), path("amd")], &[]).await.unwrap_err();
    assert!(matches!(twice, ImageError::SamePlatform { .. }), "{twice:?}");
    for error in [wrong, missing, twice] {
        assert!(error.is_configuration(), "{error}");
    }
}

/// The real cargo on a crate that compiles in a moment: both ways to link end in a file that an image can run.
#[tokio::test]
async fn the_installed_toolchain_makes_static_executables() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let manifest = "[package]\nname = \"app\"\nversion = \"0.3.0\"\nedition = \"2024\"\n[workspace]\n[profile.image]\ninherits = \"release\"\n";
    std::fs::create_dir(folder.path().join("src")).expect("folder");
    std::fs::write(folder.path().join("Cargo.toml"), manifest).expect("written");
    std::fs::write(folder.path().join("src/main.rs"), "fn main() {}").expect("written");
    let (_other, mut spec) = workspace();
    spec.workspace = folder.path().to_owned();
    let installed = Toolchain::from_env();
    let without_musl = Toolchain {
        cargo: installed.cargo.clone(),
        ..toolchain("rustc-without-musl")
    };
    for toolchain in [installed, without_musl] {
        let binaries = build_with(&toolchain, &spec, &Record::default()).await.expect("built");
        assert_eq!(binaries[0].version.as_deref(), Some("0.3.0"));
        assert!(crate::image::assemble(&spec, &binaries).is_ok());
    }
}
