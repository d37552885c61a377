//! What a server or a connection said, by codes and types.

use std::error::Error as _;

/// What a server or a connection said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status; none where no answer came.
    pub code: Option<u16>,
    /// The machine-readable reason, may be empty.
    pub reason: String,
    /// For people.
    pub message: String,
    /// `(field, message)` of each cause, e.g. of conflicts.
    pub causes: Vec<(String, String)>,
    /// Whether trying again later may help.
    pub transient: bool,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) if self.message.is_empty() => write!(f, "HTTP {code} {}", self.reason),
            Some(code) => write!(f, "{} (HTTP {code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Failure {
    /// A failure without an answer, e.g. a time limit.
    pub(super) fn local(message: impl Into<String>, transient: bool) -> Self {
        Self {
            code: None,
            reason: String::new(),
            message: message.into(),
            causes: Vec::new(),
            transient,
        }
    }

    /// Reads kube's error. Branches on codes and types, never on text.
    pub(super) fn of(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            let causes = status.details.iter().flat_map(|d| &d.causes);
            return Self {
                code: Some(status.code),
                reason: status.reason.clone(),
                message: status.message.clone(),
                causes: causes.map(|c| (c.field.clone(), c.message.clone())).collect(),
                transient: matches!(status.code, 429 | 502 | 503 | 504),
            };
        }
        let transient = matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_)) && !is_tls_refusal(error);
        // The variant's name says nothing; what it wraps does.
        match error {
            kube::Error::Service(inner) => Self::local(chain(inner.as_ref()), transient),
            other => Self::local(chain(other), transient),
        }
    }

    /// The same without what may repeat a value that was sent: code, reason, and the names of fields. Who else manages a
    /// field is no value.
    pub(super) fn without_values(self) -> Self {
        if self.code.is_none() || self.is_of_dry_runs() || self.is_conflict() {
            return self;
        }
        let fields: Vec<String> = self.causes.iter().map(|(field, _)| format!("`{field}`")).collect();
        let of = if fields.is_empty() { "" } else { " of field " };
        Self {
            message: format!("refused as {}{of}{}", self.reason, fields.join(", ")),
            causes: self
                .causes
                .into_iter()
                .map(|(field, _)| (field, "what is said of it may hold its value".to_owned()))
                .collect(),
            ..self
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.code == Some(404)
    }

    pub(super) fn is_conflict(&self) -> bool {
        self.code == Some(409)
    }

    /// Whether an admission webhook takes no part in dry runs. Nothing but the text tells that from other bad requests.
    pub(super) fn is_of_dry_runs(&self) -> bool {
        self.code == Some(400) && self.message.contains("does not support dry run")
    }
}

/// The error and its sources, without repeating what a parent has said already.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

/// A certificate that is refused stays refused; looks into io errors too, whose `source` skips what they wrap.
fn is_tls_refusal(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(cause) = next {
        if cause.is::<rustls::Error>() {
            return true;
        }
        next = match cause.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => cause.source(),
        };
    }
    false
}
