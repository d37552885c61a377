//! Why the number of pods is what it is, from an HPA and the figures of the moment. Pure.
//!
//! The HPA's controller computes `ceil(ratio * pods)` with `ratio = average / target`, and leaves it where the ratio is within a
//! tolerance (<https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details>). Pods without a
//! value count as idle on the way up and as being at their target on the way down. Then come the stabilisation windows, the
//! policies of `behavior`, and the least and most pods.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::quantity;
use crate::cluster::ready::{condition, sentence};

/// The controller's tolerance where the HPA states none: `--horizontal-pod-autoscaler-tolerance`.
const TOLERANCE: f64 = 0.1;
/// The window before fewer pods where the HPA states none, in seconds: `--horizontal-pod-autoscaler-downscale-stabilization`.
const DOWN_S: f64 = 300.0;
/// How near to a whole number a product of doubles still is that number.
const NEAR: f64 = 1e-6;

/// What the app does at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Now {
    /// Requests per second of all pods that have a value.
    pub total: Option<f64>,
    /// Pods that have a value.
    pub measured: u64,
    /// Pods that are ready.
    pub ready: u64,
}

/// Why the number of pods stays, or where it goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Why {
    /// The controller has not looked at the HPA.
    NotLookedAt,
    /// Scaling is switched off: the target has no pods.
    Disabled,
    /// The controller cannot read or change the number of pods.
    Unable {
        /// What it says.
        says: String,
    },
    /// The controller cannot read its metric.
    NoMetric {
        /// What it says.
        says: String,
    },
    /// The average is near enough to the target.
    WithinTolerance {
        /// Average as a part of the target.
        ratio: f64,
        /// How far from 1 it may be.
        tolerance: f64,
    },
    /// Pods without a value keep it: with them counted, the average is near enough to the target.
    MissingSamples {
        /// How many.
        pods: u64,
    },
    /// The most pods that there may be.
    AtMaximum {
        /// How many.
        max: u64,
        /// How many the load asks for.
        asked: u64,
    },
    /// The least pods that there may be.
    AtMinimum {
        /// How many.
        min: u64,
    },
    /// Fewer pods would do, and the window before that has not passed.
    DownStabilised {
        /// How many would do.
        asked: u64,
        /// The window, in seconds.
        window_s: f64,
    },
    /// More pods are asked for, and the window before that has not passed.
    UpStabilised {
        /// How many are asked for.
        asked: u64,
        /// The window, in seconds.
        window_s: f64,
    },
    /// A policy allows no further step yet.
    PolicyCap {
        /// How many are asked for.
        asked: u64,
        /// What the controller says.
        says: String,
    },
    /// Pods are on their way.
    Following {
        /// How many are ready.
        ready: u64,
        /// How many are wanted.
        wanted: u64,
    },
    /// The controller's next look will change the number.
    NextLook {
        /// From how many.
        from: u64,
        /// To how many.
        to: u64,
    },
    /// As many as the load asks for.
    Enough {
        /// How many.
        pods: u64,
    },
    /// It scales by something that is not looked at here.
    OtherMetric {
        /// What the controller says.
        says: String,
    },
}

/// What an HPA asks for, as far as it matters here.
struct Asked<'a> {
    hpa: &'a Value,
    target: f64,
    min: u64,
    max: u64,
    current: u64,
    desired: u64,
}

impl<'a> Asked<'a> {
    /// None where it scales by another metric than an average per pod.
    fn of(hpa: &'a Value) -> Option<Self> {
        let metrics = hpa["spec"]["metrics"].as_array()?;
        let target = match &metrics[..] {
            [one] => quantity::parse(one.pointer("/pods/target/averageValue")?.as_str()?)?,
            _ => return None,
        };
        Some(Self {
            hpa,
            target,
            min: hpa["spec"]["minReplicas"].as_u64().unwrap_or(1),
            max: hpa["spec"]["maxReplicas"].as_u64()?,
            current: hpa["status"]["currentReplicas"].as_u64().unwrap_or(0),
            desired: hpa["status"]["desiredReplicas"].as_u64().unwrap_or(0),
        })
        .filter(|asked| asked.target > 0.0)
    }

