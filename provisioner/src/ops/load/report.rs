//! What a load prints: the loader's own report, completed with what the cluster did.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::timeline::picture::Heading;
use crate::timeline::{Recording, Span, Timeline, phase, replica_changes, syncs};

/// The times that people read, in order.
const TIMES: [(&str, &str); 9] = [
    ("scraped_s", "counted by Prometheus"),
    ("api_value_s", "seen by the metrics API"),
    ("asked_s", "maximum asked for by its value"),
    ("desired_s", "maximum wanted by the HPA"),
    ("created_s", "maximum of pods created"),
    ("ready_s", "maximum of pods ready"),
    ("spread_s", "each of them had answered"),
    ("recovered_s", "latency below the bound"),
    ("back_s", "back to the minimum, after the last request"),
];

/// The loader's counts that people read, each with its name and what it counts.
const COUNTS: [(&str, &str, &str); 4] = [
    ("failed", "failed", ""),
    ("dropped", "dropped", ""),
    ("resent", "resent", ""),
    ("closed_by_server", "closed", " idle connections, by the server"),
];

/// What is known beside what was seen.
pub(super) struct Known {
    /// When the load was sent.
    pub(super) span: Span,
    /// The highest p99 of a second that is fine, in seconds.
    pub(super) bound: f64,
    /// How far this clock is ahead of the cluster's.
    pub(super) clock_offset: f64,
    /// Between two looks of the HPA's controller, in seconds.
    pub(super) period: f64,
}

/// Completes the report with what was seen. Pure.
pub(super) fn complete(report: &mut Value, seen: &Recording, known: &Known, times: &Timeline) {
    let start = known.span.first;
    if report.get("schema").is_none() {
        report["schema"] = 1.into();
    }
    report["at_start"] = json!(seen.at_start(start));
    report["timeline"] = json!(times);
    report["syncs"] = json!(syncs(seen, start));
    report["replica_changes"] = replica_changes(seen, start).into();
    report["phase_s"] = json!(phase(seen, start, known.period));
    report["clock_offset_s"] = json!(known.clock_offset);
    report["p99_bound_s"] = json!(known.bound);
    let pods = seen
        .pods
        .iter()
        .map(|pods| json!({"t_s": pods.at - start, "pods": pods.replicas, "ready": pods.ready}));
    report["pods"] = pods.collect();
    // Where the HPA is gone, nothing is wanted.
    let told = seen.hpa.iter().filter(|hpa| hpa.gone || hpa.desired.is_some());
    let mut wanted: Vec<(f64, Option<u64>)> = told.map(|hpa| (hpa.at, hpa.desired)).collect();
    wanted.dedup_by_key(|(_, pods)| *pods);
    report["wanted"] = wanted
        .iter()
        .map(|(at, pods)| json!({"t_s": at - start, "pods": pods}))
        .collect();
}

/// The loader's own report, with its figures as lines for people.
#[derive(Serialize)]
pub(super) struct LoadReport(pub(super) Value);

impl LoadReport {
    fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or_default()
    }

    /// Requests per second as a title has them: of stages, whose mean is nobody's rate, the highest.
    fn rate(&self) -> String {
        let stages = self.0["stages"].as_array().into_iter().flatten();
        let highest = stages.filter_map(|stage| stage["rate"].as_f64()).reduce(f64::max);
        match highest {
            Some(highest) => format!("up to {} requests/s", rounded(highest)),
            None => format!("{:.0} requests/s", self.number("achieved_rate")),
        }
    }

    /// What stands above a picture of the load.
    pub(super) fn heading(&self, seen: &Recording) -> Heading {
        let times = &self.0["timeline"];
        let rate = self.rate();
        let max = seen.max().unwrap_or_default();
        let title = match times["ready_s"].as_f64() {
            Some(ready) => format!("{rate}: {max} pods ready after {ready:.1} s"),
            None => rate,
        };
        let mut parts = vec![
            format!("{} requests", self.number("requests")),
            format!("{} failed", self.number("failed")),
            format!("p99 {}", self.latency("p99_s")),
        ];
        let dropped = self.number("dropped");
        if dropped > 0.0 {
            parts.insert(2, format!("{dropped} dropped"));
        }
        if let Some(target) = seen.hpa.last().and_then(|hpa| hpa.target) {
            parts.push(format!("the HPA aims at {target} requests/s per pod"));
        }
        if let Some(back) = times["back_s"].as_f64() {
            let min = seen.min();
            let pods = if min == 1 { "pod" } else { "pods" };
            parts.push(format!("{min} {pods} again {back:.1} s after the last request"));
        }
        Heading {
            title,
            subtitle: parts.join(", "),
        }
    }

    fn latency(&self, key: &str) -> String {
        self.0[key]
            .as_f64()
            .map_or_else(|| "-".to_owned(), |s| format!("{:.1} ms", s * 1e3))
    }
}

