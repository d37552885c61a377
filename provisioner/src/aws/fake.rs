//! AWS on the wire, for tests: answers by operation, and a list of the calls that came.
//!
//! Operations are named as the protocols name them: `CreateStack` (query), `CreateRepository` (JSON), and for EKS
//! (REST) by method and path, `GET /clusters/demo`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::eks::{EksCluster, Settings};
use super::{Aws, Identity, Options};
use crate::names::StackName;
pub(super) use crate::report::Record;

/// The body of an answer: text or JSON.
pub(crate) struct Body(String);

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<serde_json::Value> for Body {
    fn from(json: serde_json::Value) -> Self {
        Self(json.to_string())
    }
}

type Answers = HashMap<String, VecDeque<(u16, String)>>;

/// A wire with prepared answers.
#[derive(Clone, Default, Debug)]
pub(crate) struct Wire {
    answers: Arc<Mutex<Answers>>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
    headers: Arc<Mutex<HashMap<String, HashMap<String, String>>>>,
}

impl Wire {
    /// The next answer to `operation`; the last one given stays.
    pub(crate) fn on(self, operation: &str, status: u16, body: impl Into<Body>) -> Self {
        let Body(body) = body.into();
        let mut answers = self.answers.lock().expect("lock");
        let queue = answers.entry(operation.to_owned()).or_default();
        queue.push_back((status, body));
        drop(answers);
        self
    }

    /// No answer to `operation` ever comes.
    pub(super) fn never(self, operation: &str) -> Self {
        self.on(operation, 0, "")
    }

    /// Answers of `other` for what has none here.
    pub(super) fn otherwise(self, other: &Self) -> Self {
        let others = other.answers.lock().expect("lock").clone();
        let mut answers = self.answers.lock().expect("lock");
        for (operation, prepared) in others {
            answers.entry(operation).or_insert(prepared);
        }
        drop(answers);
        self
    }

    /// The operations called so far, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().expect("lock");
        calls.iter().map(|(operation, _)| operation.clone()).collect()
    }

    /// Body of the first call of `operation`.
    pub(super) fn body(&self, operation: &str) -> String {
        let calls = self.calls.lock().expect("lock");
        let call = calls.iter().find(|(called, _)| called == operation);
        call.map(|(_, body)| body.clone()).unwrap_or_default()
    }

    /// Body of the last call of `operation`.
    pub(super) fn last_body(&self, operation: &str) -> String {
        let calls = self.calls.lock().expect("lock");
        let call = calls.iter().rfind(|(called, _)| called == operation);
        call.map(|(_, body)| body.clone()).unwrap_or_default()
    }

    /// Headers of the last call of `operation`, names in lower case, with the host as `host`.
    pub(crate) fn headers(&self, operation: &str) -> HashMap<String, String> {
        self.headers
            .lock()
            .expect("lock")
            .get(operation)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn config(&self) -> SdkConfig {
        let key = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(key))
            .retry_config(RetryConfig::disabled())
            .http_client(self.clone())
            .build()
    }

    /// The same with the retries of the real one, without its pauses.
    pub(super) fn patient(&self) -> Aws {
        let retry = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(Duration::from_millis(1));
        over(self.config().into_builder().retry_config(retry).build())
    }

    /// A connection over this wire that looks every millisecond and gives up after one second.
    pub(crate) fn aws(&self) -> Aws {
        over(self.config())
    }

    fn answer(&self, operation: &str) -> (u16, String) {
        let mut answers = self.answers.lock().expect("lock");
        match answers.get_mut(operation) {
            Some(queue) if queue.len() > 1 => queue.pop_front().unwrap_or_default(),
            Some(queue) => queue.front().cloned().unwrap_or_default(),
            None => (599, format!("no answer prepared for {operation}")),
        }
    }
}

fn over(config: SdkConfig) -> Aws {
    let identity = Identity {
        account: "123456789012".to_owned(),
        arn: "arn:aws:iam::123456789012:user/test".to_owned(),
        partition: "aws".to_owned(),
    };
    let options = Options {
        poll: Duration::from_millis(1),
        timeout: Duration::from_secs(1),
        ..Options::default()
    };
    Aws::over(config, identity, "eu-central-1".to_owned(), &options, 1)
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = request.body().bytes().unwrap_or_default();
        let sent = String::from_utf8_lossy(sent).into_owned();
        let operation = operation(&request, &sent);
        let (status, body) = self.answer(&operation);
        let uri: http::Uri = request.uri().parse().expect("a URI");
        let host = ("host".to_owned(), uri.host().unwrap_or_default().to_owned());
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.headers
            .lock()
            .expect("lock")
            .insert(operation.clone(), headers.chain([host]).collect());
        self.calls.lock().expect("lock").push((operation, sent));
        if status == 0 {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let status = status.try_into().expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("x-amzn-requestid", "req-1");
        HttpConnectorFuture::ready(Ok(response))
    }
}

fn operation(request: &HttpRequest, body: &str) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    if let Some(action) = body.strip_prefix("Action=") {
        return action.split('&').next().unwrap_or_default().to_owned();
    }
    let uri: http::Uri = request.uri().parse().expect("a URI");
    format!("{} {}", request.method(), uri.path())
}

/// An error as the JSON services and EKS give it.
pub(super) fn error(code: &str, message: &str) -> String {
    serde_json::json!({"__type": code, "message": message}).to_string()
}

/// An error as `CloudFormation` and STS give it.
pub(super) fn query_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>req-1</RequestId></ErrorResponse>"
    )
}

/// A cluster that is active, on nothing known.
pub(crate) fn cluster(name: &str, created_by_us: bool) -> EksCluster {
    EksCluster {
        name: name.to_owned(),
        arn: format!("arn:aws:eks:us-east-1:123456789012:cluster/{name}"),
        status: "ACTIVE".to_owned(),
        version: None,
        endpoint: None,
        ca_pem: None,
        created_by_us,
        created_at: "2026-09-01T00:00:00Z".parse().ok(),
        health: Vec::new(),
        deletion_protection: false,
        vpc_id: None,
        settings: Settings::default(),
    }
}

/// The stack of all tests.
pub(super) fn demo() -> StackName {
    "demo".parse().expect("valid")
}
