//! The one table of settings: the key in the file, the flag, and with it the environment variable.

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One text.
    Text,
    /// A path; in the file, relative to the file.
    Path,
    /// Executables, each maybe after `PLATFORM=`; in the file, relative to the file, and a text where there is one.
    Binaries,
    /// A number; in the file without quotes.
    Number,
    /// `true` or `false`.
    Switch,
    /// Texts; comma-separated in the environment.
    List,
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Key {
    /// Dotted path in the file, e.g. `eks.k8s-version`.
    pub(crate) path: &'static str,
    /// The flag without dashes; `PROVISIONER_` and its upper case is the variable.
    pub(crate) flag: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
}

impl Key {
    /// The environment variable of this setting.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.flag.replace('-', "_").to_uppercase())
    }
}

/// Start of every environment variable that the tool reads itself.
pub(crate) const PREFIX: &str = "PROVISIONER_";

/// Variables that are no settings: they say where the file is, that questions are answered, and what to log.
pub(crate) const OTHER_VARIABLES: [&str; 3] = ["PROVISIONER_CONFIG", "PROVISIONER_YES", "PROVISIONER_LOG"];

const fn key(path: &'static str, flag: &'static str, kind: Kind) -> Key {
    Key { path, flag, kind }
}

/// Every setting. A new one is a line here, a field in `Config` and a flag in `cli.rs`.
pub(crate) const KEYS: &[Key] = &[
    key("target.cluster", "cluster", Kind::Text),
    key("target.kube-context", "kube-context", Kind::Text),
    key("target.registry", "registry", Kind::Text),
    key("target.name", "name", Kind::Text),
    key("target.region", "region", Kind::Text),
    key("target.profile", "profile", Kind::Text),
    key("eks.create-cluster", "create-cluster", Kind::Switch),
    key("eks.k8s-version", "k8s-version", Kind::Text),
    key("eks.compute", "compute", Kind::Text),
    key("eks.private-nodes", "private-nodes", Kind::Switch),
    key("eks.subnet-ids", "subnet-ids", Kind::List),
    key("eks.cluster-role-arn", "cluster-role-arn", Kind::Text),
    key("eks.node-role-arn", "node-role-arn", Kind::Text),
    key("eks.admin-arn", "admin-arn", Kind::List),
    key("eks.public-access-cidr", "public-access-cidr", Kind::List),
    key("eks.control-plane-logs", "control-plane-logs", Kind::List),
    key("eks.hpa-sync-period", "hpa-sync-period", Kind::Text),
    key("image.tag", "tag", Kind::Text),
    key("image.binary", "binary", Kind::Binaries),
    key("image.platform", "platform", Kind::List),
    key("image.image", "image", Kind::Text),
    key("image.copy", "copy", Kind::Switch),
    key("image.oci-layout", "oci-layout", Kind::Path),
    key("image.archive", "archive", Kind::Path),
    key("image.rebuild", "rebuild", Kind::Switch),
    key("image.compression", "compression", Kind::Text),
    key("image.sbom", "sbom", Kind::Text),
    key("image.workspace", "workspace", Kind::Path),
    key("image.package", "package", Kind::Text),
    key("image.image-refs", "image-refs", Kind::Path),
    key("load.loader-image", "loader-image", Kind::Text),
    key("app.port", "app-port", Kind::Number),
    key("app.metrics-path", "metrics-path", Kind::Text),
    key("app.counter", "counter", Kind::Text),
    key("app.target-rate", "target-rate", Kind::Number),
    key("stack.without", "without", Kind::List),
    key("stack.manifests", "manifests", Kind::Path),
    key("stack.mirror", "mirror", Kind::Switch),
    key("stack.take-over", "take-over", Kind::Switch),
    key("stack.force-conflicts", "force-conflicts", Kind::Switch),
    key("stack.recreate", "recreate", Kind::Switch),
    key("stack.adopt", "adopt", Kind::Switch),
    key("reaction", "reaction", Kind::Text),
    key("prometheus.url", "prometheus-url", Kind::Text),
    key("certificates", "certificates", Kind::Text),
    key("output.format", "output", Kind::Text),
    key("output.quiet", "quiet", Kind::Switch),
    key("output.verbose", "verbose", Kind::Switch),
    key("output.no-color", "no-color", Kind::Switch),
    key("output.timeout", "timeout", Kind::Text),
    key("output.poll-interval", "poll-interval", Kind::Text),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_flag_and_variable_is_unique() {
        let mut variables: Vec<_> = KEYS.iter().map(Key::variable).collect();
        variables.extend(OTHER_VARIABLES.map(str::to_owned));
        let count = variables.len();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), count);
    }
}
