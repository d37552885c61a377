//! What becomes of images of others that are mirrored.

use std::fmt;

use serde::Serialize;

use super::super::mirror::{self, Mirror};

/// One image and what is done with its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct CopyPlan {
    pub(super) action: CopyAction,
    /// The image as it is named in full.
    source: String,
    /// What manifests name instead.
    reference: String,
    /// What is copied; left out where the registry has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
}

/// What is done with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CopyAction {
    /// It is made.
    Mirror,
    /// The registry has it: its source is not asked.
    Reuse,
}

impl CopyAction {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::Reuse => "reuse",
        }
    }
}

impl CopyPlan {
    pub(super) fn all(mirror: &Mirror) -> Vec<Self> {
        mirror.copies().iter().map(Self::of).collect()
    }

    fn of(copy: &mirror::Copied) -> Self {
        let platforms = copy.sent_for();
        Self {
            action: if platforms.is_some() {
                CopyAction::Mirror
            } else {
                CopyAction::Reuse
            },
            source: copy.source(),
            reference: copy.reference.clone(),
            platforms: platforms.unwrap_or_default().to_vec(),
        }
    }

    /// Whether anything is sent.
    pub(super) fn is_change(&self) -> bool {
        self.action == CopyAction::Mirror
    }
}

impl fmt::Display for CopyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image `{}` as `{}`", self.source, self.reference)?;
        if self.platforms.is_empty() {
            return Ok(());
        }
        write!(f, " for {}", self.platforms.join(" and "))
    }
}

#[cfg(test)]
impl CopyPlan {
    /// A copy of Grafana, which is made or there.
    pub(super) fn of_grafana(action: CopyAction) -> Self {
        let platforms = if action == CopyAction::Mirror {
            vec!["linux/amd64".to_owned()]
        } else {
            Vec::new()
        };
        Self {
            action,
            source: "docker.io/grafana/grafana:12.3.1".to_owned(),
            reference: "r/grafana@sha256:2".to_owned(),
            platforms,
        }
    }
}
