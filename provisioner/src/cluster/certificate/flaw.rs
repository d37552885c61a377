//! What a client that trusts a bundle finds wrong with a serving certificate: the API server's own checks, before it makes them.

use jiff::Timestamp;

use super::{host, is_for, with};

/// Why a client does not accept a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is none, or unreadable.
    Unreadable,
    /// It has ended.
    Ended(Timestamp),
    /// It has not begun.
    NotBegun(Timestamp),
    /// It is for another name.
    OtherName,
    /// Nobody in the bundle signed it.
    Untrusted,
}

/// The first flaw of the serving certificate of the API in `namespace`; none where it has none. `bundle` is what clients trust.
pub fn flaw(certificate: &str, bundle: &str, namespace: &str, now: Timestamp) -> Option<Flaw> {
    let validity = with(certificate, |c| {
        (c.validity().not_before.timestamp(), c.validity().not_after.timestamp())
    });
    let at = |second| Timestamp::from_second(second).unwrap_or(now);
    let Some((begins, ends)) = validity.map(|(begins, ends)| (at(begins), at(ends))) else {
        return Some(Flaw::Unreadable);
    };
    if ends <= now {
        return Some(Flaw::Ended(ends));
    }
    if begins > now {
        return Some(Flaw::NotBegun(begins));
    }
    let host = host(namespace);
    if !bears(certificate, &host) {
        return Some(Flaw::OtherName);
    }
    let trusted = pem::parse_many(bundle).unwrap_or_default();
    let signed = trusted.iter().any(|one| is_for(certificate, &pem::encode(one), &host));
    (!signed).then_some(Flaw::Untrusted)
}

fn bears(certificate: &str, host: &str) -> bool {
    let names = with(certificate, |c| {
        let names = c.subject_alternative_name().ok().flatten();
        let wanted = x509_parser::extensions::GeneralName::DNSName(host);
        names.is_some_and(|names| names.value.general_names.contains(&wanted))
    });
    names == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::{Pair, renew};
    use super::*;

    #[test]
    fn each_flaw_is_told_and_a_good_certificate_has_none() {
        let now: Timestamp = "2026-11-27T10:00:00Z".parse().expect("a time");
        let made = |namespace: &str| {
            renew(&Pair::default(), &Pair::default(), namespace, now).expect("certificates can be made")
        };
        let (ours, other) = (made("custom-metrics"), made("custom-metrics"));
        let serving = &ours.serving_certificate;
        let at = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);
        let look = |bundle: &str, now| flaw(serving, bundle, "custom-metrics", now);
        assert_eq!(look(&ours.ca_bundle, now), None);
        let both = other.ca_bundle.clone() + &ours.ca_bundle;
        assert_eq!(look(&both, now), None, "one of several is enough");
        assert_eq!(look(&other.ca_bundle, now), Some(Flaw::Untrusted));
        assert_eq!(look("", now), Some(Flaw::Untrusted));
        assert!(matches!(look(&ours.ca_bundle, at(400)), Some(Flaw::Ended(_))));
        assert!(matches!(look(&ours.ca_bundle, at(-30)), Some(Flaw::NotBegun(_))));
        assert_eq!(flaw(serving, &ours.ca_bundle, "elsewhere", now), Some(Flaw::OtherName));
        assert_eq!(
            flaw("no certificate", &ours.ca_bundle, "custom-metrics", now),
            Some(Flaw::Unreadable)
        );
    }
}
