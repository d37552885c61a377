//! The stack of the tests over the wire.

use std::time::Duration;

use kube::core::DynamicObject;

use super::certificate::Certificates;
use super::lease::{self, Holder, Terms};
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

/// A run that may change the stack, and waits for no other.
pub(super) struct Run {
    stack: StackName,
    home: DynamicObject,
    holder: Holder,
}

impl Run {
    pub(super) fn new() -> Self {
        let now = || "2026-01-01T12:00:00Z".parse().expect("a time");
        Self {
            stack: stack(),
            home: lease::home(&stack(), "web-app"),
            holder: Holder::new("host", 7, 1, now),
        }
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            stack: &self.stack,
            home: &self.home,
            holder: &self.holder,
            wait: Duration::ZERO,
        }
    }
}
