//! The terminal as the live view has it, and the keys that are typed there.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Stdout};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::execute;
use crossterm::terminal::{self, EnterAlternateScreen};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use super::state::Key;

/// What a terminal that tells no size is taken for.
const USUAL: Rect = Rect::new(0, 0, 80, 24);

/// Whether there is a person at a terminal that can be drawn on: then both its ends are ours.
pub(super) fn can_draw() -> bool {
    let (term, ci) = (std::env::var_os("TERM"), std::env::var_os("CI"));
    io::stdout().is_terminal() && io::stdin().is_terminal() && is_able(term.as_deref(), ci.as_deref())
}

/// What is not said to be able is not, and on a CI machine nobody types.
fn is_able(term: Option<&OsStr>, ci: Option<&OsStr>) -> bool {
    let is_dumb = term.is_none_or(|term| term.is_empty() || term == "dumb");
    let is_ci = ci.is_some_and(|ci| !ci.is_empty() && ci != "false");
    !is_dumb && !is_ci
}

/// The screen beside the one with what was written before, without an echo of what is typed. It is given back however the
/// command ends: with the value, also by a signal, which drops the command; at a panic before the panic is told.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    // After the terminal, which shows its cursor when it goes.
    _given_back: GivenBack,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> io::Result<Self> {
        // First, so that it is given back where what follows fails.
        let given_back = GivenBack;
        let viewport = match terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => Viewport::Fullscreen,
            _ => Viewport::Fixed(USUAL),
        };
        let terminal = ratatui::try_init_with_options(TerminalOptions { viewport })?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(Self {
            terminal,
            _given_back: given_back,
        })
    }

    /// Draws a picture; only what differs from the one before it is written.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture).map(drop)
    }

    /// What others wrote over the picture goes with the next one.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // `Terminal::clear` asks the terminal where its cursor is, and not every terminal answers.
        let area = self.terminal.get_frame().area();
        self.terminal.resize(area)
    }
}

struct GivenBack;

impl Drop for GivenBack {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = ratatui::try_restore();
    }
}

/// What an event means; none where it means nothing, or only that the picture is to be drawn again.
pub(super) fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code, modifiers, kind, ..
    }) = event
    else {
        return None;
    };
    if *kind == KeyEventKind::Release {
        return None;
    }
    Some(match (code, modifiers.contains(KeyModifiers::CONTROL)) {
        (KeyCode::Char('c'), true) => Key::End,
        (KeyCode::Char('l'), true) => Key::Redraw,
        (_, true) => return None,
        (KeyCode::Char('q'), _) => Key::End,
        (KeyCode::Esc, _) => Key::Back,
        (KeyCode::Char('?' | 'h'), _) => Key::Help,
        (KeyCode::Char('p' | ' '), _) => Key::Pause,
        (KeyCode::Up | KeyCode::Char('k'), _) => Key::Up,
        (KeyCode::Down | KeyCode::Char('j'), _) => Key::Down,
        (KeyCode::PageUp, _) => Key::PageUp,
        (KeyCode::PageDown, _) => Key::PageDown,
        (KeyCode::Home, _) => Key::First,
        (KeyCode::End, _) => Key::Last,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_draw_or_has_nobody_gets_lines() {
        let able = |term: Option<&str>, ci: Option<&str>| is_able(term.map(OsStr::new), ci.map(OsStr::new));
        for (term, ci, expected) in [
            (Some("xterm-256color"), None, true),
            (Some("linux"), Some(""), true),
            (Some("xterm"), Some("false"), true),
            (Some("dumb"), None, false),
            (Some(""), None, false),
            (None, None, false),
            (Some("xterm"), Some("true"), false),
            (Some("xterm"), Some("1"), false),
        ] {
            assert_eq!(able(term, ci), expected, "{term:?} {ci:?}");
        }
    }

    #[test]
    fn keys_are_those_that_people_try() {
        let plain = |code| key(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        let with_control = |letter| key(&Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)));
        assert_eq!(plain(KeyCode::Char('q')), Some(Key::End));
        assert_eq!(with_control('c'), Some(Key::End));
        assert_eq!(plain(KeyCode::Esc), Some(Key::Back));
        assert_eq!(plain(KeyCode::Char('?')), Some(Key::Help));
        assert_eq!(plain(KeyCode::Char('p')), Some(Key::Pause));
        assert_eq!(plain(KeyCode::PageDown), Some(Key::PageDown));
        assert_eq!((plain(KeyCode::Char('c')), with_control('q')), (None, None));
        assert_eq!(key(&Event::Resize(80, 24)), None);
        let mut up = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        up.kind = KeyEventKind::Release;
        assert_eq!(key(&Event::Key(up)), None, "it was pressed before");
    }

    /// The other half of the test below: it runs on a terminal of its own.
    #[test]
    #[ignore = "takes the terminal and panics"]
    fn a_panic_with_the_screen_taken() {
        let mut screen = Screen::open().unwrap();
        screen
            .draw(|frame| frame.render_widget("picture", frame.area()))
            .unwrap();
        panic!("the reason");
    }

    #[test]
    fn a_panic_is_told_on_the_former_screen() {
        let program = std::env::current_exe().unwrap();
        let test = "ops::status::terminal::tests::a_panic_with_the_screen_taken";
        let line = format!(
            "was=$(stty -g); {} --exact {test} --ignored --nocapture; [ \"$was\" = \"$(stty -g)\" ] && echo as before",
            program.display()
        );
        let run = std::process::Command::new("timeout")
            .args(["60", "script", "--quiet", "--command", &line, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let seen = String::from_utf8_lossy(&run.stdout);
        let place = |text: &str| seen.find(text).unwrap_or_else(|| panic!("no {text:?} in {seen:?}"));
        let (drawn, back) = (place("picture"), place("\u{1b}[?1049l"));
        assert!(drawn < back && back < place("the reason"), "{seen:?}");
        assert!(place("as before") > back, "{seen:?}");
    }
}
