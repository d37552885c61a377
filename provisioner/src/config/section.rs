//! Sections of the settings: what a command does not use is not judged for it.

/// A section of the settings. Where and how to talk is everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `[eks]`.
    Eks,
    /// `[image]`.
    Image,
    /// `[load]`.
    Load,
    /// `[stack]`, `reaction`, `certificates` and `[prometheus]`.
    Stack,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Eks, Self::Image, Self::Load, Self::Stack];
}
