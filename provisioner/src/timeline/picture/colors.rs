//! Colours on a light ground: lines keep a contrast of 3 to 1 with it, texts 4.5 to 1.

pub(super) const TEXT: &str = "#1f2328";
pub(super) const MUTED: &str = "#5c6570";
pub(super) const GRID: &str = "#e4e7eb";
pub(super) const GROUND: &str = "#ffffff";
/// The ground where time is stretched.
pub(super) const STRETCHED: &str = "#f5f8fd";
pub(super) const BLUE: &str = "#2866c7";
pub(super) const ORANGE: &str = "#c25700";
pub(super) const PURPLE: &str = "#8549b5";
pub(super) const GREEN: &str = "#2b8536";
pub(super) const TEAL: &str = "#0d7c8c";
pub(super) const GRAY: &str = "#7d8794";
pub(super) const RED: &str = "#cf222e";
