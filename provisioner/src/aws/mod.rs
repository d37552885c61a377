//! AWS: clients and the resources that the tool ensures and deletes.
//!
//! ```text
//! Options --Aws::connect--> Aws --ecr::ensure_repository-> Repository     --ecr::authorize--> RegistryAuth
//!                               --foundation::ensure-----> Foundation --eks::ensure--> EksCluster --token::presign--> Token
//! ```
//!
//! Every `ensure_` looks first and makes no mutating call when nothing has to change. What exists without this
//! stack's tags is used, never marked, never deleted. Waits report through [`Reporter::waiting`] and are bounded
//! by [`Options::timeout`]. The outcome of the object itself is returned, and reporting it is the caller's; only
//! lesser things done along the way (an access entry, a node group) are reported here.
//!
//! [`Reporter::waiting`]: crate::report::Reporter::waiting

mod ec2;
pub mod ecr;
pub mod eks;
mod error;
pub mod foundation;
pub mod logs;
pub mod removal;
pub mod sweep;
pub mod token;
mod wait;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::SdkError;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::service_config::ServiceConfigKey;
use sha2::{Digest, Sha256};

pub use error::{ApiError, AwsError};

use error::{api, chain};

/// Attempts per call, the first included; standard mode: exponential backoff with jitter.
const ATTEMPTS: u32 = 5;
/// Longest time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach AWS and how patient to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Overrides environment and profile.
    pub region: Option<String>,
    /// A profile of the shared configuration files; beats keys in the environment, as with the AWS CLI.
    pub profile: Option<String>,
    /// Time between two looks at something that takes its time.
    pub poll: Duration,
    /// Longest time for each wait.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: None,
            profile: None,
            poll: Duration::from_secs(5),
            timeout: Duration::from_mins(30),
        }
    }
}

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Account id, 12 digits.
    pub account: String,
    /// ARN of the caller, for assumed roles that of the session.
    pub arn: String,
    /// `aws`, `aws-cn`, `aws-us-gov`, ...
    pub partition: String,
}

/// A connection to one account and region: the clients, made from one configuration.
#[derive(Clone)]
pub struct Aws {
    ecr: aws_sdk_ecr::Client,
    eks: aws_sdk_eks::Client,
    cloudformation: aws_sdk_cloudformation::Client,
    balancers: aws_sdk_elasticloadbalancingv2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    ec2: ec2::Ec2,
    config: SdkConfig,
    identity: Identity,
    region: String,
    poll: Duration,
    timeout: Duration,
    /// When this run began, nanoseconds: part of every request token, see [`Aws::request_token`].
    run: u128,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The clients' own output is pages long and names access keys.
        f.debug_struct("Aws")
            .field("identity", &self.identity)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Aws {
    /// Resolves region and credentials and asks AWS who they belong to. Changes nothing.
    ///
    /// # Errors
    /// [`AwsError::is_configuration`] for missing or refused region and credentials and for a plain-HTTP endpoint
    /// that is not on this machine; [`AwsError::Unreachable`], with the URL, if nothing answers.
    pub async fn connect(options: &Options) -> Result<Self, AwsError> {
        let config = loader(options).load().await;
        if config.region().is_none() {
            return Err(AwsError::NoRegion);
        }
        for url in endpoints(&config) {
            refuse_insecure(&url)?;
        }
        let run = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos());
        Self::from_config(config, options, run).await
    }

    /// The part of [`Aws::connect`] after the environment was read.
    async fn from_config(config: SdkConfig, options: &Options, run: u128) -> Result<Self, AwsError> {
        let region = config.region().ok_or(AwsError::NoRegion)?.to_string();
        credentials(&config).await?;
        let identity = identify(&config, &region).await?;
        Ok(Self {
            ecr: aws_sdk_ecr::Client::new(&config),
            eks: aws_sdk_eks::Client::new(&config),
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            balancers: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            ec2: ec2::Ec2::new(&config),
            config,
            identity,
            region,
            poll: options.poll,
            timeout: options.timeout,
            run,
        })
    }

