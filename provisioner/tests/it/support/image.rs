//! Small images that pass for real ones.

use std::path::Path;

use provisioner::image::{Given, Image, ImageSpec, Source, assemble, build};
use provisioner::report::Silent;

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

/// The service's image.
pub(crate) fn spec(workspace: &Path, source: Source) -> ImageSpec {
    ImageSpec {
        package: "app".into(),
        entrypoint_args: vec!["serve".into()],
        title: "web-app".into(),
        workspace: workspace.to_owned(),
        source,
        platforms: vec![],
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
