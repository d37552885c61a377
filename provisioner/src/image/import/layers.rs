//! Layers as a node unpacks them: what comes out has to be what the image's configuration names, or the node refuses the
//! image after it was pushed.

use std::io::{self, Read};

use super::Defect;
use super::store::{Store, Stored, each_chunk, mismatch, unreadable};
use super::unpack::{Budget, MOST_UNPACKED, Packing};
use crate::image::content::{Content, Descriptor};
use crate::image::digest::{Digest, Hasher};
use crate::image::media;

/// Unpacks layers to nowhere; the bound is for all of them together.
#[derive(Debug)]
pub(super) struct Layers(Budget);

/// What a layer's bytes are.
pub(super) struct Digests {
    /// As they lie there.
    pub(super) packed: Digest,
    /// When they are unpacked, if they can be.
    pub(super) plain: Result<Digest, Defect>,
}

impl Layers {
    pub(super) fn new() -> Self {
        Self(Budget::new(MOST_UNPACKED))
    }

    /// Where the layer is, once its bytes have been found to be what its descriptor says, and what is in them what the
    /// configuration says.
    pub(super) fn checked(
        &mut self,
        store: &Store,
        (name, layer): (&str, &Descriptor),
        diff_id: &Digest,
    ) -> Result<Content, Defect> {
        let found = store.sized(name, layer.size)?;
        let packing = match layer.media_type.as_str() {
            // Nodes unpack what this type names as it is; of all others they ask the bytes.
            media::LAYER_TAR => Packing::Plain,
            _ => packing(&found).map_err(|source| unreadable(&name, source))?,
        };
        let digests = self.digests(name, &found, packing)?;
        mismatch(name, &layer.digest, digests.packed)?;
        mismatch(&format!("{name}, unpacked"), diff_id, digests.plain?)?;
        Ok(found.content)
    }

    /// With another bound.
    #[cfg(test)]
    pub(super) fn of(most: u64) -> Self {
        Self(Budget::new(most))
    }

    /// Counts a layer that is read as it lies there.
    pub(super) fn charge(&mut self, layer: &Stored) -> Result<(), Defect> {
        self.0.charge(layer.size)
    }

    /// The digests of a layer, in one pass over it.
    pub(super) fn digests(&mut self, name: &str, layer: &Stored, packing: Packing) -> Result<Digests, Defect> {
        let cannot = |source| unreadable(&name, source);
        let mut packed = Hashed {
            from: layer.reader().map_err(cannot)?,
            hasher: Hasher::default(),
        };
        let plain = if packing == Packing::Plain {
            None
        } else {
            let mut plain = Hasher::default();
            let unpacked = self.0.unpack(name, (&mut packed, packing), |chunk| {
                plain.update(chunk);
                Ok(())
            });
            Some(unpacked.map(|()| plain.finish()))
        };
        // To its end, also where unpacking ended early: other bytes than those that are named are the better reason.
        each_chunk(&mut packed, |_| Ok(())).map_err(cannot)?;
        let packed = packed.hasher.finish();
        Ok(Digests {
            plain: plain.unwrap_or_else(|| Ok(packed.clone())),
            packed,
        })
    }
}

/// How the layer is compressed.
pub(super) fn packing(layer: &Stored) -> io::Result<Packing> {
    let mut start = Vec::new();
    layer.reader()?.take(Packing::MAGIC as u64).read_to_end(&mut start)?;
    Ok(Packing::of(&start))
}

/// Hashes what is read.
struct Hashed<R> {
    from: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
