//! EC2, as much of it as a teardown needs: a Query client on the SDK's own machinery.
//!
//! `aws-sdk-ec2` is the largest crate of the SDK, and a dozen calls are made here (ARCHITECTURE.md has the figures). So the
//! request and the answer are written here, and everything between them is what every SDK client runs on: the
//! connection's credentials, HTTP client, retries, timeouts, clock correction and signing.

mod answer;
mod endpoint;

use std::borrow::Cow;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_smithy_runtime::client::http::connection_poisoning::ConnectionPoisoningInterceptor;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeOptionResolverParams, SharedAuthScheme};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use serde::de::DeserializeOwned;

use super::error::{ApiError, AwsError, api};
pub(super) use answer::{List, Refused, Tag, tags};

/// Version of the API, which has been the only one since 2016.
const VERSION: &str = "2016-11-15";
/// How the SDK names the service in `AWS_ENDPOINT_URL_EC2` and in profiles.
pub(super) const SERVICE_ID: &str = "EC2";

/// What went wrong with a call, as of any SDK client.
pub(super) type CallError = SdkError<Refused, HttpResponse>;

/// The client.
#[derive(Clone, Debug)]
pub(super) struct Ec2 {
    operation: Operation<String, String, Refused>,
}

impl Ec2 {
    /// A client on the connection's settings.
    pub(super) fn new(config: &SdkConfig) -> Self {
        let mut builder = Operation::builder()
            .service_name(SERVICE_ID)
            .operation_name("Query")
            .endpoint_url(&endpoint::url(config))
            .standard_retry(&config.retry_config().cloned().unwrap_or_else(RetryConfig::standard))
            .timeout_config(config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled))
            .runtime_plugin(signing(config))
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
            .interceptor(ConnectionPoisoningInterceptor::new())
            .interceptor(ServiceClockSkewInterceptor::new())
            .interceptor(RequestInfoInterceptor::new())
            .interceptor(InvocationIdInterceptor::new());
        if let Some(version) = config.behavior_version() {
            builder = builder.behavior_version(version);
        }
        if let Some(http) = config.http_client() {
            builder = builder.http_client(http);
        }
        if let Some(sleep) = config.sleep_impl() {
            builder = builder.sleep_impl(sleep);
        }
        if let Some(time) = config.time_source() {
            builder = builder.time_source(time);
        }
        let operation = builder.serializer(post).deserializer(answer::read).build();
        Self { operation }
    }

    /// One call without an answer worth reading; the raw error, for callers that branch on its code.
    pub(super) async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Result<(), CallError> {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("Action", action).append_pair("Version", VERSION);
        self.operation
            .invoke(body.extend_pairs(parameters).finish())
            .await
            .map(|_| ())
    }

    /// Every item of a `Describe` call, over all pages. `operation` is the call as IAM names it.
    pub(super) async fn list<T: List + DeserializeOwned>(
        &self,
        operation: &'static str,
        intent: &'static str,
        object: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Vec<T::Item>, AwsError> {
        let action = operation.trim_start_matches("ec2:");
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let mut body = url::form_urlencoded::Serializer::new(String::new());
            body.append_pair("Action", action).append_pair("Version", VERSION);
            body.extend_pairs(parameters);
            if !next.is_empty() {
                body.append_pair("NextToken", &next);
            }
            let answer = self.operation.invoke(body.finish()).await;
            let answer = answer.map_err(api(operation, intent, object))?;
            let page = answer::parse::<T>(action, &answer).map_err(|reason| {
                AwsError::Api(Box::new(ApiError {
                    operation,
                    intent,
                    object: object.to_owned(),
                    code: Some("unreadable answer".to_owned()),
                    message: reason,
                    request_id: None,
                }))
            })?;
            let (mut page, token) = page.into_page();
            items.append(&mut page);
            if token.is_empty() || token == next {
                return Ok(items);
            }
            next = token;
        }
    }
}

/// The code of an error, where EC2 answered with one.
pub(super) fn code(error: &CallError) -> &str {
    error.code().unwrap_or_default()
}

/// What signs: region, service, credentials.
fn signing(config: &SdkConfig) -> StaticRuntimePlugin {
    let mut layer = Layer::new("ec2");
    layer.store_put(SigV4OperationSigningConfig::default());
    layer.store_put(SigningName::from_static("ec2"));
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    if let Some(region) = config.region() {
        layer.store_put(SigningRegion::from(region.clone()));
    }
    let mut components = RuntimeComponentsBuilder::new("ec2");
    components.set_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])));
    components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
    if let Some(cache) = config.identity_cache() {
        components.set_identity_cache(Some(cache));
    }
    if let Some(provider) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(provider));
    }
    StaticRuntimePlugin::new()
        .with_config(layer.freeze())
        .with_runtime_components(components)
}

/// The request: everything is in the body, as a form.
#[expect(clippy::needless_pass_by_value, reason = "the form that a serializer has")]
fn post(body: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(body.as_str()));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    headers.insert("content-type", "application/x-www-form-urlencoded");
    headers.insert("content-length", Cow::Owned(body.len().to_string()));
    Ok(request)
}

#[cfg(test)]
mod tests;
