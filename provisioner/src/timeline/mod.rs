//! When what happened while the app was under load, on one clock.
//!
//! `watch` and `loader` fill a [`Recording`] while the load runs, `scraped` adds what Prometheus has of it; the
//! [`Timeline`] is read off it, and `picture` draws it. `phase` tells when the HPA's controller looks next.

pub mod loader;
pub mod phase;
pub mod picture;
mod recording;
pub mod scraped;
pub mod watch;

use serde::Serialize;

pub use recording::{AtStart, Hpa, Pods, Rates, Recording, Second};
use recording::{at, first, reached};
pub use watch::Recorder;

/// What counts as a rate that has risen above what was there before: so many requests per second, and this share of it,
/// for a rate of others goes up and down by itself.
const RISEN: f64 = 0.5;
const RISEN_BY: f64 = 0.1;

/// When the load was sent, in Unix seconds by the clock of this machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Its first request.
    pub first: f64,
    /// Its last one.
    pub last: f64,
}

/// Times of one load, in seconds from its first request; none where it did not happen, or nobody could see it. What was so
/// at the first request already did not happen: it counts where it ceased and came again.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// The app answered its first request, so that its counter has risen.
    pub first_sample_s: Option<f64>,
    /// Prometheus scraped the counter.
    pub scraped_s: Option<f64>,
    /// The custom metrics API gave a rate above the one before.
    pub api_value_s: Option<f64>,
    /// It gave a rate that asks for the HPA's maximum.
    pub asked_s: Option<f64>,
    /// The HPA wanted its maximum.
    pub desired_s: Option<f64>,
    /// That many pods existed.
    pub created_s: Option<f64>,
    /// That many pods were ready.
    pub ready_s: Option<f64>,
    /// That many pods had answered a request.
    pub spread_s: Option<f64>,
    /// From here to the end of the load no request failed and no second's p99 was above the bound.
    pub recovered_s: Option<f64>,
    /// Only the HPA's minimum of pods was left, counted from the last request.
    pub back_s: Option<f64>,
}

impl Timeline {
    /// Reads the times off what was seen. `bound`: the highest p99 of a second that is fine, in seconds.
    pub fn of(seen: &Recording, span: Span, bound: f64) -> Self {
        let start = span.first;
        let pods_at_max = |holds: &dyn Fn(&Pods, u64) -> bool| {
            let max = seen.max()?;
            reached(&seen.pods, start, |pods| holds(pods, max), |pods| pods.replicas < max)
        };
        let created_s = pods_at_max(&|pods, max| pods.replicas >= max);
        let wants_max = |hpa: &Hpa| hpa.desired.is_some_and(|desired| desired >= hpa.max);
        let wants_less = |hpa: &Hpa| hpa.desired.is_some_and(|desired| desired < hpa.max);
        Self {
            first_sample_s: seen.first_hits.values().copied().reduce(f64::min),
            scraped_s: seen.scraped.map(|at| at - start),
            api_value_s: risen(&seen.rates, start),
            asked_s: asked(seen, start),
            desired_s: reached(&seen.hpa, start, wants_max, wants_less),
            created_s,
            ready_s: pods_at_max(&|pods, max| pods.ready >= max),
            spread_s: spread(seen, start, created_s.unwrap_or(0.0)),
            recovered_s: recovered(&seen.seconds, bound),
            back_s: back(seen, span),
        }
    }
}

/// When the API's rates first rose above the lowest since the start: those of an earlier load may still be falling.
fn risen(rates: &[Rates], start: f64) -> Option<f64> {
    let mut lowest = at(rates, start).map_or(0.0, |rates| rates.total);
    let later = rates.iter().filter(|rates| rates.at > start);
    for rates in later {
        if rates.total > lowest + RISEN.max(lowest * RISEN_BY) {
            return Some(rates.at - start);
        }
        lowest = lowest.min(rates.total);
    }
    None
}

/// When the API's rates first asked for the maximum: the HPA rounds total / target up.
fn asked(seen: &Recording, start: f64) -> Option<f64> {
    let hpa = seen.hpa.last()?;
    let target = hpa.target.filter(|target| *target > 0.0)?;
    #[expect(clippy::cast_precision_loss, reason = "a number of pods")]
    let max = hpa.max as f64;
    let asks = |rates: &Rates| (rates.total / target).ceil() >= max;
    reached(&seen.rates, start, asks, |rates| !asks(rates))
}

