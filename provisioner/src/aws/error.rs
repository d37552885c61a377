//! What went wrong on AWS, kept whole: operation, object, code, message, request id.
//!
//! Callers branch on variants and codes; texts are for people.

pub(super) mod hint;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::drift::Refused;

/// A failure of this module. `Display` is one line in lower case; [`AwsError::hint`] says what to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// Neither flag, environment nor profile names a region.
    #[error("no AWS region is set")]
    NoRegion,
    /// The shared AWS files have no such profile.
    #[error("there is no AWS profile `{name}`")]
    UnknownProfile {
        /// The profile that was asked for.
        name: String,
        /// Those that there are, sorted.
        known: Vec<String>,
    },
    /// No provider of the chain has credentials.
    #[error("no AWS credentials found{}", after_colon(.reason))]
    NoCredentials {
        /// What the chain said, may be empty.
        reason: String,
    },
    /// A provider failed, or AWS refused the credentials.
    #[error("AWS credentials are not usable: {reason}")]
    InvalidCredentials {
        /// AWS's error code, where AWS refused them.
        code: Option<String>,
        /// The provider's or AWS's words, with code and request id.
        reason: String,
    },
    /// A plain-HTTP endpoint that is not on this machine.
    #[error("endpoint `{url}` is refused: plain http is accepted for loopback addresses only")]
    InsecureEndpoint {
        /// The endpoint as configured.
        url: String,
    },
    /// No answer at all from the endpoint.
    #[error("cannot reach AWS at {url}: {reason}")]
    Unreachable {
        /// The endpoint, resolved.
        url: String,
        /// The transport's words.
        reason: String,
    },
    /// AWS refused a call, or its answer was lost.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The credentials were good and ran out before the work was done; nothing of the call was done.
    #[error("the AWS session ended on the way: {0}")]
    SessionOver(Box<ApiError>),
    /// The object exists and this stack did not create it.
    #[error("{kind} `{name}` was not created by this stack")]
    NotOurs {
        /// Kind of object, e.g. "cluster".
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Someone protected it from deletion.
    #[error("{kind} `{name}` is protected from deletion")]
    Protected {
        /// Kind of object, e.g. "cluster".
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it is.
        region: String,
    },
    /// The object reached a state from which it does not recover.
    #[error("{kind} `{name}` is {status}: {reason}")]
    Failed {
        /// Kind of object, e.g. "cluster", "foundation stack".
        kind: &'static str,
        /// Its name.
        name: String,
        /// The state, AWS's word.
        status: String,
        /// The first real cause.
        reason: String,
    },
    /// Something of ours differs from what is asked for, in what is not changed in place.
    #[error("{0}")]
    Drift(Refused),
    /// EKS does not offer the Kubernetes version.
    #[error("EKS does not offer Kubernetes {wanted} in {region}{}: valid are {valid}", extended_note(*.extended))]
    UnknownVersion {
        /// The version that was asked for.
        wanted: String,
        /// The region.
        region: String,
        /// Whether it is offered in extended support only.
        extended: bool,
        /// Versions in standard support, with commas.
        valid: String,
    },
    /// EKS does not offer a setting on that Kubernetes version.
    #[error("EKS does not offer {what} on Kubernetes {version}: {reason}")]
    NotOffered {
        /// The setting, e.g. "an HPA sync period".
        what: &'static str,
        /// The version.
        version: String,
        /// What it offers instead.
        reason: String,
    },
    /// EKS does not serve a zone of the subnets.
    #[error("cannot create {kind} `{name}`: {message}")]
    UnsupportedZone {
        /// Kind of object, e.g. "cluster".
        kind: &'static str,
        /// Its name.
        name: String,
        /// EKS's words.
        message: String,
        /// Zones that EKS serves; may be empty.
        valid: Vec<String>,
    },
    /// A wait was given up; the object may still get there.
    #[error("gave up waiting for {what} after {} s, last state: {state}", .after.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// The last state seen.
        state: String,
        /// How long.
        after: Duration,
    },
    /// An answer lacks something that the API documents.
    #[error("answer to {operation} for `{object}` has no {missing}")]
    Incomplete {
        /// The call, e.g. "eks:DescribeCluster".
        operation: &'static str,
        /// What it was about.
        object: String,
        /// What is missing.
        missing: &'static str,
    },
    /// A request could not be put together or signed.
    #[error("cannot prepare {what}: {reason}")]
    Request {
        /// The call, or the token.
        what: String,
        /// The builder's or the signer's words.
        reason: String,
    },
}

