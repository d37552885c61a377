//! A registry in this process: the part of the distribution specification that a push uses, strict about digests and
//! order, with a record of requests and faults on demand.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode, header};
use base64::Engine as _;
use provisioner::image::RegistryTarget;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The only repository.
pub(crate) const REPOSITORY: &str = "demo/web-app";
/// What references start with.
pub(crate) const BASE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/web-app";
/// The first password of user `AWS`.
pub(crate) const PASSWORD: &str = "open-sesame";
const TOKEN: &str = "a-bearer-token";

/// How clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    Anonymous,
    Basic,
    Bearer,
}

/// What happens instead of the answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status and body; nothing is done.
    Answer(u16, &'static str),
    /// The connection closes; nothing is done.
    Cut,
    /// No answer ever comes; nothing is done.
    Silence,
    /// The request is carried out, then the connection closes without an answer.
    CutAfter,
    /// The answer's `Docker-Content-Digest` is this one.
    Digest(String),
    /// The password changes to this one before the request is looked at.
    NewPassword(&'static str),
    /// Somebody else sets the tag to this digest first, and the registry's tags are immutable.
    Overtaken(String),
}

#[derive(Default)]
struct Store {
    auth: Option<Auth>,
    password: Option<String>,
    blobs: HashMap<String, Bytes>,
    manifests: HashSet<String>,
    tags: HashMap<String, String>,
    uploads: u32,
    requests: Vec<Recorded>,
    faults: Vec<(String, u32, Fault)>,
}

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Method and path within the repository; upload numbers are left out.
    pub(crate) line: String,
    /// Size of the body.
    pub(crate) bytes: u64,
}

type Shared = Arc<Mutex<Store>>;

/// A running registry; it ends with the test's runtime.
pub(crate) struct Registry {
    address: String,
    store: Shared,
}

impl Registry {
    pub(crate) async fn start(auth: Auth) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let store = Shared::default();
        locked(&store).auth = Some(auth);
        let router = Router::new().fallback(handle).with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, store }
    }

    /// The target with valid credentials.
    pub(crate) fn target(&self) -> RegistryTarget {
        let endpoint = format!("http://{}", self.address);
        RegistryTarget::from_endpoint(&endpoint, "AWS".into(), PASSWORD.into(), REPOSITORY, BASE)
            .expect("loopback is accepted")
    }

    /// The next `times` requests whose line starts with `line` meet `fault`.
    pub(crate) fn inject(&self, line: &str, times: u32, fault: Fault) {
        locked(&self.store).faults.push((line.into(), times, fault));
    }

    pub(crate) fn clear_faults(&self) {
        locked(&self.store).faults.clear();
    }

    pub(crate) fn set_tag(&self, tag: &str, digest: &str) {
        locked(&self.store).tags.insert(tag.into(), digest.into());
    }

    /// Where `tag` points to.
    pub(crate) fn tag(&self, tag: &str) -> Option<String> {
        locked(&self.store).tags.get(tag).cloned()
    }

    /// How many tags, manifests and blobs there are.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let store = locked(&self.store);
        (store.tags.len(), store.manifests.len(), store.blobs.len())
    }

    /// What arrived since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Recorded> {
        std::mem::take(&mut locked(&self.store).requests)
    }
}

fn locked(store: &Shared) -> MutexGuard<'_, Store> {
    store.lock().expect("no handler panics with the lock")
}

