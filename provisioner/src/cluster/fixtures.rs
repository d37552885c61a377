//! The stack of the tests over the wire.

use super::certificate::Certificates;
use super::manifest::{self, Component};
use super::values::Values;
use crate::names::StackName;

/// Its name.
pub(super) fn stack() -> StackName {
    "demo".parse().expect("valid")
}

/// What its manifests are rendered with.
pub(super) fn values() -> Values {
    Values::new(stack(), "r/web-app@sha256:00", "r/load@sha256:00")
}

/// Its objects, without certificates.
pub(super) fn components() -> Vec<Component> {
    components_with(&Certificates::default())
}

/// Its objects.
pub(super) fn components_with(certificates: &Certificates) -> Vec<Component> {
    manifest::load(None, &[], &values(), certificates).expect("the manifests load")
}
