//! The query with which the adapter reads requests per second.
//!
//! A rate over a short window sees a step of load at once, but is uneven under steady load: of n requests that come at random,
//! chance makes sqrt(n) more or less. A long window is even, but shows a step only when it is full. So several are asked, all pods
//! together, and the shortest one counts that shows more than the long one by what chance does not explain:
//!
//! ```text
//! short > long + Z * sqrt(long * (1 / (short window - scrape) - 1 / (long window - scrape)))      all in requests/s and seconds
//! ```
//!
//! A rate over a window that is n scrapes long is measured over the n - 1 intervals between them; the long window contains the short
//! one, so that the variance of their difference is the difference of their variances. Counting down is left to the long window alone.

use serde_json::Value;

use crate::cluster::reaction::Intervals;

/// How many standard deviations are no chance: one look in 6000 exceeds that under steady load.
const Z: f64 = 3.6;

/// How much more than the long window's rate a short one has to show, in units of that rate's square root.
pub(crate) fn significance(intervals: Intervals, short_s: u32) -> f64 {
    let variance = |window: u32| 1.0 / f64::from(window - intervals.scrape_s);
    Z * (variance(short_s) - variance(intervals.rate_window_s)).sqrt()
}

/// The query as a YAML scalar, with the adapter's placeholders.
pub(crate) fn query(intervals: Intervals) -> String {
    let rate = |window: u32| format!("rate(<<.Series>>{{<<.LabelMatchers>>}}[{window}s])");
    let each = |window: u32| format!("sum({}) by (<<.GroupBy>>)", rate(window));
    let long = format!("sum({})", rate(intervals.rate_window_s));
    let mut query: String = intervals
        .short_windows_s
        .iter()
        .map(|&short| {
            let more = significance(intervals, short);
            let (values, all) = (each(short), rate(short));
            format!("({values} and on() sum({all}) > {long} + {more:.2} * sqrt({long})) or ")
        })
        .collect();
    query.push_str(&each(intervals.rate_window_s));
    Value::from(query).to_string()
}
