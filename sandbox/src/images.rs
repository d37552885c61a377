//! Images of the third-party programs, made from the Go binaries and pushed to the local registry under their true names.
//!
//! Entrypoint, user (also the non-numeric `nobody`) and working directory are those of the official images, so that
//! unmodified manifests run. A filled registry is kept in the cache and copied into new sandboxes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{IMAGE_LAYER_GZIP_MEDIA_TYPE, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::json;

use crate::command::run;
use crate::error::Error;
use crate::install::hash;
use crate::say;
use crate::state::{Dirs, REGISTRY_PASSWORD, REGISTRY_PORT, REGISTRY_USER, create_dir, partial, write};

/// An image as its project publishes it.
struct Image {
    repository: &'static str,
    tag: &'static str,
    program: &'static str,
    entrypoint: &'static [&'static str],
    cmd: &'static [&'static str],
    user: &'static str,
    workdir: &'static str,
}

const IMAGES: &[Image] = &[
    Image {
        repository: "pause",
        tag: "3.10",
        program: "pause",
        entrypoint: &["/pause"],
        cmd: &[],
        user: "65535:65535",
        workdir: "/",
    },
    Image {
        repository: "coredns/coredns",
        tag: "v1.14.2",
        program: "coredns",
        entrypoint: &["/coredns"],
        cmd: &[],
        user: "nonroot:nonroot",
        workdir: "/",
    },
    Image {
        repository: "metrics-server/metrics-server",
        tag: "v0.9.0",
        program: "metrics-server",
        entrypoint: &["/metrics-server"],
        cmd: &[],
        user: "65534",
        workdir: "/",
    },
    Image {
        repository: "kube-state-metrics/kube-state-metrics",
        tag: "v2.18.0",
        program: "kube-state-metrics",
        entrypoint: &["/kube-state-metrics", "--port=8080", "--telemetry-port=8081"],
        cmd: &[],
        user: "nobody",
        workdir: "/",
    },
    Image {
        repository: "prometheus-adapter/prometheus-adapter",
        tag: "v0.12.0",
        program: "prometheus-adapter",
        entrypoint: &["/adapter"],
        cmd: &[],
        user: "65534:65534",
        workdir: "/",
    },
    Image {
        repository: "prometheus/prometheus",
        tag: "v3.13.0",
        program: "prometheus",
        entrypoint: &["/bin/prometheus"],
        cmd: &[
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
        ],
        user: "nobody",
        workdir: "/prometheus",
    },
];

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\nnobody:x:65534:\n";
const NOBODY: u64 = 65534;

/// Copies a filled registry from the cache where there is one; before the registry starts.
pub(crate) fn seed(dirs: &Dirs) -> Result<(), Error> {
    let storage = dirs.at("registry");
    let seed = seed_dir(dirs)?;
    if storage.exists() || !seed.exists() {
        return Ok(());
    }
    copy_whole(&seed, &storage)
}

/// Pushes the images unless the registry came filled; then keeps it for the next sandbox.
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    let mark = dirs.at("registry/complete");
    if mark.exists() {
        return Ok(());
    }
    say::timed("push the third-party images to the local registry", || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::cannot("start", "the async runtime", e))?;
        // Without a provider the client's TLS set-up panics, though the local registry speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for image in IMAGES {
            runtime.block_on(push(dirs, image))?;
        }
        write(&mark, "", false)?;
        let seed = seed_dir(dirs)?;
        if seed.exists() {
            return Ok(());
        }
        copy_whole(&dirs.at("registry"), &seed)
    })
}

/// Copies a folder to a name that it has only when it is complete, whatever an interrupted copy left.
fn copy_whole(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(parent) = to.parent() {
        create_dir(parent)?;
    }
    let partial = partial(to);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|e| Error::cannot("clear", partial.display(), e))?;
    }
    run(
        "cp",
        &["-a", &from.display().to_string(), &partial.display().to_string()],
    )?;
    fs::rename(&partial, to).map_err(|e| Error::cannot("keep", to.display(), e))
}

/// Named by the binaries, whose paths carry the hashes of their inputs.
fn seed_dir(dirs: &Dirs) -> Result<PathBuf, Error> {
    let mut parts = vec![include_str!("images.rs").to_owned()];
    for image in IMAGES {
        parts.push(binary(dirs, image)?.display().to_string());
    }
    Ok(dirs.cache.join("registry").join(hash(&parts)))
}

fn binary(dirs: &Dirs, image: &Image) -> Result<PathBuf, Error> {
    let link = dirs.program(image.program);
    fs::canonicalize(&link).map_err(|e| Error::cannot("find", link.display(), e))
}

