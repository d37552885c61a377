use super::*;
use crate::image::elf::tests::executable;
use crate::report::Record;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/toolchain");

fn toolchain(rustc: &str) -> Toolchain {
    Toolchain {
        cargo: format!("{FIXTURES}/cargo").into(),
        rustc: format!("{FIXTURES}/{rustc}").into(),
    }
}

/// A workspace whose (pretended) build leaves a static executable.
fn workspace() -> (tempfile::TempDir, ImageSpec) {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("app"), executable(1, b"code")).expect("written");
    let spec = ImageSpec {
        package: "app".into(),
        entrypoint_args: vec![],
        title: "web-app".into(),
        workspace: folder.path().to_owned(),
        source: Source::Cargo,
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
    let binary = build_with(&toolchain("rustc-with-musl"), &spec, &reporter)
        .await
        .expect("built");
    assert_eq!(binary.platform, "linux/amd64");
    assert_eq!(binary.version.as_deref(), Some("1.2.3"));
    assert_eq!(binary.repository.as_deref(), Some("https://example.org/app"));
    assert!(called(&folder).starts_with(
        "build -p app --bin app --profile image --target x86_64-unknown-linux-musl --message-format json-render-diagnostics RUSTFLAGS="
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

#[test]
fn static_linking_is_added_to_the_users_own_flags() {
    let flag = "-C target-feature=+crt-static".to_owned();
    assert_eq!(static_flags(None, None), ("RUSTFLAGS", flag.clone()));
    assert_eq!(static_flags(None, Some("-g")), ("RUSTFLAGS", format!("-g {flag}")));
    assert_eq!(
        static_flags(Some("-g"), Some("ignored by cargo")),
        (
            "CARGO_ENCODED_RUSTFLAGS",
            "-g\u{1f}-C\u{1f}target-feature=+crt-static".to_owned()
        )
    );
}

#[tokio::test]
async fn a_failing_build_carries_its_command_line_and_output() {
    let (folder, spec) = workspace();
    std::fs::write(folder.path().join("fail"), "").expect("written");
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
        assert_eq!(error.hint().as_deref(), Some("packages with a binary: `app`"));
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
    let toolchain = Toolchain {
        cargo: "cargo-that-does-not-exist".into(),
        rustc: "rustc".into(),
    };
    let error = build_with(&toolchain, &spec, &Record::default())
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
    spec.source = Source::Binary("/no/binary".into());
    let error = build(&spec, &silent).await.expect_err("no binary");
    assert!(error.to_string().contains("/no/binary"), "{error}");
    assert!(error.is_configuration());
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
        let binary = build_with(&toolchain, &spec, &Record::default()).await.expect("built");
        assert_eq!(binary.version.as_deref(), Some("0.3.0"));
        assert!(crate::image::assemble(&spec, &[binary]).is_ok());
    }
}
