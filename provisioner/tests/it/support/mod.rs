//! What scenarios are made of.

pub(crate) mod image;
pub(crate) mod kubernetes;
pub(crate) mod registry;
