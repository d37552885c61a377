//! What a registry's answer means.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use oci_client::errors::{OciEnvelope, OciErrorCode};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::ImageError;

/// How much of an answer that is no success is read.
const LONGEST_REFUSAL: usize = 64 * 1024;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry refused it.
    #[error("the registry answers {status} to {request}{}", said(errors, body))]
    Refused {
        /// HTTP status.
        status: u16,
        /// Method and address, without a query.
        request: String,
        /// Codes and messages of the distribution specification, where it gave some.
        errors: Vec<(OciErrorCode, String)>,
        /// Its answer, where it is none of the specification.
        body: String,
        /// How long the registry asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It did not get there, or its answer did not get here.
    #[error("the registry does not answer")]
    Unanswered(#[source] reqwest::Error),
    /// It took longer than is waited for.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The answer breaks the protocol.
    #[error("the registry does not keep to the protocol: {0}")]
    Protocol(String),
    /// What was to be sent could not be had.
    #[error(transparent)]
    Origin(Box<ImageError>),
}

fn said(errors: &[(OciErrorCode, String)], body: &str) -> String {
    let code = |code: &OciErrorCode| {
        serde_json::to_value(code)
            .ok()
            .and_then(|c| c.as_str().map(str::to_owned))
    };
    let mut texts: Vec<String> = errors
        .iter()
        .map(|(known, message)| {
            let code = code(known).unwrap_or_default();
            if message.is_empty() {
                code
            } else {
                format!("{code}, {message}")
            }
        })
        .collect();
    if texts.is_empty() && !body.is_empty() {
        texts.push(body.chars().take(200).collect());
    }
    if texts.is_empty() {
        String::new()
    } else {
        format!(": {}", texts.join("; "))
    }
}

impl From<reqwest::Error> for RegistryError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unanswered(error.without_url())
    }
}

impl RegistryError {
    /// The refusal in `response`, which is no success.
    pub(super) async fn of(method: &str, response: Response) -> Self {
        let status = response.status().as_u16();
        let mut url = response.url().clone();
        url.set_query(None);
        let retry_after = retry_after(response.headers());
        let body = limited(response, LONGEST_REFUSAL).await.unwrap_or_default();
        let errors = serde_json::from_slice::<OciEnvelope>(&body).map(|envelope| envelope.errors);
        let errors: Vec<_> = errors
            .unwrap_or_default()
            .into_iter()
            .map(|error| (error.code, error.message))
            .collect();
        Self::Refused {
            status,
            request: format!("{method} {url}"),
            errors,
            body: String::from_utf8_lossy(&body).trim().to_owned(),
            retry_after,
        }
    }

    /// The HTTP status that this amounts to; none where there was no answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, errors, .. } => {
                // Some registries hide it behind another status.
                let told = errors.iter().find_map(|(code, _)| match code {
                    OciErrorCode::Unauthorized => Some(401),
                    OciErrorCode::Denied => Some(403),
                    OciErrorCode::Toomanyrequests => Some(429),
                    _ => None,
                });
                told.or(Some(*status))
            }
            _ => None,
        }
    }

    /// How long the registry asks to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Origin(error) => error.refusal().and_then(Self::retry_after),
            _ => None,
        }
    }

    /// Whether there was no answer at all.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Silent(_))
    }

    /// Whether the same request may succeed a moment later: no answer, an overloaded or failing server, or an upload
    /// that got lost or damaged on its way; the same of where its content comes from.
    pub(super) fn is_transient(&self) -> bool {
        match (self, self.status()) {
            (_, Some(408 | 425 | 429 | 500..)) | (Self::Silent(_), _) => true,
            (Self::Refused { errors, .. }, Some(400 | 404 | 416)) => {
                errors.iter().any(|(code, _)| is_lost_upload(code))
            }
            (Self::Origin(error), _) => error.is_passing(),
            (Self::Unanswered(error), _) => !error.is_builder() && !error.is_redirect(),
            _ => false,
        }
    }
}

/// The registry lost or did not get an upload whole: a new one may do.
fn is_lost_upload(code: &OciErrorCode) -> bool {
    matches!(
        code,
        OciErrorCode::BlobUploadInvalid
            | OciErrorCode::BlobUploadUnknown
            | OciErrorCode::DigestInvalid
            | OciErrorCode::SizeInvalid
    )
}

/// `Retry-After`: seconds, or a date, which is counted from the answer's own (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let (then, now) = (date(text)?, date(headers.get(DATE)?.to_str().ok()?)?);
    Duration::try_from(then.duration_since(now)).ok()
}

/// The body of `response`, unless it is longer than `most`.
pub(super) async fn limited(mut response: Response, most: usize) -> Result<Vec<u8>, RegistryError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Err(RegistryError::Protocol(format!(
                "an answer is longer than {most} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `response`, where its status is `wanted`.
pub(super) async fn expect(method: &str, response: Response, wanted: StatusCode) -> Result<Response, RegistryError> {
    if response.status() == wanted {
        return Ok(response);
    }
    if response.status().is_success() {
        let text = format!("{} to {method}, where {wanted} is due", response.status());
        return Err(RegistryError::Protocol(text));
    }
    Err(RegistryError::of(method, response).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::image) fn refused(status: u16, code: Option<OciErrorCode>) -> RegistryError {
        RegistryError::Refused {
            status,
            request: "GET http://127.0.0.1/v2/".to_owned(),
            errors: code.into_iter().map(|code| (code, String::new())).collect(),
            body: String::new(),
            retry_after: None,
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_counted_from_the_answers_own() {
        let now = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        for (text, seconds) in [
            ("7", Some(7)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2026 07:27:00 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            let found = retry_after(&headers(&[now, ("retry-after", text)]));
            assert_eq!(found, seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&headers(&[("retry-after", now.1)])), None);
        assert_eq!(retry_after(&headers(&[])), None);
    }

    #[test]
    fn overload_and_lost_uploads_pass_and_refusals_do_not() {
        for status in [408, 429, 500, 502, 503] {
            assert!(refused(status, None).is_transient(), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 409] {
            assert!(!refused(status, None).is_transient(), "{status}");
        }
        assert!(refused(404, Some(OciErrorCode::BlobUploadUnknown)).is_transient());
        assert!(refused(400, Some(OciErrorCode::Toomanyrequests)).is_transient());
        assert!(!refused(404, Some(OciErrorCode::NameUnknown)).is_transient());
    }

    #[test]
    fn a_refusal_says_what_was_asked_and_what_was_said() {
        let mut error = refused(404, Some(OciErrorCode::NameUnknown));
        assert_eq!(
            error.to_string(),
            "the registry answers 404 to GET http://127.0.0.1/v2/: NAME_UNKNOWN"
        );
        if let RegistryError::Refused { errors, body, .. } = &mut error {
            errors.clear();
            "<html>".clone_into(body);
        }
        assert!(error.to_string().ends_with("/v2/: <html>"), "{error}");
    }
}
