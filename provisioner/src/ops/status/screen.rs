//! What `status --watch` draws on a terminal. Pure: figures in, lines out.

use std::collections::VecDeque;

use super::used;
use crate::chain::{Autoscaler, Board};
use crate::cluster::ClusterError;
use crate::cluster::certificate::Serving;
use crate::report::printable;

/// Looks that the curve remembers: two minutes.
const REMEMBERED: usize = 120;
/// Characters up to the target of a pod's bar; as many may follow.
const BAR: usize = 10;
/// Heights of the curve, from nothing to the most.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is drawn.
pub(super) struct View {
    cluster: String,
    certificate: Option<Serving>,
    board: Option<Board>,
    problem: Option<String>,
    /// Requests per second, the newest last.
    rates: VecDeque<f64>,
}

impl View {
    pub(super) fn new(cluster: &str, certificate: Option<Serving>) -> Self {
        Self {
            cluster: cluster.to_owned(),
            certificate,
            board: None,
            problem: None,
            rates: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// Takes a look; one that failed leaves the figures before it, and says so.
    pub(super) fn take(&mut self, look: Result<Board, ClusterError>) {
        match look {
            Ok(board) => {
                if self.rates.len() == REMEMBERED {
                    self.rates.pop_front();
                }
                self.rates.push_back(board.sample.rate_total.unwrap_or_default());
                self.problem.clone_from(&board.sample.problem);
                self.board = Some(board);
            }
            Err(error) => self.problem = Some(error.to_string()),
        }
    }

    /// The lines of a frame, none longer than `width` and at most `height` of them: pods are left out first.
    pub(super) fn frame(&self, width: usize, height: usize) -> Vec<String> {
        let Some(board) = &self.board else {
            let said = self.problem.as_deref().unwrap_or("looking");
            return vec![cut(said, width)];
        };
        let mut lines = self.head(board, width);
        let foot = self.foot(board);
        let pods = pods(board);
        let room = height.saturating_sub(lines.len() + foot.len());
        let left_out = pods.len().saturating_sub(room);
        if left_out > 0 {
            let shown = room.saturating_sub(1);
            lines.extend(pods.into_iter().take(shown));
            lines.push(format!("  and {} more", left_out + 1));
        } else {
            lines.extend(pods);
        }
        lines.extend(foot);
        lines.truncate(height);
        lines.into_iter().map(|line| cut(&line, width)).collect()
    }

    fn head(&self, board: &Board, width: usize) -> Vec<String> {
        let sample = &board.sample;
        let hpa = board.hpa.clone().unwrap_or_default();
        let p99 = board
            .p99_s
            .map_or_else(|| "-".to_owned(), |s| format!("{:.1} ms", s * 1e3));
        let rate = sample
            .rate_total
            .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
        vec![
            format!("{}   Ctrl-C ends", self.cluster),
            String::new(),
            format!(
                "pods  {} ready of {}, {} wanted, {} to {} allowed",
                sample.ready, sample.replicas, hpa.desired, hpa.min, hpa.max
            ),
            format!("load  {rate} requests/s, p99 {p99}, {}", average(&hpa)),
            format!("      {}", self.curve(width.saturating_sub(6))),
            String::new(),
        ]
    }

    /// The newest rates, as high as the most of them.
    fn curve(&self, width: usize) -> String {
        let most = self.rates.iter().copied().fold(0.0, f64::max);
        let newest = self.rates.iter().skip(self.rates.len().saturating_sub(width));
        newest.map(|rate| height(*rate, most)).collect()
    }

    fn foot(&self, board: &Board) -> Vec<String> {
        let why = board
            .why
            .as_ref()
            .map_or_else(|| "there is no HPA".to_owned(), ToString::to_string);
        let conditions = board.hpa.iter().flat_map(|hpa| &hpa.conditions);
        let conditions: Vec<String> = conditions
            .map(|one| format!("{} {} ({})", one.kind, one.status, one.reason))
            .collect();
        let mut lines = vec![
            String::new(),
            format!("why   {why}"),
            format!("HPA   {}", conditions.join(", ")),
        ];
        if let Some(serving) = &self.certificate {
            let due = if serving.is_due {
                ": it should have been renewed"
            } else {
                ""
            };
            let day = serving.ends_at.strftime("%Y-%m-%d");
            lines.push(format!("TLS   certificate of the metrics API ends on {day}{due}"));
        }
        if let Some(problem) = &self.problem {
            lines.push(format!("error {problem}"));
        }
        lines
    }
}

/// As much as fits, of what a terminal does not obey.
fn cut(line: &str, width: usize) -> String {
    let line = printable(line).replace(['\n', '\t'], " ");
    line.chars().take(width).collect()
}

fn average(hpa: &Autoscaler) -> String {
    let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    format!("per pod {} of {}", text(hpa.average), text(hpa.target))
}

/// A line for each pod: its rate, as a bar against its target, and what it uses.
fn pods(board: &Board) -> Vec<String> {
    let target = board.hpa.as_ref().and_then(|hpa| hpa.target).unwrap_or_default();
    let longest = board.sample.per_pod.keys().map(String::len).max().unwrap_or_default();
    let pods = board.sample.per_pod.iter();
    pods.map(|(pod, rate)| {
        let bar = bar(*rate, target);
        let used = used(board, pod);
        let used = used.trim_start_matches(", ");
        format!("  {pod:<longest$} {rate:>7.1} {bar:<21} {used}")
    })
    .collect()
}

/// The mark in its middle is the target, so that what is over it shows.
fn bar(rate: f64, target: f64) -> String {
    if target <= 0.0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "a width is small")]
    let filled = whole(rate / target * BAR as f64).min(2 * BAR);
    let (below, above) = (filled.min(BAR), filled.saturating_sub(BAR));
    format!("{}{}|{}", "#".repeat(below), " ".repeat(BAR - below), "#".repeat(above))
}

