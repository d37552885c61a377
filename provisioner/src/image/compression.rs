//! How the layers of images that are made here are compressed: part of their digest, so each way is the same everywhere.

use std::io::{self, Write as _};

use flate2::GzBuilder;

use super::media;

/// Changing it sends every image once more.
const GZIP_LEVEL: u32 = 9;
/// The highest level whose window, 8 MiB, every decoder is asked to take (RFC 8878, 3.1.1.1.2).
const ZSTD_LEVEL: i32 = 19;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// What every registry, runtime and tool takes.
    #[default]
    Gzip,
    /// Smaller and faster to unpack; containerd takes it since 1.5.
    Zstd,
}

impl Compression {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The media type of a layer.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => media::LAYER_GZIP,
            Self::Zstd => media::LAYER_ZSTD,
        }
    }

    /// `archive`, compressed: the same bytes for the same bytes, by one thread and without a time.
    pub(super) fn compress(self, archive: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), level);
                gzip.write_all(archive)?;
                gzip.finish()
            }
            Self::Zstd => zstd::bulk::compress(archive, ZSTD_LEVEL),
        }
    }
}
