//! An AWS where nothing exists but what a test says: answers "not found" to every other question and remembers what
//! was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// The endpoint; it lives as long as the value.
pub(crate) struct FakeAws {
    /// Its URL on the loopback interface.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

type Asked = Arc<Mutex<Vec<String>>>;
/// Answers by operation, or by operation and the body that it is asked with: status and body, XML or JSON.
pub(crate) type Answers = Vec<(&'static str, u16, String)>;

impl FakeAws {
    /// Starts on a free port; nothing exists.
    pub(crate) fn start() -> Self {
        Self::with(Vec::new())
    }

    /// Starts on a free port; `answers` are given instead of "not found".
    pub(crate) fn with(answers: Answers) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let asked = Asked::default();
        let router = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&asked), Arc::new(answers)));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            asked,
            _runtime: runtime,
        }
    }

    /// Every operation so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

type Known = (Asked, Arc<Answers>);

async fn answer(
    State((asked, answers)): State<Known>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = operation(&method, &uri, &headers, &body);
    asked.lock().unwrap().push(operation.clone());
    let in_full = format!("{operation} {}", String::from_utf8_lossy(&body));
    let is_asked = |known: &str| known == operation || known == in_full;
    if let Some((_, status, body)) = answers.iter().find(|(known, ..)| is_asked(known)) {
        let kind = if body.starts_with('<') {
            "text/xml"
        } else {
            "application/json"
        };
        let status = StatusCode::from_u16(*status).unwrap();
        return (status, [(CONTENT_TYPE, kind)], body.clone()).into_response();
    }
    match operation.as_str() {
        "GetCallerIdentity" => xml(
            StatusCode::OK,
            "<GetCallerIdentityResponse><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::123456789012:user/tester</Arn><UserId>AIDA</UserId>\
             <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        "AssumeRole" => xml(
            StatusCode::OK,
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>\
             <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>\
             <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
        ),
        "DescribeStacks" => xml(
            StatusCode::BAD_REQUEST,
            "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
             <Message>Stack with id provisioner-demo does not exist</Message></Error></ErrorResponse>",
        ),
        "DescribeRepositories" => json("RepositoryNotFoundException", StatusCode::BAD_REQUEST),
        "DescribeAvailabilityZones" => xml(
            StatusCode::OK,
            "<DescribeAvailabilityZonesResponse><availabilityZoneInfo>\
             <item><zoneName>a</zoneName><zoneId>az1</zoneId><zoneState>available</zoneState></item>\
             <item><zoneName>b</zoneName><zoneId>az2</zoneId><zoneState>available</zoneState></item>\
             </availabilityZoneInfo></DescribeAvailabilityZonesResponse>",
        ),
        "DescribeSecurityGroups" => xml(StatusCode::OK, "<DescribeSecurityGroupsResponse/>"),
        "DescribeVolumes" => xml(StatusCode::OK, "<DescribeVolumesResponse/>"),
        "DescribeLogGroups" => ok(r#"{"logGroups": []}"#),
        "GetAuthorizationToken" => ok(
            r#"{"authorizationData": [{"authorizationToken": "QVdTOnNlY3JldA==", "proxyEndpoint": "http://127.0.0.1:1"}]}"#,
        ),
        "GET /cluster-versions" => ok(
            r#"{"clusterVersions": [{"clusterVersion": "1.35", "defaultVersion": true, "versionStatus": "STANDARD_SUPPORT"}]}"#,
        ),
        "GET /addons/supported-versions" => ok(r#"{"addons": [{"addonVersions": [{"addonVersion": "v1"}]}]}"#),
        read if read.starts_with("GET ") => json("ResourceNotFoundException", StatusCode::NOT_FOUND),
        _ => json("AccessDeniedException", StatusCode::FORBIDDEN),
    }
}

/// The operation as its protocol names it; for the REST services method and path.
fn operation(method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> String {
    if let Some(target) = headers.get("x-amz-target").and_then(|t| t.to_str().ok()) {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    let form = String::from_utf8_lossy(body);
    let action = form.split('&').find_map(|pair| pair.strip_prefix("Action="));
    action.map_or_else(|| format!("{method} {}", uri.path()), str::to_owned)
}

fn xml(status: StatusCode, text: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], text).into_response()
}

fn ok(text: &'static str) -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, "application/json")], text).into_response()
}

fn json(code: &'static str, status: StatusCode) -> Response {
    let body = format!("{{\"__type\":\"{code}\",\"message\":\"not here\"}}");
    (
        status,
        [(CONTENT_TYPE.as_str(), "application/json"), ("x-amzn-errortype", code)],
        body,
    )
        .into_response()
}
