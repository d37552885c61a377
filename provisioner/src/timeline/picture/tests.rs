//! A picture of a load with made-up figures, all of which are drawn.

use super::*;

const FIRST: f64 = 1_795_780_800.0;

fn load() -> (Recording, Span, Timeline) {
    let seen: Recording = serde_json::from_str(include_str!("sample.json")).expect("a recording");
    let span = Span {
        first: FIRST,
        last: FIRST + 59.99,
    };
    let times = Timeline::of(&seen, span, 0.05);
    (seen, span, times)
}

fn heading() -> Heading {
    Heading {
        title: "100 requests/s: 10 pods ready after 8.2 s".to_owned(),
        subtitle: "6000 requests, 0 failed, p99 4.0 ms, 1 pod again 43.4 s after the last request".to_owned(),
    }
}

fn drawn(seen: &Recording) -> String {
    let (_, span, _) = load();
    let times = Timeline::of(seen, span, 0.05);
    let scene = Scene::of(seen, span, &times, (heading().title, heading().subtitle));
    let (drawing, size) = plot::draw(&scene);
    drawing.document(size)
}

#[test]
fn every_moment_and_every_series_is_in_the_picture() {
    let svg = drawn(&load().0);
    for text in [
        "100 requests/s: 10 pods ready after 8.2 s",
        "counted by Prometheus",
        "seen by the metrics API",
        "the HPA wants 10 pods",
        "10 pods created",
        "10 pods ready",
        "each has answered",
        "back to the minimum",
        "wanted by the HPA",
        "Requests/s per pod",
        "target 10",
        "Requests/s in total",
        "p99 of each second",
        "seconds from the first request",
        "stretched until 11 s",
    ] {
        assert!(svg.contains(&format!(">{text}</text>")), "{text}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "every place is a number");
    assert!(!svg.contains("failed or dropped"), "nothing was lost");
}

#[test]
fn what_was_not_seen_leaves_no_panel() {
    let (mut seen, ..) = load();
    seen.seconds.clear();
    seen.rates.clear();
    seen.first_hits.clear();
    let svg = drawn(&seen);
    for title in [
        "Requests/s per pod",
        "Requests/s in total",
        "Latency, ms",
        "each has answered",
    ] {
        assert!(!svg.contains(title), "{title}");
    }
    assert!(svg.contains(">Pods</text>"));
    let nothing = drawn(&Recording::default());
    assert!(
        nothing.contains("first request") && !nothing.contains("NaN"),
        "{nothing}"
    );
}

#[test]
fn lost_requests_are_marked() {
    let (mut seen, ..) = load();
    seen.seconds[3].failed = 2;
    assert!(drawn(&seen).contains("failed or dropped requests"));
}

#[test]
fn both_forms_are_written_and_need_no_font() {
    let (seen, span, times) = load();
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str| {
        let path = folder.path().join(name);
        let file: PictureFile = path.to_str().expect("a name").parse().expect("a file");
        file.write(&seen, span, &times, heading()).expect("written");
        std::fs::read(path).expect("there")
    };
    let svg = String::from_utf8(write("load.svg")).expect("text");
    assert!(svg.starts_with("<svg") && !svg.contains("<text"), "outlines, no texts");
    assert!(svg.len() < 300_000, "{}", svg.len());
    let png = write("load.png");
    assert!(png.starts_with(b"\x89PNG"));
    assert_eq!(&png[16..20], &2400_u32.to_be_bytes(), "twice as wide as drawn");
}

#[test]
fn the_form_follows_from_the_name() {
    let of = |name: &str| name.parse::<PictureFile>().map(|file| file.form);
    assert_eq!((of("a.svg"), of("b.c.png")), (Ok(Form::Svg), Ok(Form::Png)));
    for name in ["", "a", "a.gif", "svg", "no-such-folder/a.svg"] {
        assert!(of(name).is_err(), "{name}");
    }
}
