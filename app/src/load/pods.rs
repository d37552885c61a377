//! Who answered, and how evenly.

use std::collections::BTreeMap;

use serde::Serialize;

/// Pods that are told apart; a server that makes up names must not fill the memory.
const MOST: usize = 1000;

/// What the rest is counted as.
const OTHER: &str = "other";

/// Answers per pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Hits(BTreeMap<String, u64>);

impl Hits {
    /// One more answer; true if it is the pod's first.
    pub(super) fn count(&mut self, pod: &str) -> bool {
        self.add(pod, 1)
    }

    fn add(&mut self, pod: &str, answers: u64) -> bool {
        if let Some(count) = self.0.get_mut(pod) {
            *count += answers;
            return false;
        }
        let known = self.0.len() < MOST;
        let pod = if known { pod } else { OTHER };
        *self.0.entry(pod.to_owned()).or_default() += answers;
        known
    }

    /// Both together.
    pub(super) fn merge(&mut self, other: &Self) {
        for (pod, count) in &other.0 {
            self.add(pod, *count);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &u64)> {
        self.0.iter()
    }

    /// How unevenly they answered; none where nobody gave a name.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn imbalance(&self) -> Option<Imbalance> {
        let counts: Vec<f64> = self.0.values().map(|count| *count as f64).collect();
        let pods = counts.len() as f64;
        let mean = counts.iter().sum::<f64>() / pods;
        let most = counts.iter().copied().reduce(f64::max)?;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / pods;
        Some(Imbalance {
            pods: counts.len(),
            max_over_mean: most / mean,
            stddev_over_mean: variance.sqrt() / mean,
        })
    }
}

/// 1 and 0 where each pod answered as often as every other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Imbalance {
    pub(super) pods: usize,
    /// Answers of the busiest pod, in means of all.
    pub(super) max_over_mean: f64,
    /// Standard deviation of the pods' answers, in means.
    stddev_over_mean: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(counts: &[(&str, u64)]) -> Hits {
        let mut hits = Hits::default();
        for (pod, count) in counts {
            hits.add(pod, *count);
        }
        hits
    }

    #[test]
    fn the_first_answer_of_a_pod_is_told() {
        let mut hits = Hits::default();
        assert_eq!(["a", "b", "a"].map(|pod| hits.count(pod)), [true, true, false]);
    }

    #[test]
    fn imbalance_is_measured_against_the_mean() {
        assert_eq!(Hits::default().imbalance(), None);
        for (counts, max_over_mean, stddev_over_mean) in
            [([("a", 50), ("b", 50)], 1.0, 0.0), ([("a", 75), ("b", 25)], 1.5, 0.5)]
        {
            let expected = Imbalance {
                pods: 2,
                max_over_mean,
                stddev_over_mean,
            };
            assert_eq!(hits(&counts).imbalance(), Some(expected));
        }
    }

    #[test]
    fn windows_add_up() {
        let mut all = hits(&[("a", 1)]);
        all.merge(&hits(&[("a", 2), ("b", 3)]));
        assert_eq!(all, hits(&[("a", 3), ("b", 3)]));
    }

    #[test]
    fn names_without_end_are_counted_together() {
        let mut hits = Hits::default();
        let first = (0..5000).filter(|n| hits.count(&format!("web-{n}"))).count();
        assert_eq!((first, hits.0.len(), hits.0[OTHER]), (MOST, MOST + 1, 4000));
    }
}
