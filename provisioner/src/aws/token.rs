//! Kubernetes tokens for EKS: a presigned `GetCallerIdentity` that the cluster replays to learn who asks.
//!
//! The protocol is that of aws-iam-authenticator: `k8s-aws-v1.` + base64url without padding of the URL; the
//! cluster's name is a signed header. The URL always names the region's real STS host, because the cluster, not
//! we, will call it.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::request;
use super::{Aws, AwsError, credentials, partition};

/// What the authenticator expects in front of the URL.
const PREFIX: &str = "k8s-aws-v1.";
/// `X-Amz-Expires`: the authenticator demands 60 and allows 15 minutes from `X-Amz-Date`.
const EXPIRES: Duration = Duration::from_mins(1);
/// How long we call a token good: the authenticator's 15 minutes less one, as the AWS CLI does.
const LIFETIME: Duration = Duration::from_mins(14);

/// A bearer token for one cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token; a secret.
    pub token: String,
    /// From when on it should not be used.
    pub expires_at: jiff::Timestamp,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("token", &"***")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// A token for `cluster`, good for 14 minutes. Signed here: no network, but for refreshing credentials.
pub async fn presign(aws: &Aws, cluster: &str) -> Result<Token, AwsError> {
    let credentials = credentials(&aws.config).await?;
    token_at(SystemTime::now(), &credentials, &aws.region, cluster)
}

fn token_at(now: SystemTime, credentials: &Credentials, region: &str, cluster: &str) -> Result<Token, AwsError> {
    let what = format!("token for cluster `{cluster}`");
    let url = presigned_url(now, credentials, region, cluster).map_err(request(&what))?;
    let end = now + LIFETIME;
    let end = credentials.expiry().map_or(end, |expiry| expiry.min(end));
    Ok(Token {
        token: format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url)),
        expires_at: jiff::Timestamp::try_from(end).map_err(request(&what))?,
    })
}

fn presigned_url(
    now: SystemTime,
    credentials: &Credentials,
    region: &str,
    cluster: &str,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let host = sts_host(region);
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let headers = [("host", host.as_str()), ("x-k8s-aws-id", cluster)];
    let signable = SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(&[]))?;
    let (instructions, _signature) = sign(signable, &params)?.into_parts();
    let mut request = http::Request::get(&url).body(())?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

/// The region's own STS host.
pub(super) fn sts_host(region: &str) -> String {
    format!("sts.{region}.{}", partition::of(region).dns_suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Credentials {
        Credentials::new("AKIDEXAMPLE", "secret", None, None, "test")
    }

    /// 2026-11-18T11:06:40Z
    fn now() -> SystemTime {
        let time: jiff::Timestamp = "2026-11-18T11:06:40Z".parse().expect("a time");
        time.into()
    }

    fn url(token: &Token) -> String {
        let encoded = token.token.strip_prefix(PREFIX).expect("prefix");
        let url = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
        String::from_utf8(url).expect("text")
    }

    /// The signature is botocore's `SigV4QueryAuth` for the same key, time, region and cluster.
    #[test]
    fn signature_is_that_of_botocore() {
        let token = token_at(now(), &key(), "us-east-1", "demo").expect("signed");
        let url = url(&token);
        assert!(
            url.starts_with("https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&"),
            "{url}"
        );
        assert!(url.contains("X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"), "{url}");
        assert!(url.contains("X-Amz-Expires=60"), "{url}");
        assert!(
            url.ends_with("X-Amz-Signature=e1739eeae893423d4e65c57de6cbc003d061818d5f764f5799502cf110272aff"),
            "{url}"
        );
        assert_eq!(token.expires_at.to_string(), "2026-11-18T11:20:40Z");
    }

    #[test]
    fn session_token_is_part_of_the_url_and_expiry_that_of_the_session() {
        let expiry = now() + Duration::from_mins(2);
        let session = Credentials::new("A", "s", Some("SESSION".into()), Some(expiry), "test");
        let token = token_at(now(), &session, "eu-west-1", "demo").expect("signed");
        assert!(url(&token).contains("X-Amz-Security-Token=SESSION"));
        assert_eq!(token.expires_at.to_string(), "2026-11-18T11:08:40Z");
    }

    #[test]
    fn hosts_follow_the_partition() {
        assert_eq!(sts_host("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn");
        assert_eq!(sts_host("us-gov-west-1"), "sts.us-gov-west-1.amazonaws.com");
        assert_eq!(sts_host("us-iso-east-1"), "sts.us-iso-east-1.c2s.ic.gov");
        assert_eq!(sts_host("us-isob-east-1"), "sts.us-isob-east-1.sc2s.sgov.gov");
    }

    #[test]
    fn debug_hides_the_token() {
        let token = token_at(now(), &key(), "us-east-1", "demo").expect("signed");
        assert!(!format!("{token:?}").contains(PREFIX));
    }
}
