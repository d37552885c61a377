//! How large the stack's Prometheus has to be.
//!
//! ```text
//! live     = pods * SERIES_OF_POD + SERIES_OF_STATE + SERIES_OF_ITSELF
//! head     = live + CYCLES * (pods - 1) * SERIES_OF_POD      series of pods that are gone stay in memory up to 3 hours
//! rate     = (pods * SERIES_OF_POD + SERIES_OF_STATE) / scrape + SERIES_OF_ITSELF / OWN_SCRAPE        samples a second
//! query    = LOOK_BACK * rate * 16 bytes                     what the dashboard decodes at once
//! request  = BASE + live * BYTES_OF_SERIES + query
//! limit    = 2 * (BASE + head * BYTES_OF_SERIES + query)     the garbage collector lets the heap grow to less than twice
//! disk     = rate * (retention * BYTES_OF_SAMPLE + HEAD * BYTES_IN_LOG), plus a quarter: blocks go whole
//! volume   = disk plus a quarter + SEGMENT                   a block that is being written takes a whole segment for that time
//! ```
//!
//! Bytes a sample: <https://prometheus.io/docs/prometheus/latest/storage/#operational-aspects> says 1 to 2. Series in memory and the
//! hours of the head: the same page, blocks of two hours that are written when they are one and a half times full.

use crate::cluster::reaction::Intervals;

/// Most pods that the HPA of `manifests/10-app` makes.
pub const MAX_PODS: u64 = 10;
/// Series of one pod: the sample app has 17 for each method, route and status, of which 8 are usual, a handful of its process, and
/// five that Prometheus adds to each target.
const SERIES_OF_POD: u64 = 160;
/// Series of kube-state-metrics with its allowlist: the HPA's conditions, its numbers, a counter for each container.
const SERIES_OF_STATE: u64 = 60;
/// What Prometheus says of itself.
const SERIES_OF_ITSELF: u64 = 1000;
/// Seconds between two scrapes of itself: see `manifests/20-prometheus/config.yaml`.
const OWN_SCRAPE_S: u64 = 15;
/// How long the head keeps series that are gone.
const HEAD_S: u64 = 3 * 3600;
/// Scale-ups to the maximum within that time, each with new pods: four an hour.
const CYCLES: u64 = 12;
/// What the dashboard shows.
const LOOK_BACK_S: u64 = 15 * 60;
/// The program with its caches.
const BASE: u64 = 64 * MI;
/// Labels, index and open chunk of a series in memory.
const BYTES_OF_SERIES: u64 = 6 * 1024;
/// A sample in a block.
const BYTES_OF_SAMPLE: u64 = 2;
/// What Prometheus allocates for the chunks of a block before it writes them (`DefaultChunkSegmentSize` of its `tsdb/chunks`) and
/// cuts off after: in a volume that is just large enough, a block every two hours would have the pod evicted.
const SEGMENT: u64 = 512 * MI;
/// A sample in the write-ahead log and in the head's chunks.
const BYTES_IN_LOG: u64 = 10;

const MI: u64 = 1024 * 1024;

/// What the stack's Prometheus gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Series in memory, at most.
    pub series: u64,
    /// Memory that a node has to have for it, in MiB.
    pub request_mi: u64,
    /// Memory at which it is killed, in MiB.
    pub limit_mi: u64,
    /// Bytes of blocks and log that it keeps, in MiB (Prometheus writes `MB` and means this).
    pub retention_mi: u64,
    /// Its volume, in MiB: retention is enforced only when a block has been written.
    pub volume_mi: u64,
}

/// What is needed with these intervals for that many pods of the app.
pub const fn of(intervals: Intervals, pods: u64) -> Capacity {
    let scraped = pods * SERIES_OF_POD + SERIES_OF_STATE;
    let live = scraped + SERIES_OF_ITSELF;
    let head = live + CYCLES * pods.saturating_sub(1) * SERIES_OF_POD;
    let rate = scraped.div_ceil(intervals.scrape_s as u64) + SERIES_OF_ITSELF.div_ceil(OWN_SCRAPE_S);
    let query = LOOK_BACK_S * rate * 16;
    let retention_s = intervals.retention_h as u64 * 3600;
    let disk = rate * (retention_s * BYTES_OF_SAMPLE + HEAD_S * BYTES_IN_LOG);
    let retention_mi = rounded_mi(disk / 4 * 5);
    Capacity {
        series: head,
        request_mi: rounded_mi(BASE + live * BYTES_OF_SERIES + query),
        limit_mi: rounded_mi(2 * (BASE + head * BYTES_OF_SERIES + query)),
        retention_mi,
        volume_mi: rounded_mi(retention_mi * MI / 4 * 5 + SEGMENT),
    }
}

/// Up to the next 32 MiB.
const fn rounded_mi(bytes: u64) -> u64 {
    bytes.div_ceil(MI).next_multiple_of(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::reaction::Reaction;

    #[test]
    fn the_profiles_get_what_the_formula_says() {
        let of = |reaction: Reaction| of(reaction.intervals(), MAX_PODS);
        let fast = Capacity {
            series: 19_940,
            request_mi: 128,
            limit_mi: 416,
            retention_mi: 608,
            volume_mi: 1280,
        };
        assert_eq!(of(Reaction::Fast), fast);
        let seed = Capacity {
            series: 19_940,
            request_mi: 96,
            limit_mi: 384,
            retention_mi: 224,
            volume_mi: 800,
        };
        assert_eq!(of(Reaction::Seed), seed);
    }

    #[test]
    fn it_grows_with_pods_and_with_scrapes() {
        let fast = Reaction::Fast.intervals();
        let (few, many) = (of(fast, 1), of(fast, 100));
        assert!(
            many.limit_mi > 5 * few.limit_mi && many.retention_mi > 10 * few.retention_mi,
            "{few:?} {many:?}"
        );
        for pods in [0, 1, 10, 100, 1000] {
            let c = of(fast, pods);
            assert!(
                c.request_mi <= c.limit_mi && c.retention_mi + 512 < c.volume_mi,
                "{pods}: {c:?}"
            );
        }
        let rare = Intervals { scrape_s: 10, ..fast };
        assert!(of(rare, 10).retention_mi * 5 < of(fast, 10).retention_mi * 2);
    }
}