    fn tolerance(&self, direction: &str) -> f64 {
        let text = &self.hpa["spec"]["behavior"][direction]["tolerance"];
        text.as_str().and_then(quantity::parse).unwrap_or(TOLERANCE)
    }

    fn window_s(&self, direction: &str, default: f64) -> f64 {
        let window = &self.hpa["spec"]["behavior"][direction]["stabilizationWindowSeconds"];
        window.as_f64().unwrap_or(default)
    }

    /// Whether a ratio changes nothing, with the tolerance that it is held against.
    fn tolerates(&self, ratio: f64) -> Option<f64> {
        // As the controller writes it: at the very edge the other forms round the other way.
        let up = self.tolerance("scaleUp");
        if ratio > 1.0 {
            return (ratio <= 1.0 + up).then_some(up);
        }
        let down = self.tolerance("scaleDown");
        (ratio >= 1.0 - down).then_some(down)
    }

    fn holds(&self, name: &str, reason: &str) -> Option<&'a Value> {
        let found = condition(&self.hpa["status"], name)?;
        (found["reason"] == reason).then_some(found)
    }
}

/// Why an HPA has the number of pods that it has.
pub fn why(hpa: &Value, now: &Now) -> Why {
    let status = &hpa["status"];
    let Some(active) = condition(status, "ScalingActive") else {
        return Why::NotLookedAt;
    };
    if let Some(able) = condition(status, "AbleToScale").filter(|able| able["status"] == "False") {
        return Why::Unable { says: sentence(able) };
    }
    if active["status"] == "False" {
        return match active["reason"].as_str() {
            Some("ScalingDisabled") => Why::Disabled,
            _ => Why::NoMetric { says: sentence(active) },
        };
    }
    let Some(asked) = Asked::of(hpa) else {
        return Why::OtherMetric { says: sentence(active) };
    };
    if now.ready < asked.desired && asked.desired > 0 && asked.current >= asked.desired {
        return Why::Following {
            ready: now.ready,
            wanted: asked.desired,
        };
    }
    decide(&asked, now)
}

fn decide(asked: &Asked<'_>, now: &Now) -> Why {
    let Some((ratio, measured)) = ratio(asked, now) else {
        return Why::NoMetric {
            says: "it has read no value of its metric yet".to_owned(),
        };
    };
    if let Some(tolerance) = asked.tolerates(ratio) {
        return Why::WithinTolerance { ratio, tolerance };
    }
    let missing = match now.total {
        Some(_) => now.ready.saturating_sub(now.measured),
        None => 0,
    };
    let Some(wanted) = proposed(asked, ratio, (measured, missing)) else {
        return Why::MissingSamples { pods: missing };
    };
    let current = asked.current.max(1);
    if ratio > 1.0 {
        more(asked, wanted, current)
    } else {
        fewer(asked, wanted, current)
    }
}

/// Average as a part of the target, and over how many pods.
fn ratio(asked: &Asked<'_>, now: &Now) -> Option<(f64, u64)> {
    if let Some(total) = now.total.filter(|_| now.measured > 0) {
        return Some((total / float(now.measured) / asked.target, now.measured));
    }
    let mut read = asked.hpa["status"]["currentMetrics"].as_array()?.iter();
    let average = read.find_map(|metric| quantity::parse(metric.pointer("/pods/current/averageValue")?.as_str()?))?;
    Some((average / asked.target, asked.current.max(1)))
}

