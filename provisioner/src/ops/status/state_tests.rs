//! What news and keys make of the live view, step by step.

use super::*;
use crate::chain::PodState;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn look(why: Why, pods: usize) -> News {
    let mut board = super::super::tests::board();
    board.why = Some(why);
    let pod = |index: usize| Pod {
        name: format!("web-app-{index}"),
        state: PodState::Ready,
        restarts: 0,
        created: None,
    };
    let pods = Ok((0..pods).map(pod).collect());
    News::Figures(Ok(Box::new(Figures { board, pods })))
}

fn enough() -> Why {
    Why::Enough { pods: 10 }
}

fn held() -> Why {
    Why::DownStabilised {
        asked: 1,
        window_s: 30.0,
    }
}

#[test]
fn a_look_that_failed_leaves_the_picture_and_is_told_with_its_age() {
    let mut state = State::new("demo", false);
    state.take(look(enough(), 2), at(0));
    for second in [3, 7] {
        state.take(News::Figures(Err(format!("gone {second}"))), at(second));
    }
    let lost = state.lost.clone().unwrap();
    assert_eq!((lost.since, lost.last, lost.says.as_str()), (at(3), at(7), "gone 7"));
    assert_eq!((state.pods().len(), state.figures.as_ref().unwrap().0), (2, at(0)));
    state.take(look(enough(), 3), at(8));
    assert_eq!((state.lost.clone(), state.pods().len()), (None, 3));
}

#[test]
fn what_is_known_stays_where_the_next_question_has_no_answer() {
    let mut state = State::new("demo", false);
    state.take(News::Rescales(Err("forbidden".into())), at(0));
    assert_eq!(state.rescales, Some(Err("forbidden".into())));
    let usage: BTreeMap<String, Usage> = [("web-app-1".to_owned(), Usage::default())].into();
    for news in [
        News::Usage(Ok(usage.clone())),
        News::Rescales(Ok(Vec::new())),
        News::Certificate(Ok(None)),
        News::Usage(Err("gone".into())),
        News::Rescales(Err("gone".into())),
        News::Certificate(Err("gone".into())),
    ] {
        state.take(news, at(1));
    }
    assert_eq!(
        (state.usage, state.rescales, state.certificate),
        (usage, Some(Ok(Vec::new())), Some(Ok(None)))
    );
}

#[test]
fn a_paused_view_keeps_its_picture_until_it_goes_on() {
    let mut state = State::new("demo", false);
    state.take(look(enough(), 2), at(0));
    state.press(Key::Pause, 5, at(1));
    state.take(look(enough(), 3), at(2));
    state.take(News::Figures(Err("gone".into())), at(3));
    assert_eq!(
        (state.pods().len(), state.lost.clone(), state.paused),
        (2, None, Some(at(1)))
    );
    state.press(Key::Pause, 5, at(4));
    state.take(look(enough(), 3), at(5));
    assert_eq!((state.pods().len(), state.paused), (3, None));
}

#[test]
fn what_is_left_of_a_window_counts_from_the_first_look_that_showed_it() {
    let mut state = State::new("demo", false);
    state.take(look(enough(), 1), at(0));
    state.take(look(held(), 1), at(10));
    let why = state.why(at(22)).unwrap();
    assert!(
        why.ends_with("(stabilisation): 18 s left, then at the controller's next look"),
        "{why}"
    );
    // What could not be read changes nothing.
    state.take(look(Why::MissingSamples { pods: 1 }, 1), at(23));
    state.take(look(held(), 1), at(24));
    assert!(state.why(at(30)).unwrap().contains(": 10 s left"));
    assert!(state.why(at(41)).unwrap().contains(": over, "));
    // Once as many as there are were asked for again, it begins anew.
    state.take(look(enough(), 1), at(42));
    state.take(look(held(), 1), at(43));
    assert!(state.why(at(44)).unwrap().contains(": 29 s left"));
}

#[test]
fn a_window_that_began_before_the_view_ends_at_the_latest_then() {
    let mut state = State::new("demo", false);
    state.take(look(held(), 1), at(0));
    assert!(state.why(at(5)).unwrap().contains(": at most 25 s left"));
}

#[test]
fn the_list_of_pods_moves_within_its_ends() {
    let mut state = State::new("demo", false);
    state.take(look(enough(), 10), at(0));
    let mut press = |key| {
        assert_eq!(state.press(key, 4, at(1)), Flow::On);
        state.scroll
    };
    let moves = [
        (Key::Up, 0),
        (Key::Down, 1),
        (Key::PageDown, 5),
        (Key::PageDown, 6),
        (Key::Down, 6),
        (Key::PageUp, 2),
        (Key::Last, 6),
        (Key::First, 0),
    ];
    for (index, (key, scroll)) in moves.into_iter().enumerate() {
        assert_eq!(press(key), scroll, "{index}: {key:?}");
    }
    press(Key::Last);
    // Fewer pods: what was scrolled to is no longer there.
    state.take(look(enough(), 5), at(2));
    state.press(Key::Up, 4, at(3));
    assert_eq!(state.scroll, 0);
}

#[test]
fn escape_closes_what_lies_on_top_first() {
    let mut state = State::new("demo", false);
    assert_eq!((state.press(Key::Help, 1, at(0)), state.help), (Flow::On, true));
    assert_eq!((state.press(Key::Back, 1, at(0)), state.help), (Flow::On, false));
    assert_eq!(state.press(Key::Back, 1, at(0)), Flow::Over);
    state.press(Key::Help, 1, at(0));
    assert_eq!(state.press(Key::End, 1, at(0)), Flow::Over, "also with the list open");
}
