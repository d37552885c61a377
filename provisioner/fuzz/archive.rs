//! Archives and folders that hold an image, or nearly.

use std::fs;
use std::path::Path;

use fastrand::Rng;
use provisioner::image::{Image, ImageError, Local, import};
use tar::EntryType;

use crate::driver::Outcome;
use crate::image::{Files, Twist, gzip, layout as layout_of, saved, zstd};
use crate::mutate;
use crate::verify;
use crate::world::World;

const PLATFORM: &str = "linux/amd64";
/// Where entries of archives lead that should lead nowhere.
const OUT: [&str; 8] = [
    "../canary",
    "../../canary",
    "/etc/passwd",
    "a/../../canary",
    ".",
    "",
    "//",
    "..\\canary",
];
const KINDS: [EntryType; 9] = [
    EntryType::Symlink,
    EntryType::Link,
    EntryType::Directory,
    EntryType::Char,
    EntryType::Fifo,
    EntryType::GNUSparse,
    EntryType::GNULongName,
    EntryType::XHeader,
    EntryType::XGlobalHeader,
];

/// An archive, which may be compressed.
pub(crate) fn archive(rng: &mut Rng, world: &World) -> Result<Outcome, String> {
    let twist = Twist::any(rng);
    let mut files = if rng.bool() {
        saved(rng, &twist)
    } else {
        layout_of(rng, &twist).0
    };
    rng.shuffle(&mut files);
    let mut bytes = tar_of(rng, &twist, &files);
    if twist.strikes(rng) {
        mutate::bytes(rng, &mut bytes);
    }
    match rng.u8(..4) {
        0 => bytes = gzip(&bytes),
        1 => bytes = zstd(&bytes),
        _ => {}
    }
    if twist.strikes(rng) {
        mutate::bytes(rng, &mut bytes);
    }
    let path = world.input().join("image.tar");
    fs::write(&path, bytes).unwrap();
    judge(&Local::Archive(path), &twist, world)
}

fn tar_of(rng: &mut Rng, twist: &Twist, files: &Files) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in files {
        if twist.strikes(rng) {
            let name = if rng.bool() { OUT[rng.usize(..OUT.len())] } else { name };
            let kind = KINDS[rng.usize(..KINDS.len())];
            let to = OUT[rng.usize(..OUT.len())];
            let size = [0, 11, 513, u64::MAX / 2, 1 << 40][rng.usize(..5)];
            tar.extend(header(name, (kind, to), size));
            tar.extend_from_slice(&[b'1'; 512]);
        }
        let name = if twist.strikes(rng) {
            OUT[rng.usize(..OUT.len())]
        } else {
            name
        };
        tar.extend(header(name, (EntryType::Regular, ""), bytes.len() as u64));
        tar.extend_from_slice(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// A header with names as they are: the library itself refuses those that lead out.
fn header(name: &str, (kind, to): (EntryType, &str), size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    let old = header.as_old_mut();
    for (field, text) in [(&mut old.name, name), (&mut old.linkname, to)] {
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text.as_bytes()[..length]);
    }
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A folder.
pub(crate) fn layout(rng: &mut Rng, world: &World) -> Result<Outcome, String> {
    let twist = Twist::any(rng);
    let files = if rng.u8(..8) == 0 {
        saved(rng, &twist)
    } else {
        layout_of(rng, &twist).0
    };
    let folder = world.input().join("layout");
    fs::create_dir(&folder).unwrap();
    for (name, mut bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if twist.strikes(rng) {
            instead(rng, &path);
            continue;
        }
        if twist.strikes(rng) {
            mutate::bytes(rng, &mut bytes);
        }
        if !path.exists() {
            fs::write(path, bytes).unwrap();
        }
    }
    judge(&Local::Layout(folder), &twist, world)
}

/// Something that is no file where one is expected.
fn instead(rng: &mut Rng, path: &Path) {
    // Equal blobs are one file.
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir(path);
    let target = [
        "/etc/passwd",
        "../../../../canary",
        "/dev/zero",
        "/proc/self/environ",
        ".",
    ][rng.usize(..5)];
    match rng.u8(..4) {
        0 => fs::create_dir(path).unwrap(),
        1 => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        2 => {}
        _ => std::os::unix::fs::symlink(target, path).unwrap(),
    }
}

/// What is refused is the input's fault, and nothing else is wrong.
fn judge(from: &Local, twist: &Twist, world: &World) -> Result<Outcome, String> {
    world.begin();
    match world.runtime.block_on(import(from, &[PLATFORM])) {
        Ok(image) => accepted(&image).map(|()| Outcome::Accepted),
        Err(error) if twist.is_none() => Err(format!("what is valid is refused: {error:?}")),
        Err(error @ ImageError::Import { .. }) if error.is_configuration() && !error.to_string().is_empty() => {
            Ok(Outcome::Refused)
        }
        Err(error) => Err(format!("no matter of the input: {error:?}")),
    }
}

fn accepted(image: &Image) -> Result<(), String> {
    if !image.platforms.iter().any(|platform| platform == PLATFORM) {
        return Err(format!("accepted for {:?}", image.platforms));
    }
    verify::image(image).map_err(|problem| format!("accepted: {problem}"))
}
