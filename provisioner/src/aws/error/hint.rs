//! What a person can try.

mod quota;

use super::{ApiError, AwsError};
use crate::spelling::nearest;

/// Codes with which AWS says that temporary credentials ran out. The SDK renews those of providers that can (SSO,
/// roles, `credential_process`) before that; keys that were given by hand it cannot.
const EXPIRED_CODES: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];
/// Codes with which AWS refuses what the credentials may do; where an answer has no code, its status says it.
const DENIED_CODES: [&str; 4] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "HTTP 403",
];

/// Codes with which AWS refuses the credentials themselves, whatever the call.
const CREDENTIAL_CODES: [&str; 7] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "AuthFailure",
];

/// The policy that has every permission of a bootstrap.
pub(in crate::aws) const POLICY: &str = "docs/iam/bootstrap.json";

/// Whether the reason of a failed resource carries such a code.
fn is_denied(reason: &str) -> bool {
    DENIED_CODES.iter().any(|code| reason.contains(code))
}

impl AwsError {
    /// The error as the reason why something stays, with what to do about it.
    pub fn with_hint(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}: {hint}"),
            None => self.to_string(),
        }
    }

    /// What to try, where there is something to try.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoRegion => "give `--region`, or set AWS_REGION, or `region` in the profile",
            Self::UnknownProfile { name, known } => return Some(known_profiles(name, known)),
            Self::NoCredentials { .. } => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give `--profile`, or sign in with `aws sso login`"
            }
            Self::InvalidCredentials { code: Some(code), .. } if code.starts_with("Expired") => {
                "sign in again: the session is over; or check this machine's clock"
            }
            Self::InvalidCredentials { .. } => "check the access key, the profile and this machine's clock",
            Self::InsecureEndpoint { .. } => {
                "use https, or take the endpoint out of the environment (AWS_ENDPOINT_URL...) or the profile"
            }
            Self::Unreachable { .. } => "check the network, the region's spelling and AWS_ENDPOINT_URL",
            Self::Api(error) => return error.hint(),
            Self::SessionOver(_) => {
                "sign in again, with a longer session where it can be had, then run the command to resume: it goes on from here"
            }
            Self::NotOurs { .. } => {
                "only what this stack created is deleted; delete it yourself, or give the `--name` that created it"
            }
            Self::Protected { kind, name, region } => return Some(unprotect(kind, name, region)),
            Self::Drift(refused) => return Some(refused.way_out()),
            Self::UnknownVersion { .. } => "give one of these with `--k8s-version`, or leave it out for the default",
            Self::NotOffered { .. } => "leave `--hpa-sync-period` out, or give another `--k8s-version`",
            Self::UnsupportedZone { valid, .. } if valid.is_empty() => {
                "choose subnets in other zones, or another region"
            }
            Self::UnsupportedZone { valid, .. } => {
                return Some(format!(
                    "give `--subnet-ids` of two of these zones: {}",
                    valid.join(", ")
                ));
            }
            Self::Failed { reason, .. } if quota::of_reason(reason).is_some() => return quota::of_reason(reason),
            Self::Failed { reason, .. } if is_denied(reason) => {
                return Some(format!(
                    "the reason names what the credentials may not do; {POLICY} has the whole policy"
                ));
            }
            Self::Failed { kind: "cluster", .. } => {
                "remove the cause, delete the cluster with `provisioner teardown --delete-cluster`, then run the command again"
            }
            Self::Failed { .. } => "remove the cause, then run the same command again: it goes on from here",
            Self::TimedOut { .. } => {
                "it may still get there: run the same command again, it goes on from here; `--timeout` allows more"
            }
            Self::Incomplete { .. } | Self::Request { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// The profiles that there are, the likeliest first said.
fn known_profiles(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "the AWS configuration has no profiles: leave `--profile` out, or make one with `aws configure`"
            .to_owned();
    }
    let near = nearest(name, known.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    format!("{near}profiles of the AWS configuration: `{}`", known.join("`, `"))
}

impl ApiError {
    /// Whether AWS refused the credentials themselves, not what they may do.
    pub(in crate::aws) fn refuses_credentials(&self) -> bool {
        self.is_session_over() || self.code.as_deref().is_some_and(|c| CREDENTIAL_CODES.contains(&c))
    }

    /// Whether the credentials were good once and ran out.
    pub(in crate::aws) fn is_session_over(&self) -> bool {
        self.code.as_deref().is_some_and(|c| EXPIRED_CODES.contains(&c))
    }

    /// Whether AWS refused the call for lack of permission.
    pub(in crate::aws) fn is_denied(&self) -> bool {
        self.code.as_deref().is_some_and(|c| DENIED_CODES.contains(&c))
    }

    /// The action that is not allowed: AWS's words name it, since it may be another than the call's own, e.g.
    /// `iam:PassRole` for `eks:CreateCluster`.
    fn denied_action(&self) -> &str {
        let named = self.message.split_once("not authorized to perform: ");
        let action = named.and_then(|(_, rest)| rest.split_whitespace().next());
        action
            .filter(|a| a.contains(':'))
            .map_or(self.operation, |a| a.trim_end_matches(['.', ',']))
    }

    fn hint(&self) -> Option<String> {
        let code = self.code.as_deref().unwrap_or_default();
        let hint = match code {
            _ if self.is_denied() => {
                return Some(format!(
                    "the credentials need `{}`; {POLICY} has the whole policy",
                    self.denied_action()
                ));
            }
            "LimitExceededException" | "ResourceLimitExceededException" | "LimitExceeded" => {
                return Some(quota::of_operation(self.operation));
            }
            "InsufficientCapabilitiesException" => "the foundation makes IAM roles: the credentials must be allowed to",
            "Throttling" | "ThrottlingException" | "TooManyRequestsException" => {
                "AWS asks for a slower pace: wait a minute, then run the same command again"
            }
            "" => "no answer came: check the network, then run the same command again",
            code if CREDENTIAL_CODES.contains(&code) => {
                "AWS does not accept the credentials any more: check them and this machine's clock, then run the same command again"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// How to lift the protection of a foundation stack or a cluster, and go on.
fn unprotect(kind: &str, name: &str, region: &str) -> String {
    let command = if kind == "foundation stack" {
        format!(
            "aws cloudformation update-termination-protection --stack-name {name} --no-enable-termination-protection"
        )
    } else {
        format!("aws eks update-cluster-config --name {name} --no-deletion-protection")
    };
    format!("run `{command} --region {region}`, then run the command again")
}