async fn handle(State(store): State<Shared>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole body");
    match respond(&store, &parts, body) {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

/// The answer; none where none ever comes.
fn respond(store: &Shared, parts: &Parts, body: Bytes) -> Option<Response<Body>> {
    let path = parts.uri.path();
    let place = path.strip_prefix(&format!("/v2/{REPOSITORY}/")).unwrap_or(path);
    let query = parts.uri.query().unwrap_or_default().replace("%3A", ":");
    let line = if place.starts_with("blobs/uploads/") {
        let digest = query.strip_prefix("digest=").unwrap_or_default();
        format!("{} blobs/uploads/{digest}", parts.method)
    } else {
        format!("{} {place}", parts.method)
    };
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut guard = locked(store);
    guard.requests.push(Recorded {
        line: line.clone(),
        bytes: body.len() as u64,
    });
    let fault = guard.fault(&line);
    match fault {
        Some(Fault::Cut) => {
            drop(guard);
            cut();
        }
        Some(Fault::NewPassword(password)) => guard.password = Some(password.to_owned()),
        _ => {}
    }
    if matches!(fault, Some(Fault::Silence)) {
        return None;
    }
    if let Some(refusal) = guard.refusal(place, authorization.as_deref(), &parts.headers) {
        return Some(refusal);
    }
    match fault {
        Some(Fault::Answer(code, body)) => return Some(answer(code, body)),
        Some(Fault::Overtaken(digest)) => {
            let tag = place.trim_start_matches("manifests/").to_owned();
            guard.tags.insert(tag, digest);
            return Some(answer(400, &error("TAG_INVALID")));
        }
        _ => {}
    }
    let mut response = guard.serve(&parts.method, place, &query, body);
    drop(guard);
    match fault {
        Some(Fault::CutAfter) => cut(),
        Some(Fault::Digest(digest)) => set_digest(&mut response, &digest),
        _ => {}
    }
    Some(response)
}

/// Ends the connection's task without an answer and without a panic message.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("connection cut"))
}

impl Store {
    fn fault(&mut self, line: &str) -> Option<Fault> {
        let (_, times, fault) = self
            .faults
            .iter_mut()
            .find(|(start, times, _)| *times > 0 && line.starts_with(start.as_str()))?;
        *times -= 1;
        Some(fault.clone())
    }

    fn refusal(&self, place: &str, authorization: Option<&str>, headers: &header::HeaderMap) -> Option<Response<Body>> {
        let password = self.password.as_deref().unwrap_or(PASSWORD);
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}"));
        let basic = format!("Basic {basic}");
        let host = headers[header::HOST].to_str().expect("an address");
        let (wanted, challenge) = match self.auth {
            Some(Auth::Bearer) if place != "/token" => (
                format!("Bearer {TOKEN}"),
                format!(r#"Bearer realm="http://{host}/token",service="registry""#),
            ),
            Some(Auth::Basic | Auth::Bearer) => (basic, r#"Basic realm="registry""#.to_owned()),
            _ => return None,
        };
        (authorization != Some(&wanted)).then(|| {
            let mut response = answer(401, &error("UNAUTHORIZED"));
            let challenge = challenge.parse().expect("a header value");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            response
        })
    }

    fn serve(&mut self, method: &Method, place: &str, query: &str, body: Bytes) -> Response<Body> {
        let (kind, name) = place.rsplit_once('/').unwrap_or_default();
        match (method.as_str(), kind) {
            ("GET", _) if place == "/token" => answer(200, &format!(r#"{{"token":"{TOKEN}"}}"#)),
            ("GET", "/v2") => answer(200, "{}"),
            ("HEAD", "blobs") if self.blobs.contains_key(name) => answer(200, ""),
            ("POST", "blobs/uploads") => {
                self.uploads += 1;
                located(202, &format!("blobs/uploads/{}", self.uploads))
            }
            ("PUT", "blobs/uploads") => self.put_blob(query, body),
            ("HEAD" | "GET", "manifests") => match self.tags.get(name) {
                Some(digest) => with_digest(200, digest),
                None => answer(404, &error("MANIFEST_UNKNOWN")),
            },
            ("PUT", "manifests") => self.put_manifest(name, &body),
            _ => answer(404, &error("BLOB_UNKNOWN")),
        }
    }

    fn put_blob(&mut self, query: &str, body: Bytes) -> Response<Body> {
        let digest = digest(&body);
        if query != format!("digest={digest}") {
            return answer(400, &error("DIGEST_INVALID"));
        }
        self.blobs.insert(digest.clone(), body);
        located(201, &format!("blobs/{digest}"))
    }

    fn put_manifest(&mut self, tag: &str, body: &[u8]) -> Response<Body> {
        let manifest: Value = serde_json::from_slice(body).expect("a JSON manifest");
        let layers = manifest["layers"].as_array().expect("layers").iter();
        for descriptor in layers.chain([&manifest["config"]]) {
            let blob = descriptor["digest"].as_str().and_then(|d| self.blobs.get(d));
            if blob.map(|blob| blob.len() as u64) != descriptor["size"].as_u64() {
                return answer(404, &error("MANIFEST_BLOB_UNKNOWN"));
            }
        }
        let digest = digest(body);
        self.manifests.insert(digest.clone());
        self.tags.insert(tag.into(), digest.clone());
        with_digest(201, &digest)
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn error(code: &str) -> String {
    serde_json::json!({ "errors": [{ "code": code, "message": "" }] }).to_string()
}

fn answer(code: u16, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    response
}

fn located(code: u16, place: &str) -> Response<Body> {
    let mut response = answer(code, "");
    let location = format!("/v2/{REPOSITORY}/{place}");
    let location = location.parse().expect("a header value");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// As ECR answers a manifest: with the digest, without a location.
fn with_digest(code: u16, digest: &str) -> Response<Body> {
    let mut response = answer(code, "");
    set_digest(&mut response, digest);
    response
}

fn set_digest(response: &mut Response<Body>, digest: &str) {
    let digest = digest.parse().expect("a header value");
    let headers = response.headers_mut();
    headers.insert("Docker-Content-Digest", digest);
}
