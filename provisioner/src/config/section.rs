//! Sections of the settings: what a command does not use is not judged for it.

/// A section of the settings. Where and how to talk is everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `[eks]`.
    Eks,
    /// `eks.hpa-sync-period` alone.
    Sync,
    /// `[image]`.
    Image,
    /// `[load]`.
    Load,
    /// `[app]`.
    App,
    /// `[stack]` and `certificates`.
    Stack,
    /// `reaction`.
    Reaction,
    /// `[prometheus]`.
    Prometheus,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Eks,
        Self::Sync,
        Self::Image,
        Self::Load,
        Self::App,
        Self::Stack,
        Self::Reaction,
        Self::Prometheus,
    ];
}
