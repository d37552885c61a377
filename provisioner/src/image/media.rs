//! Media types, and the bounds that content has to keep to.

/// One platform's manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The index over the manifests of several platforms.
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's names for the same.
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Every kind of manifest that is understood.
pub(super) const MANIFESTS: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// An image's configuration.
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The configuration of what is no image.
pub(super) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// A layer.
pub(super) const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub(super) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(super) const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Every kind of layer that a node unpacks and that may be sent to any registry.
pub(super) const LAYERS: [&str; 5] = [
    LAYER_TAR,
    LAYER_GZIP,
    LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

/// The longest manifest or configuration in bytes: what registries take at least, and ECR and distribution at most.
pub(super) const LONGEST_MANIFEST: usize = 4 * 1024 * 1024;
/// All manifests of an image together, which are kept in memory: hundreds of the usual length.
pub(super) const LONGEST_MANIFESTS: usize = 8 * LONGEST_MANIFEST;
/// The largest blob in bytes: registries take less, ECR 52 GB.
pub(super) const LARGEST_BLOB: u64 = 64 * 1024 * 1024 * 1024;
/// An image with more layers runs nowhere: Linux stacks 500 in one overlay.
pub(super) const MOST_LAYERS: usize = 500;
/// Manifests below one root: more platforms than Rust, Go and Linux know together, attestations included.
pub(super) const MOST_MANIFESTS: usize = 256;
/// Indexes within indexes: tools write one, some two.
pub(super) const DEEPEST: usize = 4;

/// Whether it names an index.
pub(super) fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_INDEX)
}
