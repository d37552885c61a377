//! The rule in `PromQL`, run by promtool, and the rule with the HPA's arithmetic against simulated load: steps and steadiness.

use serde_json::{Value, json};

use super::promtool_tests::promtool;
use super::rate::{query, significance, turns};
use crate::cluster::reaction::{Intervals, Reaction};

const SYNC_S: f64 = 15.0;
const TARGET: f64 = 10.0;
const MAX: usize = 10;
/// From a sync of the HPA until its new pods answer.
const START_S: f64 = 2.5;

/// A pod: when it is scraped, and the requests that it got.
struct Pod {
    from: f64,
    phase: f64,
    requests: Vec<f64>,
}

impl Pod {
    /// Prometheus' `rate` of the pod's counter at `now`: extrapolated to the window's ends where samples are near to them.
    fn rate(&self, now: f64, window: u32, scrape: f64) -> Option<f64> {
        let start = now - f64::from(window);
        let newest = ((now - self.phase) / scrape).floor() * scrape + self.phase;
        let oldest = (0..=window)
            .map(|n| newest - f64::from(n) * scrape)
            .take_while(|&at| at > start && at >= self.from)
            .last()?;
        let span = newest - oldest;
        if span <= 0.0 {
            return None;
        }
        let before = |at: f64| self.requests.partition_point(|&request| request <= at);
        #[expect(clippy::cast_precision_loss, reason = "some hundred requests")]
        let more = (before(newest) - before(oldest)) as f64;
        let near = |gap: f64| if gap < 1.1 * scrape { gap } else { scrape / 2.0 };
        let covered = span + near(oldest - start) + near(now - newest);
        Some(more * covered / span / f64::from(window))
    }
}

/// What the adapter would answer: a value for each pod that has one.
fn values(pods: &[Pod], now: f64, i: Intervals) -> Vec<Option<f64>> {
    let over = |window: u32| -> Vec<Option<f64>> {
        let rates = pods.iter().map(|pod| pod.rate(now, window, f64::from(i.scrape_s)));
        rates.collect()
    };
    let all = |rates: &[Option<f64>]| rates.iter().flatten().sum::<f64>();
    let long = over(i.rate_window_s);
    let expected = all(&long);
    let shorter = i.short_windows_s.iter().find_map(|&window| {
        let short = over(window);
        (all(&short) > turns(i, window) * expected + significance(i, window) * expected.sqrt()).then_some(short)
    });
    let Some(shorter) = shorter else { return long };
    shorter
        .into_iter()
        .zip(long)
        .map(|(short, long)| short.or(long))
        .collect()
}

/// The HPA controller's arithmetic for a `Pods` metric: pods without a value count as idle where the others ask for more, and as
/// just right where they ask for less (`pkg/controller/podautoscaler/replica_calculator.go` of Kubernetes).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few pods"
)]
fn wanted(values: &[Option<f64>]) -> usize {
    let pods = values.len();
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    if known.is_empty() {
        return pods;
    }
    let missing = (pods - known.len()) as f64;
    let sum: f64 = known.iter().sum();
    let up = sum / known.len() as f64 > TARGET;
    let usage = (if up { sum } else { sum + missing * TARGET }) / pods as f64 / TARGET;
    if (0.9..=1.05).contains(&usage) {
        return pods;
    }
    ((usage * pods as f64 - 1e-9).ceil() as usize).clamp(1, MAX)
}

/// Load of a rate from second 0 on, evenly spaced or at random.
struct Load {
    rate: f64,
    random: bool,
    /// Requests that go to the same pod one after another.
    turn: usize,
    seed: u64,
    seconds: f64,
}

/// Runs the load on `pods` pods, syncs at `phase` and every 15 s after: each change of the number of pods.
fn run(load: &Load, pods: usize, phase: f64) -> Vec<(f64, usize)> {
    let mut chance = fastrand::Rng::with_seed(load.seed);
    let intervals = Reaction::Fast.intervals();
    let stabilisation = 30.0;
    let pod = |from: f64, chance: &mut fastrand::Rng| Pod {
        from,
        phase: chance.f64(),
        requests: Vec::new(),
    };
    let mut running: Vec<Pod> = (0..pods).map(|_| pod(-60.0, &mut chance)).collect();
    let (mut changes, mut advice) = (Vec::new(), Vec::new());
    let (mut sync, mut request) = (phase, 0.0);
    let (mut sent, mut taker) = (0, 0);
    while sync < load.seconds {
        while request < sync {
            let ready = running.iter().filter(|pod| pod.from <= request).count();
            if sent % load.turn == 0 || taker >= ready {
                taker = chance.usize(..ready);
            }
            sent += 1;
            running[taker].requests.push(request);
            let gap = if load.random { -(1.0 - chance.f64()).ln() } else { 1.0 };
            request += gap / load.rate;
        }
        let mut target = wanted(&values(&running, sync, intervals));
        advice.push((sync, target));
        if target < running.len() {
            let recent = advice.iter().filter(|(at, _)| *at > sync - stabilisation);
            target = recent
                .map(|(_, pods)| *pods)
                .max()
                .map_or(target, |most| most.min(running.len()));
        }
        if target != running.len() {
            changes.push((sync, target));
            running.truncate(target);
            let more = target - running.len();
            running.extend((0..more).map(|_| pod(sync + START_S, &mut chance)));
        }
        sync += SYNC_S;
    }
    changes
}

