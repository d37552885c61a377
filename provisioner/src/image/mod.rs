//! Images: built, assembled and pushed without a Docker daemon.
