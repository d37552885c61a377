//! Compressed bytes: told by how they begin, unpacked a part at a time, and never more than a bound.

use std::fmt;
use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::Defect;
use super::store::each_chunk;

/// Bytes that may come out of one image: more than any has, less than what a few megabytes of zeros may become.
pub(super) const MOST_UNPACKED: u64 = 32 * 1024 * 1024 * 1024;
/// Memory that a zstd frame may ask for: what zstd itself accepts unless it is told otherwise.
const WINDOW: u64 = 128 * 1024 * 1024;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all, or in a way that nodes do not know either.
    Plain,
    Gzip,
    Zstd,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

impl Packing {
    /// How many bytes tell.
    pub(super) const MAGIC: usize = 4;

    /// By the first bytes.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// What may still come out.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    most: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Self {
        Self { left: most, most }
    }

    /// Takes off what is read as it lies there.
    pub(super) fn charge(&mut self, bytes: u64) -> Result<(), Defect> {
        let left = self.left.checked_sub(bytes).ok_or_else(|| self.spent())?;
        self.left = left;
        Ok(())
    }

    fn spent(&self) -> Defect {
        Defect::TooLarge {
            what: "when it is unpacked",
            most: self.most,
        }
    }

    /// Hands over what is unpacked from `packed`. What is wrong with it is told of `what`.
    pub(super) fn unpack(
        &mut self,
        what: &str,
        (packed, packing): (impl Read, Packing),
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Defect> {
        let mut spent = false;
        let outcome = each_unpacked(packed, packing, |chunk| {
            let left = self.left.checked_sub(chunk.len() as u64);
            spent = left.is_none();
            self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
            take(chunk)
        });
        if spent {
            return Err(self.spent());
        }
        outcome.map_err(|error| {
            Defect::Malformed(format!(
                "the {packing} stream of `{what}` is damaged or cut off: {error}"
            ))
        })
    }
}

fn each_unpacked(packed: impl Read, packing: Packing, take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    match packing {
        Packing::Plain => each_chunk(packed, take),
        Packing::Gzip => each_chunk(MultiGzDecoder::new(packed), take),
        Packing::Zstd => each_frame(BufReader::new(packed), take),
    }
}

/// One frame after the other: the library reads a single one, and layers that can be read in parts have several, with
/// others between them that are to be skipped.
fn each_frame(mut packed: impl io::BufRead, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW);
    while !packed.fill_buf()?.is_empty() {
        match StreamingDecoder::new_with_decoder(&mut packed, &mut decoder) {
            Ok(frame) => {
                each_chunk(frame, &mut take)?;
                // The library reads the one and computes the other, and leaves it to us.
                let (told, found) = (decoder.get_checksum_from_data(), decoder.get_calculated_checksum());
                if told.is_some() && told != found {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a frame has another checksum",
                    ));
                }
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let skipped = io::copy(&mut packed.by_ref().take(length.into()), &mut io::sink())?;
                if skipped != u64::from(length) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn unpacked(bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        let packed = (bytes, Packing::of(bytes));
        let outcome = Budget::new(most).unpack("layer", packed, |chunk| {
            all.extend_from_slice(chunk);
            Ok(())
        });
        outcome.map(|()| all).map_err(|defect| defect.to_string())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    #[test]
    fn several_members_and_frames_are_one_stream() {
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
        for (bytes, whole) in [
            (b"plain".to_vec(), "plain"),
            ([gzip(b"one"), gzip(b"two")].concat(), "onetwo"),
            ([zstd(b"one"), skipped.clone(), zstd(b"two")].concat(), "onetwo"),
            ([skipped.clone(), zstd(b"one")].concat(), "one"),
        ] {
            assert_eq!(unpacked(&bytes, 6).as_deref(), Ok(whole.as_bytes()));
        }
    }

    #[test]
    fn what_is_cut_off_or_followed_by_something_else_is_damaged() {
        let content = vec![7; 100_000];
        for whole in [gzip(&content), zstd(&content)] {
            for bytes in [
                &whole[..whole.len() / 2],
                &whole[..whole.len() - 1],
                &[&whole[..], b"x"].concat(),
            ] {
                let said = unpacked(bytes, u64::MAX).expect_err("damaged");
                assert!(said.contains("stream of `layer` is damaged or cut off"), "{said}");
            }
        }
        let mut another = zstd(&content);
        *another.last_mut().unwrap() ^= 1;
        let said = unpacked(&another, u64::MAX).expect_err("another checksum");
        assert!(said.contains("checksum"), "{said}");
        let cut = [0x5a, 0x2a, 0x4d, 0x18, 9, 0, 0, 0];
        assert!(unpacked(&cut, 1).is_err(), "a frame to be skipped that ends early");
    }

    #[test]
    fn a_bomb_is_left_alone_once_it_is_larger_than_any_image() {
        let zeros = vec![0; 1_000_000];
        for bomb in [gzip(&zeros), zstd(&zeros)] {
            assert!(bomb.len() < zeros.len() / 100, "{}", bomb.len());
            let said = unpacked(&bomb, 999_999).expect_err("too large");
            assert_eq!(said, "it is larger than 999999 bytes when it is unpacked");
        }
    }

    #[test]
    fn a_frame_does_not_get_the_memory_that_it_asks_for() {
        // A header that asks for a window of 3.75 TB, as the format allows.
        let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 1, 0, 0];
        let said = unpacked(&greedy, u64::MAX).expect_err("too much");
        assert!(said.contains("indow"), "{said}");
    }
}
