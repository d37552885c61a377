//! What stands in a Lease, and what that means for this run. Pure.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::core::ObjectMeta;
use tokio::time::Instant;

use super::{DURATION, Holder};
use crate::names::StackName;

/// Whether a Lease can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This run has it already: an answer got lost, who knows when.
    Mine,
    /// Nobody has it.
    Free,
    /// Whoever has it did not renew it.
    Expired,
    /// Somebody has it.
    Held,
}

/// The version of a Lease that was seen last, and since when.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<(String, Instant)>);

impl Seen {
    /// How long the Lease has been the same under this run's eyes.
    pub(super) fn unchanged(&mut self, lease: &Lease, now: Instant) -> Duration {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        match &self.0 {
            Some((seen, since)) if *seen == version => now.duration_since(*since),
            _ => {
                self.0 = Some((version, now));
                Duration::ZERO
            }
        }
    }
}

/// Times in a Lease are of its holder's clock, and clocks differ: it has expired when this run itself saw it unchanged
/// for its duration, and not before. One that names no duration is given ours.
pub(super) fn judge(lease: &Lease, me: &str, unchanged: Duration) -> Verdict {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    let duration = match u64::try_from(seconds) {
        Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => DURATION,
    };
    match holder(lease) {
        "" => Verdict::Free,
        holder if holder == me => Verdict::Mine,
        _ if unchanged >= duration => Verdict::Expired,
        _ => Verdict::Held,
    }
}

/// The identity of whoever has it; empty where nobody does.
pub(super) fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// Who holds it since when.
pub(super) fn describe(lease: &Lease) -> String {
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.unwrap_or_default();
    let mut parts = holder.splitn(4, '/');
    let who = match (parts.next(), parts.next(), parts.next()) {
        (Some(host), Some(process), Some(run)) => format!("host `{host}`, process {process}, run {run}"),
        _ => format!("`{holder}`"),
    };
    match spec.acquire_time {
        Some(time) => format!("{who} since {:.0}", time.0),
        None => who,
    }
}

/// A Lease that this run holds from now on.
pub(super) fn new(stack: &StackName, holder: &Holder) -> Lease {
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(stack.lease()),
            labels: Some(stack.labels("lease")),
            ..ObjectMeta::default()
        },
        spec: None,
    };
    taken(lease, holder)
}

/// The Lease with this run as its holder from now on.
pub(super) fn taken(mut lease: Lease, holder: &Holder) -> Lease {
    let now = MicroTime((holder.now)());
    let transitions = lease
        .spec
        .as_ref()
        .map_or(0, |spec| spec.lease_transitions.unwrap_or_default() + 1);
    lease.spec = Some(LeaseSpec {
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        holder_identity: Some(holder.identity.clone()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    });
    lease
}

/// The Lease as renewed now.
pub(super) fn renewed(mut lease: Lease, holder: &Holder) -> Lease {
    if let Some(spec) = &mut lease.spec {
        spec.renew_time = Some(MicroTime((holder.now)()));
    }
    lease
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().expect("a time")
    }

    fn held(by: &str, renewed: &str) -> Lease {
        let stack: StackName = "demo".parse().expect("valid");
        let mut lease = new(&stack, &Holder::new("host", 7, 1, now));
        let spec = lease.spec.as_mut().expect("a spec");
        spec.holder_identity = Some(by.to_owned());
        spec.renew_time = renewed.parse().ok().map(MicroTime);
        lease
    }

    #[test]
    fn a_lease_is_taken_only_when_it_cannot_be_in_use() {
        let cases = [
            ("", "2026-01-01T12:00:00Z", 0, Verdict::Free),
            ("me", "2026-01-01T11:00:00Z", 99, Verdict::Mine),
            ("other", "2026-01-01T12:00:00Z", 29, Verdict::Held),
            ("other", "2026-01-01T12:00:00Z", 30, Verdict::Expired),
            // Whatever its clock or ours says.
            ("other", "2025-01-01T00:00:00Z", 29, Verdict::Held),
            ("other", "2027-01-01T00:00:00Z", 30, Verdict::Expired),
            ("other", "never", 29, Verdict::Held),
        ];
        for (by, renewed, unchanged, want) in cases {
            let verdict = judge(&held(by, renewed), "me", Duration::from_secs(unchanged));
            assert_eq!(verdict, want, "{by} {renewed} {unchanged}");
        }
        for seconds in [None, Some(0), Some(-1)] {
            let mut lease = held("other", "never");
            lease.spec.as_mut().expect("a spec").lease_duration_seconds = seconds;
            assert_eq!(
                judge(&lease, "me", Duration::from_secs(29)),
                Verdict::Held,
                "{seconds:?}"
            );
            assert_eq!(judge(&lease, "me", DURATION), Verdict::Expired, "{seconds:?}");
        }
    }

    #[test]
    fn only_looks_at_the_same_version_count() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let mut lease = held("other", "never");
        let at = |s| start + Duration::from_secs(s);
        lease.metadata.resource_version = Some("1".to_owned());
        assert_eq!(seen.unchanged(&lease, at(0)), Duration::ZERO);
        assert_eq!(seen.unchanged(&lease, at(9)), Duration::from_secs(9));
        lease.metadata.resource_version = Some("2".to_owned());
        assert_eq!(seen.unchanged(&lease, at(10)), Duration::ZERO);
        assert_eq!(seen.unchanged(&lease, at(12)), Duration::from_secs(2));
    }

    #[test]
    fn people_read_who_holds_it_since_when() {
        let lease = held("build-7/4242/0000beef", "never");
        assert_eq!(
            describe(&lease),
            "host `build-7`, process 4242, run 0000beef since 2026-01-01T12:00:00Z"
        );
        assert_eq!(
            describe(&held("somebody", "never")),
            "`somebody` since 2026-01-01T12:00:00Z"
        );
    }
}
