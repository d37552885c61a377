//! Where panels are: on Grafana's grid of 24 columns where there is room, in rows of two or four where there is not.

use super::board::{Kind, Panel};

/// Between two panels.
pub(super) const GAP: f64 = 8.0;
/// Height of a row of the grid, with the gap.
const ROW: f64 = 34.0;

/// A panel's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
    /// How many of the 24 columns it takes.
    pub(super) columns: u32,
}

/// Places the panels, in their order, and says how high all of it is.
pub(super) fn place(panels: &[Panel], width: f64) -> (Vec<Place>, f64) {
    let columns = |columns: u32| (width + GAP) * f64::from(columns) / 24.0;
    let height = |rows: u32| f64::from(rows) * ROW - GAP;
    let (mut x, mut y, mut row) = (0, 0.0, 0);
    let place = |panel: &Panel| {
        let grid = panel.grid;
        let (left, top, span) = match span(panel.kind, width) {
            None => (grid.x, f64::from(grid.y) * ROW, grid.w),
            Some(span) => {
                if x + span > 24 {
                    (x, y) = (0, y + f64::from(row) * ROW);
                    row = 0;
                }
                let left = x;
                (x, row) = (x + span, row.max(grid.h));
                (left, y, span)
            }
        };
        // Whole pixels: sums of rounded widths would not fit the page.
        Place {
            x: columns(left).floor(),
            y: top,
            w: (columns(left + span) - GAP).floor() - columns(left).floor(),
            h: height(grid.h),
            columns: span,
        }
    };
    let places: Vec<Place> = panels.iter().map(place).collect();
    let bottom = places.iter().map(|place| place.y + place.h).fold(0.0, f64::max);
    (places, bottom)
}

/// Columns of a panel on a narrow page; none where Grafana's place is taken.
fn span(kind: Kind, width: f64) -> Option<u32> {
    match kind {
        _ if width >= 880.0 => None,
        Kind::Stat if width >= 560.0 => Some(6),
        Kind::Stat => Some(12),
        _ => Some(24),
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::*;
    use crate::cluster::values::dashboard;

    fn overlaps(a: Place, b: Place) -> bool {
        a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
    }

    #[test]
    fn panels_fill_the_width_and_never_overlap() {
        let board = Board::parse(dashboard()).unwrap();
        for (width, in_first_row) in [
            (1600.0, 8),
            (1280.0, 8),
            (1001.0, 8),
            (700.0, 4),
            (390.0, 2),
            (320.0, 2),
        ] {
            let (places, bottom) = place(&board.panels, width);
            let right = places.iter().map(|place| place.x + place.w).fold(0.0, f64::max);
            assert!(right <= width && right > width - 4.0, "{width}: {right}");
            assert_eq!(
                places.iter().filter(|place| place.y == 0.0).count(),
                in_first_row,
                "{width}"
            );
            for (index, one) in places.iter().enumerate() {
                assert!(one.y + one.h <= bottom && one.w > 80.0, "{width}: {one:?}");
                let other = places[..index].iter().find(|other| overlaps(*one, **other));
                assert_eq!(other, None, "{width}: {one:?}");
            }
        }
    }
}
