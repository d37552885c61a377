use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn pairs(c: &Certificates) -> (Pair, Pair) {
    let pair = |certificate: &String, key: &String| Pair {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    (
        pair(&c.ca_certificate, &c.ca_key),
        pair(&c.serving_certificate, &c.serving_key),
    )
}

fn again(c: &Certificates, now: &str) -> Certificates {
    let (ca, serving) = pairs(c);
    renew(&ca, &serving, "custom-metrics", at(now)).expect("renewed")
}

fn first() -> Certificates {
    let none = Pair::default();
    renew(&none, &none, "custom-metrics", at("2026-01-10T12:00:00Z")).expect("made")
}

#[test]
fn a_second_run_keeps_everything() {
    let made = first();
    assert_eq!(again(&made, "2026-09-08T00:00:00Z"), made);
}

#[test]
fn the_serving_certificate_is_renewed_when_a_third_is_left() {
    let made = first();
    let renewed = again(&made, "2026-09-20T00:00:00Z");
    assert_eq!(renewed.ca_certificate, made.ca_certificate);
    assert_ne!(renewed.serving_certificate, made.serving_certificate);
    assert!(is_for(
        &renewed.serving_certificate,
        &made.ca_certificate,
        "custom-metrics-apiserver.custom-metrics.svc"
    ));
}

#[test]
fn a_renewed_authority_overlaps_with_the_former() {
    let made = first();
    let renewed = again(&made, "2033-01-01T00:00:00Z");
    assert!(
        renewed
            .ca_bundle
            .contains(made.ca_certificate.trim().lines().nth(1).expect("base64"))
    );
    assert_eq!(pem::parse_many(&renewed.ca_bundle).expect("PEM").len(), 2);
    assert!(is_for(
        &renewed.serving_certificate,
        &renewed.ca_certificate,
        "custom-metrics-apiserver.custom-metrics.svc"
    ));
    assert!(!is_for(
        &made.serving_certificate,
        &renewed.ca_certificate,
        "custom-metrics-apiserver.custom-metrics.svc"
    ));
    assert_eq!(again(&renewed, "2033-01-02T00:00:00Z"), renewed);
}

#[test]
fn another_namespace_or_a_broken_secret_is_made_anew() {
    let made = first();
    let (ca, serving) = pairs(&made);
    let now = at("2026-02-01T00:00:00Z");
    let moved = renew(&ca, &serving, "other", now).expect("made");
    assert_ne!(moved.serving_certificate, made.serving_certificate);
    let broken = Pair {
        certificate: "x".to_owned(),
        key: "y".to_owned(),
    };
    let fixed = renew(&broken, &serving, "custom-metrics", now).expect("made");
    assert_ne!(fixed.serving_certificate, made.serving_certificate);
    assert!(!format!("{fixed:?}").contains("PRIVATE"));
}
