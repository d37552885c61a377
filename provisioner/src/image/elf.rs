//! Whether an executable can run in an image that holds nothing else: read from its ELF header.
//!
//! Offsets are those of `elf(5)`, 64-bit little-endian; other classes are not built here.

use super::platform::{Platform, UnknownPlatform};

/// Why an executable cannot be the only file of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Not ELF, or cut off.
    #[error("it is not a complete 64-bit little-endian ELF file")]
    NotElf,
    /// An object file or a core dump.
    #[error("it is not an executable (ELF type {0})")]
    NotExecutable(u16),
    /// A library: nothing to start.
    #[error("it has no entry point")]
    NoEntry,
    /// For another processor.
    #[error("it is for another processor (ELF machine {found}, expected {expected})")]
    Machine {
        /// `e_machine` of the file.
        found: u16,
        /// `e_machine` of the image's platform.
        expected: u16,
    },
    /// It asks for a dynamic loader, which the image does not have.
    #[error("it is dynamically linked (it asks for the loader `{0}`)")]
    Dynamic(String),
    /// For a processor that images are not built for.
    #[error("it is for a processor that images are not built for (ELF machine {0})")]
    UnknownMachine(u16),
    /// No ELF machine is known for the platform.
    #[error("platform {0}")]
    Platform(UnknownPlatform),
}

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_INTERP: u32 = 3;

/// Checks that `file` is a static executable for `platform` (`linux/amd64`, `linux/arm64`).
pub(super) fn check(file: &[u8], platform: &str) -> Result<(), Defect> {
    let expected = machine(platform)?;
    if file.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err(Defect::NotElf);
    }
    let kind = half(file, 16)?;
    if kind != ET_EXEC && kind != ET_DYN {
        return Err(Defect::NotExecutable(kind));
    }
    let found = half(file, 18)?;
    if found != expected {
        return Err(Defect::Machine { found, expected });
    }
    if long(file, 24)? == 0 {
        return Err(Defect::NoEntry);
    }
    match interpreter(file)? {
        Some(loader) => Err(Defect::Dynamic(loader)),
        None => Ok(()),
    }
}

/// What `file` runs on, checked like [`check`] does.
pub(super) fn platform(file: &[u8]) -> Result<Platform, Defect> {
    if file.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err(Defect::NotElf);
    }
    let machine = half(file, 18)?;
    let known = Platform::ALL.into_iter().find(|platform| platform.machine() == machine);
    let platform = known.ok_or(Defect::UnknownMachine(machine))?;
    check(file, platform.name()).map(|()| platform)
}

fn machine(platform: &str) -> Result<u16, Defect> {
    let platform: Result<Platform, _> = platform.parse();
    platform.map(Platform::machine).map_err(Defect::Platform)
}

/// The path in the `PT_INTERP` segment, if there is one.
fn interpreter(file: &[u8]) -> Result<Option<String>, Defect> {
    let (table, size) = (long(file, 32)?, u64::from(half(file, 54)?));
    for index in 0..u64::from(half(file, 56)?) {
        let header = table.checked_add(index * size).ok_or(Defect::NotElf)?;
        if word(file, header)? == PT_INTERP {
            let field = |offset| long(file, header.checked_add(offset).ok_or(Defect::NotElf)?);
            let path = slice(file, field(8)?, field(32)?)?;
            let path = path.strip_suffix(b"\0").unwrap_or(path);
            return Ok(Some(String::from_utf8_lossy(path).into_owned()));
        }
    }
    Ok(None)
}

fn slice(file: &[u8], at: u64, length: u64) -> Result<&[u8], Defect> {
    let start = usize::try_from(at).map_err(|_| Defect::NotElf)?;
    let length = usize::try_from(length).map_err(|_| Defect::NotElf)?;
    let end = start.checked_add(length).ok_or(Defect::NotElf)?;
    file.get(start..end).ok_or(Defect::NotElf)
}

fn bytes<const N: usize>(file: &[u8], at: u64) -> Result<[u8; N], Defect> {
    slice(file, at, N as u64)?.try_into().map_err(|_| Defect::NotElf)
}

fn half(file: &[u8], at: u64) -> Result<u16, Defect> {
    bytes(file, at).map(u16::from_le_bytes)
}

fn word(file: &[u8], at: u64) -> Result<u32, Defect> {
    bytes(file, at).map(u32::from_le_bytes)
}

fn long(file: &[u8], at: u64) -> Result<u64, Defect> {
    bytes(file, at).map(u64::from_le_bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The smallest file that passes for `linux/amd64`: a header, one segment of kind `segment`, then `payload`.
    pub(crate) fn executable(segment: u32, payload: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[16] = 3;
        file[18] = 62;
        file[24] = 1;
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64..68].copy_from_slice(&segment.to_le_bytes());
        file[72] = 120;
        file[96] = u8::try_from(payload.len()).expect("short payload");
        file.extend_from_slice(payload);
        file
    }

    #[test]
    fn static_executable_is_accepted() {
        assert_eq!(check(&executable(1, b"code"), "linux/amd64"), Ok(()));
    }

    #[test]
    fn dynamic_executable_is_refused_with_its_loader() {
        let file = executable(PT_INTERP, b"/lib64/ld-linux-x86-64.so.2\0");
        assert_eq!(
            check(&file, "linux/amd64"),
            Err(Defect::Dynamic("/lib64/ld-linux-x86-64.so.2".into()))
        );
    }

    #[test]
    fn other_processors_libraries_and_objects_are_refused() {
        let good = executable(1, b"");
        assert_eq!(
            check(&good, "linux/arm64"),
            Err(Defect::Machine {
                found: 62,
                expected: 183
            })
        );
        let mut library = good.clone();
        library[24] = 0;
        assert_eq!(check(&library, "linux/amd64"), Err(Defect::NoEntry));
        let mut object = good.clone();
        object[16] = 1;
        assert_eq!(check(&object, "linux/amd64"), Err(Defect::NotExecutable(1)));
        assert!(matches!(check(&good, "windows/amd64"), Err(Defect::Platform(_))));
    }

    #[test]
    fn a_file_says_itself_what_it_runs_on() {
        let mut file = executable(1, b"");
        assert_eq!(platform(&file), Ok(Platform::Amd64));
        file[18] = 183;
        assert_eq!(platform(&file), Ok(Platform::Arm64));
        file[18] = 243;
        assert_eq!(platform(&file), Err(Defect::UnknownMachine(243)));
        assert_eq!(platform(b"#!/bin/sh\n"), Err(Defect::NotElf));
    }

    #[test]
    fn no_prefix_of_a_file_panics_or_passes() {
        let file = executable(1, b"");
        for length in 0..file.len() - 52 {
            assert_eq!(check(&file[..length], "linux/amd64"), Err(Defect::NotElf), "{length}");
        }
        let mut wild = file;
        wild[32..40].fill(0xff);
        assert_eq!(check(&wild, "linux/amd64"), Err(Defect::NotElf));
    }

    #[test]
    fn this_test_binary_is_dynamic() {
        let path = std::env::current_exe().expect("own path");
        let file = std::fs::read(path).expect("own file");
        let platform = if cfg!(target_arch = "x86_64") {
            "linux/amd64"
        } else {
            "linux/arm64"
        };
        if cfg!(target_env = "gnu") && !cfg!(target_feature = "crt-static") {
            assert!(matches!(check(&file, platform), Err(Defect::Dynamic(_))));
        }
    }
}