/// A rate as people write it: the mean of stages is rarely a round one.
fn rounded(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requests  {}", self.number("requests"))?;
        let figure = |key: &str| self.0[key].as_f64();
        if let (Some(duration), Some(achieved), Some(rate)) =
            (figure("duration_s"), figure("achieved_rate"), figure("rate"))
        {
            write!(f, " in {duration:.1} s, {achieved:.1} of {} per second", rounded(rate))?;
        }
        writeln!(f)?;
        // A loader of others may not tell them, which is not none.
        for (key, name, unit) in COUNTS {
            if let Some(count) = figure(key) {
                writeln!(f, "{name:<9} {count}{unit}")?;
            }
        }
        writeln!(
            f,
            "latency   p50 {}, p99 {}",
            self.latency("p50_s"),
            self.latency("p99_s")
        )?;
        let begun = &self.0["at_start"];
        if let (Some(pods), Some(max)) = (begun["pods"].as_u64(), begun["max"].as_u64()) {
            writeln!(f, "begun     with {pods} of {max} pods")?;
        }
        let times = &self.0["timeline"];
        for (key, what) in TIMES {
            if let Some(seconds) = times[key].as_f64() {
                writeln!(f, "{seconds:>7.1} s {what}")?;
            }
        }
        for (pod, requests) in self.0["per_pod"].as_object().into_iter().flatten() {
            writeln!(f, "pod       {pod}: {requests}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Answer;
    use crate::timeline::{Hpa, Pods};

    #[test]
    fn the_report_reads_as_lines_and_stays_whole_as_json() {
        let report = LoadReport(serde_json::json!({
            "schema": 1, "rate": 100.0, "duration_s": 60.0, "requests": 6000, "failed": 2, "dropped": 0, "resent": 1,
            "closed_by_server": 3,
            "p50_s": 0.0012, "p99_s": null, "achieved_rate": 99.97, "per_pod": {"web-app-a": 3000, "web-app-b": 2998},
        }));
        insta::assert_snapshot!(report, @r#"
        requests  6000 in 60.0 s, 100.0 of 100 per second
        failed    2
        dropped   0
        resent    1
        closed    3 idle connections, by the server
        latency   p50 1.2 ms, p99 -
        pod       web-app-a: 3000
        pod       web-app-b: 2998
        "#);
        assert!(Answer::of(&report).is_ok());
    }

    #[test]
    fn stages_are_told_by_their_highest_rate_and_what_a_loader_does_not_tell_is_no_figure() {
        let staged = LoadReport(
            json!({"requests": 200, "failed": 1, "dropped": 2, "duration_s": 3.0, "rate": 200.0 / 3.0,
            "achieved_rate": 66.7, "stages": [{"rate": 100.0}, {"rate": 0.0}]}),
        );
        let heading = staged.heading(&Recording::default());
        assert_eq!(heading.title, "up to 100 requests/s");
        assert_eq!(heading.subtitle, "200 requests, 1 failed, 2 dropped, p99 -");
        let lines = staged.to_string();
        assert!(
            lines.starts_with("requests  200 in 3.0 s, 66.7 of 66.67 per second\n"),
            "{lines}"
        );
        let other = LoadReport(json!({"requests": 200}));
        assert_eq!(other.to_string(), "requests  200\nlatency   p50 -, p99 -\n");
    }

    #[test]
    fn what_the_cluster_did_is_added_in_seconds_from_the_first_request() {
        let pods = |at, replicas, ready| Pods { at, replicas, ready };
        let hpa = |at, desired| Hpa {
            at,
            desired: Some(desired),
            min: 1,
            max: 10,
            target: Some(10.0),
            gone: false,
        };
        let seen = Recording {
            pods: vec![pods(90.0, 1, 1), pods(105.0, 10, 1), pods(106.5, 10, 10)],
            hpa: vec![hpa(90.0, 1), hpa(104.5, 10)],
            looks: vec![104.5, 119.5],
            ..Recording::default()
        };
        let span = Span {
            first: 100.0,
            last: 130.0,
        };
        let known = Known {
            span,
            bound: 0.05,
            clock_offset: 0.0,
            period: 15.0,
        };
        let mut report = json!({"requests": 3000, "per_pod": {}});
        complete(&mut report, &seen, &known, &Timeline::of(&seen, span, known.bound));
        assert_eq!(
            (&report["schema"], &report["syncs"], &report["replica_changes"]),
            (&json!(1), &json!(1), &json!(1))
        );
        assert_eq!(
            (&report["timeline"]["ready_s"], &report["timeline"]["back_s"]),
            (&json!(6.5), &Value::Null)
        );
        assert_eq!(
            (&report["phase_s"], &report["p99_bound_s"]),
            (&json!(10.5), &json!(0.05))
        );
        assert_eq!(report["pods"][2], json!({"t_s": 6.5, "pods": 10, "ready": 10}));
        assert_eq!(
            report["wanted"],
            json!([{"t_s": -10.0, "pods": 1}, {"t_s": 4.5, "pods": 10}])
        );
        assert_eq!(
            report["at_start"],
            json!({"pods": 1, "ready": 1, "wanted": 1, "max": 10})
        );
        let gone = Hpa {
            gone: true,
            desired: None,
            ..hpa(120.0, 0)
        };
        let without = Recording {
            hpa: [seen.hpa.as_slice(), &[gone]].concat(),
            ..seen.clone()
        };
        let mut ended = json!({});
        complete(&mut ended, &without, &known, &Timeline::default());
        assert_eq!(ended["wanted"][2], json!({"t_s": 20.0, "pods": null}));
        let report = LoadReport(report);
        assert_eq!(report.heading(&seen).title, "0 requests/s: 10 pods ready after 6.5 s");
        let lines = report.to_string();
        assert!(lines.contains("    6.5 s maximum of pods ready\n"), "{lines}");
        assert!(lines.contains("begun     with 1 of 10 pods\n"), "{lines}");
    }
}