/// The HPA looks every 15 s, at a phase that nobody chooses. Until two scrapes have seen the load, a look gets a part of it.
#[test]
fn a_step_to_100_requests_needs_one_sync_at_every_phase_after_two_scrapes() {
    for part in 0..600_u32 {
        let (phase, seed) = (f64::from(part) / 40.0, u64::from(part));
        let load = Load {
            rate: 100.0,
            random: false,
            turn: 1,
            seed,
            seconds: 60.0,
        };
        let changes = run(&load, 1, phase);
        if phase >= 2.0 {
            assert_eq!(changes, [(phase, MAX)], "phase {phase}");
        } else {
            let (at, pods) = *changes.last().expect("it scales");
            assert!(pods == MAX && at <= phase + SYNC_S, "phase {phase}: {changes:?}");
        }
    }
}

#[test]
fn random_load_of_100_requests_ends_at_the_maximum_whatever_the_first_look_saw() {
    let mut partial = 0;
    for seed in 0..200 {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let phase = seed as f64 * 0.37 % SYNC_S;
        let load = Load {
            rate: 100.0,
            random: true,
            turn: 1,
            seed,
            seconds: 90.0,
        };
        let changes = run(&load, 1, phase);
        assert_eq!(
            changes.last().map(|(_, pods)| *pods),
            Some(MAX),
            "seed {seed}: {changes:?}"
        );
        partial += usize::from(changes.iter().any(|(_, pods)| (8..MAX).contains(pods)));
    }
    assert!(partial > 0, "no first look saw 80 to 99 requests");
}

/// Ten minutes each, a hundred times: once settled, the number of pods changes at most once in all but `at_most` of them.
fn flaps(random: bool, turn: usize, at_most: usize) {
    for (rate, pods) in [(15.0, 2), (55.0, 6), (100.0, 10)] {
        let changes: Vec<usize> = (0..100)
            .map(|seed| {
                let load = Load {
                    rate,
                    random,
                    turn,
                    seed,
                    seconds: 640.0,
                };
                let all = run(&load, pods, 7.0);
                all.iter().filter(|(at, _)| *at > 40.0).count()
            })
            .collect();
        let flapping = changes.iter().filter(|&&changes| changes > 1).count();
        assert!(flapping <= at_most, "{rate} requests/s: {changes:?}");
    }
}

#[test]
fn steady_random_load_does_not_flap() {
    flaps(true, 1, 5);
}

/// As by a client that takes a new connection after 20 requests: all pods but one are idle at a time.
#[test]
fn steady_load_over_one_connection_at_a_time_does_not_flap() {
    flaps(false, 20, 5);
    flaps(true, 20, 20);
}

/// For how many seconds, and how much is added in each.
type Added<'a> = &'a [(u32, u32)];

/// A counter in promtool's notation, from what is added each second.
fn counter(pod: &str, added: Added) -> Value {
    let mut total = 0;
    let mut values = vec!["0".to_owned()];
    for &(seconds, each) in added {
        for _ in 0..seconds {
            total += each;
            values.push(total.to_string());
        }
    }
    json!({"series": format!("http_requests_total{{namespace=\"web-app\",pod=\"{pod}\"}}"), "values": values.join(" ")})
}

#[test]
#[ignore = "needs promtool, see `make promtool`"]
fn promtool_sees_steps_in_the_short_window_and_chance_in_the_long_one() {
    let text: String = serde_json::from_str(&query(Reaction::Fast.intervals())).expect("a scalar");
    let expr = text
        .replace("<<.Series>>", "http_requests_total")
        .replace("<<.LabelMatchers>>", "namespace=\"web-app\",pod=~\"a|b\"")
        .replace("<<.GroupBy>>", "pod");
    let quiet = (60, 0);
    let cases: [(Added, u32, f64, f64); 6] = [
        (&[(90, 55)], 90, 55.0, 0.0),                  // steady
        (&[quiet, (2, 100)], 62, 100.0, 0.0),          // two scrapes of a step
        (&[quiet, (8, 100)], 68, 100.0, 0.0),          // the long window is not yet full
        (&[(60, 55), (1, 75)], 61, 625.0 / 11.0, 0.0), // chance, or turns
        (&[(60, 55), (1, 130)], 61, 130.0, 0.0),       // more than chance and turns
        (&[(60, 100), (6, 0)], 66, 500.0 / 11.0, 0.0), // down by the long window
    ];
    let tests: Vec<Value> = cases
        .iter()
        .map(|&(added, at, a, b)| {
            let sample = |pod: &str, value: f64| json!({"labels": format!("{{pod=\"{pod}\"}}"), "value": value});
            json!({
                "name": format!("{added:?} at {at} s"),
                "interval": "1s",
                "input_series": [counter("a", added), counter("b", &[(120, 0)])],
                "promql_expr_test": [{"expr": expr, "eval_time": format!("{at}s"), "exp_samples": [sample("a", a), sample("b", b)]}],
            })
        })
        .collect();
    let file = json!({"evaluation_interval": "1s", "fuzzy_compare": true, "tests": tests});
    promtool(&[("tests.yml", file.to_string())], &["test", "rules", "tests.yml"]);
}
