//! AWS: clients and the resources that the tool ensures and deletes.
//!
//! ```text
//! Options --Aws::connect--> Aws --ecr::ensure_repository--> Repository     --ecr::authorize--> RegistryAuth
//!                               --foundation::ensure_from-> Foundation --eks::ensure--> EksCluster --token::presign--> Token
//! ```
//!
//! Every `ensure_` looks first and makes no mutating call when nothing has to change. What exists without this
//! stack's tags is used, never marked, never deleted. Waits report through [`Reporter::waiting`] and are bounded
//! by [`Options::timeout`]. The outcome of the object itself is returned, and reporting it is the caller's; only
//! lesser things done along the way (an access entry, a node group) are reported here, and repositories, whose settings
//! come after them.
//!
//! [`Reporter::waiting`]: crate::report::Reporter::waiting

pub mod cost;
pub mod drift;
mod ec2;
pub mod ecr;
pub mod eks;
mod endpoint;
mod error;
pub mod foundation;
mod in_flight;
pub mod logs;
mod partition;
pub mod preflight;
mod profiles;
mod quota;
pub(crate) mod region;
pub mod removal;
pub mod sweep;
pub mod token;
mod wait;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::error::SdkError;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
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
    password: ecr::Kept,
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
        if let Some(profile) = &options.profile {
            profiles::check(profile).await?;
        }
        let config = load(options).await;
        if config.region().is_none() {
            // A profile of the environment may stand beside keys and a region that make it needless.
            if let Some(profile) = profiles::of_environment() {
                profiles::check(&profile).await?;
            }
            return Err(AwsError::NoRegion);
        }
        endpoint::check(&config)?;
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
        Ok(Self::over(config, identity, region, options, run))
    }

    /// A connection over `config` for an identity that is known.
    fn over(config: SdkConfig, identity: Identity, region: String, options: &Options, run: u128) -> Self {
        Self {
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
            password: ecr::Kept::default(),
            run,
        }
    }

    /// Who the credentials belong to.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The region, e.g. `eu-central-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The same account in `region`: what is asked there is asked of that region, and passwords are its own.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        if region == self.region {
            return self.clone();
        }
        let options = Options {
            poll: self.poll,
            timeout: self.timeout,
            ..Options::default()
        };
        let config = self.config.to_builder().region(Region::new(region.to_owned())).build();
        Self::over(config, self.identity.clone(), region.to_owned(), &options, self.run)
    }

    /// Whether ECR itself calls this account's registry in this region `host`.
    pub fn is_registry(&self, host: &ecr::Host) -> bool {
        host.is_usual && (&host.account, &host.region) == (&self.identity.account, &self.region)
    }

    /// Host of the registry of this account and region.
    pub fn registry_host(&self) -> String {
        let suffix = partition::of(&self.region).dns_suffix;
        format!("{}.dkr.ecr.{}.{suffix}", self.identity.account, self.region)
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

async fn load(options: &Options) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
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
    let Some(profile) = &options.profile else {
        return loader.load().await;
    };
    let config = loader.profile_name(profile).load().await;
    // The SDK's chain would prefer keys in the environment to a profile that was asked for.
    let settings = ProviderConfig::default()
        .with_http_client(http)
        .with_region(config.region().cloned());
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(&settings)
        .profile_name(profile)
        .build();
    let provider = SharedCredentialsProvider::new(provider);
    config.into_builder().credentials_provider(provider).build()
}

async fn credentials(config: &SdkConfig) -> Result<Credentials, AwsError> {
    let none = |reason: String| AwsError::NoCredentials { reason };
    let provider = config.credentials_provider().ok_or_else(|| none(String::new()))?;
    provider.provide_credentials().await.map_err(|e| match e {
        // Its own words say no more than the variant; what the providers said is below.
        CredentialsError::CredentialsNotLoaded(_) => none(e.source().map(chain).unwrap_or_default()),
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
            url: endpoint::sts(config, region),
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
        AwsError::Api(answer) | AwsError::SessionOver(answer) if answer.refuses_credentials() => {
            AwsError::InvalidCredentials {
                reason: answer.answer(),
                code: answer.code,
            }
        }
        other => other,
    }
}
