//! The commands that a diagnosis tells to run, for the names in use.

/// How this stack is named on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// `kubectl`, with the context where one is used.
    pub kubectl: String,
    /// `provisioner bootstrap` with the flags of the target.
    pub bootstrap: String,
    /// `provisioner load` likewise.
    pub load: String,
}

impl Commands {
    /// `kubectl WORDS`.
    pub(super) fn kubectl(&self, words: &str) -> String {
        format!("{} {words}", self.kubectl)
    }

    /// `kubectl WORDS --namespace NAMESPACE`.
    pub(super) fn kubectl_in(&self, namespace: &str, words: &str) -> String {
        format!("{} --namespace {namespace} {words}", self.kubectl)
    }
}