fn height(rate: f64, most: f64) -> char {
    if most <= 0.0 {
        return HEIGHTS[0];
    }
    #[expect(clippy::cast_precision_loss, reason = "there are nine heights")]
    let step = whole(rate / most * (HEIGHTS.len() - 1) as f64);
    HEIGHTS[step.min(HEIGHTS.len() - 1)]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "widths are not negative and small"
)]
fn whole(value: f64) -> usize {
    value.round().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Condition;

    fn view() -> View {
        let mut board = super::super::tests::board();
        let hpa = board.hpa.as_mut().unwrap();
        hpa.average = Some(9.9);
        hpa.conditions = vec![Condition {
            kind: "ScalingActive".into(),
            status: "True".into(),
            reason: "ValidMetricFound".into(),
        }];
        let mut view = View::new("demo", None);
        for rate in [0.0, 50.0, 99.96] {
            board.sample.rate_total = Some(rate);
            view.take(Ok(board.clone()));
        }
        view
    }

    #[test]
    fn a_frame_shows_rates_pods_and_why() {
        assert_eq!(View::new("demo", None).frame(80, 24), ["looking"]);
        insta::assert_snapshot!(view().frame(80, 24).join("\n"), @r"
        demo   Ctrl-C ends

        pods  7 ready of 10, 10 wanted, 1 to 10 allowed
        load  100.0 requests/s, p99 12.3 ms, per pod 9.9 of 10.0
               ▄█

          web-app-a     9.9 ##########|           4m CPU, 3.0 MiB

        why   pods are starting: 7 of 10 ready
        HPA   ScalingActive True (ValidMetricFound)
        ");
    }

    #[test]
    fn a_small_terminal_gets_what_fits() {
        let mut view = view();
        let board = view.board.as_mut().unwrap();
        for pod in 'b'..='z' {
            board.sample.per_pod.insert(format!("web-app-{pod}"), 1.0);
        }
        let lines = view.frame(30, 14);
        assert_eq!(lines.len(), 14);
        assert!(lines.iter().all(|line| line.chars().count() <= 30), "{lines:?}");
        assert_eq!(lines[10], "  and 22 more");
        assert!(lines[12].starts_with("why "), "{lines:?}");
        assert!(view.frame(10, 2).len() <= 2);
    }

    #[test]
    fn a_look_that_failed_keeps_the_figures_and_says_so() {
        let mut view = view();
        view.take(Err(ClusterError::Manifests(vec!["gone\u{1b}[2J".to_owned()])));
        let frame = view.frame(80, 24).join("\n");
        assert!(
            frame.contains("web-app-a") && frame.contains("error cannot use"),
            "{frame}"
        );
        assert!(!frame.contains('\u{1b}'), "{frame}");
    }

    #[test]
    fn bars_show_what_is_over_the_target_and_the_curve_its_height() {
        assert_eq!(bar(5.0, 10.0), "#####     |");
        assert_eq!(bar(15.0, 10.0), "##########|#####");
        assert_eq!(bar(1e9, 10.0), "##########|##########");
        assert_eq!(bar(1.0, 0.0), "");
        assert_eq!([0.0, 5.0, 10.0].map(|rate| height(rate, 10.0)), [' ', '▄', '█']);
        assert_eq!(height(0.0, 0.0), ' ');
    }

    #[test]
    fn the_curve_remembers_two_minutes() {
        let mut view = view();
        for _ in 0..200 {
            view.take(Ok(Board::default()));
        }
        assert_eq!(view.rates.len(), REMEMBERED);
    }
}
