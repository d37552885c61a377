//! `/_sandbox/*` at the AWS address: how tests look at the sandbox and change its behaviour.
//!
//! | method | path | what |
//! | --- | --- | --- |
//! | GET | `requests` | the calls of the tool: an array of `{time, service, operation, status, attempt, fault}` by time; those to Kubernetes and the registry with `bytes`, the size of the request's body |
//! | DELETE | `requests` | forgets them |
//! | GET | `faults` | the faults in force |
//! | POST | `faults` | replaces them by the array in the body |
//! | GET | `hold` | `{after, before, seen, holding}` |
//! | POST | `hold` | counts calls from now on and holds them from the k-th on: `{"after": k}`, its work done and its answer held; with `"before": true` not even forwarded; `{"after": null}` only counts |
//! | DELETE | `hold` | resets the connections of held calls and counts anew |
//! | POST | `reset` | everything as after the start |
//!
//! The rest is the AWS endpoint's own: `sandbox/aws/control.py`. Faults with service `kubernetes` or `registry` are the
//! front's, all others the endpoint's; operations of these two services are `METHOD /path`, with ` dryRun` and ` watch`
//! behind it where the query asks for that, and a fault's pattern is matched against that. Calls to `/_sandbox` and those
//! of the authenticator are no calls of the tool.

use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::body::{Body, read, whole};
use super::call::Gone;
use super::fault::Faults;
use super::hold::Wanted;
use super::{Front, Service};

const PREFIX: &str = "/_sandbox/";

/// Whether a path belongs to the control and not to AWS.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with(PREFIX)
}

impl Front {
    /// Answers what the front knows, alone or together with the AWS endpoint, which answers all the rest.
    pub(crate) async fn control(&self, request: Request<Body>) -> Result<Response<Body>, Gone> {
        let what = request
            .uri()
            .path()
            .trim_start_matches(PREFIX)
            .trim_end_matches('/')
            .to_owned();
        match (request.method().as_str(), what.as_str()) {
            ("GET", "requests") => self.requests().await,
            ("DELETE", "requests") => {
                self.journal.clear();
                self.forward(Service::Aws, request).await
            }
            ("GET", "faults") => self.faults().await,
            ("POST", "faults") => self.replace_faults(request).await,
            ("POST", "reset") => {
                self.hold.set(None);
                self.faults.clear();
                self.journal.clear();
                self.forward(Service::Aws, request).await
            }
            (method, "hold") => {
                let method = method.to_owned();
                self.change_hold(&method, request).await
            }
            _ => self.forward(Service::Aws, request).await,
        }
    }

    async fn requests(&self) -> Result<Response<Body>, Gone> {
        let (_, others) = self.ask(Method::GET, "requests", Vec::new()).await?;
        Ok(answer(StatusCode::OK, &json!(self.journal.merged(array(others)))))
    }

    async fn faults(&self) -> Result<Response<Body>, Gone> {
        let (_, others) = self.ask(Method::GET, "faults", Vec::new()).await?;
        Ok(answer(
            StatusCode::OK,
            &json!([array(others), self.faults.listed()].concat()),
        ))
    }

    /// All or none: a bad fault on either side changes nothing.
    async fn replace_faults(&self, request: Request<Body>) -> Result<Response<Body>, Gone> {
        let body = read(request.into_body()).await.map_err(|_| Gone)?;
        let Ok(Value::Array(all)) = serde_json::from_slice(&body) else {
            return Ok(refused("faults must be an array"));
        };
        let (own, others): (Vec<Value>, Vec<Value>) = all
            .into_iter()
            .partition(|fault| matches!(fault["service"].as_str(), Some("kubernetes" | "registry")));
        let own = match Faults::check(own) {
            Ok(own) => own,
            Err(problem) => return Ok(refused(&problem)),
        };
        let (status, said) = self
            .ask(Method::POST, "faults", json!(others).to_string().into())
            .await?;
        if !status.is_success() {
            return Ok(answer(status, &said));
        }
        self.faults.replace(own);
        self.faults().await
    }

    async fn change_hold(&self, method: &str, request: Request<Body>) -> Result<Response<Body>, Gone> {
        match method {
            "GET" => {}
            "DELETE" => self.hold.set(None),
            "POST" => {
                let body = read(request.into_body()).await.map_err(|_| Gone)?;
                match Wanted::parse(&body) {
                    Ok(wanted) => self.hold.set(Some(wanted)),
                    Err(problem) => return Ok(refused(&problem)),
                }
            }
            _ => {
                let error = json!({"error": "/_sandbox/hold takes GET, POST, DELETE"});
                return Ok(answer(StatusCode::METHOD_NOT_ALLOWED, &error));
            }
        }
        Ok(answer(StatusCode::OK, &json!(self.hold.view())))
    }

    /// Asks the AWS endpoint's own control.
    async fn ask(&self, method: Method, what: &str, body: Vec<u8>) -> Result<(StatusCode, Value), Gone> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{what}"))
            .header(HOST, "sandbox")
            .body(whole(body))
            .map_err(|_| Gone)?;
        let (parts, body) = self.forward(Service::Aws, request).await?.into_parts();
        let bytes = read(body).await.map_err(|_| Gone)?;
        Ok((parts.status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    }
}

fn refused(problem: &str) -> Response<Body> {
    answer(StatusCode::BAD_REQUEST, &json!({"error": problem}))
}

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