/// A refused or lost call.
#[derive(Debug)]
pub struct ApiError {
    /// The call as IAM names it, e.g. `ecr:CreateRepository`.
    pub operation: &'static str,
    /// What it was to do, e.g. "create repository".
    pub intent: &'static str,
    /// The object's name; empty for calls without one.
    pub object: String,
    /// AWS's error code, or `HTTP 403` where the answer has none; none where there was no answer.
    pub code: Option<String>,
    /// AWS's message, or the transport's.
    pub message: String,
    /// For AWS support.
    pub request_id: Option<String>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.intent)?;
        if !self.object.is_empty() {
            write!(f, " `{}`", self.object)?;
        }
        write!(f, ": {}", self.answer())
    }
}

impl ApiError {
    /// What AWS said: "CODE: message (request id ID)".
    pub fn answer(&self) -> String {
        let message = self.message.trim_end_matches('.');
        let words: Vec<&str> = [self.code.as_deref().unwrap_or_default(), message]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let id = self.request_id.as_ref();
        let id = id.map_or(String::new(), |id| format!(" (request id {id})"));
        format!("{}{id}", words.join(": "))
    }
}

impl StdError for ApiError {}

/// Wraps an SDK error: for `map_err(api("ecr:CreateRepository", "create repository", name))`.
pub(super) fn api<E>(
    operation: &'static str,
    intent: &'static str,
    object: &str,
) -> impl FnOnce(SdkError<E, HttpResponse>) -> AwsError
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    let object = object.to_owned();
    move |error| {
        let error = Box::new(ApiError {
            operation,
            intent,
            object,
            code: error.code().map(str::to_owned).or_else(|| status(&error)),
            message: error.message().map_or_else(|| chain(&error), str::to_owned),
            request_id: error.request_id().map(str::to_owned),
        });
        if error.is_session_over() {
            AwsError::SessionOver(error)
        } else {
            AwsError::Api(error)
        }
    }
}

/// An answer to `operation` about `object` that lacks `missing`.
pub(super) fn incomplete(operation: &'static str, object: &str, missing: &'static str) -> AwsError {
    AwsError::Incomplete {
        operation,
        object: object.to_owned(),
        missing,
    }
}

/// Wraps the error of a builder of `what`, a call or the like.
pub(super) fn request<E: fmt::Display>(what: &str) -> impl FnOnce(E) -> AwsError {
    let what = what.to_owned();
    move |error| AwsError::Request {
        what,
        reason: error.to_string(),
    }
}

/// Whether AWS answered with an error of this kind: `is(&error, DeleteClusterError::is_resource_in_use_exception)`.
pub(super) fn is<E>(error: &SdkError<E, HttpResponse>, kind: fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(kind)
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let response = error.raw_response()?;
    Some(format!("HTTP {}", response.status().as_u16()))
}

/// Layers of the SDK that say nothing by themselves.
const EMPTY_WORDS: [&str; 3] = ["dispatch failure", "service error", "io error"];

/// The texts of an error and its sources, joined, without repetitions.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !EMPTY_WORDS.contains(&text.as_str()) && !texts.iter().any(|t| t.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

/// Names in a message.
pub(super) fn or_none(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

fn extended_note(extended: bool) -> &'static str {
    if extended {
        " but in extended support, at six times the price"
    } else {
        ""
    }
}

fn after_colon(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

impl AwsError {
    /// AWS's error code, where AWS answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Api(error) | Self::SessionOver(error) => error.code.as_deref(),
            _ => None,
        }
    }

    /// Whether region or credentials are missing or invalid, or what is asked for cannot be: found before anything was
    /// changed, exit code 2.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::NoRegion
                | Self::UnknownProfile { .. }
                | Self::NoCredentials { .. }
                | Self::InvalidCredentials { .. }
                | Self::InsecureEndpoint { .. }
                | Self::Drift(_)
                | Self::UnknownVersion { .. }
                | Self::NotOffered { .. }
        )
    }
}
