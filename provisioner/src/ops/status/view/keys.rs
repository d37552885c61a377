//! The list of keys, over the picture.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::ink::Ink;

const KEYS: [&str; 6] = [
    " q, Ctrl-C    end",
    " Esc          end; here: close this list",
    " p            pause, go on",
    " up, down     scroll the pods",
    " PgUp, PgDn   by a page; Home, End",
    " Ctrl-L       draw everything anew",
];

pub(super) fn draw(ink: Ink, area: Rect, frame: &mut Frame<'_>) {
    let widest = KEYS.iter().map(|line| line.len()).max().unwrap_or(0) + 3;
    let (width, height) = (
        u16::try_from(widest).unwrap_or(0),
        u16::try_from(KEYS.len() + 2).unwrap_or(0),
    );
    let (width, height) = (width.min(area.width), height.min(area.height));
    let place = Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    );
    let list = Paragraph::new(KEYS.map(Line::raw).to_vec());
    let list = list.block(Block::bordered().title(" keys ").title_style(ink.strong()));
    frame.render_widget(Clear, place);
    frame.render_widget(list, place);
}
