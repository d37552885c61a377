//! Small images that pass for real ones.

use std::path::Path;

use provisioner::image::{Binary, Compression, Given, Image, ImageSpec, Source, assemble, build};
use provisioner::report::Silent;
use sha2::{Digest as _, Sha256};

/// An image whose only variable part is `content`, at the end of its executable.
pub(crate) async fn image(content: &str) -> Image {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("program");
    std::fs::write(&path, executable(content.as_bytes())).expect("written");
    let given = Given { platform: None, path };
    let spec = spec(folder.path(), Source::Binaries(vec![given]));
    let binaries = build(&spec, &Silent).await.expect("static executable");
    assemble(&spec, &binaries).expect("image")
}

/// An image for `linux/amd64` and `linux/arm64`.
pub(crate) fn image_for_two(amd64: &str, arm64: &str) -> Image {
    let folder = tempfile::tempdir().expect("temporary folder");
    let binaries = [("linux/amd64", 62, amd64), ("linux/arm64", 183, arm64)].map(|(platform, machine, content)| {
        let path = folder.path().join(machine.to_string());
        let mut file = executable(content.as_bytes());
        file[18] = machine;
        std::fs::write(&path, file).expect("written");
        Binary {
            path,
            platform: platform.to_owned(),
            version: None,
            repository: None,
        }
    });
    let spec = spec(folder.path(), Source::Cargo);
    assemble(&spec, &binaries).expect("image")
}

/// An image whose large layer has about `size` bytes that no compression makes fewer.
pub(crate) fn bulky_image(size: usize) -> Image {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("program");
    let blocks = (0..size.div_ceil(32)).flat_map(|block| Sha256::digest(block.to_le_bytes()));
    std::fs::write(&path, executable(&blocks.collect::<Vec<u8>>())).expect("written");
    let binary = Binary {
        path,
        platform: "linux/amd64".to_owned(),
        version: None,
        repository: None,
    };
    assemble(&spec(folder.path(), Source::Cargo), &[binary]).expect("image")
}

/// The service's image.
pub(crate) fn spec(workspace: &Path, source: Source) -> ImageSpec {
    ImageSpec {
        package: "app".into(),
        entrypoint_args: vec!["serve".into()],
        title: "web-app".into(),
        workspace: workspace.to_owned(),
        source,
        platforms: vec![],
        compression: Compression::default(),
    }
}

/// The header of a static ELF executable for x86-64 with no segments, then `content`.
pub(crate) fn executable(content: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (file[16], file[18], file[24]) = (2, 62, 1);
    file.extend_from_slice(content);
    file
}