/// When, from `created` on, the maximum of pods had answered, without those that had ended by then.
fn spread(seen: &Recording, start: f64, created: f64) -> Option<f64> {
    let max = usize::try_from(seen.max()?).ok()?;
    let mut moments: Vec<f64> = seen.first_hits.values().map(|hit| hit.max(created)).collect();
    moments.sort_by(f64::total_cmp);
    // A name that answered only after its pod had ended is another pod's by then.
    let lives = |pod: &str, hit: f64, moment: f64| {
        let ended = seen.ended.get(pod).map(|ended| ended - start);
        ended.is_none_or(|ended| ended < hit || ended > moment)
    };
    let answered = |moment: f64| {
        let hits = seen.first_hits.iter();
        hits.filter(|(pod, hit)| **hit <= moment && lives(pod, **hit, moment))
            .count()
    };
    // Before there were as many hits there cannot have been as many pods.
    let later = moments.into_iter().skip(max.checked_sub(1)?);
    later.into_iter().find(|moment| answered(*moment) >= max)
}

/// When the pods were back at the minimum after the last request; none where there were never more.
fn back(seen: &Recording, Span { first: start, last }: Span) -> Option<f64> {
    let min = seen.min();
    let is_more = |pods: &Pods| pods.replicas > min;
    first(&seen.pods, start, is_more)?;
    // An HPA may look only after a short load's last request.
    let later = seen.pods.iter().find(|pods| pods.at > last && is_more(pods));
    let from = match (at(&seen.pods, last), later) {
        (Some(pods), Some(later)) if !is_more(pods) => later.at,
        _ => last,
    };
    let is_back = |pods: &Pods| !is_more(pods) && pods.ready >= pods.replicas;
    first(&seen.pods, from, is_back).map(|after| after + (from - last))
}

fn recovered(seconds: &[Second], bound: f64) -> Option<f64> {
    let is_bad =
        |second: &Second| second.failed > 0 || second.dropped > 0 || second.p99_s.is_some_and(|p99| p99 > bound);
    match seconds.iter().rposition(is_bad) {
        Some(bad) if bad + 1 == seconds.len() => None,
        Some(bad) => Some(seconds[bad].t_s),
        None => seconds.first().map(|_| 0.0),
    }
}

/// How often the HPA changed the number of pods that it wants, from `since` on.
pub fn replica_changes(seen: &Recording, since: f64) -> usize {
    wanted(seen, since).windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// In how many steps the HPA went up to its maximum; none where it did not get there, or was there all the time.
pub fn syncs(seen: &Recording, since: f64) -> Option<usize> {
    let (max, wanted) = (seen.max()?, wanted(seen, since));
    let below = wanted.iter().position(|wanted| *wanted < max)?;
    let wanted = &wanted[below..];
    let reached = wanted.iter().position(|wanted| *wanted >= max)?;
    let steps = wanted[..=reached].windows(2).filter(|pair| pair[1] > pair[0]).count();
    Some(steps)
}

/// What the HPA wanted at `since`, and each time that it changed afterwards.
fn wanted(seen: &Recording, since: f64) -> Vec<u64> {
    let start = seen.hpa.iter().rposition(|hpa| hpa.at <= since).unwrap_or(0);
    // One that has not looked yet leaves the pods as they are.
    let unlooked = seen.hpa.get(start).filter(|hpa| hpa.desired.is_none());
    let pods = unlooked.and_then(|_| at(&seen.pods, since)).map(|pods| pods.replicas);
    let later = seen.hpa.iter().skip(start).filter_map(|hpa| hpa.desired);
    pods.into_iter().chain(later).collect()
}

/// How long before `moment` the HPA's controller had last looked, which it does each `period`; none where no look was seen.
/// The nearest look counts: the period is a little longer than it says.
pub fn phase(seen: &Recording, moment: f64, period: f64) -> Option<f64> {
    let distance = |at: &f64| (at - moment).abs();
    let looks = seen.looks.iter();
    let nearest = looks.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    Some((moment - nearest).rem_euclid(period))
}

#[cfg(test)]
mod tests;
