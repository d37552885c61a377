//! The one error that a command ends with: what failed, what to try, what remains.

mod remains;

use std::error::Error as StdError;
use std::fmt;

pub use remains::{Remains, RollsOut};

use crate::aws::AwsError;
use crate::aws::preflight::PreflightError;
use crate::chain::ChainError;
use crate::cluster::ClusterError;
use crate::config::{Format, Problems};
use crate::image::ImageError;
use crate::kubeconfig::KubeconfigError;
use crate::report::printable;

/// How the process ends. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// The cloud, the registry or the cluster failed, or something was left.
    Failed = 1,
    /// Usage, configuration or credentials: nothing was changed.
    Usage = 2,
    /// A plan found changes.
    Changes = 3,
    /// Interrupted (SIGINT).
    Interrupted = 130,
    /// Terminated (SIGTERM).
    Terminated = 143,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether a signal ended the command.
    pub fn is_signal(self) -> bool {
        matches!(self, Self::Interrupted | Self::Terminated)
    }
}

/// Why a command did not reach its end.
#[derive(Debug)]
pub struct Error {
    exit: Exit,
    source: Box<dyn StdError + Send + Sync>,
    hint: Option<String>,
    remains: Option<Box<Remains>>,
}

impl Error {
    /// Something outside failed: exit 1.
    pub fn failed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            exit: Exit::Failed,
            source: source.into(),
            hint: None,
            remains: None,
        }
    }

    /// Usage, configuration or credentials; only before anything was changed: exit 2.
    pub fn usage(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::failed(source)
        }
    }

    /// The same failure before anything was changed, and one that trying again would not mend: exit 2.
    #[must_use]
    pub fn before_any_change(mut self) -> Self {
        self.exit = Exit::Usage;
        self
    }

    fn classified(is_configuration: bool, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        if is_configuration {
            Self::usage(source)
        } else {
            Self::failed(source)
        }
    }

    fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// A signal ended the command.
    pub fn signal(exit: Exit) -> Self {
        let what = if exit == Exit::Terminated {
            "terminated"
        } else {
            "interrupted"
        };
        Self {
            exit,
            ..Self::failed(what)
        }
    }

    /// With what to try next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what else to try, after what is tried first.
    #[must_use]
    pub fn or_hint(mut self, other: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{hint}; {other}"),
            None => other.to_owned(),
        });
        self
    }

    /// With what remains: the command had begun to change things.
    #[must_use]
    pub fn remaining(mut self, remains: Remains) -> Self {
        // Exit 2 promises that nothing was changed.
        if self.exit == Exit::Usage {
            self.exit = Exit::Failed;
        }
        self.remains = Some(Box::new(remains));
        self
    }

    /// What failed, with its causes, on one line.
    pub fn message(&self) -> String {
        let texts = std::iter::once(self.source.to_string()).chain(self.causes());
        texts.collect::<Vec<_>>().join(": ")
    }

    /// What to try next, where that is known.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The error for `format`: text for people, else one JSON line.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => printable(&self.to_string()),
            Format::Json => serde_json::json!({
                "event": "error",
                "message": self.source.to_string(),
                "causes": self.causes(),
                "hint": self.hint,
                "remains": self.remains,
                "exit": self.exit.code(),
            })
            .to_string(),
        }
    }

    /// Causes below the source, without those whose text the line above already carries.
    fn causes(&self) -> Vec<String> {
        let mut said = self.source.to_string();
        let mut causes = Vec::new();
        let mut next = self.source.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                said.clone_from(&text);
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }
}

impl From<AwsError> for Error {
    fn from(error: AwsError) -> Self {
        let hint = error.hint();
        Self::classified(error.is_configuration(), error).maybe_hint(hint)
    }
}

impl From<PreflightError> for Error {
    fn from(error: PreflightError) -> Self {
        let hint = error.hint();
        Self::classified(error.is_configuration(), error).maybe_hint(hint)
    }
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        let hint = error.hint();
        Self::classified(error.is_configuration(), error).maybe_hint(hint)
    }
}

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self::classified(error.is_configuration(), error).maybe_hint(hint)
    }
}

impl From<KubeconfigError> for Error {
    fn from(error: KubeconfigError) -> Self {
        let hint = error.hint();
        Self::classified(error.is_configuration(), error).maybe_hint(hint)
    }
}

impl From<ChainError> for Error {
    fn from(error: ChainError) -> Self {
        let hint = error.hint();
        Self::failed(error).hint(hint)
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::usage(problems)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.source)?;
        for cause in self.causes() {
            write!(f, "\n  caused by: {cause}")?;
        }
        if let Some(remains) = &self.remains {
            write!(f, "\n\n{remains}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::cost::{Cost, Intents};
    use crate::report::Entries;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot create cluster `demo`")]
    struct Create(#[source] io::Error);

    fn stopped() -> Error {
        let entries = Entries {
            phase: Some("cluster".into()),
            made: ["repository demo/web-app".to_owned()].into(),
            pending: ["cluster `demo`", "repository `demo/web-app`"]
                .map(str::to_owned)
                .into(),
            changed: true,
            ..Entries::default()
        };
        let plane = Intents {
            control_planes: 1,
            ..Intents::default()
        };
        let cost = Some(Cost::of(&plane, "us-east-1"));
        let (resume, remove) = (
            "provisioner bootstrap --cluster demo",
            "provisioner teardown --cluster demo",
        );
        Error::failed(Create(io::Error::other("access denied")))
            .hint("see docs/iam")
            .remaining(Remains {
                cost,
                ..Remains::new(entries, resume.into(), Some(remove.into()))
            })
    }

    #[test]
    fn text_says_what_why_what_remains_and_what_to_do() {
        insta::assert_snapshot!(stopped().render(Format::Text), @r#"
        error: cannot create cluster `demo`
          caused by: access denied

        stopped in: cluster
        remains:    repository demo/web-app
        may exist:  cluster `demo`
        costs:      about $0.10 an hour, $2.40 a day (estimate, us-east-1 list prices of 2026-08-01)
        to resume:  provisioner bootstrap --cluster demo
        to remove:  provisioner teardown --cluster demo

        hint: see docs/iam
        "#);
    }

    #[test]
    fn json_is_one_line_with_the_same_facts() {
        insta::assert_snapshot!(stopped().render(Format::Json), @r#"{"event":"error","message":"cannot create cluster `demo`","causes":["access denied"],"hint":"see docs/iam","remains":{"phase":"cluster","made":["repository demo/web-app"],"under_way":["cluster `demo`"],"cost":{"currency":"USD","per_hour":0.1,"items":[{"what":"EKS control plane","quantity":1.0,"unit":"piece","per_hour":0.1}],"as_of":"2026-08-01","estimate":true,"prices_of":"us-east-1"},"resume":"provisioner bootstrap --cluster demo","remove":"provisioner teardown --cluster demo"},"exit":1}"#);
    }

    #[test]
    fn exit_codes_are_the_contract() {
        let codes = [
            (Error::failed("x"), 1),
            (Error::usage("x"), 2),
            (Error::signal(Exit::Interrupted), 130),
            (Error::signal(Exit::Terminated), 143),
        ];
        for (error, code) in codes {
            assert_eq!(error.exit().code(), code, "{error}");
        }
        assert_eq!(Exit::Done.code(), 0);
        assert_eq!(Exit::Changes.code(), 3);
    }
}
