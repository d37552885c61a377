//! The bill of materials of a package of the workspace here, on stdout: `sbom PACKAGE PLATFORM FORMAT`, for releases.

use std::error::Error;
use std::io::Write as _;

use provisioner::image::{Compression, ImageSpec, Platform, SbomFormat, Source, sboms};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [package, platform, format] = &arguments[..] else {
        return Err("usage: sbom PACKAGE PLATFORM cyclonedx|spdx".into());
    };
    let known = SbomFormat::ALL.into_iter().find(|known| known.name() == format);
    let spec = ImageSpec {
        package: package.clone(),
        entrypoint_args: Vec::new(),
        title: package.clone(),
        workspace: ".".into(),
        source: Source::Cargo,
        platforms: vec![platform.parse::<Platform>()?],
        compression: Compression::default(),
    };
    for bill in sboms(&spec, known.ok_or("no such format")?).await? {
        writeln!(std::io::stdout(), "{}", bill.document)?;
    }
    Ok(())
}