/// How many pods the formula gives; none where pods without a value take the reason away.
fn proposed(asked: &Asked<'_>, ratio: f64, (measured, missing): (u64, u64)) -> Option<u64> {
    if missing == 0 {
        return Some(ceil(ratio * float(measured)));
    }
    let all = float(measured + missing);
    let taken_for = if ratio > 1.0 { 0.0 } else { float(missing) };
    let counted = ratio.mul_add(float(measured), taken_for) / all;
    let turned = (ratio > 1.0) != (counted > 1.0);
    let nothing = turned || asked.tolerates(counted).is_some();
    (!nothing).then(|| ceil(counted * all))
}

fn more(asked: &Asked<'_>, wanted: u64, current: u64) -> Why {
    if current >= asked.max {
        return Why::AtMaximum {
            max: asked.max,
            asked: wanted,
        };
    }
    if wanted <= current {
        return Why::Enough { pods: current };
    }
    let window_s = asked.window_s("scaleUp", 0.0);
    if window_s > 0.0 && asked.holds("AbleToScale", "ScaleUpStabilized").is_some() {
        return Why::UpStabilised {
            asked: wanted,
            window_s,
        };
    }
    if let Some(limited) = asked.holds("ScalingLimited", "ScaleUpLimit") {
        return Why::PolicyCap {
            asked: wanted,
            says: sentence(limited),
        };
    }
    Why::NextLook {
        from: current,
        to: wanted.min(asked.max),
    }
}

fn fewer(asked: &Asked<'_>, wanted: u64, current: u64) -> Why {
    if current <= asked.min {
        return Why::AtMinimum { min: asked.min };
    }
    if wanted >= current {
        return Why::Enough { pods: current };
    }
    let window_s = asked.window_s("scaleDown", DOWN_S);
    if window_s > 0.0 && asked.holds("AbleToScale", "ScaleDownStabilized").is_some() {
        return Why::DownStabilised {
            asked: wanted.max(asked.min),
            window_s,
        };
    }
    if let Some(limited) = asked.holds("ScalingLimited", "ScaleDownLimit") {
        return Why::PolicyCap {
            asked: wanted,
            says: sentence(limited),
        };
    }
    Why::NextLook {
        from: current,
        to: wanted.max(asked.min),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of pods are small")]
fn float(pods: u64) -> f64 {
    pods as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of pods is small and not negative"
)]
fn ceil(pods: f64) -> u64 {
    (pods - NEAR).ceil().max(0.0) as u64
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLookedAt => f.write_str("the controller has not looked at the HPA yet"),
            Self::Disabled => f.write_str("scaling is off: the Deployment is scaled to 0"),
            Self::Unable { says } => write!(f, "the number of pods cannot be changed: {says}"),
            Self::NoMetric { says } => write!(f, "the metric cannot be read: {says}"),
            Self::WithinTolerance { ratio, tolerance } => write!(
                f,
                "within tolerance: {:.0} % of the target, {:.0} % off changes nothing",
                ratio * 100.0,
                tolerance * 100.0
            ),
            Self::MissingSamples { pods } => write!(f, "{pods} pods have no value yet; counted with them it is enough"),
            Self::AtMaximum { max, asked } => write!(f, "at the maximum of {max} pods; the load asks for {asked}"),
            Self::AtMinimum { min } => write!(f, "at the minimum of {min} pods"),
            Self::DownStabilised { asked, window_s } => write!(
                f,
                "{asked} pods would do; the highest wish of the last {window_s:.0} s counts (stabilisation)"
            ),
            Self::UpStabilised { asked, window_s } => write!(
                f,
                "{asked} pods are asked for; the lowest wish of the last {window_s:.0} s counts (stabilisation)"
            ),
            Self::PolicyCap { asked, says } => {
                write!(f, "{asked} pods are asked for; a policy limits the step: {says}")
            }
            Self::Following { ready, wanted } => write!(f, "pods are starting: {ready} of {wanted} ready"),
            Self::NextLook { from, to } => write!(f, "{from} to {to} pods at the controller's next look (every 15 s)"),
            Self::Enough { pods } => write!(f, "{pods} pods are what the load asks for"),
            Self::OtherMetric { says } => write!(f, "it scales by another metric: {says}"),
        }
    }
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
