use super::tests::resolve;
use super::{Image, Made};
use crate::image::{Compression, Local, SbomFormat};

/// A file and a folder that exist.
const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn image(flags: &[(&'static str, &str)], env: &[(&str, &str)]) -> Image {
    resolve(flags, env, "").unwrap().image
}

#[test]
fn each_source_is_read() {
    let local = |flag, path| image(&[(flag, path)], &[]).made;
    assert_eq!(
        local("archive", ARCHIVE),
        Some(Made::Local(Local::Archive(ARCHIVE.into())))
    );
    assert_eq!(
        local("oci-layout", FOLDER),
        Some(Made::Local(Local::Layout(FOLDER.into())))
    );
    for copy in [false, true] {
        let copied = [("PROVISIONER_COPY", if copy { "true" } else { "false" })];
        let expected = "ghcr.io/team/app:1".parse().unwrap();
        let made = image(&[("image", "ghcr.io/team/app:1")], &copied).made;
        assert_eq!(made, Some(Made::Remote { image: expected, copy }));
    }
    assert_eq!(image(&[], &[]).made, None);
}

#[test]
fn the_highest_source_counts_and_what_it_replaces_need_not_exist() {
    let gone = [("PROVISIONER_ARCHIVE", "/nowhere"), ("PROVISIONER_COPY", "true")];
    let found = image(&[("oci-layout", FOLDER)], &gone);
    assert_eq!(found.made, Some(Made::Local(Local::Layout(FOLDER.into()))));
    let found = image(&[("binary", ARCHIVE)], &gone);
    assert_eq!((found.made, found.binaries.len()), (None, 1));
    let found = image(&[("workspace", FOLDER)], &gone);
    assert_eq!((found.made, found.workspace), (None, Some(FOLDER.into())));
    // In the same place, a workspace is for the load generator.
    let found = image(&[("workspace", FOLDER), ("image", "app")], &[]);
    assert!(found.made.is_some() && found.workspace.is_some());
}

#[test]
fn what_cannot_be_together_is_refused() {
    let refused = |flags: &[(&'static str, &str)]| resolve(flags, &[], "").unwrap_err().join("; ");
    assert_eq!(
        refused(&[("image", "app"), ("archive", ARCHIVE), ("binary", ARCHIVE)]),
        "`--binary`, `--image` and `--archive` are named at once: an image has one source"
    );
    assert_eq!(
        refused(&[("archive", ARCHIVE), ("copy", "true")]),
        "`copy` needs `--image`: everything else is pushed anyway"
    );
    assert_eq!(
        refused(&[("copy", "true")]),
        "`copy` needs `--image`: everything else is pushed anyway"
    );
    assert!(refused(&[("image", "app"), ("tag", "v1")]).starts_with("`tag` needs `--copy`"));
    assert!(resolve(&[("image", "app"), ("tag", "v1"), ("copy", "true")], &[], "").is_ok());
}

#[test]
fn what_is_no_image_folder_or_file_is_refused_and_passwords_are_not_shown() {
    for (flag, value, wanted) in [
        ("image", "user:hunter2@ghcr.io/app", "`--image` is no image"),
        ("image", "https://ghcr.io/app", "leave the scheme out"),
        ("image", "registry.example/app@sha256:12", "`--image` is no image"),
        ("archive", FOLDER, "is no file"),
        ("oci-layout", ARCHIVE, "is no folder"),
    ] {
        let text = resolve(&[(flag, value)], &[], "").unwrap_err().join("; ");
        assert!(text.contains(wanted) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn layers_are_compressed_as_it_is_asked_for_where_they_are_made_here() {
    let zstd = [("compression", "zstd")];
    assert_eq!(image(&[], &[]).compression, Compression::Gzip);
    assert_eq!(image(&zstd, &[]).compression, Compression::Zstd);
    let given = image(&[("binary", ARCHIVE), zstd[0]], &[]);
    assert_eq!((given.compression, given.binaries.len()), (Compression::Zstd, 1));
    // What a lower place says of images that are built does not concern one that is not.
    let found = image(&[("archive", ARCHIVE)], &[("PROVISIONER_COMPRESSION", "zstd")]);
    assert_eq!(found.compression, Compression::Gzip);
    let refused = |flags: &[(&'static str, &str)]| resolve(flags, &[], "").unwrap_err().join("; ");
    for (flag, value) in [("image", "app"), ("archive", ARCHIVE), ("oci-layout", FOLDER)] {
        assert_eq!(
            refused(&[(flag, value), zstd[0]]),
            format!("`--compression` cannot go with `--{flag}`: its layers stay as they are")
        );
    }
    assert_eq!(
        refused(&[("compression", "zst")]),
        "`--compression`: `zst` is none of `gzip`, `zstd`, did you mean `zstd`?"
    );
}

#[test]
fn a_package_is_named_where_something_is_built() {
    let package = |flags: &[(&'static str, &str)], env: &[(&'static str, &str)]| image(flags, env).package;
    assert_eq!(package(&[], &[]), None);
    assert_eq!(package(&[("package", "my-shop_2")], &[]).as_deref(), Some("my-shop_2"));
    assert_eq!(
        package(&[("archive", ARCHIVE)], &[("PROVISIONER_PACKAGE", "shop")]),
        None
    );
    for (flags, want) in [
        (
            &[("package", "shop"), ("archive", ARCHIVE)][..],
            "`--package` cannot go with `--archive`: nothing is built",
        ),
        (
            &[("package", "shop@1")],
            "`--package`: `shop@1` is not valid: the name of a cargo package: letters, digits, `-` and `_`",
        ),
        (
            &[("package", "-p")],
            "`--package`: `-p` is not valid: the name of a cargo package: letters, digits, `-` and `_`",
        ),
    ] {
        assert_eq!(resolve(flags, &[], "").unwrap_err().join("; "), want);
    }
}

#[test]
fn only_what_is_compiled_here_gets_a_bill_of_materials() {
    assert_eq!(image(&[], &[]).sbom, None);
    assert_eq!(image(&[("sbom", "spdx")], &[]).sbom, Some(SbomFormat::Spdx));
    let of_workspace = image(
        &[("sbom", "cyclonedx"), ("workspace", FOLDER)],
        &[("PROVISIONER_IMAGE", "app")],
    );
    assert_eq!(
        (of_workspace.sbom, of_workspace.made),
        (Some(SbomFormat::CycloneDx), None)
    );
    assert_eq!(
        image(&[("binary", ARCHIVE)], &[("PROVISIONER_SBOM", "spdx")]).sbom,
        None
    );
    let refused = |flags: &[(&'static str, &str)]| resolve(flags, &[], "").unwrap_err().join("; ");
    for (flag, value) in [
        ("image", "app"),
        ("archive", ARCHIVE),
        ("oci-layout", FOLDER),
        ("binary", ARCHIVE),
    ] {
        assert_eq!(
            refused(&[(flag, value), ("sbom", "spdx")]),
            format!("`--sbom` cannot go with `--{flag}`: nothing is known of what it is made of")
        );
    }
    assert_eq!(
        refused(&[("sbom", "cyclone")]),
        "`--sbom`: `cyclone` is none of `cyclonedx`, `spdx`, did you mean `cyclonedx`?"
    );
    let file = format!("[image]\nsbom = 'spdx'\nbinary = '{ARCHIVE}'\n");
    let problems = resolve(&[], &[], &file).unwrap_err().join("; ");
    assert!(problems.contains("cannot go with"), "{problems}");
}
