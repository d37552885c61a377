//! How large the stack's Prometheus has to be for more pods than the shipped HPA makes, for `docs/scale.md`.

use crate::cluster::monitoring::capacity;
use crate::cluster::reaction::Reaction;

/// The shipped maximum, and the sizes beyond it that the page speaks of.
const PODS: [u64; 3] = [capacity::MAX_PODS, 100, 1000];

/// The formula's figures as a table.
pub fn sizes() -> String {
    let head = "\
| pods | profile | series, at most | memory, request | memory, limit | retention | `retention.size` | volume |
| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |
";
    let rows = PODS
        .iter()
        .flat_map(|&pods| [Reaction::Fast, Reaction::Seed].map(|reaction| row(pods, reaction)));
    head.to_owned() + &rows.collect::<String>()
}

fn row(pods: u64, reaction: Reaction) -> String {
    let intervals = reaction.intervals();
    let needed = capacity::of(intervals, pods);
    format!(
        "| {pods} | `{reaction}` | {} | {} Mi | {} Mi | {} h | {} MB | {} Mi |\n",
        needed.series, needed.request_mi, needed.limit_mi, intervals.retention_h, needed.retention_mi, needed.volume_mi,
    )
}
