//! Pictures of the view, cell by cell.

use jiff::SignedDuration;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::super::gather::{Figures, News};
use super::super::state::{Key, State};
use super::scenes::{ago, broken, calm, figures, lost, now, scaling};
use super::*;
use crate::chain::{PodState, Why};

fn drawn(state: &State, width: u16, height: u16) -> (Buffer, usize) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut rows = 0;
    terminal.draw(|frame| rows = draw(state, now(), frame)).unwrap();
    (terminal.backend().buffer().clone(), rows)
}

/// The picture as text, without the spaces at the ends of lines.
fn text(state: &State, width: u16, height: u16) -> String {
    let (buffer, _) = drawn(state, width, height);
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    let lines: Vec<String> = (0..height).map(|y| line(y).trim_end().to_owned()).collect();
    lines.join("\n")
}

#[test]
fn at_80_by_24_everything_that_counts_is_there() {
    insta::assert_snapshot!(text(&calm(), 80, 24), @r"
    demo  figures 1 s old                                             ? keys  q ends
    ── rate, last 5 min ───────────────────  ── latency, last 5 min ────────────────
    100.0 requests/s, 10.0 a pod of 10.0     p99 12.3 ms, errors 0.00 %
    10 ready carry 100, 10 carry 100         of the last minute, errors are 5xx
                              ▇▇▇▇▇▇▇▇▇▇▇▇█  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█████████████
    ── replicas ────────────────────────────────────────────────────────────────────
    10 ready of 10 wanted  min 1 ████████████████████████████████████████████ max 10
    ── pods 1 to 6 of 10 ───────────────────────────────────────────────────────────
    NAME                         READY        RATE    CPU     MEMORY    AGE RESTARTS
    web-app-5d4f8c7b9d-00000     yes          10.0     4m    3.0 MiB    2 h        0
    web-app-5d4f8c7b9d-00001     yes          10.0     4m    3.0 MiB   95 s        0
    web-app-5d4f8c7b9d-00002     yes          10.0     4m    3.0 MiB   95 s        0
    web-app-5d4f8c7b9d-00003     yes          10.0     4m    3.0 MiB   95 s        1
    web-app-5d4f8c7b9d-00004     yes          10.0     4m    3.0 MiB   95 s        0
    web-app-5d4f8c7b9d-00005     yes          10.0     4m    3.0 MiB   95 s        0
    ── autoscaler ──────────────────────────────────────────────────────────────────
    why      within tolerance: 100 % of the target, 5 % off changes nothing
    HPA      AbleToScale True (ReadyForNewScale), ScalingActive True
             (ValidMetricFound), ScalingLimited False (DesiredWithinRange)
    TLS      the metrics API's certificate ends in 357 d, on 2027-11-20
    chain    every hop works (looked 4 s ago)
    ── scaling events ──────────────────────────────────────────────────────────────
    93 s     New size: 10; reason: pods metric http_requests_per_second above target
    50 min   New size: 1; reason: pods metric http_requests_per_second below target
    ");
}

#[test]
fn pods_that_start_or_are_stuck_stand_first() {
    insta::assert_snapshot!(text(&scaling(), 80, 24), @r"
    demo  figures 1 s old                                             ? keys  q ends
    ── rate, last 5 min ───────────────────  ── latency, last 5 min ────────────────
    100.0 requests/s, 14.3 a pod of 10.0     p99 12.3 ms, errors 1.23 %
    OVER: 7 ready carry 70, 10 carry 100     of the last minute, errors are 5xx
                              ▇▇▇▇▇▇▇▇▇▇▇▇█  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█████████████
    ── replicas ────────────────────────────────────────────────────────────────────
    7 ready of 10 wanted  min 1 ███████████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒ max 10
    ── pods 1 to 6 of 10 ───────────────────────────────────────────────────────────
    NAME                     READY            RATE    CPU     MEMORY    AGE RESTARTS
    web-app-5d4f8c7b9d-00009 CreateContain       -     4m    3.0 MiB    3 s        0
    web-app-5d4f8c7b9d-00008 starting            -     4m    3.0 MiB    3 s        0
    web-app-5d4f8c7b9d-00007 starting            -     4m    3.0 MiB    3 s        0
    web-app-5d4f8c7b9d-00000 yes              10.0     4m    3.0 MiB    2 h        0
    web-app-5d4f8c7b9d-00001 yes              10.0     4m    3.0 MiB   95 s        0
    web-app-5d4f8c7b9d-00002 yes              10.0     4m    3.0 MiB   95 s        0
    ── autoscaler ──────────────────────────────────────────────────────────────────
    why      pods are starting: 7 of 10 ready
    HPA      AbleToScale True (ReadyForNewScale), ScalingActive True
             (ValidMetricFound), ScalingLimited False (DesiredWithinRange)
    TLS      the metrics API's certificate ends in 357 d, on 2027-11-20
    chain    every hop works (looked 4 s ago)
    ── scaling events ──────────────────────────────────────────────────────────────
    93 s     New size: 10; reason: pods metric http_requests_per_second above target
    50 min   New size: 1; reason: pods metric http_requests_per_second below target
    ");
}

#[test]
fn a_broken_hop_stands_above_with_the_command_that_mends_it() {
    insta::assert_snapshot!(text(&broken(), 80, 24), @r"
    demo  figures 1 s old                                             ? keys  q ends
    BROKEN   Prometheus (scaled_to_zero): Deployment `monitoring/prometheus` is
             scaled to 0
    fix      kubectl --namespace monitoring scale deployment/prometheus --replicas=1
    ── rate, last 5 min ───────────────────  ── latency, last 5 min ────────────────
    - requests/s, - a pod of 10.0            p99 -, errors -
    10 ready carry 100, 10 carry 100         Prometheus has none of the last minute
                              █████████████  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█████████████
    ── replicas ────────────────────────────────────────────────────────────────────
    10 ready of 10 wanted  min 1 ████████████████████████████████████████████ max 10
    ── pods 1 to 2 of 10 ───────────────────────────────────────────────────────────
    NAME                         READY        RATE    CPU     MEMORY    AGE RESTARTS
    web-app-5d4f8c7b9d-00000     yes             -     4m    3.0 MiB    2 h        0
    web-app-5d4f8c7b9d-00001     yes             -     4m    3.0 MiB   95 s        0
    ── autoscaler ──────────────────────────────────────────────────────────────────
    why      the metric cannot be read: FailedGetPodsMetric: the HPA was unable to
             compute the replica count: unable to get metric
             http_requests_per_second
    HPA      AbleToScale True (ReadyForNewScale), ScalingActive False
             (FailedGetPodsMetric), ScalingLimited False (DesiredWithinRange)
    TLS      the metrics API's certificate ends in 357 d, on 2027-11-20
    chain    broken at Prometheus: see above (looked 2 s ago)
    ── scaling events ──────────────────────────────────────────────────────────────
    93 s     New size: 10; reason: pods metric http_requests_per_second above target
    ");
}

#[test]
fn a_narrow_terminal_gets_the_columns_that_count() {
    insta::assert_snapshot!(text(&scaling(), 40, 20), @r"
    demo  figures 1 s old     ? keys  q ends
    ── rate, last 5 min ────────────────────
    100.0 requests/s, 14.3 a pod of 10.0
    ── latency, last 5 min ─────────────────
    p99 12.3 ms, errors 1.23 %
    ── replicas ────────────────────────────
    7 ready of 10 wanted  min 1 ███▒▒ max 10
    ── pods 1 to 2 of 10 ───────────────────
    NAME                   READY        RATE
    web-app-5d4f8c7b9d-000 CreateCon       -
    web-app-5d4f8c7b9d-000 starting        -
    ── autoscaler ──────────────────────────
    why      pods are starting: 7 of 10
             ready
    HPA      AbleToScale True
             (ReadyForNewScale),
             ScalingActive True
             (ValidMetricFound),…
    TLS      the metrics API's certificate
             ends in 357 d, on 2027-11-20
    ");
}

#[test]
fn a_paused_view_says_so_and_its_ages_stand() {
    let mut state = calm();
    state.press(Key::Pause, 5, ago(-20));
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let later = now() + SignedDuration::from_secs(63);
    terminal
        .draw(|frame| {
            draw(&state, later, frame);
        })
        .unwrap();
    let first: String = (0..80).map(|x| terminal.backend().buffer()[(x, 0)].symbol()).collect();
    insta::assert_snapshot!(first.trim_end(), @r"demo  PAUSED for 43 s, p goes on                                  ? keys  q ends");
    state.press(Key::Pause, 5, now());
    state.press(Key::Pause, 5, now());
    assert!(text(&state, 80, 24).contains("(looked 4 s ago)"));
}

#[test]
fn a_lost_connection_is_told_above_the_last_picture() {
    let text = text(&lost(), 80, 24);
    let head: Vec<&str> = text.lines().take(3).collect();
    insta::assert_snapshot!(head.join("\n"), @r"
    demo  figures 15 s old                                            ? keys  q ends
    STALE    no figures for 14 s, the last error 3 s ago: cannot read Deployment
             `web-app/web-app`: client error (Connect): tcp connect error:
    ");
    assert!(text.contains("99.96") || text.contains("100.0 requests/s"), "{text}");
    assert!(text.contains("web-app-5d4f8c7b9d-00000"), "{text}");
}

#[test]
fn a_large_terminal_shows_all_pods_and_the_rest_beside_them() {
    insta::assert_snapshot!(text(&calm(), 160, 36), @r"
    demo  figures 1 s old                                                                                                                             ? keys  q ends
    ── rate, last 5 min ───────────────────────────────────────────────────────────  ── latency, last 5 min ────────────────────────────────────────────────────────
    100.0 requests/s, 10.0 a pod of 10.0                                             p99 12.3 ms, errors 0.00 %
    10 ready carry 100, 10 carry 100                                                 of the last minute, errors are 5xx
                                                         ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇█                                                       ██████████████████████████
                                                         ██████████████████████████                                                       ██████████████████████████
                                                         ██████████████████████████                                                       ██████████████████████████
     ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁██████████████████████████   ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇██████████████████████████
    ── replicas ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    10 ready of 10 wanted  min 1 ████████████████████████████████████████████████████████████████████████████████████████████████████ max 10
    ── pods: 10 ───────────────────────────────────────────────────────────────────────────────────  ── autoscaler ─────────────────────────────────────────────────
    NAME                                        READY        RATE    CPU     MEMORY    AGE RESTARTS  why      within tolerance: 100 % of the target, 5 % off changes
    web-app-5d4f8c7b9d-00000                    yes          10.0     4m    3.0 MiB    2 h        0           nothing
    web-app-5d4f8c7b9d-00001                    yes          10.0     4m    3.0 MiB   95 s        0  HPA      AbleToScale True (ReadyForNewScale), ScalingActive
    web-app-5d4f8c7b9d-00002                    yes          10.0     4m    3.0 MiB   95 s        0           True (ValidMetricFound), ScalingLimited False
    web-app-5d4f8c7b9d-00003                    yes          10.0     4m    3.0 MiB   95 s        1           (DesiredWithinRange)
    web-app-5d4f8c7b9d-00004                    yes          10.0     4m    3.0 MiB   95 s        0  TLS      the metrics API's certificate ends in 357 d, on
    web-app-5d4f8c7b9d-00005                    yes          10.0     4m    3.0 MiB   95 s        0           2027-11-20
    web-app-5d4f8c7b9d-00006                    yes          10.0     4m    3.0 MiB   95 s        0  chain    every hop works (looked 4 s ago)
    web-app-5d4f8c7b9d-00007                    yes          10.0     4m    3.0 MiB   95 s        0  ── scaling events ─────────────────────────────────────────────
    web-app-5d4f8c7b9d-00008                    yes          10.0     4m    3.0 MiB   95 s        0  93 s     New size: 10; reason: pods metric
    web-app-5d4f8c7b9d-00009                    yes          10.0     4m    3.0 MiB   95 s        0           http_requests_per_second above target
                                                                                                     50 min   New size: 1; reason: pods metric
                                                                                                              http_requests_per_second below target
    ");
    let text = text(&calm(), 200, 60);
    let of_pods = text.lines().filter(|line| line.starts_with("web-app-")).count();
    assert_eq!(of_pods, 10, "{text}");
}

#[test]
fn keys_are_listed_over_the_picture() {
    let mut state = calm();
    state.press(Key::Help, 5, now());
    let text = text(&state, 80, 24);
    assert!(text.contains(" keys ") && text.contains("Ctrl-C    end"), "{text}");
}

#[test]
fn scrolling_ends_where_the_last_pod_is_shown() {
    let mut state = calm();
    let (_, rows) = drawn(&state, 80, 24);
    assert!((2..10).contains(&rows), "{rows}");
    state.press(Key::Last, rows, now());
    let text = text(&state, 80, 24);
    assert!(text.contains(&format!("pods {} to 10 of 10", 11 - rows)), "{text}");
    assert!(text.contains("9d-00009") && !text.contains("9d-00000"), "{text}");
}

#[test]
fn before_the_first_answer_it_says_what_it_waits_for() {
    let mut state = State::new("demo", false);
    assert!(text(&state, 80, 24).contains("waiting for the first answer"));
    state.take(News::Figures(Err("cannot read it".into())), ago(1));
    assert!(text(&state, 80, 24).contains("cannot read it"));
}

/// Colours of every cell of every scene.
fn colors(state: &State) -> Vec<Color> {
    let (buffer, _) = drawn(state, 120, 40);
    buffer.content().iter().flat_map(|cell| [cell.fg, cell.bg]).collect()
}

#[test]
fn colours_only_where_they_are_wanted_and_they_move_no_letter() {
    for make in [calm, scaling, broken, lost] {
        let plain = make();
        assert!(colors(&plain).iter().all(|color| *color == Color::Reset));
        let mut colored = make();
        colored.colors = true;
        assert!(colors(&colored).iter().any(|color| *color != Color::Reset));
        assert_eq!(text(&plain, 80, 24), text(&colored, 80, 24));
    }
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let mut scenes = [calm(), scaling(), broken(), lost(), State::new("demo", true)];
    for state in &mut scenes {
        for help in [false, true] {
            state.help = help;
            for (width, height) in (0..=130)
                .step_by(13)
                .flat_map(|w| (0..=60).step_by(4).map(move |h| (w, h)))
            {
                drawn(state, width, height);
            }
            for size in 0..=12 {
                drawn(state, size, size);
                drawn(state, 200, size);
                drawn(state, size, 60);
            }
        }
    }
}

#[test]
fn nothing_that_others_wrote_steers_the_terminal() {
    let mut figures = figures();
    figures.board.why = Some(Why::NoMetric {
        says: "a\u{1b}[2Jb\r\nc".into(),
    });
    let pods = figures.pods.as_mut().unwrap();
    pods[0].name = "evil\u{1b}[31m".into();
    pods[0].state = PodState::Stuck("Bad\u{7}".into());
    let mut state = State::new("de\u{1b}mo", false);
    state.take(News::Figures(Ok(Box::new(figures))), now());
    state.take(News::Rescales(Err("no\u{9b}".into())), now());
    let text = text(&state, 120, 40);
    assert!(text.contains("evil\u{fffd}[31m"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn pods_that_may_not_be_listed_are_said_to_be_so() {
    let mut figures = figures();
    figures.pods = Err("pods is forbidden (HTTP 403)".into());
    let mut state = calm();
    state.take(News::Figures(Ok(Box::new(figures))), now());
    assert!(text(&state, 80, 24).contains("cannot list the pods: pods is forbidden (HTTP 403)"));
}

#[test]
fn where_not_all_pods_are_read_that_is_told() {
    let mut many = figures();
    let pods = many.pods.as_mut().unwrap();
    let first = pods[0].clone();
    for (count, told) in [
        (499, "pods 1 to 6 of 499 ─"),
        (500, "pods 1 to 6 of the first 500 by name ─"),
    ] {
        pods.resize(count, first.clone());
        let mut state = calm();
        let (board, pods) = (many.board.clone(), Ok(pods.clone()));
        state.take(News::Figures(Ok(Box::new(Figures { board, pods }))), now());
        let picture = text(&state, 80, 24);
        assert!(picture.contains(told), "{picture}");
    }
}
