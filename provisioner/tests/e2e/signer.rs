//! Certificates as tests need them: of any age, signed by whom they choose.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate and its key, PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// From how many days ago to how many days from now it lasts.
pub(crate) type Days = (i64, i64);

/// An authority.
pub(crate) fn authority(days: Days) -> Signed {
    let mut params = lasting(CertificateParams::default(), days);
    params
        .distinguished_name
        .push(DnType::CommonName, "authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    Signed {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// A serving certificate of the custom metrics API.
pub(crate) fn serving(authority: &Signed, days: Days) -> Signed {
    let names = vec!["custom-metrics-apiserver.custom-metrics.svc".to_owned()];
    let mut params = lasting(CertificateParams::new(names).expect("names"), days);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let signer = KeyPair::from_pem(&authority.key).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, signer).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    Signed {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn lasting(mut params: CertificateParams, (ago, ahead): Days) -> CertificateParams {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |offset: i64| {
        let date = today.checked_add(offset.days()).expect("a date");
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = day(-ago);
    params.not_after = day(ahead);
    params
}