async fn push(dirs: &Dirs, image: &Image) -> Result<(), Error> {
    let name = format!("127.0.0.1:{REGISTRY_PORT}/{}:{}", image.repository, image.tag);
    let fail = |e: &dyn std::fmt::Display| Error::cannot("push image", &name, e);
    let reference: Reference = name.parse().map_err(|e| fail(&e))?;
    let path = binary(dirs, image)?;
    let bytes = fs::read(&path).map_err(|e| Error::cannot("read", path.display(), e))?;
    let (layer, diff_id) = layer(image, &bytes).map_err(|e| fail(&e))?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {
            "Entrypoint": image.entrypoint, "Cmd": image.cmd, "User": image.user, "WorkingDir": image.workdir,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = Config::oci_v1(config.to_string().into_bytes(), None);
    let layers = [ImageLayer::new(
        layer,
        IMAGE_LAYER_GZIP_MEDIA_TYPE.to_owned(),
        None::<BTreeMap<String, String>>,
    )];
    let manifest = OciImageManifest::build(&layers, &config, None);
    let client = Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        // Naming a proxy that nothing uses keeps the user's away: the registry is on this machine.
        http_proxy: Some("http://127.0.0.1:9".to_owned()),
        no_proxy: Some("127.0.0.1".to_owned()),
        ..ClientConfig::default()
    });
    let auth = RegistryAuth::Basic(REGISTRY_USER.to_owned(), REGISTRY_PASSWORD.to_owned());
    client
        .push(&reference, &layers, config, &auth, Some(manifest))
        .await
        .map_err(|e| fail(&e))?;
    Ok(())
}

/// One layer: accounts, the program, its working directory; gzip bytes and the digest of the tar.
fn layer(image: &Image, program: &[u8]) -> std::io::Result<(Vec<u8>, String)> {
    use sha2::{Digest, Sha256};
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, "etc/passwd", PASSWD.as_bytes(), 0o644)?;
    add(&mut tar, "etc/group", GROUP.as_bytes(), 0o644)?;
    let path = image.entrypoint[0].trim_start_matches('/');
    add(&mut tar, path, program, 0o755)?;
    add_dir(&mut tar, "tmp/", 0o1777, 0)?;
    let workdir = image.workdir.trim_start_matches('/');
    if !workdir.is_empty() {
        add_dir(&mut tar, &format!("{workdir}/"), 0o755, NOBODY)?;
    }
    let tar = tar.into_inner()?;
    let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(&tar)));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar)?;
    Ok((gzip.finish()?, diff_id))
}

fn add(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    tar.append_data(&mut header, path, bytes)
}

fn add_dir(tar: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, owner: u64) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    tar.append_data(&mut header, path, std::io::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::PROGRAMS;

    /// Prometheus 3.Y.Z is published to Go as v0.3YY.Z, since its major versions are no Go module versions.
    fn tag_of(module: &str, version: &str) -> String {
        let minor = version
            .strip_prefix("v0.3")
            .filter(|_| module.ends_with("prometheus/prometheus"));
        let Some((minor, patch)) = minor.and_then(|rest| rest.split_once('.')) else {
            return version.to_owned();
        };
        format!("v3.{}.{patch}", minor.trim_start_matches('0'))
    }

    #[test]
    fn an_images_tag_is_the_version_that_it_is_built_from() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes");
        // `pause` has no module: it is our own.
        for image in IMAGES.iter().filter(|image| image.program != "pause") {
            let program = PROGRAMS.iter().find(|program| program.file == image.program);
            let program = program.expect("a program that is built here");
            let text = fs::read_to_string(root.join(program.module).join("go.mod")).expect("go.mod");
            // Of the modules that hold the package, the longest name is that of the innermost.
            let words = text.lines().map(|line| line.trim().trim_start_matches("require "));
            let (module, version) = words
                .filter_map(|line| line.split_once(' '))
                .filter(|(name, _)| program.package.starts_with(name))
                .max_by_key(|(name, _)| name.len())
                .expect("the module is pinned");
            let version = version.split(' ').next().expect("a version");
            assert_eq!(image.tag, tag_of(module, version), "{}", image.repository);
        }
    }

    #[test]
    fn every_manifest_names_an_image_that_is_made_here() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let addons = fs::read_to_string(root.join("sandbox/kubernetes/addons.yaml")).expect("add-ons");
        let mut texts = vec![addons];
        for folder in fs::read_dir(root.join("manifests")).expect("manifests").flatten() {
            let file = folder.path().join("deployment.yaml");
            texts.extend(fs::read_to_string(file));
        }
        let references = texts.iter().flat_map(|text| text.lines());
        let references = references.filter_map(|line| line.trim().strip_prefix("image: "));
        let mut found = 0;
        // Grafana's image has no program in Go alone; `${...}` are the user's own.
        for reference in references.filter(|r| !r.contains("grafana/grafana") && !r.starts_with("${")) {
            let made = |image: &Image| reference.ends_with(&format!("/{}:{}", image.repository, image.tag));
            assert!(IMAGES.iter().any(made), "{reference}");
            found += 1;
        }
        assert!(found >= 5, "{found}");
    }

    #[test]
    fn an_interrupted_copy_is_made_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        for (file, text) in [
            ("seed/blob", "whole"),
            ("registry.partial/blob", "wh"),
            ("registry.partial/complete", ""),
        ] {
            write(&at(file), text, false).expect("writes");
        }
        copy_whole(&at("seed"), &at("registry")).expect("copies");
        assert_eq!(fs::read_to_string(at("registry/blob")).expect("the blob"), "whole");
        assert!(
            !at("registry/complete").exists(),
            "nothing of the interrupted copy is used"
        );
        assert!(!at("registry.partial").exists());
    }
}
