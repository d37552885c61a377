//! How fast the stack reacts to load: every interval comes from one value.

mod budget;

use std::fmt;
use std::str::FromStr;

pub use budget::Budget;

/// A profile of intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Scale up in one step within one sync of the HPA; calm comes from scale-down stabilisation.
    #[default]
    Fast,
    /// Scrape every 30 s, rates over 1 m, the HPA's default behaviour.
    Seed,
}

/// The intervals of a profile, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Between two scrapes of a target.
    pub scrape_s: u32,
    /// Time for one scrape, at most the interval.
    pub scrape_timeout_s: u32,
    /// Window of the rate that drives scaling: at least two scrapes must fit.
    pub rate_window_s: u32,
    /// Shorter windows, shortest first: one counts where it shows more than chance lets it, so that a step is seen at once.
    pub short_windows_s: &'static [u32],
    /// Until Prometheus scrapes a pod that it has discovered, at most.
    pub discovery_s: u32,
    /// Between two looks of the adapter for new series.
    pub relist_s: u32,
    /// How far back the adapter looks for series: at least the relist interval, or it refuses to start.
    pub max_age_s: u32,
    /// Between two evaluations of the recording rules and alerts.
    pub evaluation_s: u32,
    /// Window of the rates that rules look at: at least four scrapes and two evaluations, so that one late scrape is no gap.
    pub alert_window_s: u32,
    /// How long a fault lasts before it is an alert: longer than a new pod takes to be scraped.
    pub alert_for_s: u32,
    /// How long the HPA may be at its maximum before that is an alert.
    pub maximum_for_s: u32,
    /// How long Prometheus keeps samples.
    pub retention_h: u32,
}

impl Reaction {
    /// Its intervals.
    pub const fn intervals(self) -> Intervals {
        match self {
            Self::Fast => Intervals {
                scrape_s: 1,
                scrape_timeout_s: 1,
                rate_window_s: 12,
                // Each takes over before the one before it is no longer enough: while a look falls between two, it would ask for a
                // pod too few, and the next look is 15 s away.
                short_windows_s: &[2, 6, 9],
                discovery_s: 1,
                relist_s: 2,
                max_age_s: 60,
                evaluation_s: 5,
                alert_window_s: 30,
                alert_for_s: 60,
                maximum_for_s: 600,
                retention_h: 24,
            },
            Self::Seed => Intervals {
                scrape_s: 30,
                scrape_timeout_s: 10,
                rate_window_s: 60,
                short_windows_s: &[],
                discovery_s: 5,
                relist_s: 30,
                max_age_s: 120,
                evaluation_s: 30,
                alert_window_s: 120,
                alert_for_s: 120,
                maximum_for_s: 900,
                retention_h: 7 * 24,
            },
        }
    }

    /// The HPA's `behavior`, null where the default is wanted. `tolerance`: whether the server keeps the field of that
    /// name (99 requests/s over 9 pods lie within the default of 10 % and would never reach 10 pods).
    pub fn hpa_behavior(self, tolerance: bool) -> serde_json::Value {
        if self == Self::Seed {
            return serde_json::Value::Null;
        }
        let mut behavior = serde_json::json!({
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [{"type": "Pods", "value": 10, "periodSeconds": 15}]
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 30,
                "selectPolicy": "Max",
                "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]
            }
        });
        if tolerance {
            behavior["scaleUp"]["tolerance"] = "50m".into();
        }
        behavior
    }
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Seed => "seed",
        })
    }
}

impl FromStr for Reaction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fast" => Ok(Self::Fast),
            "seed" => Ok(Self::Seed),
            other => Err(format!("`{other}` is not a reaction profile: fast or seed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_every_profile_can_work() {
        for profile in [Reaction::Fast, Reaction::Seed] {
            let i = profile.intervals();
            assert!(i.scrape_timeout_s <= i.scrape_s, "{profile}");
            let windows: Vec<u32> = i.short_windows_s.iter().copied().chain([i.rate_window_s]).collect();
            assert!(windows.is_sorted() && windows[0] >= 2 * i.scrape_s, "{profile}");
            assert!(i.max_age_s >= 2 * i.relist_s, "{profile}");
            assert!(i.alert_window_s >= 4 * i.scrape_s, "{profile}");
            assert!(i.alert_window_s >= 2 * i.evaluation_s, "{profile}");
            assert!(i.alert_for_s >= i.discovery_s + 2 * i.scrape_s, "{profile}");
            assert!(i.maximum_for_s >= i.alert_for_s, "{profile}");
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }

    #[test]
    fn seed_leaves_behaviour_to_the_server_and_tolerance_is_optional() {
        assert!(Reaction::Seed.hpa_behavior(true).is_null());
        assert_eq!(Reaction::Fast.hpa_behavior(true)["scaleUp"]["tolerance"], "50m");
        assert!(Reaction::Fast.hpa_behavior(false)["scaleUp"].get("tolerance").is_none());
    }
}