    /// Who the credentials belong to.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The region, e.g. `eu-central-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// A client request token: the same for the same request within a run, so that a call whose answer was lost is
    /// not done twice; another one in the next run, so that AWS never answers with the memory of a deleted object.
    fn request_token(&self, parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(self.run.to_be_bytes());
        hex::encode(hash.finalize())[..48].to_owned()
    }
}

fn loader(options: &Options) -> ConfigLoader {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        );
    if let Ok(name) = AppName::new(env!("CARGO_PKG_NAME")) {
        loader = loader.app_name(name);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &options.profile {
        // The SDK's chain would prefer keys in the environment to a profile that was asked for.
        let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(provider);
    }
    loader
}

async fn credentials(config: &SdkConfig) -> Result<Credentials, AwsError> {
    let none = || AwsError::NoCredentials { reason: String::new() };
    let provider = config.credentials_provider().ok_or_else(none)?;
    provider.provide_credentials().await.map_err(|e| match e {
        CredentialsError::CredentialsNotLoaded(_) => none(),
        other => AwsError::InvalidCredentials {
            code: None,
            reason: chain(&other),
        },
    })
}

async fn identify(config: &SdkConfig, region: &str) -> Result<Identity, AwsError> {
    let answer = aws_sdk_sts::Client::new(config).get_caller_identity().send();
    let answer = answer.await.map_err(|error| match &error {
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => AwsError::Unreachable {
            url: sts_url(config, region),
            reason: chain(&error),
        },
        _ => refused(api("sts:GetCallerIdentity", "ask who the credentials belong to", "")(
            error,
        )),
    })?;
    let missing = |missing| error::incomplete("sts:GetCallerIdentity", region, missing);
    let arn = answer.arn.ok_or_else(|| missing("ARN"))?;
    Ok(Identity {
        account: answer.account.ok_or_else(|| missing("account"))?,
        partition: arn.split(':').nth(1).unwrap_or("aws").to_owned(),
        arn,
    })
}

/// Sets credentials that AWS refuses apart from other failures.
fn refused(error: AwsError) -> AwsError {
    match error {
        AwsError::Api(answer) if answer.refuses_credentials() => AwsError::InvalidCredentials {
            reason: answer.answer(),
            code: answer.code,
        },
        other => other,
    }
}

fn sts_url(config: &SdkConfig, region: &str) -> String {
    std::env::var("AWS_ENDPOINT_URL_STS")
        .ok()
        .or_else(|| config.endpoint_url().map(str::to_owned))
        .unwrap_or_else(|| format!("https://{}", token::sts_host(region)))
}

/// The services, by the ids under which environment and profile may set their endpoints.
const SERVICE_IDS: [&str; 7] = [
    "STS",
    "ECR",
    "EKS",
    "CloudFormation",
    ec2::SERVICE_ID,
    "Elastic Load Balancing v2",
    "CloudWatch Logs",
];

/// Every endpoint that the environment or the profile sets instead of AWS's own.
fn endpoints(config: &SdkConfig) -> Vec<String> {
    SERVICE_IDS
        .iter()
        .filter_map(|service| service_endpoint(config, service))
        .chain(config.endpoint_url().map(str::to_owned))
        .collect()
}

/// The endpoint that `AWS_ENDPOINT_URL_SERVICE` or the profile sets for one service.
fn service_endpoint(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    config.service_config()?.load_config(key)
}

/// Plain HTTP shows registry tokens to the network: only this machine may be spoken to that way.
fn refuse_insecure(endpoint: &str) -> Result<(), AwsError> {
    let loopback = |url: &url::Url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url::Url::parse(endpoint) {
        Ok(url) if url.scheme() == "http" && !loopback(&url) => Err(AwsError::InsecureEndpoint {
            url: endpoint.to_owned(),
        }),
        _ => Ok(()),
    }
}
