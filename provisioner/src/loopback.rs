//! Which hosts are this machine: nobody else may be spoken to without TLS, neither AWS nor a registry.

use url::Host;

/// Whether `host` is this machine whatever the network says: 127.0.0.0/8, `::1` or `localhost`. A name below
/// `localhost` is not: resolvers may ask the network for it.
pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_and_localhost_are_this_machine() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("localhost", true),
            ("LOCALHOST", true),
            ("evil.localhost", false),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("[::ffff:127.0.0.1]", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_loopback(&Host::parse(host).unwrap()), expected, "{host}");
        }
    }
}
