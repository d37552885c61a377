//! How long a profile takes from the first request of a load to ready pods: sums of its own intervals.

use std::fmt;

use serde::Serialize;

use super::Reaction;

/// How often the HPA controller looks at an HPA where nothing else is said (kube-controller-manager's
/// `--horizontal-pod-autoscaler-sync-period`).
const SYNC_S: u32 = 15;
/// How long a pod of the sample app takes from its creation to its first request, where its image is on the node.
const READY_S: u32 = 2;
/// How much a pod's rate grows at most in one step of the HPA's default behaviour: to the double, or by four pods.
const DEFAULT_STEPS: u32 = 2;

/// The parts of a reaction, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// F: from the first request until the metrics API has a value that asks for more pods: a sample before, a sample
    /// after it in the window.
    pub metric_s: u32,
    /// How often the HPA controller looks: it waits for up to one of these.
    pub sync_s: u32,
    /// How many looks it takes from 1 to 10 pods.
    pub syncs: u32,
    /// R: until the last pod is ready.
    pub ready_s: u32,
    /// All of it, where the controller looked just before.
    pub worst_s: u32,
    /// How long the rate has to stay low before pods go.
    pub calm_s: u32,
}

impl Reaction {
    /// What the profile comes to with a sync period, which is the controller's own where none is given.
    pub fn budget(self, period_s: Option<u32>) -> Budget {
        let intervals = self.intervals();
        let period_s = period_s.unwrap_or(SYNC_S);
        let (syncs, calm_s) = match self {
            Self::Fast => (1, 30),
            Self::Seed => (DEFAULT_STEPS, 300),
        };
        // The shortest window shows a step first, once it is full of samples that came after it.
        let first_window_s = intervals.short_windows_s.first().unwrap_or(&intervals.rate_window_s);
        let metric_s = intervals.scrape_s + first_window_s;
        Budget {
            metric_s,
            sync_s: period_s,
            syncs,
            ready_s: READY_S,
            worst_s: metric_s + period_s * syncs + READY_S,
            calm_s,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            metric_s,
            sync_s,
            syncs,
            ready_s,
            worst_s,
            calm_s,
        } = self;
        writeln!(f, "F      {metric_s:>3} s  until the metrics API asks for more pods")?;
        writeln!(
            f,
            "sync   {sync_s:>3} s  between two looks of the HPA controller, {syncs} of them from 1 to 10 pods"
        )?;
        writeln!(
            f,
            "R      {ready_s:>3} s  until new pods are ready, their image being on the node"
        )?;
        writeln!(f, "worst  {worst_s:>3} s  = F + {syncs} x sync + R")?;
        write!(f, "calm   {calm_s:>3} s  of a low rate before pods go")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_the_sum_of_the_intervals() {
        let fast = Reaction::Fast.budget(None);
        assert_eq!((fast.metric_s, fast.worst_s), (3, 3 + 15 + 2));
        assert_eq!(Reaction::Fast.budget(Some(10)).worst_s, 15);
        let seed = Reaction::Seed.budget(None);
        assert_eq!(seed.worst_s, 90 + 2 * 15 + 2);
        assert!(fast.to_string().contains("worst   20 s  = F + 1 x sync + R"), "{fast}");
    }

    #[test]
    fn calm_is_what_the_behaviour_says() {
        let behavior = Reaction::Fast.hpa_behavior(true);
        let window = &behavior["scaleDown"]["stabilizationWindowSeconds"];
        assert_eq!(*window, Reaction::Fast.budget(None).calm_s);
    }
}
