//! The query with which the adapter reads requests per second.
//!
//! A rate over a short window sees a step of load at once, but is uneven under steady load: of n requests that come at random,
//! chance makes sqrt(n) more or less. A long window is even, but shows a step only when it is full. So several are asked, all pods
//! together, and the shortest one counts that shows more than the long one by what neither turns nor chance explain:
//!
//! ```text
//! short > long * (1 + TURN / (short window - scrape)^2)                                all in requests/s and seconds
//!         + Z * sqrt(long * (1 / (short window - scrape) - 1 / (long window - scrape)))
//! ```
//!
//! A rate over a window that is n scrapes long is measured over the n - 1 intervals between them; the long window contains the short
//! one, so that the variance of their difference is the difference of their variances. Counting down is left to the long window alone.
//!
//! Turns: pods are scraped at different moments of a second. A client that sends over one connection at a time, and takes another
//! one now and then, is with one pod after the other; what it sends around the ends of a window is counted twice where it goes on
//! to a pod that is scraped later, and not at all the other way round.

use serde_json::Value;

use crate::cluster::reaction::Intervals;

/// How many standard deviations are no chance: one look in 6000 exceeds that under steady load.
const Z: f64 = 3.6;

/// What turns may add to the rate between two scrapes, as a share of it; to a mean over n of them 1/n of that, in one of n looks.
/// With one connection at a time for 20 requests each, 100 requests/s showed up to 160 in 840 looks of a steady load, of which
/// chance explains 34.
const TURN: f64 = 0.5;

/// How much more than the long window's rate a short one has to show, in units of that rate's square root.
pub(crate) fn significance(intervals: Intervals, short_s: u32) -> f64 {
    let variance = |window: u32| 1.0 / f64::from(window - intervals.scrape_s);
    Z * (variance(short_s) - variance(intervals.rate_window_s)).sqrt()
}

/// By which factor more than the long window's rate a short one has to show beside that.
pub(crate) fn turns(intervals: Intervals, short_s: u32) -> f64 {
    1.0 + TURN / f64::from(short_s - intervals.scrape_s).powi(2)
}

/// The query as a YAML scalar, with the adapter's placeholders.
pub(crate) fn query(intervals: Intervals) -> String {
    let rate = |window: u32| format!("rate(<<.Series>>{{<<.LabelMatchers>>}}[{window}s])");
    let each = |window: u32| format!("sum({}) by (<<.GroupBy>>)", rate(window));
    let long = format!("sum({})", rate(intervals.rate_window_s));
    let short = intervals.short_windows_s.iter().map(|&short| {
        let (turns, more) = (turns(intervals, short), significance(intervals, short));
        let (values, all) = (each(short), rate(short));
        format!("({values} and on() sum({all}) > {turns} * {long} + {more:.2} * sqrt({long}))")
    });
    let windows: Vec<String> = short.chain([each(intervals.rate_window_s)]).collect();
    Value::from(windows.join(" or ")).to_string()
}
