//! What a load says while it runs: each change of the pods, and each few seconds how the requests do.

use std::time::Duration;

use crate::report::Reporter;
use crate::timeline::{Recorder, Recording, Second};

/// Between two looks at what was recorded.
const EVERY: Duration = Duration::from_millis(250);
/// Between two lines about requests.
const SECONDS: usize = 5;

/// Tells what is new until it is dropped.
pub(super) async fn tell(recorder: &Recorder, report: &dyn Reporter) {
    let mut told = Told::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let offset = recorder.clock_offset();
        let news = told.news(&recorder.seen(), offset);
        for line in &news {
            report.note(line);
        }
    }
}

/// What was told.
#[derive(Debug, Default)]
struct Told {
    pods: Option<(u64, u64, Option<u64>)>,
    seconds: usize,
}

impl Told {
    /// Lines about what is new in `seen`. Pure.
    fn news(&mut self, seen: &Recording, clock_offset: f64) -> Vec<String> {
        let mut news = Vec::new();
        let wanted = seen.hpa.last().and_then(|hpa| hpa.desired);
        let pods = seen.pods.last().map(|pods| (pods.replicas, pods.ready, wanted));
        if let Some((replicas, ready, wanted)) = pods.filter(|pods| self.pods.as_ref() != Some(pods)) {
            self.pods = pods;
            let changed = seen.pods.last().map(|pods| pods.at).into_iter();
            let changed = changed.chain(seen.hpa.last().map(|hpa| hpa.at)).fold(0.0, f64::max);
            let after = seen.started.map_or_else(String::new, |start| {
                format!("{:>5.1} s  ", changed - start - clock_offset)
            });
            let wanted = wanted.map_or_else(|| "-".to_owned(), |wanted| wanted.to_string());
            let rate = seen
                .rate(changed)
                .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
            news.push(format!(
                "{after}pods {replicas:>2}, ready {ready:>2}, wanted {wanted:>2}, {rate:>3} requests/s"
            ));
        }
        while let Some(seconds) = seen.seconds.get(self.seconds..self.seconds + SECONDS) {
            self.seconds += SECONDS;
            news.push(figures(seconds));
        }
        news
    }
}

fn figures(seconds: &[Second]) -> String {
    let count = |of: fn(&Second) -> u64| seconds.iter().map(of).sum::<u64>();
    let worst = seconds.iter().filter_map(|second| second.p99_s).reduce(f64::max);
    let worst = worst.map_or_else(|| "-".to_owned(), |p99| format!("{:.1} ms", p99 * 1e3));
    let end = seconds.last().map_or(0.0, |second| second.t_s);
    format!(
        "{end:>5.1} s  sent {}, answered {}, failed {}, dropped {}, p99 {worst}",
        count(|second| second.sent),
        count(|second| second.done),
        count(|second| second.failed),
        count(|second| second.dropped),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Hpa, Pods, Rates};

    #[test]
    fn changes_are_told_once_and_requests_each_five_seconds() {
        let mut told = Told::default();
        let mut seen = Recording::default();
        assert_eq!(told.news(&seen, 0.0), [""; 0]);
        let pods = |at, replicas, ready| Pods { at, replicas, ready };
        seen.pods.push(pods(99.0, 1, 1));
        assert_eq!(told.news(&seen, 0.0), ["pods  1, ready  1, wanted  -,   - requests/s"]);
        seen.started = Some(100.0);
        let hpa = |at, desired| Hpa {
            at,
            desired: Some(desired),
            min: 1,
            max: 10,
            target: None,
            gone: false,
        };
        seen.hpa.push(hpa(104.2, 10));
        seen.rates.push(Rates {
            at: 104.0,
            total: 99.4,
            pods: 1,
        });
        assert_eq!(
            told.news(&seen, 0.0),
            ["  4.2 s  pods  1, ready  1, wanted 10,  99 requests/s"]
        );
        assert_eq!(told.news(&seen, 0.0), [""; 0]);
        for t_s in [1.0, 2.0, 3.0, 4.0] {
            seen.seconds.push(Second {
                t_s,
                sent: 100,
                done: 99,
                p99_s: Some(t_s / 1e3),
                ..Second::default()
            });
        }
        assert_eq!(told.news(&seen, 0.0), [""; 0]);
        seen.seconds.push(Second {
            t_s: 5.0,
            failed: 1,
            ..Second::default()
        });
        assert_eq!(
            told.news(&seen, 0.0),
            ["  5.0 s  sent 400, answered 396, failed 1, dropped 0, p99 4.0 ms"]
        );
        seen.pods.push(pods(108.5, 10, 10));
        assert_eq!(
            told.news(&seen, 1.0),
            ["  7.5 s  pods 10, ready 10, wanted 10,  99 requests/s"],
            "this clock is a second ahead"
        );
        seen.pods.push(pods(150.0, 9, 9));
        assert_eq!(
            told.news(&seen, 0.0),
            [" 50.0 s  pods  9, ready  9, wanted 10,   - requests/s"],
            "the metrics API has not answered for long"
        );
    }
}
